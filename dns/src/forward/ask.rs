//! Asking the servers of a rule: one after the other, twice round, over UDP and, when the answer is cut
//! short, over TCP.
//!
//! Called by the task of forwarding. Every attempt has a socket, and so a port, of its own.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout_at};

use super::message::{Asked, Verdict, judge, question};

/// Until a server is given up for the next one: more than any round trip on Earth.
const PATIENCE: Duration = Duration::from_millis(800);
/// Times that each server is asked.
const ROUNDS: usize = 2;
/// Until nothing more is tried: clients ask again after five seconds, as a rule.
const WHOLE: Duration = Duration::from_millis(4500);

/// The first good answer of the servers; `None` when none gives one in time.
pub(super) async fn ask(servers: &[SocketAddr], asked: &Asked) -> Option<Vec<u8>> {
    let end = Instant::now() + WHOLE;
    for _ in 0..ROUNDS {
        for &server in servers {
            let deadline = end.min(Instant::now() + PATIENCE);
            let sent = question(asked, rand::random());
            let answer = timeout_at(deadline, datagram(server, &sent)).await;
            match answer.ok().and_then(Result::ok) {
                Some((Verdict::Good, answer)) => return Some(answer),
                Some((Verdict::Truncated, _)) => {
                    let deadline = end.min(Instant::now() + 2 * PATIENCE);
                    let answer = timeout_at(deadline, stream(server, &sent)).await;
                    if let Ok(Ok(answer)) = answer
                        && judge(&sent, &answer) == Verdict::Good
                    {
                        return Some(answer);
                    }
                }
                _ => {}
            }
            if Instant::now() >= end {
                return None;
            }
        }
    }
    None
}

/// Asks by datagram; waits past what is not the answer.
async fn datagram(server: SocketAddr, sent: &[u8]) -> std::io::Result<(Verdict, Vec<u8>)> {
    let local = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(local).await?;
    // The kernel gives it only what this server sends.
    socket.connect(server).await?;
    socket.send(sent).await?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let answer = buffer.get(..length).unwrap_or_default();
        let verdict = judge(sent, answer);
        if verdict != Verdict::Other {
            return Ok((verdict, answer.to_vec()));
        }
    }
}

async fn stream(server: SocketAddr, sent: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = (sent.len() as u16).to_be_bytes();
    stream.write_all(&[&length[..], sent].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; length.into()];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}
