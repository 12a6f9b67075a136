//! How long round trips to clients take, told when their connections end.
//!
//! Off unless somebody asks; the root package gathers what is told. A watched connection has a second
//! descriptor of its socket until it ends, so that the kernel can be asked once all is done: 1,024 at a
//! time, of clients on the internet. Clients behind a proxy are not told of: the trip to it is not theirs.
//!
//! Cost: off, one relaxed load per accepted connection; on, a `dup` and a `getsockopt` for each.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::stream::shortest_round_trip;

/// Connections watched at a time: enough to know where clients are, few enough to spare descriptors.
const WATCHED: usize = 1024;

/// What may wait to be looked at; more is dropped and counted.
const WAITING: usize = 1024;

/// A client's connection that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// The client.
    pub client: IpAddr,
    /// The shortest round trip that the kernel saw.
    pub time: Duration,
}

/// Where round trips are told. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RoundTrips(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    on: AtomicBool,
    watched: AtomicUsize,
    told: mpsc::Sender<RoundTrip>,
    dropped: AtomicU64,
}

impl RoundTrips {
    /// Off, and what will be told.
    pub fn new() -> (Self, mpsc::Receiver<RoundTrip>) {
        let (told, receiver) = mpsc::channel(WAITING);
        let inner = Inner {
            on: AtomicBool::new(false),
            watched: AtomicUsize::new(0),
            told,
            dropped: AtomicU64::new(0),
        };
        (Self(Arc::new(inner)), receiver)
    }

    /// Has connections accepted from now on told of, or none.
    pub fn set(&self, on: bool) {
        self.0.on.store(on, Ordering::Relaxed);
    }

    /// Round trips that nobody took in time.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Has a client's connection told of when the result is dropped, which must be when it ends.
    pub(crate) fn watch(&self, stream: &TcpStream, peer: SocketAddr) -> Option<Box<Watched>> {
        if !self.0.on.load(Ordering::Relaxed) {
            return None;
        }
        self.watched(stream, peer.ip().to_canonical())
    }

    #[cold]
    fn watched(&self, stream: &TcpStream, client: IpAddr) -> Option<Box<Watched>> {
        if !is_public(client) {
            return None;
        }
        let watched = &self.0.watched;
        if watched.fetch_add(1, Ordering::Relaxed) >= WATCHED {
            watched.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let place = Place(self.clone());
        // Without a descriptor to spare there are better uses for one.
        let socket = stream.as_fd().try_clone_to_owned().ok()?;
        Some(Box::new(Watched {
            client,
            socket,
            place,
        }))
    }
}

/// A connection that is told of at its end.
#[derive(Debug)]
pub(crate) struct Watched {
    client: IpAddr,
    socket: OwnedFd,
    place: Place,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let Some(time) = shortest_round_trip(self.socket.as_fd()) else {
            return;
        };
        let Self { client, .. } = *self;
        let inner = &self.place.0.0;
        if inner.told.try_send(RoundTrip { client, time }).is_err() {
            inner.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A place among the watched.
#[derive(Debug)]
struct Place(RoundTrips);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.watched.fetch_sub(1, Ordering::Relaxed);
    }
}

/// True for addresses that can be anywhere: neither this machine's nor a private network's.
fn is_public(client: IpAddr) -> bool {
    match client {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_unspecified())
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    /// A connection over loopback, as if its client had that address.
    async fn connection() -> (TcpStream, TcpStream) {
        #[expect(clippy::disallowed_methods, reason = "both ends are the test's own")]
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_is_told_of_at_its_end_when_somebody_asks() {
        let (trips, mut told) = RoundTrips::new();
        let (_client, server) = connection().await;
        let peer: SocketAddr = "192.0.2.7:1234".parse().unwrap();
        assert!(trips.watch(&server, peer).is_none());
        trips.set(true);
        let watched = trips.watch(&server, peer).unwrap();
        drop(server);
        assert!(told.try_recv().is_err());
        drop(watched);
        let trip = told.try_recv().unwrap();
        assert_eq!(trip.client, peer.ip());
        assert!(trip.time < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn private_clients_and_more_than_a_thousand_are_not_watched() {
        let (trips, mut told) = RoundTrips::new();
        trips.set(true);
        let (_client, server) = connection().await;
        for private in [
            "127.0.0.1:1",
            "10.0.0.1:1",
            "[fd00::1]:1",
            "[::ffff:192.168.0.1]:1",
        ] {
            assert!(trips.watch(&server, private.parse().unwrap()).is_none());
        }
        let peer: SocketAddr = "[2001:db8::1]:1".parse().unwrap();
        let mut all: Vec<_> = (0..100)
            .map(|_| trips.watch(&server, peer).unwrap())
            .collect();
        trips.0.watched.store(WATCHED, Ordering::Relaxed);
        assert!(trips.watch(&server, peer).is_none());
        all.pop();
        assert!(trips.watch(&server, peer).is_some());
        drop(all);
        assert_eq!(trips.0.watched.load(Ordering::Relaxed), WATCHED - 100);
        assert!(told.try_recv().is_ok());
    }
}
