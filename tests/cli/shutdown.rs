//! The SIGTERM sequence.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use rustix::process::Signal;

use crate::harness::{PATIENCE, Process, Service, connect, eventually, get, http_over, names};
use crate::tls;

/// A target that answers when the test says so.
struct Holding {
    address: SocketAddr,
    /// One for each request that came.
    asked: Receiver<()>,
    /// What lets the next answer go.
    answer: Sender<()>,
}

impl Holding {
    fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "no service waits for a test")]
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asks, asked) = channel();
        let (answer, answers) = channel();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(mut client) = client else { return };
                let mut head = [0; 4096];
                // A probe that only connects sends nothing.
                if client.read(&mut head).is_ok_and(|count| count > 0) {
                    if asks.send(()).is_err() || answers.recv().is_err() {
                        return;
                    }
                    let _ = client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
                }
            }
        });
        Self {
            address,
            asked,
            answer,
        }
    }
}

#[test]
fn readiness_ends_first_and_accepting_goes_on_for_the_delay() {
    let one = Service::start("one");
    let process = Process::start(&format!(
        "runtime.shutdown-delay = \"600s\"\n{}",
        http_over(&[&one])
    ));
    let (listener, admin) = (process.listener(0), process.admin_tcp());
    process.wait_until_ready();
    process.signal(Signal::TERM);
    process.wait_for_log("still accepting for shutdown-delay");
    let ready = get(admin, "/readyz");
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["reasons"][0], "shutting down");
    assert_eq!(get(admin, "/healthz").status, 200);
    assert_eq!(names(listener, 1), ["one"], "it did not go on accepting");
}

#[test]
fn after_the_delay_accepting_ends_and_work_in_hand_finishes() {
    let target = Holding::start();
    let mut process = Process::start(&format!(
        "runtime.shutdown-delay = \"1s\"\nruntime.grace = \"600s\"\n{}{}\
         [target-group.health-check]\nprotocol = \"tcp\"\n",
        tls::listener("web", "http", "app", ""),
        tls::group("app", "http", target.address),
    ));
    let listener = process.listener(0);
    process.wait_for_state("app", target.address, "healthy");
    let mut slow = connect(listener);
    let request = format!("GET / HTTP/1.1\r\nHost: {listener}\r\nConnection: close\r\n\r\n");
    slow.write_all(request.as_bytes()).unwrap();
    target.asked.recv_timeout(PATIENCE).unwrap();

    process.signal(Signal::TERM);
    process.wait_for_log("no longer accepting");
    eventually("nobody is accepted", || {
        TcpStream::connect(listener).is_err().then_some(())
    });
    target.answer.send(()).unwrap();
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
    eventually("the new log has a line", || {
        names(listener, 1);
        std::fs::read_to_string(&log)
            .is_ok_and(|text| text.contains('\n'))
            .then_some(())
    });
}
