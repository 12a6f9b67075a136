//! Case files in `dns/tests/policies`: `config` and a configuration up to `end`; `health` with
//! what is not healthy; `withdrawn`; `from ADDRESS`, the sender, or `from NETWORK`, the client
//! that a believed sender names; `? NAME TYPE`; then what must come, over many draws:
//! `= VALUE:SHARE …` one value each time, by share; `= N of VALUE …` N different ones each time,
//! all alike; `= NODATA`; `== TEXT` exactly this response; `scope BITS` in its ECS option.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use hickory_proto::op::Message;
use ipnet::IpNet;

use crate::snapshot::Snapshot;
use crate::testing::{SOURCE, Scene, query, query_subnet, subnet, subnet_of, text};
use crate::{Answerer, Transport};

const DRAWS: usize = 100_000;

#[test]
fn every_case_file_is_decided_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies");
    let mut asked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        asked += run(&path);
    }
    assert!(asked > 60, "{asked} cases");
}

/// Runs one file; the number of cases in it.
fn run(path: &Path) -> usize {
    let file = std::fs::read_to_string(path).unwrap();
    let (config, cases) = file.split_once("\nend\n").unwrap();
    let (_, config) = config.split_once("config\n").unwrap();
    let mut scene = Scene::new(config);
    let mut withdrawn = false;
    let mut question = Question::default();
    let mut asked = 0;
    for line in cases.lines() {
        if let Some(said) = line.strip_prefix("health") {
            let said: Vec<(&str, &str)> = said
                .split_whitespace()
                .map(|word| word.rsplit_once('=').unwrap())
                .collect();
            scene.set(&said);
        } else if line == "withdrawn" {
            withdrawn = true;
        } else if let Some(words) = line.strip_prefix("? ") {
            (question.name, question.rtype) = words.split_once(' ').unwrap();
        } else if let Some(client) = line.strip_prefix("from ") {
            question.source = client.parse().unwrap_or(SOURCE);
            question.network = client
                .contains('/')
                .then(|| client.parse::<IpNet>().unwrap());
        } else if let Some(scope) = line.strip_prefix("scope ") {
            let snapshot = scene.compiled.snapshot(&scene.health, withdrawn);
            let given = question.scope(&snapshot);
            let place = path.file_name().unwrap().display();
            assert_eq!(given, scope.parse::<u8>().unwrap(), "{place}: {question:?}");
        } else if let Some(expected) = line.strip_prefix('=') {
            let snapshot = scene.compiled.snapshot(&scene.health, withdrawn);
            if let Err(why) = check(&snapshot, &question, expected) {
                let place = path.file_name().unwrap().display();
                panic!("{place}: {question:?} {expected}: {why}");
            }
            asked += 1;
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line:?}");
        }
    }
    asked
}

/// Who asks what.
#[derive(Debug)]
struct Question<'l> {
    name: &'l str,
    rtype: &'l str,
    source: IpAddr,
    network: Option<IpNet>,
}

impl Default for Question<'_> {
    fn default() -> Self {
        Self {
            name: "",
            rtype: "",
            source: SOURCE,
            network: None,
        }
    }
}

impl Question<'_> {
    fn packet(&self) -> Vec<u8> {
        match self.network {
            None => query(self.name, self.rtype),
            Some(network) => query_subnet(self.name, self.rtype, &subnet(network)),
        }
    }

    /// The response's bytes.
    fn ask<'o>(
        &self,
        snapshot: &Snapshot,
        answerer: &mut Answerer,
        out: &'o mut [u8; 1232],
    ) -> &'o [u8] {
        let packet = self.packet();
        let answered = answerer.answer(snapshot, &packet, self.source, Transport::Udp, out);
        &out[..answered.unwrap().len]
    }

    fn scope(&self, snapshot: &Snapshot) -> u8 {
        let mut out = [0; 1232];
        let response = self.ask(snapshot, &mut Answerer::new(11), &mut out);
        let mut given = subnet_of(response).unwrap().to_vec();
        let scope = std::mem::take(&mut given[3]);
        assert_eq!(given, subnet(self.network.unwrap()));
        scope
    }
}

fn check(snapshot: &Snapshot, question: &Question<'_>, expected: &str) -> Result<(), String> {
    let mut answerer = Answerer::new(11);
    let mut draw = || {
        let mut out = [0; 1232];
        Message::from_vec(question.ask(snapshot, &mut answerer, &mut out)).unwrap()
    };
    if let Some(exact) = expected.strip_prefix("= ") {
        return same(&text(&draw()), exact);
    }
    let expected = expected.trim();
    if expected == "NODATA" {
        let message = draw();
        assert!(message.answers.is_empty());
        assert_eq!(message.authorities.len(), 1);
        return same(&format!("{:?}", message.metadata.response_code), "NoError");
    }
    let (size, shares) = match expected.split_once(" of ") {
        Some((size, values)) => {
            let shares = values
                .split(' ')
                .map(|value| (value.parse().unwrap(), 1.0))
                .collect();
            (size.parse().unwrap(), shares)
        }
        None => (1, shares_of(expected)),
    };
    let mut first: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let mut drawn: BTreeMap<IpAddr, usize> = BTreeMap::new();
    let draws = if shares.len() == 1 { 100 } else { DRAWS };
    let question_len = query(question.name, question.rtype).len();
    let mut out = [0; 1232];
    for _ in 0..draws {
        let values = addresses(
            question.ask(snapshot, &mut answerer, &mut out),
            question_len,
        );
        let mut different = values.clone();
        different.sort();
        different.dedup();
        if values.len() != size || different.len() != size {
            return Err(format!("{values:?}"));
        }
        *first.entry(values[0]).or_default() += 1;
        for value in values {
            *drawn.entry(value).or_default() += 1;
        }
    }
    fits(&first, &shares, draws)?;
    fits_roughly(&drawn, &shares, draws * size)
}

fn shares_of(expected: &str) -> BTreeMap<IpAddr, f64> {
    let share = |word: &str| {
        let (value, share) = word.rsplit_once(':').unwrap();
        (value.parse().unwrap(), share.parse().unwrap())
    };
    expected.split(' ').map(share).collect()
}

/// The addresses of a response's answers, read by hand: there are many of them.
fn addresses(response: &[u8], question_len: usize) -> Vec<IpAddr> {
    let count = u16::from_be_bytes([response[6], response[7]]);
    let mut rest = &response[question_len..];
    let mut addresses = Vec::new();
    for _ in 0..count {
        let (record, after) = rest.split_at(12 + usize::from(rest[11]));
        rest = after;
        addresses.push(match record[12..] {
            [a, b, c, d] => IpAddr::from([a, b, c, d]),
            ref v6 => IpAddr::from(<[u8; 16]>::try_from(v6).unwrap()),
        });
    }
    addresses
}

fn same(given: &str, expected: &str) -> Result<(), String> {
    if given == expected {
        Ok(())
    } else {
        Err(given.to_owned())
    }
}

/// Pearson's chi-squared test at p = 0.0001.
fn fits(
    counts: &BTreeMap<IpAddr, usize>,
    shares: &BTreeMap<IpAddr, f64>,
    draws: usize,
) -> Result<(), String> {
    let total: f64 = shares.values().sum();
    if let Some(stranger) = counts.keys().find(|value| !shares.contains_key(value)) {
        return Err(format!("{stranger} came: {counts:?}"));
    }
    let chi_squared: f64 = shares
        .iter()
        .map(|(value, share)| {
            let expected = draws as f64 * share / total;
            let given = counts.get(value).copied().unwrap_or(0) as f64;
            (given - expected).powi(2) / expected
        })
        .sum();
    let freedom = shares.len() as f64 - 1.0;
    if freedom == 0.0 || chi_squared < critical(freedom) {
        Ok(())
    } else {
        Err(format!("chi-squared {chi_squared}: {counts:?}"))
    }
}

/// Values drawn together are not independent, which makes counts more even than chance would:
/// within 1 % of their share.
fn fits_roughly(
    counts: &BTreeMap<IpAddr, usize>,
    shares: &BTreeMap<IpAddr, f64>,
    drawn: usize,
) -> Result<(), String> {
    let total: f64 = shares.values().sum();
    for (value, share) in shares {
        let given = counts.get(value).copied().unwrap_or(0) as f64 / drawn as f64;
        if (given - share / total).abs() > 0.01 {
            return Err(format!("{value} came {given} of the time: {counts:?}"));
        }
    }
    Ok(())
}

/// The chi-squared distribution's upper 0.0001 point (Wilson and Hilferty's approximation).
fn critical(freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + 3.719 * spread.sqrt()).powi(3)
}
