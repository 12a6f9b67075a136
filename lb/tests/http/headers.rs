//! What a listener changes in heads, and what it takes of bodies, over real connections.

use crate::balancer::{Balancer, Options};
use crate::target::Target;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

fn asked(listener: &'static str, request: &str) -> String {
    let target = Target::echo();
    let options = Options {
        listener,
        ..Options::default()
    };
    Balancer::start(&[target.address], &options).ask(request)
}

#[test]
fn a_listener_with_every_edit_forwards_what_it_says() {
    let text = asked(
        "xff-client-port = true\nforwarded = true\ntrace = \"both\"\npreserve-host-header = false\n\
         drop-invalid-header-fields = true\ntrusted-proxies = [\"10.0.0.0/8\"]\n\
         request-headers = { insert = { X-Env = \"test\" }, remove = [\"X-Debug\"] }",
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-Debug: 1\r\na_b: 1\r\nX-Forwarded-For: 10.0.0.1\r\n\
         Connection: close\r\n\r\n",
    );
    assert!(text.contains("GET / HTTP/1.1\r\nHost: a.test:"), "{text}");
    assert!(text.contains("\r\nX-Forwarded-For: 127.0.0.1:"), "{text}");
    assert!(text.contains("\r\nForwarded: for=\"127.0.0.1:"), "{text}");
    assert!(text.contains("\r\nX-Amzn-Trace-Id: Root=1-"), "{text}");
    assert!(text.contains("\r\ntraceparent: 00-"), "{text}");
    assert!(text.contains("\r\nX-Env: test\r\n"), "{text}");
    assert!(
        !text.contains("X-Debug") && !text.contains("a_b") && !text.contains("10.0.0.1"),
        "{text}"
    );
}

#[test]
fn responses_change_as_the_listener_says_ours_too() {
    const EDITS: &str = "response-headers = { server = false, remove = [\"X-Powered-By\"], \
                         rename = { X-Old = \"X-New\" }, x-frame-options = \"DENY\", \
                         strict-transport-security = \"max-age=31536000\", \
                         access-control-max-age = \"10m\" }";
    let target = Target::scripted(|mut connection| {
        while connection.head().is_some() {
            connection.send(
                "HTTP/1.1 103 Early Hints\r\nServer: a\r\n\r\n\
                 HTTP/1.1 200 OK\r\nServer: a\r\nX-Powered-By: b\r\nx-old: c\r\nX-Frame-Options: d\r\n\
                 Content-Length: 2\r\n\r\nok",
            );
        }
    });
    let options = Options {
        listener: EDITS,
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let inserted = "Strict-Transport-Security: max-age=31536000\r\nX-Frame-Options: DENY\r\n\
                    Access-Control-Max-Age: 600\r\n";
    assert_eq!(
        balancer.ask(GET),
        format!(
            "HTTP/1.1 103 Early Hints\r\nServer: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\
             X-New: c\r\n{inserted}Connection: close\r\n\r\nok"
        )
    );
    let refused = balancer.ask("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        refused.starts_with("HTTP/1.1 405 ") && refused.contains(inserted),
        "{refused}"
    );
}

#[test]
fn bodies_over_the_limit_are_refused_before_they_are_read() {
    const LIMIT: &str = "max-request-body = 5";
    let counted = |size: usize, body: &str| {
        let text = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n{body}"
        );
        asked(LIMIT, &text)
    };
    assert!(counted(5, "12345").starts_with("HTTP/1.1 200 "));
    let refused = counted(6, "");
    assert!(
        refused.starts_with("HTTP/1.1 413 Content Too Large\r\n"),
        "{refused}"
    );
    assert!(refused.contains("large-body"), "{refused}");
    let chunked = |body: &str| {
        let text = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        asked(LIMIT, &text)
    };
    assert!(chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert!(chunked("3\r\nabc\r\n3\r\n").starts_with("HTTP/1.1 413 "));
}

#[test]
fn more_than_thirty_forwarded_addresses_are_elbs_463() {
    let chain = |count: usize| {
        let list = vec!["10.0.0.1"; count].join(", ");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: {list}\r\n\r\n"
        );
        asked("", &request)
    };
    assert!(chain(30).starts_with("HTTP/1.1 200 "));
    assert!(chain(31).starts_with("HTTP/1.1 463 "));
}
