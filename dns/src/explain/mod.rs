//! Explained answers: what would be answered, and how it came about.
//!
//! Asked by the admin API, `pointsman dns answer` and `pointsman test`. The answer is made by the
//! servers' own code before a witness that remembers each choice, so that there is one way to route;
//! what is added here only says what the sets were like. Nothing is counted as traffic.

mod client;
mod message;
mod report;
mod steps;
mod text;
mod trace;
mod words;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use conf::RecordType;
use healthcheck::HealthTable;
use ipnet::IpNet;
use tokio::time::Instant;

pub use report::{Candidate, ClientReport, Draw, Explanation, Line, Step};

pub use words::Words;

use crate::answer::{Answerer, Moment};
use crate::clock::Clock;
use crate::compile::Compiled;
use crate::location::Client;
use crate::name::Name;
use crate::snapshot::Snapshot;
use crate::wire::Transport;
use trace::Trace;

/// The largest DNS message, so that nothing is truncated.
const MAX_MESSAGE: usize = 65_535;

/// Different responses kept while one question is asked many times.
const MAX_DIFFERENT: usize = 10_000;

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// A sender without a client subnet option.
    Sender(IpAddr),
    /// A believed resolver, for a client of this network.
    Subnet(IpNet),
    /// Somebody in a country, `DE`, or a state, `US-CA`.
    Country(String),
}

impl Default for Asker {
    /// A program on this machine.
    fn default() -> Self {
        Self::Sender(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

/// A question to be explained.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
    /// Who asks.
    pub from: Asker,
    /// What draws follow from.
    pub seed: u64,
}

/// Why a question cannot be explained.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Not a country or state.
    #[error("`{0}` is no country (as `DE`) and no state of the USA (as `US-CA`)")]
    UnknownCountry(String),
    /// No sender's client subnet option counts.
    #[error("`dns.ecs` believes nobody: no client can be named by ECS; ask with its address")]
    NobodyBelieved,
    /// Nothing says which addresses are there.
    #[error("no address is known to be in {0}: ask with an address of yours, or add a [[network]]")]
    NobodyThere(String),
}

/// One configuration under one health table, ready to be asked.
#[derive(Debug, Clone)]
pub struct Explainer {
    pub(crate) compiled: Compiled,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) health: Arc<HealthTable>,
    pub(crate) withdrawn: bool,
    /// Seconds since 1970; `None`: whatever the clock says.
    pub(crate) now: Option<u32>,
}

impl Explainer {
    /// The answer and how it came about.
    ///
    /// # Errors
    /// For a country that is none, or where no address is known to be.
    pub fn explain(&self, ask: &Ask) -> Result<Explanation, AskError> {
        let (source, packet, client) = self.packet(ask)?;
        let mut trace = Trace::default();
        let mut buffer = vec![0; MAX_MESSAGE];
        let answered = self.answerer(ask).answer_before(
            &mut trace,
            &self.snapshot,
            &packet,
            source,
            Transport::Tcp,
            &mut buffer,
        );
        let response = answered.and_then(|answered| buffer.get(..answered.len));
        Ok(self.report(ask, client, &trace, response.unwrap_or_default()))
    }

    /// Asks so many times in a row, one draw after the other, and hands over the data of each
    /// different answer's records and how many times it came, until `take` returns false.
    ///
    /// # Errors
    /// As [`Explainer::explain`].
    pub(crate) fn draw(
        &self,
        ask: &Ask,
        times: usize,
        take: &mut dyn FnMut(&[String], usize) -> bool,
    ) -> Result<(), AskError> {
        let (source, packet, _) = self.packet(ask)?;
        let mut answerer = self.answerer(ask);
        let mut buffer = vec![0; MAX_MESSAGE];
        // Few different responses come many times.
        let mut came: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut hand_over = |came: &mut HashMap<Vec<u8>, usize>| {
            let mut all = came.drain();
            all.all(|(response, times)| {
                let answers = message::read(&response).answers.into_iter();
                let values: Vec<String> = answers.map(|line| line.data).collect();
                take(&values, times)
            })
        };
        for _ in 0..times {
            let answered =
                answerer.answer(&self.snapshot, &packet, source, Transport::Tcp, &mut buffer);
            let response = answered.and_then(|answered| buffer.get(..answered.len));
            let response = response.unwrap_or_default();
            match came.get_mut(response) {
                Some(times) => *times += 1,
                None => {
                    if came.len() == MAX_DIFFERENT && !hand_over(&mut came) {
                        return Ok(());
                    }
                    came.insert(response.to_vec(), 1);
                }
            }
        }
        hand_over(&mut came);
        Ok(())
    }

    fn answerer(&self, ask: &Ask) -> Answerer {
        let mut answerer = Answerer::new(ask.seed);
        answerer.set_now(Moment {
            unix: self.moment(),
            ..Moment::default()
        });
        answerer
    }

    /// Seconds since 1970.
    fn moment(&self) -> u32 {
        let clock = || Clock::new().at(Instant::now()).unix;
        self.now.unwrap_or_else(clock)
    }

    /// The query as it would come: its sender, its bytes, and the client it is for.
    fn packet(&self, ask: &Ask) -> Result<(IpAddr, Vec<u8>, Client), AskError> {
        let believed = self.snapshot.guard.believed.first();
        let resolver = believed.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), IpNet::addr);
        Ok(match &ask.from {
            Asker::Sender(sender) => (*sender, query(ask, None), Client::from(*sender)),
            Asker::Subnet(network) => match believed {
                Some(_) => (resolver, query(ask, Some(*network)), client::of(*network)),
                None => return Err(AskError::NobodyBelieved),
            },
            Asker::Country(code) => {
                let address = self.address_in(code)?;
                (address, query(ask, None), Client::from(address))
            }
        })
    }
}

/// A query as it would come over TCP (RFC 1035 section 4.1), with an OPT record that holds a client
/// subnet option when there is a network (RFC 7871 section 6).
fn query(ask: &Ask, network: Option<IpNet>) -> Vec<u8> {
    let additional = u8::from(network.is_some());
    let mut packet = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, additional];
    packet.extend_from_slice(ask.name.as_wire());
    packet.extend_from_slice(&ask.rtype.0.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    let Some(network) = network else {
        return packet;
    };
    let (family, octets) = match network.trunc().network() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let used = usize::from(network.prefix_len()).div_ceil(8);
    let length = used as u8 + 4;
    // OPT: root name, type 41, 1232 bytes of UDP, no extended code, no flags.
    packet.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, length + 4]);
    packet.extend_from_slice(&[0, 8, 0, length, 0, family, network.prefix_len(), 0]);
    packet.extend_from_slice(octets.get(..used).unwrap_or_default());
    packet
}
