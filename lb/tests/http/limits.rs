//! Targets that may have only so many requests at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::balancer::{Balancer, Options};
use crate::target::Target;

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

#[test]
fn no_request_is_beyond_the_limit_and_none_is_lost() {
    for workers in [1, 2, 4] {
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, peak) = (running.clone(), most.clone());
        let target = Target::scripted(move |mut connection| {
            while connection.head().is_some() {
                peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..20 {
                    std::thread::yield_now();
                }
                now.fetch_sub(1, Ordering::SeqCst);
                connection.answer("ok");
            }
        });
        let options = Options {
            group: "max-in-flight = 2\nqueue-timeout = \"60s\"",
            ..Options::default()
        };
        let balancer = Balancer::with_workers(workers, &[target.address], &options);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut client = balancer.connect();
                    for _ in 0..25 {
                        client.send(GET);
                        assert!(client.read_response().0.starts_with("HTTP/1.1 200 OK"));
                    }
                });
            }
        });
        let most = most.load(Ordering::SeqCst);
        assert!((1..=2).contains(&most), "{most} with {workers} workers");
    }
}

#[test]
fn a_request_that_waits_in_vain_gets_503_with_the_reason() {
    let allowed = Arc::new(AtomicUsize::new(0));
    let gate = allowed.clone();
    let target = Target::scripted(move |mut connection| {
        while connection.head().is_some() {
            // Until the test lets it go.
            while gate.load(Ordering::SeqCst) == 0 {
                std::thread::yield_now();
            }
            connection.answer("ok");
        }
    });
    let options = Options {
        group: "max-in-flight = 1\nqueue-timeout = \"100ms\"",
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let mut first = balancer.connect();
    first.send(GET);
    balancer.expect_metric("pointsman_target_in_flight", "app", 1.0);
    let mut second = balancer.connect();
    second.send(GET);
    let (head, body) = second.read_response();
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(body.contains("(queue-timeout)"), "{body}");
    balancer.expect_metric("pointsman_rejected_total", "queue-timeout", 1.0);
    allowed.store(1, Ordering::SeqCst);
    assert!(first.read_response().0.starts_with("HTTP/1.1 200 OK"));
    // The place is given back just after the answer; the second waits for it no longer than before.
    balancer.expect_metric("pointsman_target_in_flight", "app", 0.0);
    second.send(GET);
    assert!(second.read_response().0.starts_with("HTTP/1.1 200 OK"));
}
