//! Desync mitigation over real connections: what is refused, what passes once, what targets get.

use crate::balancer::{Balancer, Options};
use crate::target::Target;

/// What a request came to.
struct Outcome {
    text: String,
    /// What the target saw.
    seen: Vec<String>,
    log: String,
}

/// Sends `request`, and another after it if the connection stays open.
fn sent(listener: &'static str, request: &str) -> Outcome {
    let folder = std::env::temp_dir().join(format!("pointsman-desync-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = folder.join(number.to_string());
    let target = Target::echo();
    let options = Options {
        listener,
        access_log: Some(path.clone()),
        ..Options::default()
    };
    let balancer = Balancer::start(&[target.address], &options);
    let next = "GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let text = balancer.ask(&format!("{request}{next}"));
    drop(balancer);
    let log = std::fs::read_to_string(&path).unwrap_or_default();
    let _ = std::fs::remove_file(&path);
    let seen = target.seen.try_iter().collect();
    Outcome { text, seen, log }
}

const BOTH: &str = "POST /both HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                    3\r\nabc\r\n0\r\n\r\n";
const FOLDED: &str = "GET /folded HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n";
const BODY: &str = "GET /body HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
const SEVERE: &str =
    "POST /severe HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc";
const BARE: &str = "GET /bare HTTP/1.1\nHost: a\n\n";

#[test]
fn strict_framing_refuses_and_says_what_it_was() {
    for (request, word, tier, reason) in [
        (
            BOTH,
            "content-length-and-transfer-encoding",
            "Ambiguous",
            "BothTeClPresent",
        ),
        (FOLDED, "folded-field", "Ambiguous", "MultilineHeader"),
        (
            SEVERE,
            "several-content-lengths",
            "Severe",
            "MultipleContentLength",
        ),
        (
            BARE,
            "bare-line-end",
            "Acceptable",
            "NonCrLfLineTermination",
        ),
    ] {
        let outcome = sent("desync-mitigation-mode = \"monitor\"", request);
        assert!(
            outcome.text.starts_with("HTTP/1.1 400 ") && outcome.text.contains(word),
            "{}",
            outcome.text
        );
        assert_eq!(outcome.seen, [""; 0]);
        let logged =
            format!("\"classification\":\"{tier}\",\"classification_reason\":\"{reason}\"");
        assert!(outcome.log.contains(&logged), "{logged} {}", outcome.log);
    }
}

#[test]
fn the_mode_decides_about_what_strict_framing_lets_pass() {
    let defensive = sent("", BODY);
    assert!(
        defensive.text.starts_with("HTTP/1.1 200 "),
        "{}",
        defensive.text
    );
    assert!(
        defensive.text.contains("\r\nConnection: close\r\n"),
        "{}",
        defensive.text
    );
    assert_eq!(defensive.seen.len(), 1, "{:?}", defensive.seen);
    assert!(
        defensive.log.contains("UndefinedContentLengthSemantics"),
        "{}",
        defensive.log
    );
    let monitor = sent("desync-mitigation-mode = \"monitor\"", BODY);
    assert_eq!(monitor.seen.len(), 2, "{:?}", monitor.seen);
    assert!(
        monitor.log.contains("UndefinedContentLengthSemantics"),
        "{}",
        monitor.log
    );
    let strictest = sent("desync-mitigation-mode = \"strictest\"", BODY);
    assert!(
        strictest.text.contains("desync-mitigation"),
        "{}",
        strictest.text
    );
    assert_eq!(strictest.seen, [""; 0]);
    // Nothing odd, nothing said.
    let plain = sent(
        "desync-mitigation-mode = \"strictest\"",
        "GET /plain HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(plain.seen.len(), 2, "{:?}", plain.seen);
    assert!(!plain.log.contains("classification"), "{}", plain.log);
}

#[test]
fn without_strict_framing_what_passes_is_written_again_and_ends_both_connections() {
    const LENIENT: &str = "strict-framing = false";
    let both = sent(LENIENT, BOTH);
    assert!(both.text.starts_with("HTTP/1.1 200 "), "{}", both.text);
    assert!(
        both.text.contains("\r\nConnection: close\r\n"),
        "{}",
        both.text
    );
    assert_eq!(both.seen.len(), 1, "{:?}", both.seen);
    assert!(
        both.seen[0].contains("Transfer-Encoding: chunked"),
        "{:?}",
        both.seen
    );
    assert!(!both.seen[0].contains("Content-Length"), "{:?}", both.seen);
    let folded = sent(LENIENT, FOLDED);
    assert!(
        folded.seen[0].contains("\r\nX: 1 2\r\n"),
        "{:?}",
        folded.seen
    );
    assert_eq!(folded.seen.len(), 1, "{:?}", folded.seen);
    let bare = sent(LENIENT, BARE);
    assert!(
        bare.seen[0].starts_with("GET /bare HTTP/1.1\r\nHost: a\r\n"),
        "{:?}",
        bare.seen
    );
    let severe = sent(LENIENT, SEVERE);
    assert!(severe.text.contains("desync-mitigation"), "{}", severe.text);
    assert_eq!(severe.seen, [""; 0]);
    let strictest = sent(
        "strict-framing = false\ndesync-mitigation-mode = \"strictest\"",
        BARE,
    );
    assert!(
        strictest.text.contains("desync-mitigation"),
        "{}",
        strictest.text
    );
    // What asks for what is not served is refused in every mode.
    for request in [
        "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(sent(LENIENT, request).seen, [""; 0], "{request}");
    }
}
