//! From an accepted connection to its protocol, by way of the handshake.
//!
//! Called by the worker for every connection of an `https` or `tls` listener. Which protocol is
//! spoken is the listener's matter and, for `https`, what was agreed on by ALPN.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use conf::ListenerProtocol;
use tokio::time::Instant;

use super::HandshakeFailure;
use crate::access_log::{FlowEnd, FlowKind, FlowRecord};
use crate::connection_log;
use crate::context::WorkerContext;
use crate::snapshot::Listener;
use crate::stream::{Accepted, Stream};

/// Agrees on TLS and serves what is inside, to the end.
pub(crate) async fn serve(
    mut accepted: Accepted,
    listener: Arc<Listener>,
    context: Rc<WorkerContext>,
) {
    let Some(terminator) = listener.tls.clone() else {
        return;
    };
    let started = Instant::now();
    let ends = (accepted.peer, accepted.local);
    let number = accepted.number;
    let scratch = context.ciphertext().clone();
    // Boxed: the connection should not carry the room for a handshake once it is done.
    let handshake = Box::pin(terminator.accept(accepted.stream, scratch)).await;
    drop(terminator);
    let counters = &listener.counters.of(context.worker()).tls;
    match handshake {
        Ok(stream) => {
            if let Some(session) = stream.session() {
                counters.done(session);
            }
            accepted.stream = Stream::Tls(Box::new(stream));
        }
        Err(failure) => {
            refuse(&failure, ends, started, &listener, &context);
            if listener.protocol.is_http() {
                connection_log::refused(&failure, ends, number, &listener, &context);
            }
            return;
        }
    }
    match listener.protocol {
        ListenerProtocol::Https => crate::l7::serve(accepted, listener, context).await,
        _ => Box::pin(crate::l4::serve(accepted, listener, context)).await,
    }
}

/// Counts and logs a handshake that failed.
pub(super) fn refuse(
    failure: &HandshakeFailure,
    (client, local): (SocketAddr, SocketAddr),
    started: Instant,
    listener: &Listener,
    context: &WorkerContext,
) {
    let counters = listener.counters.of(context.worker());
    counters.tls.fail(failure.reason);
    counters.flows(FlowKind::Tls).rejected.add(1);
    if !context.log().logs_flows() {
        return;
    }
    let (duration, time) = (started.elapsed(), SystemTime::now());
    let sentence = failure.to_string();
    context.log().flow(&FlowRecord {
        kind: FlowKind::Tls,
        time: time.checked_sub(duration).unwrap_or(time),
        listener: &listener.name,
        target_group: "",
        client,
        local,
        target: None,
        bytes_in: 0,
        bytes_out: 0,
        packets: None,
        connect: None,
        duration,
        retries: 0,
        termination: FlowEnd::Handshake,
        tls: Some(failure.record(&sentence)),
    });
}
