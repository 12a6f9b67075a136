//! Records as JSON, overflow, reopening.

use std::time::{Duration, UNIX_EPOCH};

use conf::AccessLog;

use super::{ExchangeRecord, start};
use crate::metrics::PerWorker;

fn record<'a>(path: &'a [u8]) -> ExchangeRecord<'a> {
    ExchangeRecord {
        time: UNIX_EPOCH,
        listener: "web",
        target_group: "app",
        rule: Some("default"),
        action: Some("forward"),
        client: "[::1]:5".parse().unwrap(),
        target: Some("127.0.0.1:3001"),
        method: b"GET",
        host: b"example.test",
        path,
        status: 200,
        target_status: Some(200),
        bytes_in: 10,
        bytes_out: 20,
        connect: None,
        first_byte: Some(Duration::from_micros(1_000_042)),
        duration: Duration::from_millis(2),
        retries: 0,
        reason: None,
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
    control.set(&AccessLog::File(path.clone())).unwrap();
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
