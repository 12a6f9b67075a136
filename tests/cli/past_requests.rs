//! `why` about requests that were made, and about sessions, from the outside.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Process, Service, connect, eventually, exchange, stderr};

fn configuration(services: &[&Service], more: &str) -> String {
    let targets: Vec<String> = services.iter().map(|s| format!("\"{}\"", s.http)).collect();
    format!(
        "[logs]\naccess = \"off\"\npast-requests = 3\n\
         [runtime]\nworkers = 1\n\
         [[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\n\
         fixed-response = {{ status = 404 }}\n\
         [[listener.rule]]\npriority = 10\npath = \"/app/*\"\nforward = \"app\"\n\
         [[listener.rule]]\npriority = 20\npath = \"/old\"\nredirect = {{ port = 81 }}\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"http\"\ntargets = [{}]\n{more}",
        targets.join(", ")
    )
}

/// How slow a slow client is.
const SLOW: Duration = Duration::from_secs(1);

/// Health checks that find out nothing by themselves while a test lasts.
const SELDOM: &str = "[target-group.health-check]\nprotocol = \"tcp\"\ninterval = \"5m\"\n";

/// What one request with more fields is answered.
fn ask(process: &Process, path: &str, more: &str) -> crate::harness::Answer {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n{more}\r\n");
    exchange(connect(process.listener(0)), &request)
}

/// The remembered request with that trace ID, once it has ended.
fn past(process: &Process, trace: &str) -> Value {
    eventually(trace, || {
        let shown = process.succeed(&["why", "--json", "--trace", trace]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        Some(shown["items"][0].clone()).filter(|item| !item.is_null())
    })
}

#[test]
fn a_past_request_tells_its_attempts_and_rules() {
    let (mut one, mut two) = (Service::start("one"), Service::start("two"));
    let more = format!("hold = \"0s\"\n{SELDOM}");
    let process = Process::start(&configuration(&[&one, &two], &more));
    process.wait_for_state("app", one.http, "healthy");
    process.wait_for_state("app", two.http, "healthy");
    one.kill();
    // One of two in a row meets the dead target first.
    let answers = ["1", "2"].map(|number| {
        let trace = format!("X-Amzn-Trace-Id: Root=1-0000000{number}-{number:0>24}\r\n");
        ask(&process, "/app/x", &trace).status
    });
    assert_eq!(answers, [200, 200]);
    let both = ["1", "2"].map(|number| past(&process, &format!("1-0000000{number}-{number:0>24}")));
    let tried = |item: &Value| item["attempts"].as_array().unwrap().len();
    let retried = both.iter().find(|item| tried(item) == 2);
    let item = retried.unwrap_or_else(|| panic!("{both:?}"));
    let attempts = &item["attempts"];
    assert_eq!(attempts[0]["target"], one.http.to_string());
    assert_eq!(attempts[0]["failed"], "refused");
    assert_eq!(attempts[1]["target"], two.http.to_string());
    let after = |place: usize| attempts[place]["after"].as_f64().unwrap();
    assert!(after(0) < after(1), "{attempts}");
    let seen = &attempts[1]["targets"];
    assert_eq!(
        (&seen[0]["suspect"], &seen[1]["suspect"]),
        (&true.into(), &false.into())
    );
    assert_eq!(item["rule"], "10");
    assert_eq!(item["rules"][0]["conditions"][0]["holds"], true);
    assert!(item["first-byte"].as_f64().unwrap() > 0.0, "{item}");
    // In words, by the ID alone, and in the list.
    let trace = item["trace-id"]
        .as_str()
        .unwrap()
        .trim_start_matches("Root=");
    let text = process.succeed(&["why", trace]);
    for part in [
        "GET app.test/app/x\n",
        "rule 10: claims it\n  + path /app/*\nrule 20: does not hold\n",
        "  failed: refused\nattempt 2 after ",
        "answered 200 by the target, ",
    ] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    let list = process.succeed(&["why", "--last"]);
    assert_eq!(list.lines().count(), 2, "{list}");
    assert!(
        list.lines()
            .all(|line| line.contains(" 200 GET app.test/app/x 127.0.0.1:")),
        "{list}"
    );
    // Without a target it shows which there were.
    two.kill();
    let answer = ask(&process, "/app/x", "X-Amzn-Trace-Id: Root=1-3-3\r\n");
    assert_eq!(answer.status, 502);
    let item = past(&process, "1-3-3");
    let attempt = item["attempts"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&item["reason"], &attempt["target"]),
        (&"target-connect-failed".into(), &Value::Null)
    );
    assert_eq!(attempt["targets"][1]["suspect"], true, "{item}");
    let text = process.succeed(&["why", "--trace", "1-3-3"]);
    assert!(
        text.contains(" s: none could be used (round-robin)\n"),
        "{text}"
    );
}

#[test]
fn answers_of_the_balancer_are_remembered_and_the_oldest_forgotten() {
    let one = Service::start("one");
    let process = Process::start(&configuration(&[&one], SELDOM));
    process.wait_for_state("app", one.http, "healthy");
    let secret = "Cookie: secret\r\nAuthorization: secret\r\nX-Amzn-Trace-Id: Root=1-1-1\r\n";
    assert_eq!(ask(&process, "/none", secret).status, 404);
    let item = past(&process, "Root=1-1-1");
    assert_eq!(
        (&item["rule"], &item["action"]),
        (&"default".into(), &"fixed-response".into())
    );
    assert!(!item.to_string().contains("secret"), "{item}");
    ask(&process, "/old", "X-Amzn-Trace-Id: Root=1-2-2\r\n");
    let location = &past(&process, "1-2-2")["location"];
    assert!(
        location.as_str().unwrap().ends_with(":81/old"),
        "{location}"
    );
    // Not a request at all.
    let mut stream = connect(process.listener(0));
    stream.write_all(b"nonsense\r\n\r\n").unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    ask(&process, "/app/last", "X-Amzn-Trace-Id: Root=1-3-3\r\n");
    past(&process, "1-3-3");
    let list = process.succeed(&["why", "--last", "2"]);
    let lines: Vec<&str> = list.lines().collect();
    assert!(
        lines[0].contains("/app/last") && lines[1].contains(" 400 - "),
        "{list}"
    );
    let gone = process.command(&["why", "1-1-1", "--trace", "1-1-1"]);
    assert_eq!(gone.status.code(), Some(64));
    let gone = process.command(&["why", "--trace", "1-1-1"]);
    assert!(
        stderr(&gone).contains("is known by 1-1-1"),
        "{}",
        stderr(&gone)
    );
    process
        .write(&configuration(&[&one], SELDOM).replace("past-requests = 3", "past-requests = 0"));
    process.succeed(&["reload"]);
    let off = process.command(&["why", "--last"]);
    let help = "give `past-requests` in [logs] a number";
    assert!(stderr(&off).contains(help), "{}", stderr(&off));
}

#[test]
fn why_says_where_a_session_leads() {
    let (one, two) = (Service::start("one"), Service::start("two"));
    let sticky = "stickiness = { type = \"lb-cookie\", duration = \"1h\" }\n";
    let process = Process::start(&configuration(&[&one, &two], &format!("{sticky}{SELDOM}")));
    process.wait_for_state("app", one.http, "healthy");
    process.wait_for_state("app", two.http, "healthy");
    let answer = ask(&process, "/app/", "");
    let cookie = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("Set-Cookie: "));
    let cookie = cookie.and_then(|cookie| cookie.split(';').next()).unwrap();
    let name = if answer.body.contains("one") {
        one.http
    } else {
        two.http
    };
    let url = format!("http://{}/app/", process.listener(0));
    let with = |cookie: &str| process.succeed(&["why", &url, "-H", &format!("Cookie: {cookie}")]);
    for _ in 0..2 {
        let text = with(cookie);
        assert!(
            text.contains(&format!("session: its cookie names target {name}\n")),
            "{text}"
        );
        let chosen = format!("target {name}: the one that the client's session has\n");
        assert!(text.ends_with(&chosen), "{text}");
    }
    assert!(
        process
            .succeed(&["why", &url])
            .contains("session: none: it has no cookie of one\n")
    );
    let forged = with(&format!("{}x", &cookie[..cookie.len() - 1]));
    assert!(
        forged.contains("session: none: its cookie does not count (cookie-forged)\n"),
        "{forged}"
    );
    // A request that was made says so, too.
    let more = format!("Cookie: {cookie}\r\nX-Amzn-Trace-Id: Root=1-5-5\r\n");
    ask(&process, "/app/", &more);
    let item = past(&process, "1-5-5");
    assert_eq!(
        item["attempts"][0]["how"],
        "the one that the client's session has"
    );
}

#[test]
fn a_client_that_is_slow_with_its_head_makes_no_target_look_slow() {
    let one = Service::start("one");
    let process = Process::start(&configuration(&[&one], SELDOM));
    process.wait_for_state("app", one.http, "healthy");
    let mut number = 0;
    // A busy machine may read the first byte as late as the last: then nobody was slow, and it is
    // tried again.
    eventually("the time from the request's first byte on", || {
        number += 1;
        let id = format!("1-00000007-{number:024}");
        let mut client = connect(process.listener(0));
        client.write_all(b"GET /app/x HTTP/1.1\r\n").unwrap();
        // The slowness itself: nobody ever sends anything here.
        let (_sender, never) = std::sync::mpsc::channel::<()>();
        assert!(never.recv_timeout(SLOW).is_err());
        let rest =
            format!("Host: app.test\r\nConnection: close\r\nX-Amzn-Trace-Id: Root={id}\r\n\r\n");
        assert_eq!(exchange(client, &rest).status, 200);
        let sent = past(&process, &id)["sent"].as_f64().unwrap();
        (sent > SLOW.as_secs_f64() / 10.0).then_some(())
    });
}
