//! A stream to a chosen target that speaks HTTP/2, and who may ask for one.
//!
//! Called by the dispatcher. Cost: what [`Pool::way`] costs, unless a connection is to be made.

use std::time::Duration;

use tokio::time::Instant;

use super::pool::{Making, Way};
use super::{TargetStream, grpc};
use crate::context::Choice;
use crate::l7::buffer::Buffers;
use crate::l7::client_connection::ClientConnection;
use crate::l7::failure::Failure;
use crate::metrics::RetryReason;
use crate::stream::Stream;

/// What a response came to, as an HTTP status: a call's own status if that tells of a failure.
pub(in crate::l7) fn status_of(target: &Stream, status: u16) -> u16 {
    let Stream::Http2Target(target) = target else {
        return status;
    };
    let called = TargetStream::grpc_status(target).map(grpc::as_http);
    called.filter(|called| *called >= 500).unwrap_or(status)
}

impl ClientConnection {
    /// Why the request cannot go to the chosen group, by what both speak (ELB's 464): HTTP/1.1 to
    /// HTTP/2 or gRPC, calls to HTTP/1.1, and to gRPC anything but POST.
    pub(in crate::l7) fn mismatch(&self, choice: &Choice, buffers: &Buffers) -> Option<Failure> {
        let fits = match (self.side.is_http2(), choice.protocol.is_http2()) {
            (false, is_http2) => !is_http2,
            (true, false) => !self.side.is_grpc(),
            (true, true) => !choice.protocol.is_grpc() || buffers.to_target.starts_with(b"POST "),
        };
        (!fits).then_some(Failure::VersionMismatch)
    }

    /// A stream to the chosen target; on a new connection, and how long that took, if `fresh` or
    /// if no other has a place.
    pub(in crate::l7) async fn reach_http2(
        &mut self,
        choice: &Choice,
        fresh: bool,
        now: Instant,
    ) -> Result<(Stream, Option<Duration>), Failure> {
        let (mut stream, connect) = self.reach_stream(choice, fresh, now).await?;
        if self.side.tunnels()
            && let Stream::Http2Target(target) = &mut stream
        {
            // The settings come with the connection, so its time is theirs.
            let takes = tokio::time::timeout(choice.connect_timeout, target.tunnel());
            if takes.await != Ok(true) {
                return Err(Failure::NoTunnels);
            }
        }
        Ok((stream, connect))
    }

    async fn reach_stream(
        &mut self,
        choice: &Choice,
        fresh: bool,
        now: Instant,
    ) -> Result<(Stream, Option<Duration>), Failure> {
        let context = self.context.clone();
        let pool = &context.l7().http2;
        if choice.is_personal() {
            let stream = self.connect_http2(choice, None).await?;
            return Ok((stream, Some(now.elapsed())));
        }
        loop {
            match pool.way(&choice.target, choice.tls.as_ref(), fresh) {
                Way::Stream(stream) => return Ok((Stream::Http2Target(stream), None)),
                Way::Wait(coming) => {
                    if let Err(failure) = coming.wait().await {
                        self.connect_retry = RetryReason::Refused;
                        return Err(failure);
                    }
                }
                Way::Connect(making) => {
                    let stream = self.connect_http2(choice, Some(making)).await?;
                    return Ok((stream, Some(now.elapsed())));
                }
            }
        }
    }

    /// Connects, and takes a stream of the new connection; others get some of it if it is `making`.
    async fn connect_http2(
        &mut self,
        choice: &Choice,
        making: Option<Making>,
    ) -> Result<Stream, Failure> {
        let fail = |making: Option<Making>, failure| {
            if let Some(making) = making {
                making.fail(failure);
            }
            failure
        };
        let client = self.introduced();
        let socket = match self.context.reach(choice, &client).await {
            Ok(socket) => socket,
            Err(error) => {
                self.connect_retry = error.retry_reason();
                return Err(fail(making, Failure::of_connect(&error)));
            }
        };
        let connection = (socket, choice.tls.clone());
        let pool = &self.context.l7().http2;
        let begun = pool.begin(&choice.target, connection, making.is_some());
        match begun.await {
            Ok(stream) => Ok(Stream::Http2Target(Box::new(stream))),
            Err(_) => {
                self.connect_retry = RetryReason::Refused;
                Err(fail(making, Failure::TargetClosed))
            }
        }
    }
}
