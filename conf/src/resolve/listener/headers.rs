//! What an `http` or `https` listener changes in heads: ELB's header attributes and its own.

use ipnet::IpNet;

use super::super::defaults::Numbers;
use super::field_edits;
use crate::tree::Reader;
use crate::{ForwardedFor, HeaderEdits, ListenerProtocol, Trace};

const TLS: &str = "x-amzn-tls-version-and-cipher-suite";
/// Keys that only listeners that read requests have.
const KEYS: [&str; 9] = [
    "xff-header-processing-mode",
    "xff-client-port",
    "forwarded",
    "preserve-host-header",
    TLS,
    "trace",
    "drop-invalid-header-fields",
    "request-headers",
    "response-headers",
];

/// Reads the keys; `protocol` is `None` when it could not be read. `trusted` are the proxies that
/// the listener believes, when it names some: in what they say of earlier hops too.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
    numbers: &Numbers,
    trusted: &[IpNet],
) -> HeaderEdits {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
        let why = format!("a {} listener reads no headers", protocol.as_str());
        for key in KEYS {
            reader.misplaced(key, &why, "remove it");
        }
        return HeaderEdits::default();
    }
    let mode = reader.choice("xff-header-processing-mode", &ForwardedFor::WORDS);
    let client_port = flag(reader, "xff-client-port", false);
    let forwarded = flag(reader, "forwarded", false);
    let preserves_host = flag(reader, "preserve-host-header", numbers.preserve_host_header);
    let tells_tls = tells_tls(reader, protocol);
    let trace = reader.choice("trace", &Trace::WORDS);
    let drop_invalid = flag(reader, "drop-invalid-header-fields", false);
    let request = field_edits::of_requests(reader, tells_tls);
    HeaderEdits {
        forwarded_for: mode.value_or(ForwardedFor::Append),
        client_port,
        trusted: (!trusted.is_empty()).then(|| trusted.to_vec()),
        forwarded,
        rewrites_host: !preserves_host,
        tls: tells_tls.then_some(request.tls),
        certificate: request.certificate,
        trace: trace.value_or(numbers.trace),
        drop_invalid,
        request: request.edits,
        response: field_edits::of_responses(reader),
    }
}

/// Without TLS there is nothing to tell; asking for nothing is no mistake.
fn tells_tls(reader: &mut Reader<'_>, protocol: Option<ListenerProtocol>) -> bool {
    let asked = flag(reader, TLS, false);
    if asked && protocol == Some(ListenerProtocol::Http) {
        let why = "its clients come without TLS, so there is nothing to tell";
        reader.misplaced(TLS, why, "remove it, or make the listener `https`");
        return false;
    }
    asked
}

fn flag(reader: &mut Reader<'_>, key: &str, default: bool) -> bool {
    reader.flag(key).map_or(default, |found| found.value)
}
