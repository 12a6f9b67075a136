//! Route 53's checks of endpoints: certificates nobody minds, SNI and the try without it, search
//! strings, latency.

use healthcheck::CheckDetails;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{answering, checked, checked_until, locally, request, service};
use crate::tls::nameless;

fn assert_checked(found: &CheckDetails, healthy: bool, seen: &str) {
    let shown = (found.healthy, found.description.as_str());
    assert_eq!(shown, (healthy, seen), "{found:?}");
}

#[tokio::test]
async fn a_server_that_refuses_names_is_asked_again_without_one() {
    let https = "type = \"https\"\nhost = \"app.test\"\ninsecure = true";
    let named = "type = \"https\"\nserver-name = \"app.test\"\ninsecure = true";
    locally(async {
        let address = nameless();
        for check in [https, named] {
            let (found, _) = checked(check, address).await;
            assert_checked(&found, true, "HTTP/1.1 200 OK");
        }
        let without = format!("{https}\nenable-sni = false");
        let (found, _) = checked(&without, address).await;
        assert_checked(&found, true, "HTTP/1.1 200 OK");
        let (found, _) = checked("type = \"https\"", address).await;
        assert!(!found.healthy, "verified unless said otherwise: {found:?}");
        assert!(
            found
                .description
                .starts_with("TLS: nobody who is trusted vouches")
        );
    })
    .await;
}

#[tokio::test]
async fn strings_are_searched_for_and_redirects_pass() {
    let ok = || answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nall ok");
    locally(async {
        let found = checked(
            "type = \"http-str-match\"\nsearch-string = \"all ok\"",
            ok(),
        )
        .await;
        assert_checked(&found.0, true, "HTTP/1.1 200 OK");
        let found = checked("type = \"http\"\nsearch-string = \"All OK\"", ok()).await;
        assert!(!found.0.healthy);
        let moved = answering("HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n");
        let found = checked("type = \"http\"", moved).await;
        assert_checked(&found.0, true, "HTTP/1.1 301 Moved");
    })
    .await;
}

#[tokio::test]
async fn latency_is_measured_where_it_is_asked_for() {
    let family = "pointsman_health_check_phase_seconds".to_owned();
    locally(async {
        let address = answering("HTTP/1.1 200 OK\r\n\r\n");
        let (_, names) = checked("type = \"http\"\nmeasure-latency = true", address).await;
        assert!(names.contains(&family), "{names:?}");
        assert!(names.contains(&"pointsman_health_check_healthy".to_owned()));
        let (_, names) = checked("type = \"http\"", address).await;
        assert!(!names.contains(&family), "{names:?}");
    })
    .await;
}

#[tokio::test]
async fn names_are_looked_up_and_asked_for_by_name() {
    locally(async {
        let echo = service(|mut stream| async move {
            let asked = request(&mut stream).await;
            let host = asked
                .lines()
                .find(|line| line.starts_with("Host:"))
                .unwrap();
            let response = format!("HTTP/1.1 200 {host}\r\n\r\n");
            // The probe may have gone at any byte.
            let _written = stream.write_all(response.as_bytes()).await;
            let _gone = stream.read(&mut [0; 16]).await;
        });
        let port = echo.port();
        let check = format!("type = \"http\"\ndomain-name = \"localhost.\"\nport = {port}");
        let (found, _) = checked_until(&check, |seen| seen != "no data yet").await;
        let seen = format!("HTTP/1.1 200 Host: localhost:{port}");
        assert_checked(&found, true, &seen);
        assert_eq!(found.address, Some(format!("localhost:{port}")));
        let check = format!("{check}\nhost = \"other.test\"");
        let (found, _) = checked_until(&check, |seen| seen != "no data yet").await;
        assert_checked(&found, true, "HTTP/1.1 200 Host: other.test");
        let check = "type = \"tcp\"\ndomain-name = \"nothing.invalid\"\nport = 80";
        let (found, _) = checked_until(check, |seen| seen != "no data yet").await;
        assert!(!found.healthy);
        let seen = &found.description;
        assert!(
            seen.starts_with("DNS resolution failed: nothing.invalid"),
            "{seen}"
        );
    })
    .await;
}
