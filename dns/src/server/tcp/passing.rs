//! What a connection's messages ask of others: updates, and questions for other servers.
//!
//! The connection waits for their answers, as it does for its own.

use std::net::IpAddr;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Service, frame, tcp_query};
use crate::forward::Forward;
use crate::server::order::{self, ReplyTo, Taken};
use crate::tap::Kind;
use crate::wire::Transport;

impl Service {
    /// Has an update carried out and appends its answer; false when nobody does that here. One that
    /// is dropped on the way gets none, and the client asks again.
    pub(super) async fn update(&self, packet: &[u8], peer: IpAddr, output: &mut Vec<u8>) -> bool {
        let transfers = self.snapshot.load().transfers.clone();
        let now = self.clock.at(Instant::now()).unix;
        let (answer, answered) = oneshot::channel();
        let to = || ReplyTo::Stream(answer);
        match order::take(&self.orders, &transfers, packet, (peer, now), to) {
            None => return false,
            Some(Taken::Reply(message)) => {
                self.pass(Kind::Update, (packet, peer), &message, output)
            }
            Some(Taken::Queued) => {
                if let Ok(message) = answered.await {
                    self.pass(Kind::Update, (packet, peer), &message, output);
                }
            }
        }
        true
    }

    /// Has another server asked and appends its answer; false for what is answered here. What is
    /// dropped on the way gets no answer, and the client asks again.
    pub(super) async fn forward(&self, query: &[u8], peer: IpAddr, output: &mut Vec<u8>) -> bool {
        let snapshot = self.snapshot.load_full();
        if snapshot.rules.is_empty() {
            return false;
        }
        let found = self
            .desk
            .borrow_mut()
            .answerer
            .forwarded(&snapshot, query, peer);
        drop(snapshot);
        let Some((rule, asked)) = found else {
            return false;
        };
        let (answer, answered) = oneshot::channel();
        let sent = self.forwards.try_send(Forward {
            rule,
            asked,
            transport: Transport::Tcp,
            to: ReplyTo::Stream(answer),
        });
        if sent.is_ok()
            && let Ok(message) = answered.await
        {
            self.pass(Kind::Forwarded, (query, peer), &message, output);
        }
        true
    }

    /// Records and appends what others answered.
    fn pass(
        &self,
        kind: Kind,
        (packet, peer): (&[u8], IpAddr),
        message: &[u8],
        output: &mut Vec<u8>,
    ) {
        let now = self.clock.at(Instant::now()).unix_micros;
        let query = tcp_query(kind, packet, peer);
        self.desk.borrow_mut().tap.record(query, message, now);
        frame(message, output);
    }
}
