//! What a table may expect of an answer, and whether it came.

use std::collections::BTreeMap;

use super::shares::{fits, fits_roughly};
use crate::explain::{Ask, Explainer, Explanation};

/// What draws follow from, so that a table says the same each time.
pub(super) const SEED: u64 = 11;
/// Draws where chance decides: enough to tell shares that are one per cent apart.
pub(super) const DRAWS: usize = 100_000;
/// Draws where one value is expected each time.
const DRAWS_OF_ONE: usize = 100;

type Shares = BTreeMap<String, f64>;

/// The line after `=`.
pub(super) fn answer(
    explainer: &Explainer,
    ask: &Ask,
    expected: &str,
    draws: usize,
) -> Result<(), String> {
    if let Some(exact) = expected.strip_prefix('=') {
        let given = line(&explained(explainer, ask)?);
        return same(&given, exact.trim());
    }
    let expected = expected.trim();
    if matches!(expected, "NODATA" | "NXDOMAIN" | "REFUSED") {
        return same(&kind(&explained(explainer, ask)?), expected);
    }
    let (size, shares) = match expected.split_once(" of ") {
        Some((size, values)) => {
            let size = size.trim().parse();
            let size = size.map_err(|_| format!("`{expected}` does not begin with a number"))?;
            let values = values.split_whitespace();
            (size, values.map(|value| (value.to_owned(), 1.0)).collect())
        }
        None => (1, shares_of(expected)?),
    };
    let draws = if shares.len() == 1 {
        DRAWS_OF_ONE
    } else {
        draws
    };
    drawn(explainer, ask, size, &shares, draws)
}

/// The line after `scope`.
pub(super) fn scope(explainer: &Explainer, ask: &Ask, expected: &str) -> Result<(), String> {
    let given = explained(explainer, ask)?.scope.unwrap_or(0);
    same(&given.to_string(), expected)
}

/// The line after `negative-ttl`: for how long the absence of records may be kept (RFC 2308
/// section 5), where the SOA's own minimum is no shorter.
pub(super) fn negative_ttl(explainer: &Explainer, ask: &Ask, expected: &str) -> Result<(), String> {
    let explanation = explained(explainer, ask)?;
    let soa = explanation
        .authority
        .iter()
        .find(|line| line.r#type == "SOA");
    match soa {
        Some(soa) => same(&format!("{}", soa.ttl), expected),
        None => Err("the answer has no SOA record".to_owned()),
    }
}

fn explained(explainer: &Explainer, ask: &Ask) -> Result<Explanation, String> {
    explainer.explain(ask).map_err(|error| error.to_string())
}

fn drawn(
    explainer: &Explainer,
    ask: &Ask,
    size: usize,
    shares: &Shares,
    draws: usize,
) -> Result<(), String> {
    let mut first = BTreeMap::new();
    let mut all = BTreeMap::new();
    let mut wrong = None;
    let mut count = |values: &[String], times: usize| {
        let mut different = values.to_vec();
        different.sort();
        different.dedup();
        match values.first() {
            Some(value) if values.len() == size && different.len() == size => {
                *first.entry(value.clone()).or_default() += times;
                for value in values {
                    *all.entry(value.clone()).or_default() += times;
                }
            }
            _ => wrong = Some(values.join(" ")),
        }
        wrong.is_none()
    };
    let asked = explainer.draw(ask, draws, &mut count);
    asked.map_err(|error| error.to_string())?;
    if let Some(values) = wrong {
        let given = if values.is_empty() {
            "nothing"
        } else {
            &values
        };
        return Err(format!("the answer was {given}"));
    }
    fits(&first, shares, draws)?;
    fits_roughly(&all, shares, draws * size)
}

/// `VALUE:SHARE …`; without a share one value is all.
fn shares_of(expected: &str) -> Result<Shares, String> {
    let mut shares = Shares::new();
    for word in expected.split_whitespace() {
        let (value, share) = match word.rsplit_once(':') {
            Some((value, share)) => {
                let share = share.parse::<f64>().ok().filter(|share| *share > 0.0);
                (
                    value,
                    share.ok_or_else(|| format!("`{word}` is not VALUE:SHARE"))?,
                )
            }
            None => (word, 1.0),
        };
        shares.insert(value.to_owned(), share);
    }
    match shares.is_empty() {
        true => Err("nothing is expected: write values, NODATA, NXDOMAIN or REFUSED".to_owned()),
        false => Ok(shares),
    }
}

fn kind(explanation: &Explanation) -> String {
    match explanation.rcode.as_str() {
        "NOERROR" if explanation.answers.is_empty() => "NODATA".to_owned(),
        "NOERROR" => line(explanation),
        rcode => rcode.to_owned(),
    }
}

/// A response in one line: code, AA, the answers in order, those of one RRset sorted.
fn line(explanation: &Explanation) -> String {
    let flag = if explanation.authoritative { " aa" } else { "" };
    let of_one_set = |a: &crate::explain::Line, b: &crate::explain::Line| {
        (&a.name, &a.r#type) == (&b.name, &b.r#type)
    };
    let mut records: Vec<String> = Vec::new();
    for set in explanation.answers.chunk_by(of_one_set) {
        let mut lines: Vec<String> = set
            .iter()
            .map(|line| {
                format!(
                    "{} {} IN {} {}",
                    line.name, line.ttl, line.r#type, line.data
                )
            })
            .collect();
        lines.sort();
        records.extend(lines);
    }
    match records.is_empty() {
        true => format!("{}{flag}", explanation.rcode),
        false => format!("{}{flag} | {}", explanation.rcode, records.join(", ")),
    }
}

fn same(given: &str, expected: &str) -> Result<(), String> {
    match given == expected {
        true => Ok(()),
        false => Err(format!("the answer was {given}")),
    }
}
