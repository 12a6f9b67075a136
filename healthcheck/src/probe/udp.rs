//! The UDP probe: a datagram from a connected socket.
//!
//! The kernel reports an ICMP "port unreachable" for the datagram as ECONNREFUSED on the socket
//! that sent it: nobody listens there. Silence passes, as UDP services need not answer, unless the
//! check says what an answer begins with (Huawei's `UDP_CONNECT`).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use conf::UdpCheck;
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::connection::Stopwatch;
use super::{ProbePlan, shown_line};
use crate::{Observation, Outcome};

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 2048;

/// Passes when the target answers as it should, or may be silent and is.
pub(super) async fn probe(plan: &ProbePlan, check: &UdpCheck) -> Observation {
    let mut watch = Stopwatch::start();
    let due = watch.started() + plan.limits.total;
    let mut answer = [0; MAX_ANSWER];
    let Some(address) = plan.address.socket_addr() else {
        // Refused where the configuration is read.
        return watch.end(Outcome::Failed, "a Unix socket takes no datagrams here");
    };
    let exchange = timeout_at(due, ask(address, &check.send, &mut answer));
    let length = match (exchange.await, &check.receive) {
        (Ok(Ok(length)), _) => length,
        (Ok(Err(error)), _) if error.kind() == io::ErrorKind::ConnectionRefused => {
            return watch.end(Outcome::Failed, "port unreachable");
        }
        (Ok(Err(error)), _) => return watch.error(&error),
        (Err(_), Some(_)) => return watch.late("answer", plan.limits.total),
        (Err(_), None) => {
            let seen = format!("not unreachable within {:?}", plan.limits.total);
            return watch.end(Outcome::Passed, &seen);
        }
    };
    watch.first_byte();
    watch.response();
    let answer = answer.get(..length).unwrap_or_default();
    let expected = check.receive.as_deref().unwrap_or_default();
    let line = shown_line(answer);
    match answer.starts_with(expected) {
        true => watch.end(Outcome::Passed, &format!("answered {length} bytes: {line}")),
        false => watch.end(Outcome::Failed, &format!("another answer: {line}")),
    }
}

async fn ask(address: SocketAddr, datagram: &[u8], answer: &mut [u8]) -> io::Result<usize> {
    let own: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(own).await?;
    socket.connect(address).await?;
    socket.send(datagram).await?;
    socket.recv(answer).await
}
