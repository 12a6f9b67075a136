//! Error pages from the outside: which answers have them, and that a reload reads them again.

use crate::harness::{Answer, Process, Service, connect, exchange, get, send, stdout};

const PAGES: &str = r##"error-pages = [
  { status = 503, file = "down.html" },
  { status = "4xx", body = '{"reason":"#{reason}","trace":"#{trace-id}"}', content-type = "application/json" },
]
"##;

fn configuration(service: &Service) -> String {
    format!(
        r#"
[logs]
access = "off"
[[listener]]
name = "web"
bind = "127.0.0.1:0"
protocol = "http"
fixed-response = {{ status = 404, body = "as the rule says" }}
max-request-body = 10
{PAGES}
[[listener.rule]]
priority = 1
path = "/app/*"
forward = "app"
[[listener.rule]]
priority = 2
path = "/none"
forward = "none"
[[listener.rule]]
priority = 3
path = "/once"
fixed-response = {{ status = 204 }}
rate-limit = {{ requests = 1, per = "1d" }}
[[target-group]]
name = "app"
protocol = "http"
targets = ["{}"]
[[target-group]]
name = "none"
protocol = "http"
targets = []
"#,
        service.http
    )
}

fn ask(process: &Process, method: &str, path: &str) -> Answer {
    let trace = "X-Amzn-Trace-Id: Root=1-\"<b>\r\n";
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: a.test\r\n{trace}Connection: close\r\n\r\n");
    exchange(connect(process.listener(0)), &request)
}

#[test]
fn answers_of_the_balancer_alone_have_pages() {
    let service = Service::start("one");
    let page = "<h1>#{status} #{phrase}</h1> <i>#{trace-id}</i>\n";
    let process = {
        let folder = crate::harness::Folder::new();
        let file = folder.write("down.html", page);
        let text = configuration(&service).replace("down.html", &file);
        let process = Process::start(&text);
        // From now on it is read beside the configuration.
        process.folder.write("down.html", "reloaded #{reason}");
        process
    };
    process.wait_for_state("app", service.http, "healthy");
    let down = ask(&process, "GET", "/none");
    let shown = "<h1>503 Service Unavailable</h1> <i>Root=1-&quot;&lt;b&gt;</i>\n";
    assert_eq!((down.status, down.body.as_str()), (503, shown));
    assert!(
        down.head
            .contains("Content-Type: text/html; charset=utf-8\r\n"),
        "{}",
        down.head
    );
    let head = ask(&process, "HEAD", "/none");
    let length = format!("Content-Length: {}", shown.len());
    assert!(
        head.body.is_empty() && head.head.contains(&length),
        "{head:?}"
    );

    // What targets and rules say stays.
    assert!(ask(&process, "GET", "/app/x").body.contains("one"));
    assert_eq!(ask(&process, "GET", "/other").body, "as the rule says");

    let large = send(
        process.listener(0),
        "POST",
        "/app/x",
        "",
        "more than ten bytes",
    );
    assert_eq!(
        (large.status, &large.json()["reason"]),
        (413, &"large-body".into())
    );
    // The request was not read, so that it is known by its connection.
    let trace = large.json()["trace"].as_str().unwrap().to_owned();
    assert!(trace.starts_with("TID_") && trace.len() == 36, "{trace}");
    assert_eq!(get(process.listener(0), "/once").status, 204);
    let limited = ask(&process, "GET", "/once");
    assert_eq!(
        (limited.status, &limited.json()["reason"]),
        (429, &"rate-limited".into())
    );
    assert_eq!(limited.json()["trace"], "Root=1-\"<b>");
    assert!(limited.head.contains("Retry-After: "), "{}", limited.head);

    process.write(&configuration(&service));
    process.succeed(&["reload"]);
    assert_eq!(ask(&process, "GET", "/none").body, "reloaded no-target");
    // A page that is gone is an error of the file: what serves goes on.
    std::fs::remove_file(process.folder.0.join("down.html")).unwrap();
    let refused = process.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(
        stdout(&refused).contains("down.html"),
        "{}",
        stdout(&refused)
    );
    assert_eq!(ask(&process, "GET", "/none").body, "reloaded no-target");
}
