//! `pointsman why`: what would become of a request, rule by rule, without sending it; or what became of
//! one.

use clap::Args;
use lb::{PastReport, RequestExplanation};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Remote;
use super::client::{Client, segment};
use super::outcome::{Failure, print, print_json};

/// `pointsman why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The URL as a client would ask for it, or the trace ID of a request that was made
    #[arg(value_name = "URL|TRACE-ID", required_unless_present_any = ["trace", "last"])]
    about: Option<String>,
    /// What became of the request with this trace ID (X-Amzn-Trace-Id or its Root, a traceparent, or the
    /// conn_trace_id of a log)
    #[arg(long, value_name = "ID", conflicts_with_all = ["about", "last"])]
    trace: Option<String>,
    /// List the last requests
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "20", conflicts_with = "about")]
    last: Option<u16>,
    /// The method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header field; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Asked by this client, with or without a port [default: 127.0.0.1]
    #[arg(long, value_name = "IP")]
    source: Option<String>,
    /// The listener, when the URL's port does not tell
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    #[command(flatten)]
    remote: Remote,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Asks and explains.
pub(super) fn why(options: &Why) -> Result<(), Failure> {
    let about = options.about.as_ref();
    let trace = options.trace.as_ref();
    match (trace.or(about.filter(|text| is_trace(text))), about) {
        (Some(trace), _) => past(options, trace),
        (None, Some(url)) => would(options, url),
        (None, None) => last(options),
    }
}

/// True for what no URL looks like: the ways trace IDs are written.
fn is_trace(text: &str) -> bool {
    let digits = |text: &str, count| {
        text.len() == count && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let parts: Vec<&str> = text.split('-').collect();
    match parts[..] {
        [only] => text.starts_with("TID_") || text.contains("Root=") || digits(only, 32),
        [_, time, rest] => text.contains("Root=") || (digits(time, 8) && digits(rest, 24)),
        [_, trace, span, _] => digits(trace, 32) && digits(span, 16),
        _ => text.contains("Root="),
    }
}

fn would(options: &Why, url: &String) -> Result<(), Failure> {
    let mut pairs = vec![("url", url), ("method", &options.method)];
    pairs.extend(options.headers.iter().map(|header| ("header", header)));
    pairs.extend(options.source.iter().map(|source| ("source", source)));
    pairs.extend(options.listener.iter().map(|name| ("listener", name)));
    let query: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{key}={}", segment(value)))
        .collect();
    let body = ask(options, &format!("/api/v1/why?{}", query.join("&")))?;
    if options.json {
        return print_json(&body);
    }
    let explanation: RequestExplanation = known(body)?;
    print(&explanation.to_string())
}

fn past(options: &Why, trace: &str) -> Result<(), Failure> {
    let path = format!("/api/v1/past-requests?trace={}", segment(trace));
    let body = ask(options, &path)?;
    if options.json {
        return print_json(&body);
    }
    let found = items(body)?;
    let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
    match shown.is_empty() {
        true => Err(Failure::Failed(format!(
            "no request of the last ones is known by {trace}: it has not ended, or is forgotten \
             (`past-requests` in [logs] says how many are kept); `why --last` lists them"
        ))),
        false => print(&shown.join("\n")),
    }
}

fn last(options: &Why) -> Result<(), Failure> {
    let count = options.last.unwrap_or(20);
    let body = ask(options, &format!("/api/v1/past-requests?limit={count}"))?;
    if options.json {
        return print_json(&body);
    }
    let line = |past: &PastReport| {
        let target = past.attempts.last();
        let target = target.and_then(|attempt| attempt.target.as_ref());
        let by = past.reason.as_ref().or(target).or(past.action.as_ref());
        let by = by.map_or("-", String::as_str);
        let method = match past.method.as_str() {
            "" => "-",
            method => method,
        };
        format!(
            "{} {:03} {method} {}{} {by} {}\n",
            past.time, past.status, past.host, past.path, past.trace_id
        )
    };
    print(&items(body)?.iter().map(line).collect::<String>())
}

fn ask(options: &Why, path: &str) -> Result<Value, Failure> {
    Client::new(&options.remote)?.fetch(path)
}

fn items(mut body: Value) -> Result<Vec<PastReport>, Failure> {
    known(body["items"].take())
}

fn known<T: DeserializeOwned>(body: Value) -> Result<T, Failure> {
    serde_json::from_value(body).map_err(|error| {
        Failure::from_error(
            "the running process answers in words of another version",
            &error,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trace_ids_are_told_from_urls() {
        let ids = [
            "1-67891233-abcdef012345678912345678",
            "Root=1-67891233-abcdef012345678912345678",
            "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678",
            "TID_00000000000000ab0000000000000001",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        let urls = [
            "http://127.0.0.1:8080/",
            "a-b-c",
            "my-host-name.test/x",
            "127.0.0.1:8080/a-b",
        ];
        assert!(ids.into_iter().all(is_trace));
        assert!(!urls.into_iter().any(is_trace));
    }
}
