//! Primaries that lie, or break off: nothing of what they say is taken, and the copy that was good
//! before goes on being served.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::dig::dig;
use crate::harness::{Folder, Process, eventually, get};
use crate::primaries::{api, configuration, knot, serial, zone};
use crate::secondaries::free_port;

const TYPE_SOA: u16 = 6;

/// Messages that answer a question of this type; the connection is closed after none.
type Script = dyn Fn(u16) -> Vec<Vec<u8>> + Send;

/// A primary that says what its script gives, message by message.
#[expect(clippy::disallowed_methods, reason = "no program lies on demand")]
fn liar(port: u16, script: Box<Script>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            while stream.read_exact(&mut length).is_ok() {
                let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
                stream.read_exact(&mut question).unwrap();
                // The type, after the name, whatever follows the question.
                let name = question[12..].iter().position(|byte| *byte == 0).unwrap();
                let rtype = [question[13 + name], question[14 + name]];
                let answers = script(u16::from_be_bytes(rtype));
                let is_cut = answers.last().is_some_and(Vec::is_empty);
                for mut message in answers.into_iter().filter(|message| !message.is_empty()) {
                    message[..2].copy_from_slice(&question[..2]);
                    let place = 13 + name;
                    message[place..place + 2].copy_from_slice(&rtype);
                    let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
                    if stream.write_all(&framed).is_err() {
                        break;
                    }
                }
                if is_cut {
                    break;
                }
            }
        }
    });
    address
}

type Record<'r> = (&'r [u8], u16, &'r [u8]);

/// An answer about `lie.test.` with these records: owner, type, data.
fn answer(records: &[Record<'_>]) -> Vec<u8> {
    answer_about(b"\x03lie\x04test\0", records)
}

fn answer_about(zone: &[u8], records: &[Record<'_>]) -> Vec<u8> {
    let mut message = Vec::new();
    for word in [0_u16, 0x8400, 1, records.len() as u16, 0, 0] {
        message.extend(word.to_be_bytes());
    }
    message.extend(zone);
    message.extend(b"\0\x06\0\x01");
    for (owner, rtype, data) in records {
        message.extend(*owner);
        message.extend(rtype.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 60]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(*data);
    }
    message
}

/// Refreshed and asked again every second.
fn soa(serial: u8) -> Vec<u8> {
    let mut data = vec![0, 0];
    for number in [u32::from(serial), 1, 1, 3600, 5] {
        data.extend(number.to_be_bytes());
    }
    data
}

const APEX: &[u8] = b"\xc0\x0c";
const WWW: &[u8] = b"\x03www\xc0\x0c";
const LIE: &[u8] = &[192, 0, 2, 66];

#[test]
fn what_a_lying_primary_says_is_not_taken() {
    let soa = soa(9);
    let start = (APEX, TYPE_SOA, &soa[..]);
    let outside = (&b"\x03www\x05other\0"[..], 1, LIE);
    let short = (APEX, 1, &LIE[..3]);
    let cname = (&b"\x01x\xc0\x0c"[..], 5, &b"\x01y\0"[..]);
    let beside = (&b"\x01x\xc0\x0c"[..], 1, LIE);
    let garbage = vec![0xff; 40];
    for (lie, said) in [
        (vec![answer(&[start, outside, start])], "is not in the zone"),
        (vec![answer(&[start, short, start])], "not of its type"),
        (
            vec![answer(&[start, cname, beside, start])],
            "CNAME record and other data",
        ),
        (
            vec![answer(&[start, beside]), garbage],
            "not the answer to what was asked",
        ),
        (vec![answer(&[beside, start])], "does not begin with"),
    ] {
        let primary = liar(0, Box::new(move |_| lie.clone()));
        let process = Process::start(&format!(
            "[dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"lie.test\"\nprimaries = \"{primary}\"\n"
        ));
        let error = eventually("the failure is shown", || {
            let shown = api(&process, "lie.test");
            shown["secondary"]["error"].as_str().map(str::to_owned)
        });
        assert!(error.contains(said), "{said}: {error}");
        assert!(dig(process.dns(), "a x.lie.test").contains("SERVFAIL"));
    }
}

/// What the primary below says, one after the other.
const HONEST: usize = 0;
const BACK: usize = 5;

/// Serial 7 with a good record, then lies; every answer to SOA and to anything else.
fn lies(stage: usize, rtype: u16) -> Vec<Vec<u8>> {
    let of = |serial: u8, records: &[Record<'_>]| {
        let soa = soa(serial);
        let ends = (APEX, TYPE_SOA, &soa[..]);
        answer(&[&[ends][..], records, &[ends][..]].concat())
    };
    let serial = |serial: u8| answer(&[(APEX, TYPE_SOA, &soa(serial)[..])]);
    let good = (WWW, 1, &[192, 0, 2, 1][..]);
    let bad = (WWW, 1, LIE);
    match (stage, rtype) {
        (HONEST, TYPE_SOA) => vec![serial(7)],
        (HONEST, _) => vec![of(7, &[good])],
        (BACK, TYPE_SOA) => vec![serial(5)],
        (_, TYPE_SOA) => vec![serial(9)],
        // Broken off in the middle.
        (1, _) => vec![answer(&[(APEX, TYPE_SOA, &soa(9)[..]), bad]), Vec::new()],
        // Nothing at all.
        (2, _) => vec![Vec::new()],
        // Another serial at the end than at the beginning.
        (3, _) => {
            let (first, last) = (soa(9), soa(8));
            vec![answer(&[
                (APEX, TYPE_SOA, &first[..]),
                bad,
                (APEX, TYPE_SOA, &last[..]),
            ])]
        }
        // It promised 9 and gives 5.
        _ => vec![of(5, &[bad])],
    }
}

#[test]
fn the_copy_that_was_good_outlives_the_lies_of_its_primary() {
    let stage = Arc::new(AtomicUsize::new(HONEST));
    let now = stage.clone();
    let script = move |rtype| lies(now.load(Ordering::Relaxed), rtype);
    let primary = liar(0, Box::new(script));
    let process = Process::start(&format!(
        "[dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"lie.test\"\nprimaries = \"{primary}\"\n"
    ));
    let www = || dig(process.dns(), "+short a www.lie.test");
    eventually("the zone is here", || {
        (www() == "192.0.2.1\n").then_some(())
    });
    let error = || api(&process, "lie.test")["secondary"]["error"].clone();
    for (lie, said) in [
        (1, "closed the connection before the end"),
        (2, "closed the connection before the end"),
        (3, "do not follow each other"),
        (4, "serial 5 is not newer than ours, 7"),
    ] {
        stage.store(lie, Ordering::Relaxed);
        eventually("the failure is shown", || {
            error().as_str()?.contains(said).then_some(())
        });
        assert_eq!(www(), "192.0.2.1\n");
        stage.store(HONEST, Ordering::Relaxed);
        eventually("all is well", || error().is_null().then_some(()));
    }
    // An older serial is no failure (RFC 1034 section 4.3.5): it is said, and nothing is copied.
    stage.store(BACK, Ordering::Relaxed);
    let told = eventually("the warning is shown", || {
        let shown = api(&process, "lie.test");
        (shown["status"] == "warning").then(|| shown.to_string())
    });
    assert!(told.contains("serial 5 is before ours, 7"), "{told}");
    assert_eq!(www(), "192.0.2.1\n");
    assert_eq!(serial(process.dns(), "lie.test"), "7");
    // Not saved, either.
    let metrics = get(process.admin_tcp(), "/metrics").body;
    let whole = "pointsman_dns_transfers_total{result=\"whole\",zone=\"lie.test\"} 1\n";
    assert!(metrics.contains(whole), "{metrics}");
}

#[test]
fn who_does_not_sign_takes_the_place_of_no_primary_that_did() {
    let (folder, port, name) = (Folder::new(), free_port(), "knot.test");
    let file = folder.0.join("knot.zone");
    std::fs::write(&file, zone(7, 3600, "www A 192.0.2.1\n")).unwrap();
    let process = Process::start(&configuration(&[(name, &[port][..])]));
    let www = || dig(process.dns(), "+short a www.knot.test");
    let primary = knot(&folder.0, name, port, process.dns());
    eventually("the zone is here", || {
        (www() == "192.0.2.1\n").then_some(())
    });
    drop(primary);
    // Somebody else at its address, without the key.
    let script = |rtype: u16| {
        let soa = soa(9);
        let ends = (APEX, TYPE_SOA, &soa[..]);
        let records = match rtype {
            TYPE_SOA => vec![ends],
            _ => vec![ends, (WWW, 1, LIE), ends],
        };
        vec![answer_about(b"\x04knot\x04test\0", &records)]
    };
    liar(port, Box::new(script));
    eventually("the forgery is shown", || {
        let shown = api(&process, name);
        let error = shown["secondary"]["error"].as_str()?;
        error.contains("it is not signed").then_some(())
    });
    assert_eq!(www(), "192.0.2.1\n");
    assert_eq!(serial(process.dns(), name), "7");
}
