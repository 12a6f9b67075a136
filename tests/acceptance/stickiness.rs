//! Sessions by cookie, kept by curl's cookie jar: over requests, restarts and deaths of targets.

use std::net::SocketAddr;
use std::path::Path;

use super::pointsman::{PATIENT, Pointsman, check, web};
use super::probed::script;
use super::process::{Folder, eventually, output_of};
use super::services::HttpService;

/// An application that sets a session cookie for those who log in, and says who it is.
const APPLICATION: &str = r#"
import http.server, sys
host = sys.argv[1]
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = f"port {self.server.server_address[1]}\n".encode()
        self.send_response(200)
        if self.path == "/login":
            self.send_header("Set-Cookie", "SID=1; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer((host, 0), App)
print("port", server.server_address[1])
server.serve_forever()
"#;

/// What curl gets, with the cookies in `jar` kept.
fn get(pointsman: &Pointsman, path: &str, jar: &Path) -> String {
    let url = format!("http://{}{path}", pointsman.listener("web"));
    let jar = jar.display().to_string();
    output_of("curl", &["-sS", "-b", &jar, "-c", &jar, &url])
}

/// What curl gets `count` times, each answer once.
fn answers(pointsman: &Pointsman, path: &str, jar: &Path, count: usize) -> Vec<String> {
    let mut all: Vec<String> = (0..count).map(|_| get(pointsman, path, jar)).collect();
    all.sort();
    all.dedup();
    all
}

/// Waits until so many sessions came to this: an answer is counted once it has been sent.
fn await_outcomes(pointsman: &Pointsman, outcome: &str, count: f64) {
    let name = format!("pointsman_sticky_requests_total{{outcome=\"{outcome}\"}}");
    eventually(outcome, || pointsman.metric(&name) == count);
}

fn config(services: &[HttpService], stickiness: &str) -> String {
    let check = check("/", PATIENT);
    let addresses = services.iter().map(|service| service.address);
    web(addresses, &format!("{check}\nstickiness = {stickiness}"))
}

#[test]
fn clients_keep_their_target_over_restarts_until_it_is_gone() {
    let mut services: Vec<HttpService> = (11..14)
        .map(|host| HttpService::start(&format!("127.51.0.{host}"), 0))
        .collect();
    let folder = Folder::new("jars");
    let jar = |name: &str| folder.path().join(name);
    let text = config(&services, "{ type = \"lb-cookie\", duration = \"1h\" }");
    let pointsman = Pointsman::start(&text);
    let first = answers(&pointsman, "/", &jar("first"), 12);
    assert_eq!(first.len(), 1, "one client, one target: {first:?}");
    let none = jar("none");
    std::fs::write(&none, "").unwrap();
    let url = format!("http://{}/", pointsman.listener("web"));
    let mut others: Vec<String> = (0..9).map(|_| output_of("curl", &["-sS", &url])).collect();
    others.sort();
    others.dedup();
    assert_eq!(others.len(), 3, "without cookies everybody takes turns");
    await_outcomes(&pointsman, "kept", 11.0);

    // Another process with the same state directory.
    let pointsman = Pointsman::start_in(pointsman.stop(), &[]);
    assert_eq!(answers(&pointsman, "/", &jar("first"), 6), first);
    await_outcomes(&pointsman, "kept", 6.0);

    // The target dies: another one has the session then, also once the first is back.
    let mine = services.iter_mut().find(|service| {
        let ip = service.address.ip().to_string();
        first[0].contains(&ip)
    });
    let mine = mine.unwrap();
    mine.kill();
    let second = answers(&pointsman, "/", &jar("first"), 6);
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);
    await_outcomes(&pointsman, "moved", 1.0);
    mine.restart();
    let address = mine.address;
    eventually("it is back", || {
        pointsman.state("app", address) == "healthy"
    });
    assert_eq!(answers(&pointsman, "/", &jar("first"), 6), second);

    // Drained, its clients go to others.
    let had = services.iter().find(|service| {
        let ip = service.address.ip().to_string();
        second[0].contains(&ip)
    });
    let path = format!(
        "/api/v1/target-groups/app/targets/{}/drain",
        had.unwrap().address
    );
    pointsman.post(&path, "{}");
    let third = answers(&pointsman, "/", &jar("first"), 6);
    assert_eq!(third.len(), 1);
    assert_ne!(second, third);
}

#[test]
fn cookies_that_do_not_count_are_replaced_and_counted() {
    let services = [
        HttpService::start("127.52.0.11", 0),
        HttpService::start("127.52.0.12", 0),
    ];
    let text = config(
        &services,
        "{ type = \"lb-cookie\", duration = \"1h\", aws-names = true }",
    );
    let pointsman = Pointsman::start(&text);
    let url = format!("http://{}/", pointsman.listener("web"));
    let head = output_of("curl", &["-sSi", &url]);
    let cookie = |name: &str| {
        let line = head.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("no {name} in {head}")).trim()
    };
    let plain = cookie("Set-Cookie: AWSALB=");
    assert!(plain.ends_with("GMT; Path=/"), "{plain}");
    let cross = cookie("Set-Cookie: AWSALBCORS=");
    assert!(cross.ends_with("Path=/; SameSite=None; Secure"), "{cross}");
    let value = plain.split(['=', ';']).nth(1).unwrap();
    let send = |cookie: String| {
        let head = output_of("curl", &["-sSi", "-H", &format!("Cookie: {cookie}"), &url]);
        assert!(head.contains("Set-Cookie: AWSALB="), "{head}");
    };
    send(format!("AWSALBCORS={value}"));
    // Either of the two counts.
    await_outcomes(&pointsman, "kept", 1.0);
    send(format!("AWSALB={}", value.to_uppercase()));
    await_outcomes(&pointsman, "cookie-forged", 1.0);
    send(format!("AWSALB={}", "A".repeat(5000)));
    await_outcomes(&pointsman, "cookie-oversized", 1.0);
    // The same group under another name: what it gave before is another group's.
    pointsman.write_config(&text.replace("\"app\"", "\"other\""));
    pointsman.post("/api/v1/reload", "{}");
    send(format!("AWSALB={value}"));
    await_outcomes(&pointsman, "cookie-of-another-group", 1.0);
    let short = text.replace("\"1h\"", "\"1s\"");
    pointsman.write_config(&short);
    pointsman.post("/api/v1/reload", "{}");
    let head = output_of("curl", &["-sSi", &url]);
    let line = head
        .lines()
        .find(|line| line.starts_with("Set-Cookie: AWSALB="));
    let value = line.unwrap().split(['=', ';']).nth(1).unwrap();
    eventually("it expires", || {
        send(format!("AWSALB={value}"));
        pointsman.metric("pointsman_sticky_requests_total{outcome=\"cookie-expired\"}") >= 1.0
    });
}

#[test]
fn an_applications_session_begins_with_its_cookie() {
    let folder = Folder::new("jars");
    let (_one, one) = script(APPLICATION, folder.path());
    let (_two, two) = script(APPLICATION, folder.path());
    let at = |port| SocketAddr::from(([127, 36, 0, 1], port));
    let stickiness = r#"stickiness = { type = "app-cookie", cookie-name = "SID" }"#;
    let pointsman = Pointsman::start(&web([at(one), at(two)], stickiness));
    let jar = folder.path().join("jar");
    let before = answers(&pointsman, "/", &jar, 8);
    assert_eq!(before.len(), 2, "nobody is logged in");
    let session = get(&pointsman, "/login", &jar);
    assert_eq!(answers(&pointsman, "/", &jar, 8), [session]);
    // Without the application's cookie there is no session.
    let text = std::fs::read_to_string(&jar).unwrap();
    let left: Vec<&str> = text.lines().filter(|line| !line.contains("SID")).collect();
    assert!(
        left.iter().any(|line| line.contains("pointsman-")),
        "{text}"
    );
    std::fs::write(&jar, left.join("\n") + "\n").unwrap();
    assert_eq!(answers(&pointsman, "/", &jar, 8).len(), 2);
}

#[test]
fn clients_keep_the_group_of_a_weighted_forward() {
    let services = [
        HttpService::start("127.53.0.11", 0),
        HttpService::start("127.53.0.12", 0),
    ];
    let [blue, green] = services.each_ref().map(|service| service.address);
    let config = |weights: [u8; 2]| {
        let [of_blue, of_green] = weights;
        format!(
            r#"
            [[listener]]
            name = "web"
            bind = "127.0.0.1:0"
            protocol = "http"
            forward = {{ target-groups = [{{ name = "blue", weight = {of_blue} }}, {{ name = "green", weight = {of_green} }}], stickiness = "1h" }}
            [[target-group]]
            name = "blue"
            protocol = "http"
            targets = ["{blue}"]
            [[target-group]]
            name = "green"
            protocol = "http"
            targets = ["{green}"]
            "#
        )
    };
    let pointsman = Pointsman::start(&config([1, 1]));
    let folder = Folder::new("jars");
    let jar = |n: u8| folder.path().join(format!("jar-{n}"));
    let first: Vec<_> = (0..4)
        .map(|n| answers(&pointsman, "/", &jar(n), 6))
        .collect();
    assert!(first.iter().all(|seen| seen.len() == 1), "{first:?}");
    assert!(first.contains(&vec!["from 127.53.0.11\n".to_owned()]));
    assert!(first.contains(&vec!["from 127.53.0.12\n".to_owned()]));
    // All new clients go to green; the others stay where they are.
    pointsman.write_config(&config([0, 1]));
    pointsman.post("/api/v1/reload", "{}");
    let after: Vec<_> = (0..4)
        .map(|n| answers(&pointsman, "/", &jar(n), 2))
        .collect();
    assert_eq!(first, after);
    let new = answers(&pointsman, "/", &jar(9), 4);
    assert_eq!(new, ["from 127.53.0.12\n"]);
}
