//! What is bound and who answers there, and what records it: threads, counters, the query log's writer.
//!
//! Part of the control task, which alone opens and closes addresses.

use std::net::SocketAddr;
use std::sync::Arc;

use conf::DnsService;

use super::Control;
use crate::metrics::Counters;
use crate::server::bind::Sockets;
use crate::server::tcp::TcpCommand;
use crate::server::udp::UdpThread;
use crate::tap::{self, Tap};
use crate::wire::Transport;

/// An address being served.
pub(crate) struct Bound {
    pub(super) address: SocketAddr,
    threads: Vec<(UdpThread, Arc<Counters>)>,
}

impl Control {
    /// Has queries recorded, or no more, as a configuration says.
    pub(super) fn record(&mut self, service: &DnsService) {
        let wanted = service.query_log.is_some() || service.dnstap.is_some();
        let tap = &self.shared.tap;
        if wanted && let Some((commands, flags)) = self.writer.take() {
            let writer = tap::Writer::new(commands, flags, self.shared.snapshot.clone());
            let thread = std::thread::Builder::new().name("dns-log".to_owned());
            if let Err(error) = thread.spawn(move || writer.run()) {
                tracing::error!(%error, "cannot start the thread of the query log");
            }
        }
        if self.writer.is_none() {
            let identity = service.nsid.clone().or_else(|| service.hostname.clone());
            let (log, dnstap) = (service.query_log.clone(), service.dnstap.clone());
            tap.tell(tap::Command::Set(log, dnstap, identity.unwrap_or_default()));
        }
        let sample = service.query_log.as_ref().map_or(1, |log| log.sample);
        tap.set_sample(if wanted { sample } else { 0 });
    }

    /// Starts serving an address.
    pub(super) fn open(&mut self, configured: SocketAddr, sockets: Sockets) {
        let mut threads = Vec::new();
        for socket in sockets.udp {
            let counters = self.counters();
            let snapshot = self.shared.snapshot.clone();
            let tap = Tap::new(self.shared.tap.clone());
            let counted = counters.clone();
            let passing = (
                self.notified.clone(),
                self.orders.clone(),
                self.forwards.clone(),
            );
            let started =
                UdpThread::start(socket, sockets.address, snapshot, counted, tap, passing);
            match started {
                Ok(thread) => threads.push((thread, counters)),
                Err(error) => {
                    tracing::error!(address = %sockets.address, %error, "cannot start a DNS thread");
                    self.spare.push(counters);
                }
            }
        }
        for (worker, listener) in self.workers.iter().zip(sockets.tcp) {
            // A worker that ended closes the listener with the command.
            let _ = worker.send(TcpCommand::Serve(configured, listener));
        }
        let bound = Bound {
            address: sockets.address,
            threads,
        };
        self.bound.insert(configured, bound);
    }

    /// Stops serving an address; returns when its UDP sockets are closed.
    pub(super) async fn close(&mut self, configured: SocketAddr) {
        let Some(bound) = self.bound.remove(&configured) else {
            return;
        };
        for worker in &self.workers {
            let _ = worker.send(TcpCommand::Close(configured));
        }
        for (thread, _) in &bound.threads {
            thread.stop();
        }
        for (thread, counters) in bound.threads {
            thread.ended().await;
            self.spare.push(counters);
        }
    }

    /// Counters for a thread: those of one that ended, so that counts neither vanish nor pile up.
    fn counters(&mut self) -> Arc<Counters> {
        if let Some(counters) = self.spare.pop() {
            return counters;
        }
        let counters = Arc::new(Counters::new(Transport::Udp));
        self.shared.counters.rcu(|all| {
            let mut all = Vec::clone(all);
            all.push(counters.clone());
            all
        });
        counters
    }
}
