//! The DNS load of a comparison: a window of queries under way over UDP, every answer checked.
//!
//! `benches/compare/run` starts it on the CPU that the measured server does not have. It sends in
//! batches so that one CPU of load saturates one CPU of server. Prints one JSON object; exit code 1
//! when an answer was wrong. What the answers say is compared before, by the caller; here each must
//! be NOERROR with one answer (or NXDOMAIN without one) and the question asked.
//!
//! Cost: per query a share of one sendmmsg and its allocations, one recv, one clock reading.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time; there is no worker clock here"
)]

mod query;
mod window;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use benches::{Histogram, Poll};
use clap::Parser;
use window::Window;

/// A closed-loop DNS load generator.
#[derive(Debug, Parser)]
struct Arguments {
    /// The server's UDP address
    address: SocketAddr,
    /// Names to ask for, one a line; after a blank the IPv4 network of the client that asks, sent as
    /// client subnet option
    #[arg(long)]
    names: PathBuf,
    /// The names do not exist: each answer must be NXDOMAIN
    #[arg(long)]
    missing: bool,
    /// How long, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Sockets, each with a source port of its own
    #[arg(long, default_value_t = 4)]
    sockets: usize,
    /// Queries under way per socket
    #[arg(long, default_value_t = 32)]
    outstanding: usize,
}

/// How long an answer may take before its query counts as lost and its place is used again.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a run gave.
#[derive(Default)]
struct Outcome {
    latencies: Histogram,
    lost: u64,
    failures: u64,
    first_failure: Option<String>,
    length: Duration,
}

impl Outcome {
    fn to_json(&self) -> serde_json::Value {
        let micros = |share| self.latencies.percentile(share).as_secs_f64() * 1e6;
        serde_json::json!({
            "requests": self.latencies.total(),
            "seconds": self.length.as_secs_f64(),
            "p50_us": micros(0.5),
            "p99_us": micros(0.99),
            "lost": self.lost,
            "failures": self.failures,
            "first_failure": self.first_failure,
        })
    }
}

fn measure(arguments: &Arguments) -> io::Result<Outcome> {
    let queries = query::read_names(&arguments.names, arguments.missing)?;
    let length = Duration::try_from_secs_f64(arguments.seconds)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let mut poll = Poll::new()?;
    let mut windows = (0..arguments.sockets)
        .map(|token| {
            let first = token * queries.len() / arguments.sockets;
            let window = Window::open(arguments.address, &queries, first, arguments.outstanding)?;
            poll.add_readable(window.socket(), token)?;
            Ok(window)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let mut outcome = Outcome::default();
    let start = Instant::now();
    for window in &mut windows {
        window.fill()?;
    }
    let mut tokens = Vec::new();
    let mut swept = start;
    while start.elapsed() < length && outcome.failures == 0 {
        tokens.clear();
        poll.wait(Some(PATIENCE), &mut tokens)?;
        for &token in &tokens {
            if let Some(window) = windows.get_mut(token) {
                window.drain(&mut outcome)?;
                window.fill()?;
            }
        }
        if swept.elapsed() >= PATIENCE {
            swept = Instant::now();
            for window in &mut windows {
                outcome.lost += window.give_up_on_late(swept);
                window.fill()?;
            }
        }
    }
    outcome.length = start.elapsed();
    Ok(outcome)
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(outcome) => {
            println!("{}", outcome.to_json());
            ExitCode::from(u8::from(outcome.failures > 0))
        }
        Err(error) => {
            eprintln!("dnsload: {error}");
            ExitCode::FAILURE
        }
    }
}
