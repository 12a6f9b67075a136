//! Configuration files: every problem lies within its file and can be rendered both ways.

use std::path::Path;

use super::{Body, outcome, seeds};

const WHOLE: &str = include_str!("../../../src/cli/starter.toml");

pub(super) fn body() -> Body {
    Body {
        name: "config",
        seeds: seeds(&[
            WHOLE,
            "[[zone]]\nname = \"a.test\"\n[[zone.record]]\nname = \"@\"\ntype = \"A\"\n\
             policy = \"weighted\"\nsets = [{ id = \"x\", weight = 1, values = [\"192.0.2.1\"] }]\n",
            "defaults = \"aws\"\n[[health-check]]\nname = \"h\"\ntype = \"tcp\"\naddress = \"192.0.2.1:1\"\n",
        ]),
        words: &[
            b"[[listener]]\n",
            b"[[target-group]]\n",
            b"[[zone.record]]\n",
            b"= \"",
            b"\"${env:HOME}\"",
            b"[target-group.health-check]\n",
            b"policy = \"failover\"\n",
            b"alias = { record = \"app\" }\n",
        ],
        run: Box::new(run),
    }
}

fn run(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    // Included files are read from disk, which is no parser's business here.
    if text.contains("include") || text.contains("file") {
        return 0;
    }
    let mut loaded = conf::load_text(Path::new("fuzz.toml"), &text);
    let (_, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    loaded.add(problems);
    for problem in &loaded.diagnostics {
        if let Some(span) = problem.span {
            let length = loaded.sources.text(span.file).len();
            assert!(
                span.start <= span.end && span.end as usize <= length,
                "{problem:?}"
            );
        }
    }
    let _ = conf::render_human(&loaded.diagnostics, &loaded.sources, true);
    let _ = conf::render_json(&loaded.diagnostics, &loaded.sources);
    let codes: Vec<_> = loaded.diagnostics.iter().map(|d| d.code).collect();
    outcome(codes)
}
