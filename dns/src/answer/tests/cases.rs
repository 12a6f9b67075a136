//! Case files: `zone ORIGIN` and a zone file's lines up to `end`, then `? NAME TYPE [edns=BYTES]
//! [tcp]` and `= ` with the response in one line.

use std::path::Path;

use hickory_proto::op::Message;

use crate::testing::{SOURCE, Scene, query, query_edns, text};
use crate::{Answerer, Snapshot, Transport};

#[test]
fn every_case_file_is_answered_as_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers");
    let mut wrong = Vec::new();
    let mut asked = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (zones, cases) = read(&std::fs::read_to_string(&path).unwrap());
        let zones: Vec<(&str, &str)> = zones.iter().map(|(o, t)| (&**o, &**t)).collect();
        let snapshot = Scene::of_zones(&zones).snapshot();
        for (question, expected) in cases {
            asked += 1;
            let given = given(&snapshot, &question);
            if given != expected {
                let name = path.file_name().unwrap().display();
                wrong.push(format!(
                    "{name}: {question}\n  given    {given}\n  expected {expected}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked > 70, "{asked} cases");
}

type Zones = Vec<(String, String)>;
type Cases = Vec<(String, String)>;

fn read(file: &str) -> (Zones, Cases) {
    let (mut zones, mut cases): (Zones, Cases) = Default::default();
    let mut in_zone = false;
    for line in file.lines() {
        if in_zone {
            in_zone = line != "end";
            if in_zone {
                let (_, text) = zones.last_mut().unwrap();
                text.push_str(line);
                text.push('\n');
            }
        } else if let Some(origin) = line.strip_prefix("zone ") {
            zones.push((origin.to_owned(), String::new()));
            in_zone = true;
        } else if let Some(question) = line.strip_prefix("? ") {
            cases.push((question.to_owned(), String::new()));
        } else if let Some(expected) = line.strip_prefix("= ") {
            cases.last_mut().unwrap().1 = expected.to_owned();
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line:?}");
        }
    }
    (zones, cases)
}

fn given(snapshot: &Snapshot, question: &str) -> String {
    let words: Vec<&str> = question.split(' ').collect();
    let edns = words.iter().find_map(|word| word.strip_prefix("edns="));
    let packet = match edns {
        Some(size) => query_edns(words[0], words[1], size.parse().unwrap()),
        None => query(words[0], words[1]),
    };
    let transport = if words.contains(&"tcp") {
        Transport::Tcp
    } else {
        Transport::Udp
    };
    let mut out = vec![0; 65_535];
    let answered = Answerer::new(3)
        .answer(snapshot, &packet, SOURCE, transport, &mut out)
        .unwrap();
    let message = Message::from_vec(&out[..answered.len]).unwrap();
    assert_eq!(message.metadata.id, 0x1234);
    assert!(message.metadata.recursion_desired);
    assert!(!message.metadata.recursion_available);
    assert_eq!(message.queries.len(), 1);
    assert_eq!(message.edns.is_some(), edns.is_some());
    text(&message)
}
