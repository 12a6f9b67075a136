//! Records as JSON, overflow, reopening.

mod connections;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use conf::{AccessLog, LogFormat, Logs};

use super::ring::{ACCESS, CONNECTION, FLOW, LogRing, RING_BYTES, Shared, rest};
use super::{
    ConnectionTrace, ExchangeRecord, FlowEnd, FlowKind, FlowRecord, SkippedRecord, TlsRecord, start,
};
use crate::metrics::{PerWorker, RejectReason};

fn logs(access: AccessLog, flow: Option<AccessLog>, flow_format: LogFormat) -> Logs {
    Logs {
        format: LogFormat::Json,
        sample: 1,
        access,
        flow,
        flow_format,
        connection: AccessLog::Off,
        connection_format: flow_format,
        health: AccessLog::Off,
        past_requests: 0,
    }
}

const TRACE: ConnectionTrace = ConnectionTrace {
    worker: 0xab,
    number: 1,
};

fn flow() -> FlowRecord<'static> {
    FlowRecord {
        kind: FlowKind::Udp,
        time: UNIX_EPOCH + Duration::from_secs(1000),
        listener: "games",
        target_group: "app",
        client: "[::ffff:192.0.2.7]:4711".parse().unwrap(),
        local: "198.51.100.1:7777".parse().unwrap(),
        target: Some("127.0.0.1:3001"),
        bytes_in: 640,
        bytes_out: 1280,
        packets: Some((10, 20)),
        connect: None,
        duration: Duration::from_millis(2500),
        retries: 1,
        termination: FlowEnd::IdleTimeout,
        tls: None,
    }
}

/// What the flow log holds after `write`, and the access log.
async fn written(
    name: &str,
    format: LogFormat,
    apart: bool,
    write: impl FnOnce(&LogRing),
) -> (String, String) {
    let file = |kind| std::env::temp_dir().join(format!("pm-{name}-{kind}-{}", std::process::id()));
    let (access, flow) = (file("access"), file("flow"));
    let (control, rings) = start(&AccessLog::Off, 1, &PerWorker::new(1)).unwrap();
    let apart = apart.then(|| AccessLog::File(flow.clone()));
    control
        .set(&logs(AccessLog::File(access.clone()), apart, format))
        .unwrap();
    write(&rings[0]);
    control.close().await;
    let take = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // Not there when flows are not kept apart.
        let _ = std::fs::remove_file(path);
        text
    };
    (take(&flow), take(&access))
}

#[tokio::test]
async fn flows_are_json_in_the_access_log_unless_they_have_their_own() {
    let write = |ring: &LogRing| {
        assert!(ring.logs_flows() && ring.is_on());
        ring.exchange(&record(b"/"));
        ring.flow(&flow());
    };
    let (none, both) = written("together", LogFormat::Json, false, write).await;
    assert_eq!((none.as_str(), both.lines().count()), ("", 2));
    let (flows, exchanges) = written("apart", LogFormat::Json, true, write).await;
    assert_eq!((flows.lines().count(), exchanges.lines().count()), (1, 1));
    let flow: serde_json::Value = serde_json::from_str(&flows).unwrap();
    let expected = serde_json::json!({
        "time": "1970-01-01T00:16:40.000Z", "type": "udp", "listener": "games",
        "action": "accept", "target_group": "app", "client": "[::ffff:192.0.2.7]:4711",
        "local": "198.51.100.1:7777", "target": "127.0.0.1:3001", "bytes_in": 640,
        "bytes_out": 1280, "datagrams_in": 10, "datagrams_out": 20, "duration": 2.5,
        "retries": 1, "termination": "idle-timeout",
    });
    assert_eq!(flow, expected);
}

#[tokio::test]
async fn flows_are_vpc_flow_log_records_in_both_directions() {
    let (flows, _) = written("vpc", LogFormat::Aws, true, |ring| {
        ring.flow(&flow());
        ring.flow(&FlowRecord {
            kind: FlowKind::Tcp,
            packets: None,
            bytes_out: 0,
            termination: FlowEnd::Refused(RejectReason::Filter),
            ..flow()
        });
        ring.flow(&FlowRecord {
            packets: Some((1, 0)),
            bytes_out: 0,
            termination: FlowEnd::Unreplied,
            ..flow()
        });
        ring.skipped(&SkippedRecord {
            kind: FlowKind::Udp,
            listener: "games",
            time: UNIX_EPOCH,
            duration: Duration::from_secs(1),
            datagrams: 5,
        });
    })
    .await;
    let expected = "\
        2 - games 192.0.2.7 198.51.100.1 4711 7777 17 10 640 1000 1002 ACCEPT OK\n\
        2 - games 198.51.100.1 192.0.2.7 7777 4711 17 20 1280 1000 1002 ACCEPT OK\n\
        2 - games 192.0.2.7 198.51.100.1 4711 7777 6 - 640 1000 1002 REJECT OK\n\
        2 - games 192.0.2.7 198.51.100.1 4711 7777 17 1 640 1000 1002 ACCEPT OK\n\
        2 - games - - - - - - - 0 1 - SKIPDATA\n";
    assert_eq!(flows, expected);
}

#[tokio::test]
async fn tls_flows_are_nlb_lines_whatever_names_clients_ask_for() {
    let tls = TlsRecord {
        handshake: Some(Duration::from_millis(7)),
        cipher: "TLS_AES_128_GCM_SHA256",
        version: "tlsv13",
        server_name: b"a b\n\"c",
        client_alpn: b"h2,http/1.1",
        ..TlsRecord::default()
    };
    let (flows, _) = written("nlb", LogFormat::Aws, true, |ring| {
        ring.flow(&FlowRecord {
            kind: FlowKind::Tls,
            tls: Some(tls),
            ..flow()
        });
    })
    .await;
    let expected = "tls 2.0 1970-01-01T00:16:42 - games [::ffff:192.0.2.7]:4711 \
        198.51.100.1:7777 2500 7 640 1280 - - - TLS_AES_128_GCM_SHA256 tlsv13 - a_b__c - - \
        \"h2,http/1.1\" 1970-01-01T00:16:40\n";
    assert_eq!(flows, expected);
    assert_eq!(flows.split_whitespace().count(), 22);
}

fn record<'a>(path: &'a [u8]) -> ExchangeRecord<'a> {
    ExchangeRecord {
        time: UNIX_EPOCH,
        listener: "web",
        target_group: "app",
        rule: Some("default"),
        action: Some("forward"),
        asks_for_token: false,
        client: "[::1]:5".parse().unwrap(),
        connection: TRACE,
        target: Some("127.0.0.1:3001"),
        protocol: "http/1.1",
        is_grpc: false,
        method: b"GET",
        host: b"example.test",
        path,
        status: 200,
        target_status: Some(200),
        bytes_in: 10,
        bytes_out: 20,
        queued: None,
        sent: Some(Duration::from_micros(1500)),
        port: 8080,
        rewritten_host: b"",
        rewritten_path: b"",
        location: b"",
        user_agent: b"",
        trace_id: b"",
        connect: None,
        first_byte: Some(Duration::from_micros(1_000_042)),
        duration: Duration::from_millis(2),
        retries: 0,
        tls: None,
        reason: None,
        desync: None,
        over_limit: false,
        termination: None,
    }
}

#[tokio::test]
async fn records_are_json_whatever_the_network_sends() {
    let path = std::env::temp_dir().join(format!("pointsman-log-{}", std::process::id()));
    let moved = path.with_extension("old");
    let (control, rings) = start(&AccessLog::File(path.clone()), 1, &PerWorker::new(1)).unwrap();
    rings[0].exchange(&record(b"/a\"\\\n\xff\x7f\xc3\xa9"));
    while std::fs::read_to_string(&path).unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    std::fs::rename(&path, &moved).unwrap();
    control.reopen();
    while !path.exists() {
        tokio::task::yield_now().await;
    }
    rings[0].exchange(&record(b"/second"));
    control.close().await;
    let read = |path| -> serde_json::Value {
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (first, second) = (read(moved), read(path));
    assert_eq!(first["path"], "/a\"\\\n\u{fffd}\u{7f}\u{e9}");
    assert_eq!(
        (&first["first_byte"], &first["time"]),
        (&1.000042.into(), &"1970-01-01T00:00:00.000Z".into())
    );
    assert!(first.get("connect").is_none());
    assert_eq!(second["path"], "/second");
}

#[tokio::test]
async fn a_full_ring_drops_counts_and_never_blocks() {
    let counters = PerWorker::new(1);
    let (control, rings) = start(&AccessLog::Off, 1, &counters).unwrap();
    rings[0].exchange(&record(b"/"));
    assert_eq!(counters.of(0).log_dropped.value(), 0, "off is not a loss");
    let path = std::env::temp_dir().join(format!("pointsman-full-{}", std::process::id()));
    let access = AccessLog::File(path.clone());
    control.set(&logs(access, None, LogFormat::Json)).unwrap();
    let long = vec![b'x'; 4000];
    let mut written = 0u64;
    while counters.of(0).log_dropped.value() == 0 {
        rings[0].exchange(&record(&long));
        written += 1;
    }
    control.close().await;
    let lines = std::fs::read_to_string(&path).unwrap().lines().count() as u64;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(lines + counters.of(0).log_dropped.value(), written);
}

#[test]
fn a_writer_that_lets_records_come_together_is_woken_when_a_ring_is_half_full() {
    let shared = Arc::new(Shared::default());
    shared.enabled[ACCESS].store(true, Ordering::Relaxed);
    shared.rest.store(rest::GATHERING, Ordering::Relaxed);
    let lanes = [ACCESS, FLOW, CONNECTION].map(|_| rtrb::RingBuffer::new(RING_BYTES));
    let [(exchanges, read), (flows, _), (connections, _)] = lanes;
    let (writer, counters) = (std::thread::current(), PerWorker::new(1));
    let ring = LogRing::new(
        [exchanges, flows, connections],
        shared.clone(),
        writer,
        counters,
        0,
    );
    while read.slots() <= RING_BYTES / 2 {
        assert_eq!(shared.rest.load(Ordering::Relaxed), rest::GATHERING);
        ring.exchange(&record(b"/"));
    }
    assert_eq!(shared.rest.load(Ordering::Relaxed), rest::AWAKE);
    // Returns at once: it has been woken.
    std::thread::park();
}

/// The access log as ALB's after `write`.
async fn written_as_alb(name: &str, sample: u32, write: impl FnOnce(&LogRing)) -> String {
    let path = std::env::temp_dir().join(format!("pm-alb-{name}-{}", std::process::id()));
    let (control, rings) = start(&AccessLog::Off, 1, &PerWorker::new(1)).unwrap();
    let logs = Logs {
        format: LogFormat::Aws,
        sample,
        ..logs(AccessLog::File(path.clone()), None, LogFormat::Json)
    };
    control.set(&logs).unwrap();
    write(&rings[0]);
    control.close().await;
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    text
}

#[tokio::test]
async fn exchanges_are_written_as_alb_does() {
    let tls = TlsRecord {
        handshake: None,
        alert: "",
        certificate: "site.pem",
        cipher: "TLS_AES_128_GCM_SHA256",
        version: "tlsv13",
        named_group: "",
        server_name: b"example.test",
        alpn: b"http/1.1",
        target_alpn: b"",
        client_alpn: b"",
        resumed: false,
        failure: None,
        client: None,
    };
    let log = written_as_alb("lines", 1, |ring| {
        ring.exchange(&ExchangeRecord {
            user_agent: b"a \"quoted\" agent\n",
            trace_id: b"Root=1-67891233-abcdef012345678912345678",
            rewritten_path: b"/b",
            tls: Some(tls),
            duration: Duration::from_millis(1200),
            ..record(b"/a?b=c")
        });
        ring.exchange(&ExchangeRecord {
            target_group: "",
            rule: None,
            action: None,
            target: None,
            method: b"",
            host: b"",
            status: 400,
            target_status: None,
            sent: None,
            first_byte: None,
            reason: Some("bad-method"),
            ..record(b"")
        });
    })
    .await;
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(
        lines,
        [
            "https 1970-01-01T00:00:01.200000Z web [::1]:5 127.0.0.1:3001 0.001 1.000 0.198 200 200 \
             10 20 \"GET https://example.test:8080/a?b=c HTTP/1.1\" \"a \\x22quoted\\x22 agent\\x0A\" \
             TLS_AES_128_GCM_SHA256 tlsv13 app \"Root=1-67891233-abcdef012345678912345678\" \
             \"example.test\" \"site.pem\" 0 1970-01-01T00:00:00.000000Z \"forward\" \"-\" \"-\" \
             \"127.0.0.1:3001\" \"200\" \"-\" \"-\" \
             TID_00000000000000ab0000000000000001 \"-\" \"/b\" \"TransformSuccess\"",
            "http 1970-01-01T00:00:00.002000Z web [::1]:5 - -1 -1 -1 400 - 10 20 \
             \"- http://-:8080- -\" \"-\" - - - \"-\" \"-\" \"-\" -1 1970-01-01T00:00:00.000000Z \"-\" \
             \"-\" \"bad-method\" \"-\" \"-\" \"-\" \"-\" TID_00000000000000ab0000000000000001 \
             \"-\" \"-\" \"-\"",
        ]
    );
}

#[tokio::test]
async fn a_sample_leaves_out_only_what_went_well() {
    let log = written_as_alb("sample", 10, |ring| {
        for number in 0..30 {
            let reason = (number == 17).then_some("rate-limited");
            ring.exchange(&ExchangeRecord {
                reason,
                ..record(b"/")
            });
        }
    })
    .await;
    assert_eq!(log.lines().count(), 4, "{log}");
}
