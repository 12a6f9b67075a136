//! Header bits, limits, rotation, owners, OPT.

use hickory_proto::op::Message;

use super::*;
use crate::wire::{Blob, ExtendedError};

const QUESTION: &[u8] = b"\x03WwW\x04test\x00\x00\x01\x00\x01";
const HEADER: Header = Header {
    id: 0x1234,
    flags: 0x0110,
};

fn blob(count: u8) -> Blob {
    let rdatas: Vec<[u8; 4]> = (0..count).map(|last| [192, 0, 2, last]).collect();
    Blob::new(1, 60, rdatas.iter().map(|rdata| &rdata[..]))
}

#[test]
fn the_question_comes_back_as_it_was() {
    let mut out = [0; 512];
    let mut response = Response::begin(&mut out, 512, QUESTION, None, &Options::NONE).unwrap();
    response.authoritative = true;
    response
        .push(Section::Answer, blob(3).view(), 2, NAME_AT)
        .unwrap();
    let len = response.finish(HEADER, Rcode::NoError);
    assert_eq!(&out[..6], [0x12, 0x34, 0x85, 0x00, 0, 1]);
    assert_eq!(&out[12..12 + QUESTION.len()], QUESTION);
    let message = Message::from_vec(&out[..len]).unwrap();
    let answers: Vec<String> = message.answers.iter().map(ToString::to_string).collect();
    let expected = [2, 0, 1].map(|last| format!("WwW.test. 60 IN A 192.0.2.{last}"));
    assert_eq!(answers, expected);
}

#[test]
fn owners_are_written_over_whatever_the_rotation() {
    for first in 0..3 {
        let mut out = [0; 512];
        let mut response = Response::begin(&mut out, 512, QUESTION, None, &Options::NONE).unwrap();
        response
            .push(Section::Authority, blob(3).view(), first, NAME_AT + 4)
            .unwrap();
        let len = response.finish(HEADER, Rcode::NoError);
        let message = Message::from_vec(&out[..len]).unwrap();
        assert_eq!(message.authorities.len(), 3);
        for record in &message.authorities {
            assert_eq!(record.name.to_string(), "test.");
        }
    }
}

#[test]
fn opt_has_its_room_kept_and_carries_the_upper_bits() {
    let edns = Some(Edns {
        udp_size: 512,
        dnssec_ok: true,
        ..Edns::default()
    });
    let record_len = 16;
    let fitting = (512 - HEADER_LEN - QUESTION.len() - OPT_LEN) / record_len;
    for (count, fits) in [(fitting, true), (fitting + 1, false)] {
        let mut out = [0; 1232];
        let limit = limit(Transport::Udp, edns.as_ref());
        let mut response =
            Response::begin(&mut out, limit, QUESTION, edns.as_ref(), &Options::NONE).unwrap();
        let pushed = response.push(Section::Answer, blob(count as u8).view(), 0, NAME_AT);
        assert_eq!(pushed.is_ok(), fits, "{count}");
        if !fits {
            response.truncate();
        }
        let len = response.finish(HEADER, Rcode::BadVers);
        assert!(len <= 512);
        let message = Message::from_vec(&out[..len]).unwrap();
        assert_eq!(message.metadata.truncation, !fits);
        assert_eq!(message.answers.len(), if fits { count } else { 0 });
        assert_eq!(u16::from(message.metadata.response_code), 16);
        let edns = message.edns.unwrap();
        assert_eq!(edns.max_payload(), 1232);
        assert!(edns.flags().dnssec_ok);
    }
}

#[test]
fn a_name_not_served_is_told_by_an_extended_error() {
    let edns = Some(Edns {
        udp_size: 4096,
        dnssec_ok: false,
        subnet: None,
        ..Edns::default()
    });
    let mut out = [0; 512];
    let mut response =
        Response::begin(&mut out, 1232, QUESTION, edns.as_ref(), &Options::NONE).unwrap();
    response.error = Some(ExtendedError::NotAuthoritative);
    let len = response.finish(HEADER, Rcode::Refused);
    assert!(out[..len].ends_with(&[0, 6, 0, 15, 0, 2, 0, 20]));
    Message::from_vec(&out[..len]).unwrap();
}

#[test]
fn limits_follow_transport_and_client() {
    let of = |udp_size| {
        limit(
            Transport::Udp,
            Some(&Edns {
                udp_size,
                dnssec_ok: false,
                subnet: None,
                ..Edns::default()
            }),
        )
    };
    assert_eq!([of(0), of(511), of(900), of(4096)], [512, 512, 900, 1232]);
    assert_eq!(limit(Transport::Udp, None), 512);
    assert_eq!(limit(Transport::Tcp, None), 65_535);
}
