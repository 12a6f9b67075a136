//! Metric checks against servers that answer badly or not at all: each is no data, and what that
//! counts as is the check's own.

use std::net::SocketAddr;

use healthcheck::CheckDetails;

use crate::harness::{answering, checked_until, listener, locally};

const GOOD: &str = r#"{"status":"success","data":{"resultType":"scalar","result":[1,"0.5"]}}"#;

const PATIENT: &str = "interval = \"1m\"\ntimeout = \"50s\"\n";

async fn found(server: SocketAddr, more: &str) -> CheckDetails {
    let check = format!(
        "type = \"metric\"\nurl = \"http://{server}/prom/\"\nquery = \"up\"\ncomparison = \"<\"\n\
         threshold = 0.75\n{more}"
    );
    checked_until(&check, |seen| seen != "no data yet").await.0
}

fn with_body(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn answers_are_compared() {
    locally(async {
        let good = answering(with_body("200 OK", GOOD));
        let up = found(good, PATIENT).await;
        assert_eq!((up.healthy, up.description.as_str()), (true, "0.5 < 0.75"));
        assert_eq!(up.address, Some(good.to_string()));
        let chunked = format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{GOOD}\r\n0\r\n\r\n",
            GOOD.len()
        );
        assert!(found(answering(chunked), PATIENT).await.healthy);
        let down = GOOD.replace("0.5", "0.75");
        let down = found(answering(with_body("200 OK", &down)), PATIENT).await;
        let shown = (down.healthy, down.description.as_str());
        assert_eq!(shown, (false, "0.75 is not < 0.75"));
    })
    .await;
}

#[tokio::test]
async fn what_says_nothing_counts_as_the_check_wants() {
    locally(async {
        let (closed, refused) = listener();
        drop(closed);
        let (_silent, silent) = listener();
        let error = r#"{"status":"error","errorType":"bad_data","error":"parse error: x"}"#;
        let large = format!("[\"{}\"]", "x".repeat(2 << 20));
        for (server, why) in [
            (refused, "connection refused"),
            (silent, "no answer within 500ms"),
            (
                answering(with_body("400 Bad Request", error)),
                "HTTP/1.1 400 Bad Request: parse error: x",
            ),
            (
                answering(with_body("404 Not Found", "no such page")),
                "HTTP/1.1 404 Not Found: not an answer of Prometheus",
            ),
            (answering("nonsense\r\n\r\n"), "malformed response"),
            (
                answering(with_body("200 OK", &large)),
                "the answer has more than 1 MiB",
            ),
            (
                answering("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
                "no answer within 500ms",
            ),
        ] {
            for (word, healthy, before) in [
                ("healthy", true, "no data: "),
                ("unhealthy", false, "no data: "),
                ("last-known", true, "no data, so as it was: "),
            ] {
                let timing = match why.contains("500ms") {
                    true => "timeout = \"500ms\"\n",
                    false => PATIENT,
                };
                let more = format!("{timing}insufficient-data = \"{word}\"");
                let shown = found(server, &more).await;
                let wanted = format!("{before}{why}");
                assert!(
                    shown.description.starts_with(&wanted),
                    "{wanted}: {shown:?}"
                );
                assert_eq!(shown.healthy, healthy, "{word} {why}");
            }
        }
    })
    .await;
}
