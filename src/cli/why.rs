//! `pointsman why`: what would become of a request, rule by rule, without sending it.

use clap::Args;
use lb::RequestExplanation;

use super::Remote;
use super::client::{Client, segment};
use super::outcome::{Failure, print, print_json};

/// `pointsman why`.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// The URL as a client would ask for it
    url: String,
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
    let mut pairs = vec![("url", &options.url), ("method", &options.method)];
    pairs.extend(options.headers.iter().map(|header| ("header", header)));
    pairs.extend(options.source.iter().map(|source| ("source", source)));
    pairs.extend(options.listener.iter().map(|name| ("listener", name)));
    let query: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{key}={}", segment(value)))
        .collect();
    let path = format!("/api/v1/why?{}", query.join("&"));
    let body = Client::new(&options.remote)?.fetch(&path)?;
    if options.json {
        return print_json(&body);
    }
    let explanation: RequestExplanation = serde_json::from_value(body).map_err(|error| {
        Failure::from_error(
            "the running process answers in words of another version",
            &error,
        )
    })?;
    print(&explanation.to_string())
}
