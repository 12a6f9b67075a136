//! Tables of expected answers: whatever one says, it is checked or refused by line.

use std::path::Path;
use std::sync::Arc;

use dns::Offline;
use dns::cases::{ConfigSource, run};

use super::{Body, outcome, seeds};

const CONFIG: &str = "[dns]\ngeo-database = false\n[[health-check]]\nname = \"a\"\ntype = \"tcp\"\n\
    address = \"192.0.2.9:80\"\n[[zone]]\nname = \"t\"\n[[zone.record]]\nname = \"w\"\ntype = \"A\"\n\
    policy = \"failover\"\nsets = [\n{ id = \"p\", failover = \"primary\", values = [\"192.0.2.1\"], \
    health-check = \"a\" },\n{ id = \"s\", failover = \"secondary\", values = [\"192.0.2.2\"] } ]\n";

pub(super) fn body() -> Body {
    Body {
        name: "table",
        seeds: seeds(&[
            "? w.t A\n= 192.0.2.1\nhealth a=down\n= 192.0.2.2:1\nwithdrawn\n",
            "from 10.0.0.0/8\n? w.t AAAA\n= NODATA\nscope 0\n? x.t A\n= NXDOMAIN\n",
            "from DE\n? w.t A\n== NOERROR aa | w.t. 10 IN A 192.0.2.1\n= 2 of 192.0.2.1 192.0.2.2\n",
            "config\n[dns]\nend\nconfig x.toml\n# nothing\n",
        ]),
        words: &[
            b"? w.t A\n",
            b"= ",
            b" of ",
            b":3 ",
            b"from US-CA\n",
            b"health a=up\n",
            b"\nend\n",
        ],
        run: Box::new(|input| {
            let Ok(table) = std::str::from_utf8(input) else {
                return 0;
            };
            let ran = run(table, open(CONFIG).ok(), &|source| match source {
                ConfigSource::Text(text) if text.contains("include") => Err("not here".to_owned()),
                ConfigSource::Text(text) => open(text),
                ConfigSource::File(_) => Err("no files here".to_owned()),
            });
            let lines = table.lines().count();
            for failure in &ran.failures {
                assert!((1..=lines).contains(&failure.line), "{failure:?}");
            }
            outcome((ran.checked, ran.failures.len()))
        }),
    }
}

fn open(text: &str) -> Result<Offline, String> {
    // Zone files are another body's business.
    if text.contains("file") {
        return Err("not here".to_owned());
    }
    let mut loaded = conf::load_text(Path::new("table.toml"), text);
    let (zones, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    loaded.add(problems);
    match loaded.has_errors() {
        true => Err("errors".to_owned()),
        false => Ok(Offline::new(Arc::new(loaded.config), &zones)),
    }
}
