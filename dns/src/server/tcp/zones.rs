//! Whole zones and their changes over a connection (AXFR, IXFR), message by message.
//!
//! What was asked and the first message of the answer are recorded as other queries are.

use std::io;
use std::net::IpAddr;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Service, frame, tcp_query};
use crate::tap::Kind;
use crate::transfer::{Begin, begin};
use crate::wire::Transport;

impl Service {
    /// Answers a question for a zone.
    pub(super) async fn transfer(
        &self,
        stream: &mut TcpStream,
        query: &[u8],
        peer: IpAddr,
        output: &mut Vec<u8>,
    ) -> io::Result<()> {
        let outgoing = self.snapshot.load().transfers.clone();
        let now = || self.clock.at(Instant::now());
        let record = |message: &[u8]| {
            let desk = &mut *self.desk.borrow_mut();
            let micros = now().unix_micros;
            desk.tap
                .record(tcp_query(Kind::Answered, query, peer), message, micros);
        };
        match begin(&outgoing, query, peer, Transport::Tcp, now().unix) {
            None => Ok(()),
            Some(Begin::Reply(message)) => {
                record(&message);
                frame(&message, output);
                self.write(stream, output).await
            }
            Some(Begin::Stream(mut zone)) => {
                let mut is_first = true;
                while let Some(message) = zone.next(now().unix) {
                    if std::mem::take(&mut is_first) {
                        record(&message);
                    }
                    frame(&message, output);
                    self.write(stream, output).await?;
                }
                Ok(())
            }
        }
    }
}
