//! Serves the 993 zones of dns-groot/FerretDataset at once and compares every answer with what
//! most of BIND, NSD, Knot and PowerDNS gave, if the data is there:
//! `../shared/data/dns-ferret.jsonl.gz` from the project's root.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test ends where its data is not as it must be"
)]

mod loading;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use dns::{Answerer, Compiled, Name, Transport};
use healthcheck::{HealthTable, SlotMap};
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use loading::{config, is_refused, load, zone_of_file};

/// Answers that must agree with the largest group in rcode, AA and ANSWER. Of the 993, one has no
/// two servers that agree, and one leads into another zone, where BIND and Knot stop and NSD and
/// we go on (`tests/dns/live/ferret.py` has the reasons).
const BAR: usize = 991;

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    rcode: String,
    authoritative: bool,
    answer: Vec<String>,
    authority: Vec<String>,
    additional: Vec<String>,
}

impl Answer {
    /// Reads the data's way of writing a response.
    fn expected(lines: &serde_json::Value) -> Self {
        let mut sections: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let (mut section, mut rcode, mut authoritative) = ("", String::new(), false);
        for line in lines.as_array().expect("a list").iter() {
            let line = line.as_str().expect("a line");
            if let Some(name) = line.strip_prefix(';') {
                section = name;
            } else if let Some(code) = line.strip_prefix("rcode ") {
                rcode = code.to_owned();
            } else if let Some(flags) = line.strip_prefix("flags ") {
                authoritative = flags.split(' ').any(|flag| flag == "AA");
            } else if !section.is_empty() {
                let line = line.replace('"', "").to_lowercase();
                sections.entry(section).or_default().push(line);
            }
        }
        let mut take = |name| {
            let mut lines = sections.remove(name).unwrap_or_default();
            lines.sort();
            lines
        };
        Self {
            rcode,
            authoritative,
            answer: take("ANSWER"),
            authority: take("AUTHORITY"),
            additional: take("ADDITIONAL"),
        }
    }

    fn given(response: &[u8]) -> Self {
        let message = Message::from_vec(response).expect("a well-formed response");
        let lines = |records: &[Record]| {
            let text = |record: &Record| {
                let line = presentation(record).replace('"', "").to_lowercase();
                line.split_whitespace().collect::<Vec<_>>().join(" ")
            };
            let mut lines: Vec<String> = records.iter().map(text).collect();
            lines.sort();
            lines
        };
        let rcode = match u16::from(message.metadata.response_code) {
            0 => "NOERROR".to_owned(),
            2 => "SERVFAIL".to_owned(),
            3 => "NXDOMAIN".to_owned(),
            5 => "REFUSED".to_owned(),
            6 => "YXDOMAIN".to_owned(),
            other => other.to_string(),
        };
        Self {
            rcode,
            authoritative: message.metadata.authoritative,
            answer: lines(&message.answers),
            authority: lines(&message.authorities),
            additional: lines(&message.additionals),
        }
    }

    fn agrees(&self, other: &Self) -> bool {
        self.rcode == other.rcode
            && self.authoritative == other.authoritative
            && self.answer == other.answer
    }
}

/// The record as text; the parser leaves DNAME opaque.
fn presentation(record: &Record) -> String {
    match &record.data {
        RData::Unknown { code, rdata } if u16::from(*code) == 39 => {
            let target = Name::from_wire(&rdata.anything).expect("an uncompressed name");
            format!("{} {} IN DNAME {target}", record.name, record.ttl)
        }
        _ => record.to_string(),
    }
}

fn query(case: &serde_json::Value) -> Vec<u8> {
    let text = case["query"]["Name"].as_str().expect("a name");
    let rtype = case["query"]["Type"].as_str().expect("a type");
    let rtype = conf::RecordType::parse(rtype).expect("a known type");
    let name = Name::parse(text, None).expect("a name");
    let mut packet = vec![0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(name.as_wire());
    packet.extend(rtype.0.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// The answers of the servers, those of most servers first.
fn groups(case: &serde_json::Value) -> Vec<Answer> {
    let mut groups: Vec<_> = case["answers"].as_array().expect("a list").iter().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group["servers"].as_array().map(Vec::len)));
    groups
        .iter()
        .map(|group| Answer::expected(&group["response"]))
        .collect()
}

/// What AUTHORITY and ADDITIONAL are called when they differ from every group's for no reason
/// known.
const UNLIKE_ALL: &str = "unlike every group";

/// How AUTHORITY and ADDITIONAL compare with the groups of the same answer.
fn other_sections(groups: &[Answer], given: &Answer) -> &'static str {
    let alike: Vec<_> = groups.iter().filter(|group| group.agrees(given)).collect();
    let same = |group: &&&Answer| {
        group.authority == given.authority && group.additional == given.additional
    };
    if alike.is_empty() {
        "another answer"
    } else if alike.iter().any(|group| same(&group)) {
        "as some group's"
    } else if !given.answer.is_empty() && given.authority.is_empty() && given.additional.is_empty()
    {
        "left out beside an answer (minimal responses)"
    } else {
        println!("other sections: {given:?}\n  {groups:?}");
        UNLIKE_ALL
    }
}

#[test]
fn answers_agree_with_what_most_servers_give() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/dns-ferret.jsonl.gz");
    if !data.exists() {
        eprintln!("skipped: {} is not there", data.display());
        return;
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(&data).output().unwrap();
    let text = String::from_utf8(unpacked.stdout).unwrap();
    let cases: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let folder = std::env::temp_dir().join(format!("agreement-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (zones, diagnostics, _) = load(|span| {
        let zone = |case: &serde_json::Value| {
            let path = folder.join(format!("{}.zone", case["id"]));
            std::fs::write(&path, case["zone"].as_str().unwrap()).unwrap();
            zone_of_file(case["origin"].as_str().unwrap(), &path, span)
        };
        cases.iter().map(zone).collect()
    });
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(!is_refused(&diagnostics), "{diagnostics:?}");
    let span = zones.zones[0].span;
    let config = config(Vec::new(), span);
    let compiled = Compiled::new(&config, &zones, 1, &SlotMap::new(1));
    let snapshot = compiled.snapshot(&HealthTable::default(), false);
    let source = "127.0.0.1".parse().unwrap();
    let mut answerer = Answerer::new(7);
    let mut out = vec![0; 1232];
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let mut agreed = 0;
    for case in &cases {
        let packet = query(case);
        let answered = answerer
            .answer(&snapshot, &packet, source, Transport::Udp, &mut out)
            .unwrap();
        let given = Answer::given(&out[..answered.len]);
        let groups = groups(case);
        *reasons.entry(other_sections(&groups, &given)).or_default() += 1;
        if given.agrees(&groups[0]) {
            agreed += 1;
        } else {
            let also = groups.iter().filter(|group| given.agrees(group)).count();
            println!(
                "deviates ({also} other groups agree): {} {}\n{}\n  given    {given:?}\n  expected {:?}",
                case["id"], case["query"], case["zone"], groups[0]
            );
        }
    }
    println!("agreed {agreed} of {}", cases.len());
    println!("AUTHORITY and ADDITIONAL: {reasons:#?}");
    assert!(agreed >= BAR, "{agreed} of {}", cases.len());
    assert_eq!(reasons.get(UNLIKE_ALL).copied().unwrap_or(0), 0);
}
