//! Edits by tables of cases: what is configured, what comes, what is forwarded.

use std::mem::MaybeUninit;
use std::net::SocketAddr;

use conf::{FieldEdits, ForwardedFor, HeaderEdits, TlsFields, Trace};

use super::*;
use crate::l7::http1::{ClientAddress, HeadLimits, MAX_FIELDS, parse_request, write_request};

const PEER: &str = "192.0.2.7:4711";

/// What follows the request line.
fn sent(edits: &HeaderEdits, peer: &str, fields: &str) -> String {
    sent_with(edits, peer, fields, b"")
}

/// The same with fields about the client's certificate.
fn sent_with(edits: &HeaderEdits, peer: &str, fields: &str, identity: &[u8]) -> String {
    let edits = RequestEdits::new(edits).unwrap();
    let request = format!("GET /a HTTP/1.1\r\n{fields}\r\n");
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let limits = HeadLimits { bytes: 64 * 1024 };
    let head = parse_request(request.as_bytes(), &mut slots, limits)
        .unwrap()
        .unwrap();
    let peer: SocketAddr = peer.parse().unwrap();
    let client = match edits.shows_port() {
        true => ClientAddress::with_port(peer),
        false => ClientAddress::new(peer.ip()),
    };
    let forwarding = Forwarding {
        client: &client,
        scheme: "http",
        local: SocketAddr::from(([127, 0, 0, 1], 8080)),
        identity,
        edited: Some(Edited {
            edits: &edits,
            peer,
            tls: Some(("TLSv1.3", "TLS_AES_128_GCM_SHA256")),
        }),
    };
    let mut out = Vec::new();
    write_request(&mut out, &head, forwarding);
    let text = String::from_utf8(out).unwrap();
    text.strip_prefix("GET /a HTTP/1.1\r\n").unwrap().to_owned()
}

/// A listener that changes nothing, but is no plain one.
fn edits() -> HeaderEdits {
    HeaderEdits {
        request: FieldEdits {
            remove: vec!["X-Gone".to_owned()],
            ..FieldEdits::default()
        },
        ..HeaderEdits::default()
    }
}

const OURS: &str = "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8080\r\n";

#[test]
fn a_listener_that_asks_for_nothing_has_no_edits() {
    assert!(RequestEdits::new(&HeaderEdits::default()).is_none());
    assert!(ResponseEdits::new(&FieldEdits::default()).is_none());
    let response = HeaderEdits {
        response: edits().request,
        ..HeaderEdits::default()
    };
    assert!(RequestEdits::new(&response).is_none());
}

#[test]
fn x_forwarded_for_by_its_mode() {
    let came = "Host: a\r\nX-Forwarded-For: 10.0.0.1\r\nx-forwarded-for: 10.0.0.2\r\n";
    let none = "Host: a\r\n";
    for (mode, peer, with_chain, without) in [
        (
            ForwardedFor::Append,
            PEER,
            "10.0.0.1, 10.0.0.2, 192.0.2.7",
            "192.0.2.7",
        ),
        (
            ForwardedFor::Append,
            "[2001:db8::1]:9",
            "10.0.0.1, 10.0.0.2, 2001:db8::1",
            "2001:db8::1",
        ),
        (
            ForwardedFor::Append,
            "[::ffff:192.0.2.7]:9",
            "10.0.0.1, 10.0.0.2, 192.0.2.7",
            "192.0.2.7",
        ),
        (ForwardedFor::Preserve, PEER, "10.0.0.1, 10.0.0.2", ""),
        (ForwardedFor::Remove, PEER, "", ""),
    ] {
        let edits = HeaderEdits {
            forwarded_for: mode,
            ..edits()
        };
        let line = |list: &str| match list {
            "" => String::new(),
            list => format!("X-Forwarded-For: {list}\r\n"),
        };
        let expected = format!("Host: a\r\n{}{OURS}\r\n", line(with_chain));
        assert_eq!(sent(&edits, peer, came), expected, "{mode:?}");
        let expected = format!("Host: a\r\n{}{OURS}\r\n", line(without));
        assert_eq!(sent(&edits, peer, none), expected, "{mode:?}");
    }
}

#[test]
fn ports_are_shown_when_asked_for() {
    let edits = HeaderEdits {
        client_port: true,
        forwarded: true,
        ..HeaderEdits::default()
    };
    let text = sent(&edits, PEER, "Host: a:1\r\n");
    assert!(
        text.contains("X-Forwarded-For: 192.0.2.7:4711\r\n"),
        "{text}"
    );
    let element = "Forwarded: for=\"192.0.2.7:4711\";host=\"a:1\";proto=http\r\n";
    assert!(text.contains(element), "{text}");
    let text = sent(&edits, "[2001:db8::1]:9", "Host: a\r\n");
    assert!(
        text.contains("X-Forwarded-For: [2001:db8::1]:9\r\n"),
        "{text}"
    );
    assert!(
        text.contains("Forwarded: for=\"[2001:db8::1]:9\";"),
        "{text}"
    );
}

#[test]
fn only_trusted_peers_are_believed_about_earlier_hops() {
    let edits = HeaderEdits {
        trusted: Some(vec!["10.0.0.0/8".parse().unwrap()]),
        forwarded: true,
        ..HeaderEdits::default()
    };
    let came = "Host: a\r\nX-Forwarded-For: 203.0.113.9\r\nForwarded: for=203.0.113.9\r\n\
                X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n";
    assert_eq!(
        sent(&edits, "10.1.2.3:5", came),
        "Host: a\r\nX-Forwarded-For: 203.0.113.9, 10.1.2.3\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.9, for=10.1.2.3;host=\"a\";proto=http\r\n\r\n"
    );
    assert_eq!(
        sent(&edits, PEER, came),
        format!(
            "Host: a\r\nX-Forwarded-For: 192.0.2.7\r\n{OURS}\
             Forwarded: for=192.0.2.7;host=\"a\";proto=http\r\n\r\n"
        )
    );
    // Not written here, a Forwarded that nobody vouches for still goes.
    let quiet = HeaderEdits {
        forwarded: false,
        ..edits
    };
    assert!(!sent(&quiet, PEER, came).contains("Forwarded: for"));
    assert!(sent(&quiet, "10.1.2.3:5", came).contains("\r\nForwarded: for=203.0.113.9\r\n"));
}

#[test]
fn host_gets_the_listeners_port_unless_preserved() {
    let edits = HeaderEdits {
        rewrites_host: true,
        ..HeaderEdits::default()
    };
    for (came, expected) in [
        ("a.test", "a.test:8080"),
        ("a.test:8080", "a.test:8080"),
        ("a.test:80", "a.test"),
        ("a.test:", "a.test:8080"),
        ("[::1]", "[::1]:8080"),
        ("[::1]:9", "[::1]:9"),
    ] {
        let text = sent(&edits, PEER, &format!("A: 1\r\nHost: {came}\r\nB: 2\r\n"));
        let expected = format!("Host: {expected}\r\nA: 1\r\nB: 2\r\n");
        assert!(text.starts_with(&expected), "{came}: {text}");
    }
}

#[test]
fn tls_facts_are_told_and_never_taken_from_clients() {
    let came =
        "Host: a\r\nX-Amzn-TLS-Version: TLSv9\r\nx-amzn-tls-cipher-suite: none\r\nX-V: 1\r\n";
    assert!(
        !sent(&edits(), PEER, came)
            .to_ascii_lowercase()
            .contains("-tls-")
    );
    let names = |version: &str| HeaderEdits {
        tls: Some(TlsFields {
            version: version.to_owned(),
            cipher: "X-Amzn-Tls-Cipher-Suite".to_owned(),
        }),
        ..HeaderEdits::default()
    };
    let facts = "X-V: TLSv1.3\r\nX-Amzn-Tls-Cipher-Suite: TLS_AES_128_GCM_SHA256\r\n\r\n";
    let text = sent(&names("X-V"), PEER, came);
    assert!(text.ends_with(facts), "{text}");
    assert_eq!(text.matches("X-V").count(), 1, "{text}");
}

#[test]
fn certificate_fields_get_other_names_and_are_never_taken_from_clients() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let edits = HeaderEdits {
        certificate: vec![
            pair("X-Amzn-Mtls-Clientcert", "X-Chain"),
            pair("X-Amzn-Mtls-Clientcert-Leaf", "X-Leaf"),
        ],
        ..HeaderEdits::default()
    };
    let came = "Host: a\r\nX-Leaf: forged\r\nX-Amzn-Mtls-Clientcert-Leaf: forged\r\n\
                x-chain: forged\r\n";
    let identity = b"X-Amzn-Mtls-Clientcert-Subject: CN=a\r\nX-Amzn-Mtls-Clientcert-Leaf: b\r\n";
    assert_eq!(
        sent_with(&edits, PEER, came, identity),
        format!(
            "Host: a\r\nX-Forwarded-For: 192.0.2.7\r\n{OURS}\
             X-Amzn-Mtls-Clientcert-Subject: CN=a\r\nX-Leaf: b\r\n\r\n"
        )
    );
}

#[test]
fn fields_are_removed_renamed_and_put_in() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let edits = HeaderEdits {
        drop_invalid: true,
        request: FieldEdits {
            remove: vec!["x-debug".to_owned()],
            rename: vec![pair("X-Old", "X-New")],
            insert: vec![pair("X-Env", "test")],
        },
        ..HeaderEdits::default()
    };
    let came = "Host: a\r\nX-Debug: 1\r\nx-old: 1\r\nX-New: forged\r\nx-env: prod\r\n\
                under_score: 1\r\nX-Kept: 2\r\nx-old: 3\r\n";
    assert_eq!(
        sent(&edits, PEER, came),
        format!(
            "Host: a\r\nX-Kept: 2\r\nX-New: 1\r\nX-New: 3\r\nX-Forwarded-For: 192.0.2.7\r\n{OURS}\
             X-Env: test\r\n\r\n"
        )
    );
}

/// The trace fields among what is sent, for one new ID.
fn traced<'f>(trace: Trace, fields: &[(&'static str, &'f str)]) -> String {
    let header = |&(name, value): &(&'static str, &'f str)| httparse::Header {
        name,
        value: value.as_bytes(),
    };
    let fields: Vec<_> = fields.iter().map(header).collect();
    let fresh = trace::Fresh {
        seconds: 0x6789_abcd,
        trace: 0xab,
        span: 0xcd,
    };
    let mut out = Vec::new();
    trace::write(&mut out, &fields, trace, fresh);
    String::from_utf8(out).unwrap()
}

#[test]
fn trace_ids_are_made_or_carried_on() {
    const AMZN: &str = "X-Amzn-Trace-Id";
    const ID: &str = "1-6789abcd-0000000000000000000000ab";
    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let root = format!("{AMZN}: Root={ID}\r\n");
    assert_eq!(traced(Trace::Amzn, &[]), root);
    // ELB: Self goes first and replaces another; what else there is stays.
    assert_eq!(
        traced(
            Trace::Amzn,
            &[(AMZN, "Root=1-2-3;Self=1-0-0; CalledFrom=app")]
        ),
        format!("{AMZN}: Self={ID};Root=1-2-3;CalledFrom=app\r\n")
    );
    assert_eq!(
        traced(Trace::Amzn, &[(AMZN, "CalledFrom=app")]),
        format!("{AMZN}: Root={ID};CalledFrom=app\r\n")
    );
    let long = format!("Root=1-2-3;x={}", "y".repeat(7 * 1024));
    assert_eq!(traced(Trace::Amzn, &[(AMZN, &long)]), root);
    let made = "traceparent: 00-6789abcd0000000000000000000000ab-00000000000000cd-01\r\n";
    assert_eq!(traced(Trace::W3c, &[]), made);
    assert_eq!(
        traced(Trace::W3c, &[("traceparent", PARENT)]),
        format!("traceparent: {PARENT}\r\n")
    );
    for bad in [
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ] {
        assert_eq!(traced(Trace::W3c, &[("traceparent", bad)]), made, "{bad}");
    }
    assert_eq!(traced(Trace::W3c, &[("traceparent", PARENT); 2]), made);
    // One trace has one ID in both forms, wherever it began.
    assert_eq!(traced(Trace::Both, &[]), format!("{root}{made}"));
    assert_eq!(
        traced(Trace::Both, &[("traceparent", PARENT)]),
        format!("{AMZN}: Root=1-4bf92f35-77b34da6a3ce929d0e0e4736\r\ntraceparent: {PARENT}\r\n")
    );
    assert_eq!(
        traced(
            Trace::Both,
            &[(AMZN, "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736")]
        ),
        format!(
            "{AMZN}: Self={ID};Root=1-4bf92f35-77b34da6a3ce929d0e0e4736\r\n\
             traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00000000000000cd-01\r\n"
        )
    );
}

#[test]
fn a_trace_that_begins_here_has_no_state_of_another() {
    let edits = HeaderEdits {
        trace: Trace::W3c,
        ..HeaderEdits::default()
    };
    let came = "Host: a\r\ntraceparent: bad\r\ntracestate: v=1\r\n";
    let text = sent(&edits, PEER, came);
    assert!(
        !text.contains("tracestate") && !text.contains("bad"),
        "{text}"
    );
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let came = format!("Host: a\r\ntraceparent: {good}\r\ntracestate: v=1\r\n");
    let text = sent(&edits, PEER, &came);
    assert!(
        text.contains("tracestate: v=1\r\n") && text.contains(good),
        "{text}"
    );
}
