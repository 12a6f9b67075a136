//! One socket and its window of queries under way.
//!
//! A query's ID is the number of its place in the window, so an answer finds its query by an index
//! and a place is used again when its answer came or its patience ran out.
//!
//! Cost: one sendmmsg per batch of up to 32 queries, one recv per answer.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

use crate::query::Query;
use crate::{Outcome, PATIENCE};

/// Queries per sendmmsg.
const BATCH: usize = 32;
/// Largest answer taken: above any EDNS size the queries offer.
const LARGEST: usize = 4096;

/// A query under way.
struct Pending {
    query: usize,
    sent: Instant,
}

/// A connected UDP socket and the queries under way on it.
pub struct Window<'q> {
    socket: UdpSocket,
    queries: &'q [Query],
    next: usize,
    places: Vec<Option<Pending>>,
    free: Vec<u16>,
    packets: Vec<Vec<u8>>,
    buffer: Vec<u8>,
}

impl<'q> Window<'q> {
    /// Opens a socket to `address`; asks `queries` in turn, starting at the one numbered `first`.
    pub fn open(
        address: SocketAddr,
        queries: &'q [Query],
        first: usize,
        outstanding: usize,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(address)?;
        socket.set_nonblocking(true)?;
        let last = u16::try_from(outstanding)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "too many outstanding"))?;
        Ok(Self {
            socket,
            queries,
            next: first,
            places: (0..last).map(|_| None).collect(),
            free: (0..last).collect(),
            packets: vec![Vec::new(); BATCH],
            buffer: vec![0; LARGEST],
        })
    }

    /// The socket, to be polled.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Sends queries until the window is full or the socket takes no more.
    pub fn fill(&mut self) -> io::Result<()> {
        while !self.free.is_empty() {
            let batch = self.free.len().min(BATCH);
            let places = self.free.split_off(self.free.len() - batch);
            let sent = Instant::now();
            for (packet, &place) in self.packets.iter_mut().zip(&places) {
                let index = self.next % self.queries.len();
                self.next = index + 1;
                let Some(query) = self.queries.get(index) else {
                    continue;
                };
                packet.clear();
                packet.extend_from_slice(&place.to_be_bytes());
                packet.extend_from_slice(query.packet.get(2..).unwrap_or_default());
                if let Some(slot) = self.places.get_mut(usize::from(place)) {
                    *slot = Some(Pending { query: index, sent });
                }
            }
            let accepted = self.send(batch)?;
            for &place in places.iter().skip(accepted) {
                if let Some(slot) = self.places.get_mut(usize::from(place)) {
                    *slot = None;
                }
                self.free.push(place);
            }
            if accepted < batch {
                break;
            }
        }
        Ok(())
    }

    fn send(&self, batch: usize) -> io::Result<usize> {
        let slices: Vec<[IoSlice<'_>; 1]> = self
            .packets
            .iter()
            .take(batch)
            .map(|packet| [IoSlice::new(packet)])
            .collect();
        let mut controls: Vec<SendAncillaryBuffer<'_, '_, '_>> =
            (0..batch).map(|_| SendAncillaryBuffer::default()).collect();
        let mut messages: Vec<MMsgHdr<'_>> = slices
            .iter()
            .zip(&mut controls)
            .map(|(slice, control)| MMsgHdr::new(slice, control))
            .collect();
        match sendmmsg(&self.socket, &mut messages, SendFlags::empty()) {
            Ok(sent) => Ok(sent),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::NOBUFS) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes every answer that came.
    pub fn drain(&mut self, outcome: &mut Outcome) -> io::Result<()> {
        loop {
            let received = match self.socket.recv(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            self.take(received, outcome);
        }
    }

    /// One answer; late ones, whose place was given up, are ignored.
    fn take(&mut self, received: usize, outcome: &mut Outcome) {
        let answer = self.buffer.get(..received).unwrap_or_default();
        let Some(&[high, low]) = answer.first_chunk::<2>() else {
            return;
        };
        let place = u16::from_be_bytes([high, low]);
        let Some(slot) = self.places.get_mut(usize::from(place)) else {
            return;
        };
        let Some(pending) = slot.take() else {
            return;
        };
        self.free.push(place);
        outcome.latencies.record(pending.sent.elapsed());
        if let Some(query) = self.queries.get(pending.query)
            && let Err(reason) = query.is_answered_by(answer)
        {
            outcome.failures += 1;
            outcome.first_failure.get_or_insert(reason);
        }
    }

    /// Frees the places of queries that waited too long; returns how many.
    pub fn give_up_on_late(&mut self, now: Instant) -> u64 {
        let mut late = 0;
        for (place, slot) in (0_u16..).zip(&mut self.places) {
            if slot
                .as_ref()
                .is_some_and(|pending| now.duration_since(pending.sent) > PATIENCE)
            {
                *slot = None;
                self.free.push(place);
                late += 1;
            }
        }
        late
    }
}
