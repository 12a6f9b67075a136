//! Standalone checks that probe an address or a name: what `tcp`, `http` and `https` ones read.

use std::time::Duration;

use super::{http, threshold, tls};
use crate::model::is_domain;
use crate::resolve::address;
use crate::resolve::defaults::Numbers;
use crate::scalar::{Shown, clipped};
use crate::tree::{Limit, Reader};
use crate::{Destination, Diagnostic, Endpoint, EndpointHttp, Profile, Sni, TlsCheck};

/// How an endpoint is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    Tcp,
    Http,
    Https,
}

/// Reads the keys. `wants_string`: the type demands a search string.
pub(super) fn read(
    reader: &mut Reader<'_>,
    speech: Speech,
    wants_string: bool,
    profile: Profile,
    numbers: &Numbers,
) -> Option<Endpoint> {
    let destination = destination(reader, speech);
    let named = match &destination {
        Some(Destination::Name { name, .. }) => Some(name.as_str()),
        _ => None,
    };
    let http = (speech != Speech::Tcp)
        .then(|| endpoint_http(reader, speech, wants_string, profile, named));
    let interval = interval(reader, profile, numbers);
    let failure_threshold = threshold(reader, "failure-threshold", &numbers.failure_threshold);
    let measure_latency = reader.flag("measure-latency");
    Some(Endpoint {
        destination: destination?,
        http,
        interval,
        failure_threshold,
        measure_latency: measure_latency.is_some_and(|flag| flag.value),
    })
}

/// Reports that neither `address` nor `domain-name` is there.
pub(super) fn missing(reader: &Reader<'_>) {
    if !reader.has("domain-name") {
        reader.missing(
            "address",
            "there would be nothing to probe",
            "add `address = \"192.0.2.10:80\"`, or `domain-name = \"…\"`",
        );
    }
}

/// `address`, or `domain-name` and `port`.
fn destination(reader: &mut Reader<'_>, speech: Speech) -> Option<Destination> {
    missing(reader);
    let address = reader.text("address");
    if reader.has("address") {
        let why = "its `address` says where to connect";
        let help = "keep one; with an `address` use `host` for the Host header";
        reader.misplaced("domain-name", why, help);
        reader.misplaced("port", why, "write it behind the address");
        let address = address::destination(address?, reader.scope())?;
        return Some(Destination::Address(address));
    }
    let port = port(reader, speech);
    let name = reader.text("domain-name")?;
    if !is_domain(name.value) {
        let message = format!("`{}` is not a domain name", clipped(name.value));
        let help = "write a host name; for an IP address use `address`, for a port `port`";
        reader.bad_value(name.span, message, help);
        return None;
    }
    Some(Destination::Name {
        name: name.value.trim_end_matches('.').to_owned(),
        port: port?,
    })
}

fn port(reader: &mut Reader<'_>, speech: Speech) -> Option<u16> {
    let default = match speech {
        Speech::Tcp => {
            if reader.has("domain-name") {
                let help = "add `port = 5432`, or whatever the service listens on";
                reader.missing("port", "it would not be known where to connect", help);
            }
            None
        }
        Speech::Http => Some(80),
        Speech::Https => Some(443),
    };
    let limit = Limit {
        default: 0,
        min: 1,
        max: u64::from(u16::MAX),
        why: "there is no such port",
    };
    let had = reader.has("port");
    let port = reader.whole("port", &limit);
    match port {
        Some(port) => u16::try_from(port.value).ok(),
        None if had => None,
        None => default,
    }
}

fn endpoint_http(
    reader: &mut Reader<'_>,
    speech: Speech,
    wants_string: bool,
    profile: Profile,
    named: Option<&str>,
) -> EndpointHttp {
    let path = address::request_path(reader);
    let host = address::host_header(reader);
    if wants_string {
        let help = "add `search-string = \"…\"`, or use type `http` or `https`";
        let consequence = "the type says that the body is looked at, and not for what";
        reader.missing("search-string", consequence, help);
    }
    let search_string = http::search_string(reader);
    let tls = (speech == Speech::Https).then(|| {
        let tls = tls::read(reader, profile, host.as_deref().or(named));
        let sni = reader.flag("enable-sni").is_none_or(|flag| flag.value);
        let sni = if sni { Sni::SentFirst } else { Sni::NotSent };
        TlsCheck { sni, ..tls }
    });
    EndpointHttp {
        path,
        host,
        search_string,
        tls,
    }
}

/// Reads `interval`; Route 53 has two of them.
pub(super) fn interval(reader: &mut Reader<'_>, profile: Profile, numbers: &Numbers) -> Duration {
    let limit = &numbers.standalone_interval;
    let Some(found) = reader.duration("interval", limit) else {
        return limit.default;
    };
    let known = [limit.min, limit.max].contains(&found.value);
    if profile == Profile::Aws && !known {
        reader.scope().report(
            Diagnostic::error(
                "out-of-range",
                found.span,
                format!(
                    "`interval` of {} is {}, neither 10s nor 30s",
                    reader.title(),
                    found.value.shown()
                ),
            )
            .consequence(limit.why)
            .help("choose 10s or 30s"),
        );
    }
    found.value
}
