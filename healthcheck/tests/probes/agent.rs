//! Agent checks: HAProxy's words, and what becomes of the target's weight and state.

use std::net::SocketAddr;

use healthcheck::TargetState::{Draining, Healthy, Unhealthy};
use healthcheck::{Source, TargetDetails};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{assert_seen, locally, probed, service};

const AGENT: &str = "protocol = \"agent\"\nsend = \"state?\\n\"\ntimeout = \"50s\"";

/// An agent that says `line` to whom asks for the state; with `stays` it keeps the connection.
fn agent(line: &'static str, stays: bool) -> SocketAddr {
    service(move |mut stream| async move {
        let mut asked = [0; 7];
        stream.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"state?\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        if stays {
            let _gone = stream.read(&mut asked).await;
        }
    })
}

async fn says(line: &'static str) -> TargetDetails {
    probed(AGENT, agent(line, line.ends_with('\n'))).await
}

#[tokio::test]
async fn agents_say_whether_and_how_much() {
    locally(async {
        let found = says("up\n").await;
        assert_seen(&found, Healthy, "up");
        assert_eq!(found.weight, 1);
        let found = says("ready 30%\r\n").await;
        assert_seen(&found, Healthy, "ready 30%");
        assert_eq!(found.weight, 1, "rounded up: only 0 % is none");
        let found = says("up 0% maxconn:30").await;
        assert_eq!((found.state, found.weight), (Healthy, 0));
        let found = says("down#disk full").await;
        assert_seen(&found, Unhealthy, "down#disk full");
        assert_eq!(found.description, "Health checks failed: down#disk full");
        for (line, description) in [
            ("drain\n", "Drained by its agent"),
            ("up maint", "In maintenance by its agent"),
        ] {
            let found = says(line).await;
            assert_eq!((found.state, found.source), (Draining, Source::Agent));
            assert_eq!(found.description, description);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_no_agents_line_fails() {
    locally(async {
        let found = says("HTTP/1.1 400 Bad Request\r\n").await;
        let seen = "not an agent's line: HTTP/1.1 400 Bad Request";
        assert_seen(&found, Unhealthy, seen);
        assert_seen(&says("").await, Unhealthy, "an empty line");
        let silent = probed(&AGENT.replace("50s", "300ms"), agent("u", true)).await;
        assert_seen(&silent, Unhealthy, "no line within 300ms");
        let endless =
            service(
                |mut stream| async move { while stream.write_all(&[b'x'; 512]).await.is_ok() {} },
            );
        assert_seen(
            &probed(AGENT, endless).await,
            Unhealthy,
            "a line over 1 KiB",
        );
    })
    .await;
}
