//! The gRPC probe: one unary call over HTTP/2, in clear text or over TLS.
//!
//! Either the health service is asked (`grpc.health.v1`), and must answer that it serves, or any
//! method is called with an empty request and the status alone counts, as ELB does. The
//! connection lives as long as the call. Bounded: 16 KiB of head, 16 KiB of answer.

use bytes::Bytes;
use conf::{Address, GrpcCheck, Matcher};
use h2::RecvStream;
use h2::client::SendRequest;
use http::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout_at;

use super::connection::Stopwatch;
use super::http2::{MAX_BYTES, open, words};
use super::tls::TlsPlan;
use super::{Limits, ProbePlan, authority, shown};
use crate::{Observation, Outcome};

/// Names of the statuses, by number (grpc/doc/statuscodes.md).
const STATUSES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// Answers of the health service, by number (grpc.health.v1, ServingStatus).
const SERVING: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];

/// What a gRPC probe calls and expects.
#[derive(Debug, Clone)]
pub(crate) struct GrpcPlan {
    check: GrpcCheck,
    request: Request<()>,
    message: Bytes,
    tls: Option<TlsPlan>,
}

impl PartialEq for GrpcPlan {
    fn eq(&self, other: &Self) -> bool {
        self.check == other.check
            && self.request.uri() == other.request.uri()
            && self.tls == other.tls
    }
}

impl Eq for GrpcPlan {}

impl GrpcPlan {
    /// The plan for `check` of the target at `address`.
    pub(super) fn new(check: &GrpcCheck, address: Address) -> Self {
        let own = authority(address);
        let authority = check.host.as_deref().unwrap_or(&own);
        let scheme = check.tls.as_ref().map_or("http", |_| "https");
        let agent = concat!("Pointsman-HealthCheck/", env!("CARGO_PKG_VERSION"));
        let request = Request::builder()
            .method(Method::POST)
            .version(Version::HTTP_2)
            .uri(format!("{scheme}://{authority}{}", check.path))
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("user-agent", agent)
            .body(());
        let tls = check.tls.as_ref();
        Self {
            // Path and host have been looked at when the configuration was read; what they cannot
            // make an address of is asked for at `/`, and fails with the answer to that.
            request: request.unwrap_or_default(),
            message: message(check.service.as_deref()),
            tls: tls.map(|tls| TlsPlan::new(tls, b"h2", address)),
            // What it says of TLS is in the plan for that, and long.
            check: GrpcCheck {
                tls: None,
                ..check.clone()
            },
        }
    }
}

/// What a call came to.
struct Answer {
    status: u16,
    message: String,
    /// The health service's word.
    serving: Option<u64>,
}

/// Passes when the status matches, and the service serves if it was asked.
pub(super) async fn probe(plan: &ProbePlan, grpc: &GrpcPlan) -> Observation {
    let mut watch = Stopwatch::start();
    let limits = &plan.limits;
    match &grpc.tls {
        None => match watch.connect(plan, limits).await {
            Ok(stream) => ask(stream, &mut watch, limits, grpc).await,
            Err(observation) => observation,
        },
        Some(tls) => match tls.connect(&mut watch, plan).await {
            Ok(stream) => ask(stream, &mut watch, limits, grpc).await,
            Err(observation) => observation,
        },
    }
}

async fn ask<S>(stream: S, watch: &mut Stopwatch, limits: &Limits, grpc: &GrpcPlan) -> Observation
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let due = watch.response_due(limits);
    let call = async |client| unary(client, watch, grpc).await;
    match timeout_at(due, open(stream, call)).await {
        Ok(Ok(answer)) => {
            watch.response();
            let (outcome, seen) = judge(&answer, &grpc.check.matcher, grpc.check.service.is_some());
            watch.end(outcome, &seen)
        }
        Ok(Err(fault)) => watch.end(Outcome::Failed, &fault),
        Err(_) => watch.late("gRPC status", limits.response.min(limits.total)),
    }
}

fn judge(answer: &Answer, matcher: &Matcher, asks_health: bool) -> (Outcome, String) {
    let Answer {
        status, message, ..
    } = answer;
    let name = STATUSES.get(usize::from(*status)).unwrap_or(&"?");
    let mut seen = format!("grpc-status {status} ({name})");
    if !message.is_empty() {
        seen += &format!(": {message}");
    }
    if !matcher.matches(*status) {
        return (Outcome::CodeMismatch(*status), seen);
    }
    if !asks_health || *status != 0 {
        return (Outcome::Passed, seen);
    }
    let serving = usize::try_from(answer.serving.unwrap_or(0)).ok();
    let word = serving.and_then(|n| SERVING.get(n)).unwrap_or(&"?");
    seen += &format!(", {word}");
    match answer.serving {
        Some(1) => (Outcome::Passed, seen),
        _ => (Outcome::Failed, seen),
    }
}

async fn unary(
    client: SendRequest<Bytes>,
    watch: &mut Stopwatch,
    grpc: &GrpcPlan,
) -> Result<Answer, String> {
    let mut client = client.ready().await.map_err(words)?;
    let (response, mut body) = (client.send_request(grpc.request.clone(), false)).map_err(words)?;
    body.send_data(grpc.message.clone(), true).map_err(words)?;
    let response = response.await.map_err(words)?;
    watch.first_byte();
    if response.status() != StatusCode::OK {
        return Err(format!("HTTP status {}, not gRPC", response.status()));
    }
    let (head, mut stream) = response.into_parts();
    if let Some(answer) = status(&head.headers, &[])? {
        return Ok(answer);
    }
    let message = read(&mut stream).await?;
    let trailers = stream.trailers().await.map_err(words)?;
    let trailers = trailers.unwrap_or_default();
    status(&trailers, &message)?.ok_or_else(|| "no grpc-status in the answer".to_owned())
}

async fn read(stream: &mut RecvStream) -> Result<Vec<u8>, String> {
    let mut message = Vec::new();
    while let Some(part) = stream.data().await {
        let part = part.map_err(words)?;
        message.extend_from_slice(&part);
        if message.len() > MAX_BYTES as usize {
            return Err("an answer over 16 KiB".to_owned());
        }
        // Fails when the stream has ended, as its window has then.
        let _ended = stream.flow_control().release_capacity(part.len());
    }
    Ok(message)
}

/// The status in a head or in trailers; `None` when there is none.
fn status(fields: &HeaderMap, message: &[u8]) -> Result<Option<Answer>, String> {
    let Some(status) = fields.get("grpc-status") else {
        return Ok(None);
    };
    let text = fields.get("grpc-message");
    let text = text.map(|text| String::from_utf8_lossy(text.as_bytes()));
    let number = status.to_str().ok().and_then(|text| text.parse().ok());
    Ok(Some(Answer {
        status: number.ok_or("malformed grpc-status")?,
        message: shown(&text.unwrap_or_default()),
        serving: serving(message),
    }))
}

/// A frame with a `HealthCheckRequest { service }`, or with nothing in it.
fn message(service: Option<&str>) -> Bytes {
    let service = service.unwrap_or_default();
    let mut message = Vec::new();
    if !service.is_empty() {
        // Field 1, of a length; names are at most 255 bytes, so it takes one or two bytes.
        message.push(0x0a);
        let length = service.len();
        if length >= 0x80 {
            message.push((length & 0x7f) as u8 | 0x80);
        }
        message.push(if length >= 0x80 { length >> 7 } else { length } as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &message].concat().into()
}

/// `status` of a `HealthCheckResponse`; absent is 0. `None` for what is not one.
pub(super) fn serving(frame: &[u8]) -> Option<u64> {
    let (head, message) = frame.split_at_checked(5)?;
    if head.first() != Some(&0) {
        return None;
    }
    match message {
        [] => Some(0),
        [0x08, number, ..] if *number < 0x80 => Some(u64::from(*number)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_requests_are_protobuf() {
        assert_eq!(&message(None)[..], [0, 0, 0, 0, 0]);
        assert_eq!(
            &message(Some("ab"))[..],
            [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']
        );
        let long = "x".repeat(200);
        let frame = message(Some(&long));
        assert_eq!(frame[..8], [0, 0, 0, 0, 203, 0x0a, 0xc8, 1]);
        assert_eq!(frame.len(), 208);
    }

    #[test]
    fn health_answers_are_protobuf() {
        for (frame, found) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 2, 8, 2], Some(2)),
            (&[0, 0, 0, 0, 0], Some(0)),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0], None),
            (&[0, 0, 0, 0, 2, 9, 1], None),
        ] {
            assert_eq!(serving(frame), found, "{frame:?}");
        }
    }
}
