//! What is logged of a client's connection to an `http` or `https` listener: one record once it is known
//! whether it is let in (after the handshake, if there is one), as JSON or as ALB does (see `alb`).
//!
//! Its trace ID leads from the lines of its exchanges to its own. It is made of two numbers when a log
//! writes it, so that a connection carries no text.

use std::fmt;
use std::net::SocketAddr;
use std::time::SystemTime;

use super::flow::TlsRecord;
use super::json::{Line, quoted};

/// What a connection is known by in the logs: `TID_` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConnectionTrace {
    /// Drawn by the worker when it started.
    pub worker: u64,
    /// The connection's number at that worker.
    pub number: u64,
}

impl fmt::Display for ConnectionTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TID_{:016x}{:016x}", self.worker, self.number)
    }
}

/// One connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionRecord<'a> {
    /// When it was let in, or refused.
    pub time: SystemTime,
    /// The listener's name.
    pub listener: &'a str,
    /// The client.
    pub client: SocketAddr,
    /// The address it used.
    pub local: SocketAddr,
    /// What it is known by.
    pub trace: ConnectionTrace,
    /// What was agreed on, or why nothing was; `None` in clear text.
    pub tls: Option<TlsRecord<'a>>,
}

impl ConnectionRecord<'_> {
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.word(quoted!("type"), "connection");
        line.word(quoted!("listener"), self.listener);
        let failed = self.tls.is_some_and(|tls| tls.failure.is_some());
        line.word(quoted!("action"), if failed { "reject" } else { "accept" });
        line.ends(self.client, self.local);
        if let Some(tls) = &self.tls {
            tls.write(line);
            if let Some(client) = tls.client {
                line.word(quoted!("tls_client_validity"), client.validity);
            }
        }
        line.display(quoted!("conn_trace_id"), self.trace);
    }
}
