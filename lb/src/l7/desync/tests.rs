//! Tiers and reasons against AWS's own library: on its cases, and on requests mutated at random.

use conf::DesyncMode::{Defensive, Monitor, Strictest};
use http_desync_guardian::request_analyzer::HttpRequestData;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng, rngs::SmallRng};
use yaml_rust2::{Yaml, YamlLoader};

use super::*;

/// What AWS's library says, as words.
fn theirs(bytes: &[u8]) -> (String, String) {
    let result = HttpRequestData::analyze_raw_request(bytes);
    (format!("{:?}", result.tier), format!("{:?}", result.reason))
}

fn ours(bytes: &[u8]) -> (String, String) {
    let verdict = classify(bytes);
    (
        verdict.tier.as_str().to_owned(),
        verdict.reason.as_str().to_owned(),
    )
}

const SEEDS: &[&str] = &[
    "GET /foo/bar HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
    "POST /a?b=c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    "HEAD /x HTTP/1.0\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/x;\r\n boundary:=b\r\nX: y\r\n\tz\r\n\r\n",
    "PUT / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked;q=1\r\nTransfer_Encoding: chunked\r\n\r\n",
];

const PIECES: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/1.9",
    "GET ",
    "HEAD ",
    "Transfer-Encoding: chunked\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 7\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Content-Length:\r\n",
    "Content--Length: 5\r\n",
    " Content-Length: 5\r\n",
    "T________________: a\r\n",
    "chunked, chunked",
    "identity",
    "xchunked",
    "Tran\u{17f}fer-Encod\u{131}ng: chunked\r\n",
    "content_length: 3\r\n",
    ": empty\r\n",
    "no colon\r\n",
    "Content-Type: a\r\n b:c\r\n",
    "\u{e9}",
    "\x01",
    "\x7f",
    "Transfer-Encoding : chunked\r\n",
    "X: \u{e9}\x02\r\n",
];

fn mutated(rng: &mut SmallRng) -> Vec<u8> {
    let mut bytes = SEEDS.choose(rng).unwrap().as_bytes().to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        match rng.random_range(0..4) {
            0 if at < bytes.len() => bytes[at] = rng.random(),
            1 if at < bytes.len() => {
                let end = rng.random_range(at..=bytes.len().min(at + 12));
                bytes.drain(at..end);
            }
            2 => {
                let piece = PIECES.choose(rng).unwrap();
                bytes.splice(at..at, piece.bytes());
            }
            _ => {
                // At the start of a line, where whole fields mean something.
                let lines: Vec<_> = memchr::memchr_iter(b'\n', &bytes)
                    .map(|at| at + 1)
                    .collect();
                let at = lines.choose(rng).copied().unwrap_or(at);
                let piece = PIECES.choose(rng).unwrap();
                bytes.splice(at..at, piece.bytes());
            }
        }
    }
    bytes
}

#[test]
fn a_hundred_thousand_mutated_requests_are_classified_alike() {
    let mut rng = SmallRng::seed_from_u64(7);
    let mut tiers = std::collections::BTreeMap::new();
    for _ in 0..100_000 {
        let bytes = mutated(&mut rng);
        let ours = ours(&bytes);
        assert_eq!(ours, theirs(&bytes), "{}", bytes.escape_ascii());
        *tiers.entry(ours).or_insert(0) += 1;
    }
    assert!(tiers.len() > 24, "not every reason was met: {tiers:?}");
}

/// The folder of AWS's library, where its cases are: Cargo unpacks what it compiles there.
fn library() -> std::path::PathBuf {
    let own = || std::env::var_os("HOME").map(|home| std::path::PathBuf::from(home).join(".cargo"));
    let home = std::env::var_os("CARGO_HOME").map(Into::into).or_else(own);
    let registries = home.unwrap().join("registry/src");
    let registries = std::fs::read_dir(registries).unwrap();
    let packages = registries.map(|entry| entry.unwrap().path().join("http_desync_guardian-0.1.3"));
    let mut folders = packages.map(|package| package.join("tests"));
    folders.find(|folder| folder.is_dir()).unwrap()
}

/// Every case of AWS's library, as YAML.
fn cases() -> Vec<Yaml> {
    let files = std::fs::read_dir(library()).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|e| e == "yaml"));
    let texts = files.map(|path| std::fs::read_to_string(path).unwrap());
    let documents = texts.flat_map(|text| YamlLoader::load_from_str(&text).unwrap());
    documents
        .flat_map(|document| document.into_vec().unwrap())
        .collect()
}

/// A scalar as it is written.
fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::BadValue | Yaml::Null => String::new(),
        other => panic!("no text: {other:?}"),
    }
}

/// What AWS documents for a tier: monitor, defensive, strictest.
fn measures(tier: &str) -> [Measure; 3] {
    use Measure::{Forward, ForwardOnce, Refuse};
    match tier {
        "Compliant" => [Forward, Forward, Forward],
        "Acceptable" => [Forward, Forward, Refuse],
        "Ambiguous" => [Forward, ForwardOnce, Refuse],
        "Severe" => [Forward, Refuse, Refuse],
        other => panic!("no tier is called {other}"),
    }
}

#[test]
fn the_librarys_own_cases_have_their_tiers_reasons_and_measures() {
    let cases = cases();
    for case in &cases {
        let name = text(&case["name"]);
        let (method, uri, version) = (
            text(&case["method"]),
            text(&case["uri"]),
            text(&case["version"]),
        );
        let fields = case["headers"].as_vec().into_iter().flatten();
        let fields: Vec<_> = fields
            .map(|f| (text(&f["name"]), text(&f["value"])))
            .collect();
        let line = RequestLine {
            method: method.as_bytes(),
            uri: uri.as_bytes(),
            version: version.as_bytes(),
        };
        let parts = fields.iter().map(|(name, value)| Field {
            name: name.as_bytes(),
            value: value.as_bytes(),
        });
        let parts: Vec<_> = parts.collect();
        let verdict = judge_parts(line, &parts, Verdict::COMPLIANT);
        let expected = &case["expected"];
        assert_eq!(verdict.tier.as_str(), text(&expected["tier"]), "{name}");
        assert_eq!(verdict.reason.as_str(), text(&expected["reason"]), "{name}");
        let done = [Monitor, Defensive, Strictest].map(|mode| verdict.measure(mode));
        assert_eq!(done, measures(verdict.tier.as_str()), "{name}");
        let fields: String = fields
            .iter()
            .map(|(n, v)| format!("{n}: {v}\r\n"))
            .collect();
        let raw = format!("{method} {uri} {version}\r\n{fields}\r\n");
        assert_eq!(ours(raw.as_bytes()), theirs(raw.as_bytes()), "{name}");
    }
    assert_eq!(cases.len(), 159);
}

/// The head that the strict parser gets.
fn cleaned(bytes: &str) -> String {
    let mut out = Vec::new();
    normalise(&mut out, bytes.as_bytes());
    String::from_utf8(out).unwrap()
}

#[test]
fn what_is_forwarded_has_one_meaning() {
    for (came, goes) in [
        (
            "POST /a b HTTP/1.1\nHost: a\nX: 1\n 2\n\t3\nContent-Length: 5\nTransfer-Encoding : chunked\n\n",
            "POST /a%20b HTTP/1.1\r\nHost: a\r\nX: 1 2 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "POST / HTTP/1.9\r\nHost: a\r\nHost: b\r\nContent-Length: 05\r\nContent-Length: 5\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n",
        ),
        (
            "GET / HTTP/1.0\r\n : x\r\nA\r\n b\r\n: y\r\nContent--Length: 5\r\nB\x01: 1\r\nC: \x01\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
        ),
        (
            "PUT / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n",
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
    ] {
        assert_eq!(cleaned(came), goes);
    }
}

#[test]
fn a_rewritten_head_is_one_head_or_refused() {
    use crate::l7::http1::{HeadLimits, MAX_FIELDS, parse_request};
    let mut rng = SmallRng::seed_from_u64(8);
    let mut passed = 0;
    for _ in 0..20_000 {
        let bytes = mutated(&mut rng);
        let Some(length) = head_length(&bytes) else {
            continue;
        };
        let mut out = Vec::new();
        normalise(&mut out, &bytes[..length]);
        let mut slots = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
        let limits = HeadLimits { bytes: 64 * 1024 };
        match parse_request(&out, &mut slots, limits) {
            Ok(Some(head)) => assert_eq!(head.bytes.len(), out.len()),
            Ok(None) => panic!("unfinished: {}", out.escape_ascii()),
            Err(_) => continue,
        }
        passed += 1;
        // Nothing but a body where none is expected, or what ends with it, is odd about it now.
        let verdict = classify(&out);
        assert!(
            verdict.tier < Tier::Severe,
            "{verdict:?}: {}",
            out.escape_ascii()
        );
    }
    assert!(passed > 5_000, "{passed}");
}
