//! Standalone checks of type `metric`: a PromQL expression, a comparison and a number.
//!
//! What is written here goes on the wire, so nothing that could break a request is let through.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::endpoint::interval;
use super::{http, threshold, tls};
use crate::document::Kind;
use crate::model::is_domain;
use crate::resolve::address;
use crate::resolve::defaults::Numbers;
use crate::scalar::{Shown, clipped};
use crate::tree::{Choice, Limit, Reader};
use crate::{
    Comparison, Destination, Diagnostic, InsufficientData, MetricCheck, Profile, Sni, Spanned,
    TlsCheck,
};

/// The keys read here, but for those of TLS.
pub(super) const KEYS: [&str; 9] = [
    "url",
    "query",
    "comparison",
    "threshold",
    "insufficient-data",
    "headers",
    "timeout",
    "interval",
    "failure-threshold",
];
/// Bytes of an expression; encoded it must fit a request line.
const MAX_QUERY: usize = 4096;
/// A query takes longer than a connect, and shorter than anybody should wait for one.
const TIMEOUT: Duration = Duration::from_secs(2);

/// A server's URL, taken apart.
pub(in crate::resolve) struct Url {
    pub(in crate::resolve) server: Destination,
    pub(in crate::resolve) host: String,
    prefix: String,
    is_tls: bool,
}

/// Reads the keys.
pub(super) fn read(
    reader: &mut Reader<'_>,
    profile: Profile,
    numbers: &Numbers,
) -> Option<MetricCheck> {
    let help = "add `url = \"http://127.0.0.1:9090\"`, a Prometheus server's";
    reader.missing("url", "nobody would be asked", help);
    let url = reader.text("url");
    let url = url.and_then(|url| parse(reader, url));
    let query = query(reader);
    let consequence = "it would not be known which values are healthy";
    let help = "add `comparison = \"<\"` for a check that is healthy below the threshold";
    reader.missing("comparison", consequence, help);
    let comparison = match reader.choice("comparison", &Comparison::ALL) {
        Choice::Is(found) => Some(found.value),
        _ => None,
    };
    let limit = number(reader);
    let insufficient_data = reader
        .choice("insufficient-data", &InsufficientData::ALL)
        .value_or(InsufficientData::LastKnown);
    let headers = http::headers(reader);
    let interval = interval(reader, profile, numbers);
    let timeout = timeout(reader, interval);
    let failure_threshold = threshold(reader, "failure-threshold", &numbers.failure_threshold);
    let tls = tls_of(reader, url.as_ref(), profile);
    let url = url?;
    Some(MetricCheck {
        server: url.server,
        host: url.host,
        prefix: url.prefix,
        headers,
        tls,
        query: query?,
        comparison: comparison?,
        threshold: limit?,
        insufficient_data,
        interval,
        timeout,
        failure_threshold,
    })
}

fn tls_of(reader: &mut Reader<'_>, url: Option<&Url>, profile: Profile) -> Option<TlsCheck> {
    if url.is_some_and(|url| !url.is_tls) {
        for key in tls::KEYS {
            reader.misplaced(
                key,
                "its `url` is in clear text",
                "use `https://`, or remove it",
            );
        }
        return None;
    }
    let host = url.map(|url| url.host.as_str());
    // Read all the same when the URL is not good, so that the keys are looked at.
    let tls = tls::read(reader, profile, host);
    url.map(|_| TlsCheck {
        sni: Sni::Sent,
        ..tls
    })
}

fn query(reader: &mut Reader<'_>) -> Option<String> {
    let help = "add `query = \"…\"`, an expression in PromQL";
    reader.missing("query", "nothing would be asked", help);
    let query = reader.text("query")?;
    let text = query.value.trim();
    if text.is_empty() || text.len() > MAX_QUERY {
        let message = format!("`query` of {} has {} bytes", reader.title(), text.len());
        let help = "write an expression in PromQL of 1 to 4096 bytes; a recording rule shortens it";
        reader.bad_value(query.span, message, help);
        return None;
    }
    Some(text.to_owned())
}

/// `threshold`: an integer or a fraction.
fn number(reader: &mut Reader<'_>) -> Option<f64> {
    let help = "add `threshold = 0.05`, the number that samples are compared with";
    reader.missing("threshold", "there would be nothing to compare with", help);
    let value = reader.take("threshold")?;
    let number = match value.kind {
        #[expect(clippy::cast_precision_loss, reason = "samples are no finer either")]
        Kind::Integer(number) => number as f64,
        Kind::Float(number) => number,
        _ => f64::NAN,
    };
    if number.is_finite() {
        return Some(number);
    }
    let message = format!("`threshold` of {} is not a number", reader.title());
    reader.bad_value(
        value.span,
        message,
        "write a number, such as 5 or 0.05, without quotes",
    );
    None
}

fn timeout(reader: &mut Reader<'_>, interval: Duration) -> Duration {
    let limit = Limit {
        default: TIMEOUT,
        min: Duration::from_millis(100),
        max: Duration::from_secs(60),
        why: "shorter makes good answers late, longer keeps hanging queries",
    };
    let Some(found) = reader.duration("timeout", &limit) else {
        return TIMEOUT.min(interval * 4 / 5);
    };
    if found.value >= interval {
        let message = format!(
            "`timeout` {} of {} is not below `interval` {}",
            found.value.shown(),
            reader.title(),
            interval.shown()
        );
        reader.scope().report(
            Diagnostic::error("timeout-not-below-interval", found.span, message)
                .consequence("a query would still be waiting when the next one starts")
                .help("make `interval` longer or `timeout` shorter"),
        );
    }
    found.value
}

/// `http://HOST[:PORT][/PREFIX]`, or https.
pub(in crate::resolve) fn parse(reader: &Reader<'_>, url: Spanned<&str>) -> Option<Url> {
    let parts = split(url.value);
    let Some((is_tls, authority, prefix)) = parts else {
        let message = format!("`{}` is not the URL of a server", clipped(url.value));
        let help = "write \"http://HOST:PORT\", perhaps with a path; credentials go to `headers`";
        reader.bad_value(url.span, message, help);
        return None;
    };
    let default = if is_tls { 443 } else { 80 };
    let server = if let Ok(ip) = authority.trim_matches(['[', ']']).parse::<IpAddr>() {
        Some(Destination::Address(SocketAddr::new(ip, default)))
    } else if authority.parse::<SocketAddr>().is_ok() {
        let address = address::destination(Spanned::new(authority, url.span), reader.scope())?;
        Some(Destination::Address(address))
    } else {
        let (name, port) = match authority.rsplit_once(':') {
            Some((name, port)) => (name, port.parse().ok()),
            None => (authority, Some(default)),
        };
        let port = port.filter(|port| *port != 0 && is_domain(name));
        port.map(|port| Destination::Name {
            name: name.trim_end_matches('.').to_owned(),
            port,
        })
    };
    let Some(server) = server else {
        let message = format!("`{}` is no host and port", clipped(authority));
        let help = "write \"http://127.0.0.1:9090\" or \"https://prometheus.example:9090\"";
        reader.bad_value(url.span, message, help);
        return None;
    };
    Some(Url {
        server,
        host: authority.to_owned(),
        prefix: prefix.trim_end_matches('/').to_owned(),
        is_tls,
    })
}

/// Whether it is TLS, the authority, and the path.
fn split(url: &str) -> Option<(bool, &str, &str)> {
    let (is_tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return None,
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end)?;
    let symbol = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    let good = path.len() <= 1024 && path.bytes().all(symbol) && !authority.is_empty();
    good.then_some((is_tls, authority, path))
}
