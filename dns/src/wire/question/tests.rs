//! What is dropped, what is refused and with which code, what is read.

use super::*;

const WWW: &[u8] = b"\x03www\x04test\x00\x00\x01\x00\x01";
const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

/// A packet: flags, the four counts, and what follows the header.
fn packet(flags: u16, counts: [u16; 4], parts: &[&[u8]]) -> Vec<u8> {
    let words = [&[7, flags][..], &counts].concat();
    let header: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
    [&header[..], &parts.concat()].concat()
}

fn query(parts: &[&[u8]]) -> Vec<u8> {
    let additional = parts.len() as u16 - 1;
    packet(0x0100, [1, 0, 0, additional], parts)
}

/// The code a packet is refused with.
fn code(packet: &[u8]) -> Option<Rcode> {
    match parse(packet, &mut LowerName::new()) {
        Verdict::Reject(rejection) => Some(rejection.rcode),
        Verdict::Drop | Verdict::Ask(_) | Verdict::Notify => None,
    }
}

fn edns(packet: &[u8]) -> Option<Edns> {
    match parse(packet, &mut LowerName::new()) {
        Verdict::Ask(question) => question.edns,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_query_is_read() {
    let packet = query(&[b"\x03WwW\x04test\x00\x00\x1c\x00\x01", OPT, b"trailing"]);
    let mut packet = packet;
    packet[11] = 1;
    let mut name = LowerName::new();
    let Verdict::Ask(question) = parse(&packet, &mut name) else {
        panic!("not asked");
    };
    assert_eq!(name.wire(), b"\x03www\x04test\x00");
    assert_eq!(question.wire, &packet[12..26]);
    assert_eq!((question.header.id, question.qtype), (7, 28));
    let expected = Edns {
        udp_size: 1232,
        dnssec_ok: true,
        ..Edns::default()
    };
    assert_eq!(question.edns, Some(expected));
}

#[test]
fn responses_and_stumps_are_dropped() {
    let mut name = LowerName::new();
    let response = packet(0x8000, [1, 0, 0, 0], &[WWW]);
    assert!(matches!(parse(&response, &mut name), Verdict::Drop));
    for len in 0..HEADER_LEN {
        let stump = &query(&[WWW])[..len];
        assert!(matches!(parse(stump, &mut name), Verdict::Drop));
    }
}

#[test]
fn other_opcodes_are_not_implemented() {
    for opcode in [1_u16, 2, 3, 5, 6, 15] {
        let packet = packet(opcode << 11, [0; 4], &[]);
        assert_eq!(code(&packet), Some(Rcode::NotImp), "{opcode}");
    }
    let notify = packet(4 << 11, [0; 4], &[]);
    assert!(matches!(
        parse(&notify, &mut LowerName::new()),
        Verdict::Notify
    ));
}

#[test]
fn malformed_questions_are_refused() {
    let bad: [(&str, Vec<u8>); 9] = [
        ("no question", packet(0, [0, 0, 0, 0], &[])),
        ("two questions", packet(0, [2, 0, 0, 0], &[WWW, WWW])),
        ("an answer", packet(0, [1, 1, 0, 0], &[WWW, OPT])),
        ("a pointer", query(&[b"\x03www\xc0\x0c\x00\x01\x00\x01"])),
        ("an extended label", query(&[b"\x41x\x00\x00\x01\x00\x01"])),
        ("a name cut off", query(&[b"\x03ww"])),
        ("no class", query(&[b"\x00\x00\x01\x00"])),
        ("a name of 256 bytes", query(&[&long_name(256)])),
        ("qtype OPT", query(&[b"\x00\x00\x29\x00\x01"])),
    ];
    for (what, packet) in bad {
        assert_eq!(code(&packet), Some(Rcode::FormErr), "{what}");
    }
    assert_eq!(code(&query(&[&long_name(255)])), None);
}

/// A question whose name has `len` bytes.
fn long_name(len: usize) -> Vec<u8> {
    let mut name = vec![];
    while name.len() + 1 < len {
        let label = (len - 2 - name.len()).min(63);
        name.push(label as u8);
        name.extend(std::iter::repeat_n(b'a', label));
    }
    name.extend(b"\x00\x00\x01\x00\x01");
    name
}

#[test]
fn opt_is_found_anywhere_and_checked() {
    let other = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x01\x02\x03\x04";
    assert!(edns(&query(&[WWW, other, OPT])).is_some());
    assert!(edns(&query(&[WWW, OPT, other])).is_some());
    assert_eq!(edns(&query(&[WWW, other])), None);
    let with_option = b"\x00\x00\x29\x02\x00\x00\x00\x00\x00\x00\x05\x00\x03\x00\x01x";
    assert_eq!(edns(&query(&[WWW, with_option])).unwrap().udp_size, 512);
    let bad: [(&str, Vec<u8>); 4] = [
        ("two", query(&[WWW, OPT, OPT])),
        (
            "not at the root",
            query(&[WWW, b"\x01x\x00\x00\x29\x04\xd0\0\0\0\0\0\0"]),
        ),
        (
            "an option past its end",
            query(&[WWW, b"\x00\x00\x29\x04\xd0\0\0\0\0\x00\x04\x00\x03\x00\x01"]),
        ),
        ("cut off", query(&[WWW, &OPT[..8]])),
    ];
    for (what, packet) in bad {
        assert_eq!(code(&packet), Some(Rcode::FormErr), "{what}");
    }
    let version_1 = b"\x00\x00\x29\x04\xd0\x00\x01\x00\x00\x00\x00";
    let packet = query(&[WWW, version_1]);
    assert_eq!(code(&packet), Some(Rcode::BadVers));
}

#[test]
fn transfers_other_classes_and_question_types_are_refused() {
    let ask = |qtype: u16, qclass: u16| {
        let tail = [qtype.to_be_bytes(), qclass.to_be_bytes()].concat();
        code(&query(&[&[&b"\x04test\x00"[..], &tail].concat()]))
    };
    assert_eq!(ask(252, 1), Some(Rcode::Refused));
    assert_eq!(ask(251, 1), Some(Rcode::Refused));
    assert_eq!(ask(253, 1), Some(Rcode::NotImp));
    assert_eq!(ask(16, 3), None);
    assert_eq!(ask(1, 4), Some(Rcode::Refused));
    assert_eq!(ask(1, 255), None);
    assert_eq!(ask(65280, 1), None);
}

#[test]
fn an_ixfr_may_bring_its_soa() {
    let soa = b"\x00\x00\x06\x00\x01\x00\x00\x00\x00\x00\x00";
    let question = b"\x00\x00\xfb\x00\x01";
    let packet = packet(0, [1, 0, 1, 1], &[question, soa, OPT]);
    assert_eq!(code(&packet), Some(Rcode::Refused));
}
