//! Answers are taken, cut, aged and put together as clients need them.

use super::*;
use crate::testing::{query, query_edns};
use crate::wire::{LowerName, Verdict as Parsed, parse};
use hickory_proto::op::Message;

fn asked(packet: &[u8]) -> Asked {
    let Parsed::Ask(question) = parse(packet, &mut LowerName::new()) else {
        panic!("no question");
    };
    Asked::new(question.header, question.wire, question.edns)
}

/// What a server answers to `sent`: `count` addresses and an OPT record.
fn answer(sent: &[u8], count: u16, ttl: u32) -> Vec<u8> {
    let end = question_end(sent);
    let mut message = sent[..end].to_vec();
    message[2..4].copy_from_slice(&[0x85, 0x80]);
    message[6..8].copy_from_slice(&count.to_be_bytes());
    for n in 0..count {
        message.extend(b"\xc0\x0c\0\x01\0\x01");
        message.extend(ttl.to_be_bytes());
        message.extend(b"\0\x04\xc0\0");
        message.extend(n.to_be_bytes());
    }
    message.extend(b"\0\0\x29\x10\0\0\0\0\0\0\0");
    message
}

#[test]
fn only_the_answer_to_the_question_is_taken() {
    let asked = asked(&query("www.corp.test.", "A"));
    let sent = question(&asked, 77);
    let good = answer(&sent, 1, 60);
    assert_eq!(judge(&sent, &good), Verdict::Good);
    let changed = |at: usize, byte: u8| {
        let mut other = good.clone();
        other[at] ^= byte;
        judge(&sent, &other)
    };
    assert_eq!(changed(0, 1), Verdict::Other, "another id");
    assert_eq!(changed(13, 0x20), Verdict::Other, "another case");
    assert_eq!(changed(2, 0x80), Verdict::Other, "a question");
    assert_eq!(changed(2, 0x02), Verdict::Truncated);
    assert_eq!(changed(3, 5), Verdict::Refused);
    assert_eq!(changed(3, 3), Verdict::Good, "NXDOMAIN is an answer");
    assert_eq!(judge(&sent, &good[..good.len() - 1]), Verdict::Refused);
    assert_eq!(judge(&sent, &[]), Verdict::Other);
    let cases: std::collections::HashSet<Vec<u8>> = (0..64).map(|_| question(&asked, 7)).collect();
    assert!(cases.len() > 32, "names have a case of chance");
}

#[test]
fn clients_get_their_own_question_and_aged_ttls() {
    let packet = query_edns("wWw.Corp.test.", "A", 1232);
    let asked = asked(&packet);
    let sent = question(&asked, 77);
    let theirs = answer(&sent, 2, 60);
    let reply = super::reply(&asked, &theirs, 25, Transport::Udp);
    let message = Message::from_vec(&reply).unwrap();
    assert_eq!(reply[..2], packet[..2]);
    assert_eq!(reply[12..30], packet[12..30], "the case of the client");
    assert_eq!(reply[2] & 0x04, 0, "not authoritative");
    assert_eq!(reply[3] & 0x80, 0x80, "recursion is available");
    assert_eq!(message.answers.len(), 2);
    assert!(message.answers.iter().all(|record| record.ttl == 35));
    assert!(message.edns.is_some());
    let mut trailing = theirs.clone();
    trailing.extend(b"nobody's");
    assert_eq!(super::reply(&asked, &trailing, 25, Transport::Udp), reply);
    let large = answer(&sent, 200, 60);
    let cut = super::reply(&asked, &large, 0, Transport::Udp);
    assert_eq!((cut[2] & 2, cut.len() < 100), (2, true));
    let whole = super::reply(&asked, &large, 0, Transport::Tcp);
    assert_eq!(Message::from_vec(&whole).unwrap().answers.len(), 200);
    let plain = super::tests::asked(&query("www.corp.test.", "A"));
    let reply = super::reply(
        &plain,
        &answer(&question(&plain, 1), 1, 9),
        0,
        Transport::Udp,
    );
    assert!(Message::from_vec(&reply).unwrap().edns.is_none());
}

#[test]
fn negative_answers_live_as_their_soa_says() {
    let asked = asked(&query("x.corp.test.", "A"));
    let sent = question(&asked, 1);
    let mut none = answer(&sent, 0, 0);
    none.truncate(question_end(&sent));
    assert_eq!(lifetime(&none, 100), 0, "without a SOA it is not kept");
    none[9] = 1;
    none.extend(b"\xc0\x0c\0\x06\0\x01\0\0\0\x50\0\x16\0\0");
    for number in [1_u32, 2, 3, 4, 30] {
        none.extend(number.to_be_bytes());
    }
    assert_eq!(lifetime(&none, 100), 30);
    assert_eq!(lifetime(&answer(&sent, 3, 60), 100), 60);
    assert_eq!(lifetime(&answer(&sent, 3, 600), 100), 100);
}
