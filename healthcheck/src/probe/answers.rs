//! What probes make of a target's bytes, without a connection.
//!
//! Called by the fuzz bodies only: targets are not trusted, and whatever they send must be read
//! within bounds, the same however it was split. Not part of what other crates build on.

use super::body::{Body, WINDOW};
use super::{agent, grpc, http, metric};

/// What an HTTP probe made of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HttpAnswer {
    /// The head is not complete yet.
    Incomplete,
    /// The head, or the body, is not HTTP.
    Malformed,
    /// The head was read, and as much of the body as is looked at.
    Read {
        /// The final status.
        status: u16,
        /// The first bytes of the body, decoded; at most 5120.
        window: Vec<u8>,
        /// More bytes could not change the window.
        is_over: bool,
    },
    /// The body is coded in a way that is not undone.
    Coded,
}

/// Reads an answer whose body comes in pieces of `size` bytes, at least 1.
pub fn http_answer(bytes: &[u8], size: usize) -> HttpAnswer {
    let head = match http::parse(bytes) {
        Ok(Some(head)) => head,
        Ok(None) => return HttpAnswer::Incomplete,
        Err(_) => return HttpAnswer::Malformed,
    };
    let Some(coding) = head.coding else {
        return HttpAnswer::Coded;
    };
    let mut body = Body::new(head.framing, coding);
    let rest = bytes.get(head.length..).unwrap_or_default();
    for piece in rest.chunks(size.max(1)) {
        if body.feed(piece).is_err() {
            return HttpAnswer::Malformed;
        }
    }
    assert!(body.window().len() <= WINDOW);
    HttpAnswer::Read {
        status: head.status,
        window: body.window().to_vec(),
        is_over: body.is_over(),
    }
}

/// Reads an agent's line: whether it passes, if it says so.
pub fn agent_line(line: &str) -> Option<bool> {
    agent::passes(line)
}

/// Reads a Prometheus server's answer: a number for what it says.
pub fn metric_answer(body: &[u8]) -> u8 {
    let condition = metric::Condition {
        comparison: conf::Comparison::Less,
        threshold: 1.0,
    };
    match metric::judge(body, condition) {
        metric::Verdict::Met(_) => 0,
        metric::Verdict::NotMet(_) => 1,
        metric::Verdict::NoData(_) => 2,
    }
}

/// Reads a gRPC health answer's frame: the serving status.
pub fn health_frame(frame: &[u8]) -> Option<u64> {
    grpc::serving(frame)
}
