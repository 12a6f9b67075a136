//! The SIGTERM sequence.

use std::io::{Read, Write};

use rustix::process::Signal;

use crate::harness::{Process, Service, connect, get, http_over, names};

#[test]
fn readiness_ends_first_then_accepting_and_work_in_hand_finishes() {
    let one = Service::start("one");
    let mut process = Process::start(&format!(
        "runtime.shutdown-delay = \"1s\"\nruntime.grace = \"20s\"\n{}",
        http_over(&[&one])
    ));
    let (listener, admin) = (process.listener(0), process.admin_tcp());
    process.wait_for_state("app", one.http, "healthy");
    assert_eq!(get(admin, "/readyz").status, 200);
    let mut slow = connect(listener);
    let request = format!("GET /slow HTTP/1.1\r\nHost: {listener}\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).unwrap();

    process.signal(Signal::TERM);
    process.wait_for_log("still accepting for shutdown-delay");
    let ready = get(admin, "/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"][0], "shutting down");
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(names(listener, 1), ["one"], "it did not go on accepting");

    process.wait_for_log("no longer accepting");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200"),
        "work in hand was cut: {answer}"
    );
    process.wait_for_log("stopping DNS");
    process.wait_for_log("shutdown: done");
    assert_eq!(process.wait().code(), Some(0));
    assert!(!process.folder.0.join("state/admin.sock").exists());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let one = Service::start("one");
    let mut process = Process::start(&format!(
        "runtime.shutdown-delay = \"600s\"\n{}",
        http_over(&[&one])
    ));
    process.signal(Signal::INT);
    process.wait_for_log("still accepting");
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code(), Some(1));
    process.wait_for_log("ended at once");
}

#[test]
fn logs_are_opened_anew_on_sigusr1() {
    let one = Service::start("one");
    let text = http_over(&[&one]).replace("access = \"off\"", "access = \"access.log\"");
    let process = Process::start(&text);
    let listener = process.listener(0);
    let (log, old) = (
        process.folder.0.join("access.log"),
        process.folder.0.join("old.log"),
    );
    names(listener, 1);
    std::fs::rename(&log, &old).unwrap();
    process.signal(Signal::USR1);
    process.wait_for_log("opening log files anew");
    crate::harness::eventually("the new log has a line", || {
        names(listener, 1);
        std::fs::read_to_string(&log)
            .is_ok_and(|text| text.contains('\n'))
            .then_some(())
    });
}
