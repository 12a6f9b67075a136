//! A corpus of raw requests, each with the answers a correct server may give.

use std::time::Duration;

use crate::balancer::{Balancer, Options};
use crate::target::Target;

/// Cases that count, and how many of them must be answered well. Two of the corpus's cases lost
/// the bytes they were about when it was made (`?` for non-ASCII) and cannot be.
const SCORE: (usize, usize) = (117, 119);

struct Case {
    id: String,
    raw: Vec<u8>,
    expected: String,
    scored: bool,
}

fn corpus() -> Option<Vec<Case>> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/http11probe.jsonl"
    );
    let text = std::fs::read_to_string(path).ok()?;
    let cases = text.lines().map(|line| {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| case[key].as_str().unwrap_or_default().to_owned();
        Case {
            id: text("id"),
            raw: text("raw_latin1").chars().map(|c| c as u8).collect(),
            expected: text("expected"),
            scored: case["scored"].as_bool().unwrap_or_default(),
        }
    });
    Some(cases.collect())
}

/// What the client saw.
#[derive(Debug)]
struct Seen {
    /// The last final status; `None` when there was no response.
    status: Option<u16>,
    responses: usize,
    closed: bool,
}

fn seen(balancer: &Balancer, raw: &[u8], patience: Duration) -> Seen {
    let mut client = balancer.connect();
    client.patience(patience);
    client.try_send(raw);
    let (text, closed) = client.read_some();
    let statuses: Vec<u16> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|rest| rest.get(..3)?.parse().ok())
        .collect();
    Seen {
        status: text
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok()),
        responses: statuses.len(),
        closed,
    }
}

/// Whether what was seen is among what the corpus allows, and what a proxy may answer besides.
fn is_allowed(expected: &str, seen: &Seen) -> bool {
    let expected = expected.split(" (pass)").next().unwrap_or_default();
    if let Some(unwanted) = expected.strip_prefix('!') {
        return seen.status.is_some_and(|s| s.to_string() != unwanted);
    }
    if expected == "2xx + close" {
        return seen.closed && seen.status.is_some_and(|s| s / 100 == 2);
    }
    let words = expected
        .split(" or ")
        .flat_map(|part| part.split('/'))
        .map(str::trim);
    let wants = |word: &str| match (word, seen.status) {
        ("close", None) => seen.closed,
        ("timeout", None) => true,
        ("2xx", Some(status)) => status / 100 == 2,
        ("400", Some(status)) => matches!(status, 400 | 408 | 413 | 414 | 431 | 501),
        (word, Some(status)) => word == status.to_string(),
        _ => false,
    };
    words.into_iter().any(wants)
}

/// What was wrong with the answer to one case, if it counts.
fn ask(case: &Case) -> Option<String> {
    let (wrong, more_may_come) = ask_for(case, Duration::from_millis(400));
    // A busy machine takes its time: what is wrong so far is waited for in earnest.
    match wrong.is_some() && more_may_come {
        true => ask_for(case, Duration::from_secs(8)).0,
        false => wrong,
    }
}

/// The same for what came before so long a silence, and whether the connection was still open.
fn ask_for(case: &Case, patience: Duration) -> (Option<String>, bool) {
    let target = Target::echo();
    let balancer = Balancer::start(&[target.address], &Options::default());
    let seen = seen(&balancer, &case.raw, patience);
    let requests: Vec<String> = target.seen.try_iter().collect();
    assert!(requests.len() <= 1, "{}: split into {requests:?}", case.id);
    assert!(seen.responses <= 2, "{}: {seen:?}", case.id);
    let bad = case.scored && !is_allowed(&case.expected, &seen);
    let wrong = bad.then(|| format!("{}: {} but {seen:?}", case.id, case.expected));
    (wrong, !seen.closed)
}

#[test]
fn the_corpus_is_answered_well_and_never_split_in_two() {
    let Some(cases) = corpus() else {
        println!("skipped: the corpus is not there");
        return;
    };
    let missed: Vec<String> = cases
        .chunks(16)
        .flat_map(|some| {
            // Most cases wait for silence: side by side they wait together.
            std::thread::scope(|scope| {
                let asked: Vec<_> = some.iter().map(|c| scope.spawn(|| ask(c))).collect();
                let outcomes: Vec<_> = asked.into_iter().map(|a| a.join().unwrap()).collect();
                outcomes
            })
        })
        .flatten()
        .collect();
    let scored = cases.iter().filter(|case| case.scored).count();
    println!(
        "{} of {scored}; missed:\n{}",
        scored - missed.len(),
        missed.join("\n")
    );
    assert_eq!(scored, SCORE.1);
    assert!(scored - missed.len() >= SCORE.0, "{}", missed.join("\n"));
}
