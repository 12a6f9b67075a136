//! `pointsman dns answer` and `pointsman test`: what would be answered and why, and tables of it.
//!
//! Live answers come from the running process by its API; with `-c` a file is read and asked here,
//! nothing bound, probed or sent. Both are the DNS server's own answering.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use dns::Offline;
use dns::cases::{self, ConfigSource};
use dns::explain::{Explanation, Words};
use serde_json::json;

use super::Remote;
use super::client::Client;
use super::outcome::{Failure, print, print_json};

/// `pointsman dns`.
#[derive(Debug, Subcommand)]
pub(super) enum DnsCommand {
    /// Show what a name would be answered, and how that comes about; not counted as traffic
    Answer(Answer),
}

/// `pointsman dns answer`.
#[derive(Debug, Args)]
pub(super) struct Answer {
    /// The name
    name: String,
    /// The type
    #[arg(default_value = "A")]
    r#type: String,
    /// Asked by this address
    #[arg(long, value_name = "IP", conflicts_with_all = ["country", "ecs"])]
    from: Option<String>,
    /// Asked from a country (DE) or a state of the USA (US-CA)
    #[arg(long, value_name = "CC", conflicts_with = "ecs")]
    country: Option<String>,
    /// Asked by a believed resolver for a client of this network
    #[arg(long, value_name = "NET")]
    ecs: Option<String>,
    /// What draws follow from [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Ask this file instead of the running process; everything in it is healthy
    #[arg(
        short = 'c',
        long = "config",
        value_name = "FILE",
        conflicts_with = "admin"
    )]
    config: Option<PathBuf>,
    /// With -c: a health check, target group or target (GROUP/ADDRESS) that is down, or NAME=STATE
    #[arg(long, value_name = "NAME", requires = "config")]
    down: Vec<String>,
    #[command(flatten)]
    remote: Remote,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `pointsman test`.
#[derive(Debug, Args)]
pub(super) struct Test {
    /// Tables of expected answers
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The configuration to ask, where a table does not name one
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Answers and explains.
pub(super) fn answer(options: &Answer) -> Result<(), Failure> {
    let words = Words {
        name: options.name.clone(),
        rtype: Some(options.r#type.clone()),
        from: options.from.clone(),
        ecs: options.ecs.clone(),
        country: options.country.clone(),
        seed: options.seed,
    };
    let ask = words.read().map_err(Failure::Usage)?;
    let explained = match &options.config {
        None => live(&options.remote, &words)?,
        Some(file) => {
            let mut offline = load(file).map_err(Failure::Config)?;
            let said: Vec<(&str, &str)> = options.down.iter().map(|name| state_of(name)).collect();
            let said = offline.set(&said);
            said.map_err(|error| Failure::Usage(error.to_string()))?;
            let explained = offline.explainer(false).explain(&ask);
            explained.map_err(|error| Failure::Failed(error.to_string()))?
        }
    };
    if options.json {
        let value = serde_json::to_value(&explained);
        return print_json(&value.map_err(|error| Failure::from_error("cannot print", &error))?);
    }
    print(&explained.to_string())
}

fn state_of(name: &str) -> (&str, &str) {
    name.rsplit_once('=').unwrap_or((name, "down"))
}

fn live(remote: &Remote, words: &Words) -> Result<Explanation, Failure> {
    let pairs = [
        ("name", Some(words.name.clone())),
        ("type", words.rtype.clone()),
        ("from", words.from.clone()),
        ("ecs", words.ecs.clone()),
        ("country", words.country.clone()),
        ("seed", words.seed.map(|seed| seed.to_string())),
    ];
    let pairs = pairs.into_iter();
    let query: Vec<String> = pairs
        .filter_map(|(key, value)| Some(format!("{key}={}", escaped(&value?))))
        .collect();
    let path = format!("/api/v1/dns/answer?{}", query.join("&"));
    let body = Client::new(remote)?.fetch(&path)?;
    serde_json::from_value(body).map_err(|error| {
        Failure::from_error(
            "the running process answers in words of another version",
            &error,
        )
    })
}

/// For the query of a URL (RFC 3986 section 2.1).
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// A file ready to be asked, or its problems.
fn load(file: &Path) -> Result<Offline, String> {
    ready(conf::load(file))
}

fn ready(mut loaded: conf::Loaded) -> Result<Offline, String> {
    let (zones, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    loaded.add(problems);
    if loaded.has_errors() {
        return Err(conf::render_human(
            &loaded.diagnostics,
            &loaded.sources,
            false,
        ));
    }
    Ok(Offline::new(Arc::new(loaded.config), &zones))
}

/// Runs tables; fails when an expectation is not met.
pub(super) fn test(options: &Test) -> Result<(), Failure> {
    let mut text = String::new();
    let mut reports = Vec::new();
    let (mut checked, mut failed) = (0, 0);
    for file in &options.files {
        let table = std::fs::read_to_string(file).map_err(|error| {
            Failure::from_error(format!("cannot read {}", file.display()), &error)
        })?;
        let fallback = match &options.config {
            Some(config) => Some(load(config).map_err(Failure::Config)?),
            None => None,
        };
        let folder = file.parent().unwrap_or(Path::new(""));
        let outcome = cases::run(&table, fallback, &|source| match source {
            ConfigSource::File(path) => load(&folder.join(path)),
            ConfigSource::Text(text) => ready(conf::load_text(file, text)),
        });
        checked += outcome.checked;
        failed += outcome.failures.len();
        for failure in &outcome.failures {
            let question = failure.question.as_deref();
            let question = question.map_or(String::new(), |question| format!("{question}: "));
            text.push_str(&format!(
                "{}:{}: {question}{}\n",
                file.display(),
                failure.line,
                failure.message.trim_end()
            ));
            reports.push(json!({
                "file": file,
                "line": failure.line,
                "question": failure.question,
                "message": failure.message,
            }));
        }
    }
    if options.json {
        print_json(&json!({ "checked": checked, "failures": reports }))?;
    } else {
        print(&text)?;
    }
    match failed {
        0 if options.json => Ok(()),
        0 => print(&format!("{checked} expectations, all met\n")),
        _ => Err(Failure::Failed(format!(
            "{failed} of {checked} expectations were not met"
        ))),
    }
}
