//! What a name answers at this moment: the DNS server's own answering, asked without a socket and
//! without being counted.
//!
//! Where the client's place decides, a client of each kind asks. Where chance decides, it is asked many times with the same seed, so that every answer that is
//! likely shows and the page does not flicker.

use std::net::IpAddr;

use conf::{Policy, RecordType};
use dns::{Answerer, Name, Snapshot, Transport};
use hickory_proto::op::Message;
use hickory_proto::rr::Record;

/// Questions where chance decides: a set that one question in ten gets is missed once in 800 times.
const DRAWS: usize = 64;
/// Questions about one record at most, as long as each kind of client asks once: a record may tell
/// a thousand of them apart.
const MAX_QUESTIONS: usize = 1024;
/// The largest DNS message, so that nothing is truncated.
const MAX_MESSAGE: usize = 65_535;
const SEED: u64 = 1;

/// Asks one snapshot.
pub(super) struct Asker<'a> {
    snapshot: &'a Snapshot,
    answerer: Answerer,
    buffer: Vec<u8>,
}

impl<'a> Asker<'a> {
    /// Asks this snapshot.
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Self {
            snapshot,
            answerer: Answerer::new(SEED),
            buffer: vec![0; MAX_MESSAGE],
        }
    }

    /// The different answers, sorted; each as record data, a type that was not asked for before it.
    pub(super) fn ask(&mut self, owner: &Name, rtype: RecordType, policy: Policy) -> Vec<String> {
        let query = query(owner, rtype);
        let clients = self.snapshot.sample_clients(owner, rtype);
        let draws = match policy {
            Policy::Simple | Policy::Failover => 1,
            Policy::Weighted | Policy::Multivalue => DRAWS,
            // Their sets may lead to records that draw.
            Policy::Geolocation | Policy::IpBased | Policy::Latency | Policy::Geoproximity => {
                (MAX_QUESTIONS / clients.len().max(1)).clamp(1, DRAWS)
            }
        };
        let mut texts = Vec::new();
        for client in clients {
            texts.extend((0..draws).flat_map(|_| self.once(&query, client, rtype)));
        }
        texts.sort();
        texts.dedup();
        texts
    }

    fn once(&mut self, query: &[u8], client: IpAddr, rtype: RecordType) -> Vec<String> {
        let answered = self.answerer.answer(
            self.snapshot,
            query,
            client,
            Transport::Tcp,
            &mut self.buffer,
        );
        let message = answered
            .and_then(|answered| self.buffer.get(..answered.len))
            .and_then(|bytes| Message::from_vec(bytes).ok());
        let message = message.as_ref();
        let records = message.map_or(&[][..], |message| &message.answers);
        records.iter().map(|record| show(record, rtype)).collect()
    }
}

/// A query as it would come over TCP, without EDNS (RFC 1035 section 4.1).
fn query(owner: &Name, rtype: RecordType) -> Vec<u8> {
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend_from_slice(owner.as_wire());
    packet.extend_from_slice(&rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

fn show(record: &Record, asked: RecordType) -> String {
    let found = RecordType(u16::from(record.record_type()));
    match found == asked {
        true => record.data.to_string(),
        false => format!("{found} {}", record.data),
    }
}
