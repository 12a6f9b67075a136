//! The rings, and what past requests are found by.

use std::time::Duration;

use super::*;
use crate::access_log::TlsRecord;
use crate::testing::load;

fn record<'a>(path: &'a [u8], trace_id: &'a [u8], time: u64) -> ExchangeRecord<'a> {
    ExchangeRecord {
        time: UNIX_EPOCH + Duration::from_secs(time),
        listener: "web",
        target_group: "",
        rule: Some("10"),
        action: Some("fixed-response"),
        asks_for_token: false,
        client: "127.0.0.1:5".parse().unwrap(),
        connection: ConnectionTrace {
            worker: 1,
            number: time,
        },
        target: None,
        protocol: "http/1.1",
        is_grpc: false,
        method: b"GET",
        host: b"a.test",
        path,
        status: 204,
        target_status: None,
        bytes_in: 10,
        bytes_out: 20,
        queued: None,
        sent: None,
        port: 80,
        rewritten_host: b"",
        rewritten_path: b"",
        location: b"",
        user_agent: b"",
        trace_id,
        connect: None,
        first_byte: None,
        duration: Duration::from_millis(2),
        retries: 0,
        tls: Some(TlsRecord {
            version: "tlsv13",
            ..TlsRecord::default()
        }),
        reason: None,
        desync: None,
        over_limit: false,
        termination: None,
    }
}

/// Remembers an exchange under generation 7.
fn remember(ring: &PastRing, record: &ExchangeRecord<'_>, head: &[u8]) {
    let mut past = ring.begin(7).unwrap();
    Remembered::get_mut(&mut past).unwrap().end(record, head);
    ring.keep(past);
}

fn found(rings: &PastRings, trace: Option<&str>) -> Vec<PastReport> {
    let question = PastQuestion {
        trace: trace.map(str::to_owned),
        limit: 10,
    };
    let config = load(
        r#"
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "http"
fixed-response = { status = 404 }
[[listener.rule]]
priority = 10
path = "/a"
method = "GET"
fixed-response = { status = 204 }
"#,
    );
    find(rings, &question, &config, 7)
}

#[test]
fn the_oldest_are_forgotten_and_nothing_is_kept_where_it_is_off() {
    let (rings, workers) = PastRings::new(2);
    assert!(workers[0].begin(1).is_none() && !rings.is_on());
    rings.resize(2);
    for time in 1..=5 {
        remember(&workers[0], &record(b"/", b"", time), b"");
    }
    remember(&workers[1], &record(b"/other", b"", 3), b"");
    let times = |rings: &PastRings| -> Vec<String> {
        found(rings, None)
            .into_iter()
            .map(|past| past.time)
            .collect()
    };
    let second = |n| format!("1970-01-01T00:00:0{n}.000Z");
    assert_eq!(times(&rings), [5, 4, 3].map(second));
    rings.resize(1);
    assert_eq!(times(&rings), [5, 3].map(second));
    rings.resize(0);
    assert!(times(&rings).is_empty() && workers[0].begin(1).is_none());
}

#[test]
fn memory_is_used_again_and_never_shows_what_was_there() {
    let (rings, workers) = PastRings::new(1);
    rings.resize(1);
    let long = record(b"/a/long/path", b"Root=1-a-b", 1);
    remember(&workers[0], &long, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    // While somebody reads it, it is not.
    let read = rings.all();
    remember(&workers[0], &record(b"/2", b"", 2), b"");
    remember(&workers[0], &record(b"/3", b"", 3), b"");
    assert_eq!(read[0].text(Text::Path), b"/a/long/path");
    let past = &found(&rings, None)[0];
    assert_eq!((past.path.as_str(), past.trace_id.as_str()), ("/3", ""));
    assert_eq!(past.rules, []);
}

#[test]
fn memory_of_usual_size_is_kept_and_that_of_rare_ones_is_not() {
    let (rings, workers) = PastRings::new(1);
    rings.resize(1);
    let head = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    remember(&workers[0], &record(b"/1", b"", 1), head);
    let place = rings.all()[0].texts.as_ptr();
    remember(&workers[0], &record(b"/2", b"", 2), head);
    remember(&workers[0], &record(b"/3", b"", 3), head);
    assert_eq!(rings.all()[0].texts.as_ptr(), place);
    assert_eq!(rings.all()[0].text(Text::Head), head);
    let long = vec![b'a'; MAX_HEAD + 1];
    remember(&workers[0], &record(&long, b"", 4), b"");
    assert_eq!(rings.all()[0].text(Text::Path).len(), MAX_HEAD);
    for time in 5..=6 {
        remember(&workers[0], &record(b"/", b"", time), head);
    }
    let room = rings.all()[0].texts.capacity();
    assert!((1..=TEXT_KEPT).contains(&room), "{room}");
}

#[test]
fn requests_are_found_by_every_form_of_their_ids() {
    let (rings, workers) = PastRings::new(1);
    rings.resize(10);
    let id = b"Self=1-00000002-000000000000000000000002;Root=1-67891233-abcdef012345678912345678";
    let head = b"GET /a HTTP/1.1\r\nHost: a.test\r\nCookie: secret\r\n\r\n";
    remember(&workers[0], &record(b"/a", id, 1), head);
    remember(&workers[0], &record(b"/b", b"Root=1-00000001-1", 2), b"");
    let ids = [
        "Root=1-67891233-abcdef012345678912345678",
        "1-67891233-abcdef012345678912345678",
        "Self=1-00000002-000000000000000000000002;Root=1-67891233-abcdef012345678912345678",
        "1-00000002-000000000000000000000002",
        "67891233abcdef012345678912345678",
        "00-67891233ABCDEF012345678912345678-00f067aa0ba902b7-01",
        "TID_00000000000000010000000000000001",
    ];
    for id in ids {
        let found = found(&rings, Some(id));
        assert_eq!(found.len(), 1, "{id}");
        assert_eq!(found[0].path, "/a", "{id}");
    }
    for id in ["", "1-67891233", "TID_", "67891233abcdef012345678912345679"] {
        assert_eq!(found(&rings, Some(id)), [], "{id}");
    }
    let past = &found(&rings, Some(ids[0]))[0];
    assert!(past.rules[0].holds && !past.rules_changed);
    let text = past.to_string();
    assert_eq!(
        text,
        "GET a.test/a\n\
         at 1970-01-01T00:00:01.000Z from 127.0.0.1:5, http/1.1, tlsv13\n\
         trace Self=1-00000002-000000000000000000000002;Root=1-67891233-abcdef012345678912345678\n\
         connection TID_00000000000000010000000000000001\n\
         listener web\n\
         rule 10: claims it\n  + path /a\n  + method GET\n\
         answered 204, 10 bytes in, 20 out\n\
         times: in all 0.002000 s\n"
    );
}

#[test]
fn rules_of_another_configuration_are_not_looked_at() {
    let (rings, workers) = PastRings::new(1);
    rings.resize(1);
    let mut past = workers[0].begin(6).unwrap();
    let head = b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n";
    Remembered::get_mut(&mut past)
        .unwrap()
        .end(&record(b"/a", b"", 1), head);
    workers[0].keep(past);
    let past = &found(&rings, None)[0];
    assert!(past.rules.is_empty() && past.rules_changed);
    let text = past.to_string();
    let told = "rule 10 claimed it, in generation 6: another configuration serves now\n";
    assert!(text.contains(told), "{text}");
}

#[test]
fn a_client_at_a_unix_socket_has_no_address() {
    let mut past = PastRequest::default();
    let client = "0.0.0.0:7".parse().unwrap();
    let record = ExchangeRecord {
        client,
        ..record(b"/", b"", 1)
    };
    past.end(&record, b"");
    assert_eq!(PastReport::of(&past).client, "unix:");
}
