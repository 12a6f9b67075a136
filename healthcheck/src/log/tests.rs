//! Lines reach the file, go to the new one after a rename, and are dropped where nothing takes them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::*;
use crate::{CheckHealth, Observation, Outcome, Phases};

fn counter() -> IntCounter {
    IntCounter::new("dropped", "Dropped.").unwrap()
}

fn line(n: usize) -> Line {
    let health = |healthy| CheckHealth {
        healthy,
        description: format!("{n}").into(),
        since: SystemTime::UNIX_EPOCH,
    };
    let subject = Subject::Check {
        health_check: "up".to_owned(),
    };
    Line::check(subject, &health(true), &health(false))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    text.lines().map(parse).collect()
}

/// A folder of this test alone.
fn folder(name: &str) -> PathBuf {
    let folder = format!("pointsman-health-log-{name}-{}", std::process::id());
    let folder = std::env::temp_dir().join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test]
async fn lines_are_in_the_file_in_their_order_when_it_has_finished() {
    let folder = folder("order");
    let path = folder.join("health.log");
    let mut log = new(counter());
    log.add(|| panic!("nothing is made while there is no log"));
    log.set(&AccessLog::File(path.clone()));
    for n in 0..1000 {
        log.add(|| line(n));
    }
    log.finish().await;
    let found = lines(&path);
    let told = |value: &Value| value["description"].as_str().unwrap().parse().unwrap();
    let order: Vec<usize> = found.iter().map(told).collect();
    assert_eq!(order, (0..1000).collect::<Vec<_>>());
    let first = &found[0];
    assert_eq!(first["event"], "transition");
    assert_eq!(first["health-check"], "up");
    assert_eq!(
        (&first["from"], &first["state"]),
        (&"healthy".into(), &"unhealthy".into())
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_renamed_file_is_left_when_it_is_told_to() {
    let folder = folder("rename");
    let (path, old) = (folder.join("health.log"), folder.join("old.log"));
    let mut log = new(counter());
    log.set(&AccessLog::File(path.clone()));
    log.add(|| line(1));
    while std::fs::metadata(&path).is_ok_and(|file| file.len() == 0) || !path.exists() {
        tokio::task::yield_now().await;
    }
    std::fs::rename(&path, &old).unwrap();
    log.control().reopen();
    while !path.exists() {
        tokio::task::yield_now().await;
    }
    log.add(|| line(2));
    log.finish().await;
    assert_eq!((lines(&old).len(), lines(&path).len()), (1, 1));
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let folder = folder("full");
    let fifo = folder.join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    // Opened for writing it waits for a reader, who never comes.
    let dropped = counter();
    let mut log = new(dropped.clone());
    log.set(&AccessLog::File(fifo.clone()));
    for n in 0..LINES + 100 {
        log.add(|| line(n));
    }
    assert!(dropped.get() >= 99, "{}", dropped.get());
    log.finish().await;
    // Lets the writer's thread go.
    drop(
        std::fs::File::options()
            .read(true)
            .write(true)
            .open(&fifo)
            .unwrap(),
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn probes_have_their_phases() {
    let now = tokio::time::Instant::now();
    let observation = Observation {
        outcome: Outcome::CodeMismatch(503),
        seen: "HTTP/1.1 503 \"Busy\"".into(),
        phases: Phases {
            connect: Some(Duration::from_micros(1500)),
            ..Phases::default()
        },
        agent: None,
        started: now,
        ended: now + Duration::from_millis(3),
    };
    let subject = Subject::Target {
        target_group: "app".to_owned(),
        target: "127.0.0.1:80".to_owned(),
    };
    let line = Line::probe(subject, "healthy", "http", &observation).to_bytes();
    let mut line: Value = serde_json::from_slice(&line).unwrap();
    assert!(line["time"].take().as_str().unwrap().ends_with('Z'));
    let wanted = serde_json::json!({
        "time": null, "event": "probe", "target-group": "app", "target": "127.0.0.1:80",
        "state": "healthy", "reason": "Target.ResponseCodeMismatch", "protocol": "http",
        "result": "failed", "seen": "HTTP/1.1 503 \"Busy\"", "took-ms": 3.0, "connect-ms": 1.5
    });
    assert_eq!(line, wanted);
}
