//! The connection log's lines: one per client's connection to an `http` or `https` listener.
//!
//! Called where a connection is handed to HTTP and where its handshake failed. Cost without the log:
//! one relaxed load per connection.

use std::net::SocketAddr;
use std::time::SystemTime;

use crate::access_log::{ConnectionRecord, TlsRecord};
use crate::context::WorkerContext;
use crate::snapshot::Listener;
use crate::stream::Accepted;
use crate::tls::HandshakeFailure;

/// A client's connection was let in.
pub(crate) fn accepted(accepted: &Accepted, listener: &Listener, context: &WorkerContext) {
    if context.log().logs_connections() {
        let tls = accepted.stream.session().map(|session| session.record());
        let ends = (accepted.peer, accepted.local);
        log(ends, accepted.number, tls, listener, context);
    }
}

/// No TLS was agreed on with a client.
pub(crate) fn refused(
    failure: &HandshakeFailure,
    ends: (SocketAddr, SocketAddr),
    number: u64,
    listener: &Listener,
    context: &WorkerContext,
) {
    if context.log().logs_connections() {
        let sentence = failure.to_string();
        let tls = failure.record(&sentence);
        log(ends, number, Some(tls), listener, context);
    }
}

fn log(
    (client, local): (SocketAddr, SocketAddr),
    number: u64,
    tls: Option<TlsRecord<'_>>,
    listener: &Listener,
    context: &WorkerContext,
) {
    context.log().connection(&ConnectionRecord {
        time: SystemTime::now(),
        listener: &listener.name,
        client,
        local,
        trace: context.connection_trace(number),
        tls,
    });
}
