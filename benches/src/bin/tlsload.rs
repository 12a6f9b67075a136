//! The load of a comparison over TLS 1.3: handshakes in full, resumed ones, or bytes in bulk.
//!
//! `benches/compare/run` starts it on the CPU that the measured server does not have. Each
//! connection has a thread, because a client's handshake costs as much as the server's: there is
//! nothing to gain by an event loop. Certificates are not verified; answers are. Prints one JSON
//! object; exit code 1 when an answer was wrong, a connection failed or a session was not resumed.
#![forbid(unsafe_code)]
#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures real time; there is no worker clock here"
)]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::Histogram;
use clap::{Parser, ValueEnum};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, Stream};

/// How long one connection may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of one read in bulk.
const CHUNK: usize = 256 * 1024;

/// A closed-loop load generator over TLS.
#[derive(Debug, Parser)]
struct Arguments {
    /// What each connection does
    work: Work,
    /// The address under load
    address: SocketAddr,
    /// Connections open at the same time
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// How long, in seconds
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Work {
    /// a handshake in full, one HTTP/1.1 request
    Full,
    /// a resumed handshake, one HTTP/1.1 request
    Resumed,
    /// read as fast as bytes come
    Bulk,
}

/// What one thread, or all of them, did.
#[derive(Debug, Default)]
struct Outcome {
    latencies: Vec<Duration>,
    bytes: u64,
    failures: u64,
    first_failure: Option<String>,
}

impl Outcome {
    fn fail(&mut self, reason: &str) {
        self.failures += 1;
        self.first_failure.get_or_insert_with(|| reason.to_owned());
    }
}

fn settings(work: Work) -> Arc<ClientConfig> {
    let mut config = healthcheck::tls_client(&conf::TlsTrust::Anyone, b"", true);
    if work != Work::Resumed {
        config.resumption = Resumption::disabled();
    }
    Arc::new(config)
}

fn connect(
    address: SocketAddr,
    config: &Arc<ClientConfig>,
) -> io::Result<(ClientConnection, TcpStream)> {
    let name = ServerName::try_from("bench.test").map_err(io::Error::other)?;
    let connection = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    let socket = TcpStream::connect(address)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    Ok((connection, socket))
}

/// One connection with one request: whether its session went on from an earlier one.
fn request(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<bool> {
    let (mut connection, mut socket) = connect(address, config)?;
    let mut stream = Stream::new(&mut connection, &mut socket);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::with_capacity(1024);
    let mut room = [0; 1024];
    while !answer.ends_with(&benches::BODY) {
        match stream.read(&mut room)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => answer.extend_from_slice(room.get(..count).unwrap_or_default()),
        }
        if answer.len() > 4096 {
            return Err(io::Error::other("an answer that is none of the target's"));
        }
    }
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Err(io::Error::other("another status than 200"));
    }
    Ok(connection.handshake_kind() == Some(HandshakeKind::Resumed))
}

fn requests(work: Work, address: SocketAddr, end: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let config = settings(work);
    let mut first = true;
    while Instant::now() < end && outcome.failures == 0 {
        let started = Instant::now();
        match request(address, &config) {
            Err(error) => outcome.fail(&error.to_string()),
            Ok(false) if work == Work::Resumed && !first => outcome.fail("not resumed"),
            Ok(true) if work == Work::Full => outcome.fail("resumed"),
            Ok(_) => outcome.latencies.push(started.elapsed()),
        }
        first = false;
    }
    outcome
}

fn bulk(address: SocketAddr, end: Instant) -> Outcome {
    let mut outcome = Outcome::default();
    let read = |outcome: &mut Outcome| -> io::Result<()> {
        let (mut connection, mut socket) = connect(address, &settings(Work::Bulk))?;
        let mut stream = Stream::new(&mut connection, &mut socket);
        let mut room = vec![0; CHUNK];
        while Instant::now() < end {
            match stream.read(&mut room)? {
                0 => return Err(io::Error::other("the source ended")),
                count => outcome.bytes += count as u64,
            }
        }
        Ok(())
    };
    if let Err(error) = read(&mut outcome) {
        outcome.fail(&error.to_string());
    }
    outcome
}

fn main() -> ExitCode {
    let Arguments {
        work,
        address,
        connections,
        seconds,
    } = Arguments::parse();
    let started = Instant::now();
    let end = started + Duration::try_from_secs_f64(seconds).unwrap_or_default();
    let threads = (0..connections).map(|_| {
        std::thread::spawn(move || match work {
            Work::Bulk => bulk(address, end),
            _ => requests(work, address, end),
        })
    });
    let threads: Vec<_> = threads.collect();
    let (mut latencies, mut sum) = (Histogram::default(), Outcome::default());
    for thread in threads {
        let Ok(outcome) = thread.join() else {
            sum.fail("a thread panicked");
            continue;
        };
        outcome
            .latencies
            .iter()
            .for_each(|took| latencies.record(*took));
        sum.bytes += outcome.bytes;
        sum.failures += outcome.failures;
        sum.first_failure = sum.first_failure.or(outcome.first_failure);
    }
    let micros = |share| latencies.percentile(share).as_secs_f64() * 1e6;
    println!(
        "{}",
        serde_json::json!({
            "requests": latencies.total(),
            "seconds": started.elapsed().as_secs_f64(),
            "bytes": sum.bytes,
            "p50_us": micros(0.5),
            "p99_us": micros(0.99),
            "failures": sum.failures,
            "first_failure": sum.first_failure,
        })
    );
    ExitCode::from(u8::from(sum.failures > 0))
}
