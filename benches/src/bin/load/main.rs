//! The load of a comparison: N connections in a closed loop for some seconds, every answer checked.
//!
//! `benches/compare/run` starts it on the CPU that the measured server does not have. Prints one
//! JSON object; exit code 1 when an answer was wrong or a connection failed. It never measures the
//! server's CPU: that is the caller's, from /proc.
#![forbid(unsafe_code)]

mod bulk;
mod conversation;
mod datagrams;
mod driver;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use conversation::{HttpExchange, Message};
use driver::Driver;

/// A closed-loop load generator.
#[derive(Debug, Parser)]
struct Arguments {
    /// What each connection does
    work: Work,
    /// The address under load
    address: SocketAddr,
    /// Connections open at the same time
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Bytes of a message
    #[arg(long, default_value_t = 128)]
    size: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Work {
    /// HTTP/1.1 requests on connections that are kept
    Http,
    /// the same by clients that keep the cookie they are given
    HttpCookies,
    /// one HTTP/1.1 request per connection
    HttpClose,
    /// TCP messages to an echo, each sent after the last came back
    Messages,
    /// read as fast as bytes come
    Bulk,
    /// UDP messages to an echo, each sent after the last came back
    Datagrams,
}

fn measure(arguments: &Arguments) -> io::Result<driver::Outcome> {
    let Arguments {
        address,
        connections,
        ..
    } = *arguments;
    let length = Duration::try_from_secs_f64(arguments.seconds)
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let host = address.to_string();
    match arguments.work {
        Work::Http => Driver::open(address, connections, || HttpExchange::kept(&host))?.run(length),
        Work::HttpCookies => {
            Driver::open(address, connections, || HttpExchange::with_cookies(&host))?.run(length)
        }
        Work::HttpClose => {
            Driver::open(address, connections, || HttpExchange::closing(&host))?.run(length)
        }
        Work::Messages => {
            Driver::open(address, connections, || Message::of(arguments.size))?.run(length)
        }
        Work::Bulk => bulk::read(address, connections, length),
        Work::Datagrams => datagrams::run(address, connections, arguments.size, length),
    }
}

fn main() -> ExitCode {
    match measure(&Arguments::parse()) {
        Ok(outcome) => {
            println!("{}", outcome.to_json());
            ExitCode::from(u8::from(outcome.failures > 0))
        }
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}
