//! Zone files: read from a file of this run's own, as the program reads them.

use std::path::PathBuf;

use super::{Body, outcome, seeds};

pub(super) fn body() -> Body {
    let folder = std::env::temp_dir().join(format!("pointsman-fuzz-{}", std::process::id()));
    Body {
        name: "zone-file",
        seeds: seeds(&[
            "$TTL 1h\n@ IN SOA ns hostmaster 1 2h 15m 2w 10\n@ NS ns\nns A 192.0.2.1\n",
            "$ORIGIN a.test.\n@ 5 IN SOA ns h ( 1 2 3\n 4 5 ) ; comment\n NS ns\n*.x TXT \"a b\" c\\032d\n",
            "@ SOA a b 1 2 3 4 5\n$GENERATE 1-3 h$ A 192.0.2.$\nd DNAME e\nc CNAME d\nt TYPE99 \\# 2 abcd\n",
            "@ SOA a b 1 2 3 4 5\n@ CAA 0 issue \"x\"\n@ HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1\n_s._tcp SRV 1 2 3 t\n",
        ]),
        words: &[
            b"$ORIGIN ",
            b"$TTL ",
            b"$GENERATE 0-5/2 ",
            b"( ",
            b" )",
            b"\\# 4 ",
            b" IN ",
            b"TYPE65535 ",
            b"\\255",
            b"SVCB 0 ",
            b"LOC 51 30 N 0 0 W 1m ",
            b"NAPTR 1 2 \"u\" \"s\" \"\" .",
        ],
        run: Box::new(move |input| run(&folder, input)),
    }
}

fn run(folder: &PathBuf, input: &[u8]) -> u64 {
    // Other files than this one are no parser's business here.
    if input.windows(4).any(|w| w.eq_ignore_ascii_case(b"$inc")) {
        return 0;
    }
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(folder.join("fuzz.zone"), input));
    assert!(
        written.is_ok(),
        "cannot write to {}: {written:?}",
        folder.display()
    );
    let text = "[dns]\n[[zone]]\nname = \"a.test\"\nfile = \"fuzz.zone\"\n";
    let mut loaded = conf::load_text(&folder.join("fuzz.toml"), text);
    let (zones, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    let codes: Vec<_> = problems.iter().map(|p| p.code).collect();
    let _ = conf::render_human(&problems, &loaded.sources, false);
    drop(zones);
    outcome(codes)
}
