//! Names whose answers are targets: which question is asked when, and what its answers mean. Sans-io.
//!
//! Driven by the [`Registry`](super::Registry), which asks what is due and hands answers back. A
//! question is asked again when its answer's TTL, within 1 s and 1 h, has passed; after a failure
//! soon, then later and later. Failures and empty answers change nothing: the last good answer stays,
//! for it is health's part to say who is dead, and a name server that restarts must not take every
//! target away.

pub(super) mod lookup;
mod service;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use conf::{NamedTarget, Resolver, Target, TargetName};
use tokio::time::Instant;

pub(super) use service::Service;

/// Shorter TTLs would have a name asked for without pause.
const MIN_TTL: Duration = Duration::from_secs(1);
/// Longer ones are too far away for targets.
const MAX_TTL: Duration = Duration::from_secs(3600);
/// After the first failure; doubled with each one that follows.
const MIN_RETRY: Duration = Duration::from_secs(1);
/// The longest pause after failures.
const MAX_RETRY: Duration = Duration::from_secs(30);
/// Addresses of one name that are taken.
const MAX_ADDRESSES: usize = 1000;
/// Hosts of one name's SRV records that are looked up.
const MAX_HOSTS: usize = 200;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Question {
    /// Whom.
    pub(super) resolver: Resolver,
    /// Which name.
    pub(super) name: Arc<str>,
    /// What of it.
    pub(super) kind: Kind,
}

/// What is asked of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Its addresses: A and AAAA.
    Addresses,
    /// Its SRV records.
    Service,
}

/// One answer: records, perhaps none, and how long it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer<T> {
    pub(super) records: Vec<T>,
    pub(super) ttl: Duration,
}

/// What came of a question; a failure in words.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    /// A and AAAA.
    Addresses([Result<Answer<IpAddr>, String>; 2]),
    /// SRV.
    Service(Result<Answer<Service>, String>),
}

/// What is known of one question.
#[derive(Debug)]
struct Entry {
    /// When it is asked next; `None` while it is being asked.
    due: Option<Instant>,
    /// Failures since the last good answer.
    failures: u32,
    fault: Option<String>,
    /// The last good answer of each family.
    families: [Vec<IpAddr>; 2],
    /// Addresses in order, of the last answers that had any.
    addresses: BTreeSet<IpAddr>,
    services: Vec<Service>,
    answered: bool,
}

/// How a name does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameState {
    /// Why the last question failed.
    pub(super) fault: Option<String>,
    /// A question was answered at least once, well or not.
    pub(super) asked: bool,
    /// When it is asked next.
    pub(super) due: Option<Instant>,
}

/// Every name that is looked up.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Question, Entry>);

impl Names {
    /// Looks up `names` from now on, those of their services' hosts too, and no other. What is known
    /// of a name that stays is kept.
    pub(super) fn want<'n>(
        &mut self,
        names: impl Iterator<Item = (&'n Resolver, &'n TargetName)>,
        now: Instant,
    ) {
        let mut wanted = BTreeSet::new();
        for (resolver, name) in names {
            let question = Question::of(resolver, name);
            let hosts = self
                .0
                .get(&question)
                .map_or(&[][..], |entry| &entry.services);
            wanted.extend(hosts.iter().map(|service| service.question(resolver)));
            wanted.insert(question);
        }
        self.0.retain(|question, _| wanted.contains(question));
        for question in wanted {
            self.0.entry(question).or_insert_with(|| Entry::new(now));
        }
    }

    /// What is to be asked now, `most` at most; each is taken as being asked until it is
    /// [`Names::answered`].
    pub(super) fn take_due(&mut self, now: Instant, most: usize) -> Vec<Question> {
        let mut due = Vec::new();
        for (question, entry) in &mut self.0 {
            if due.len() < most && entry.due.is_some_and(|at| at <= now) {
                entry.due = None;
                due.push(question.clone());
            }
        }
        due
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.values().filter_map(|entry| entry.due).min()
    }

    /// Takes what came of a question; nothing when it is not wanted any more.
    pub(super) fn answered(&mut self, question: &Question, reply: Reply, now: Instant) {
        let Some(entry) = self.0.get_mut(question) else {
            return;
        };
        entry.answered = true;
        let result = match reply {
            Reply::Addresses(families) => entry.take_addresses(families),
            Reply::Service(found) => found.and_then(|found| entry.take_services(found)),
        };
        let pause = match result {
            Ok(ttl) => {
                (entry.failures, entry.fault) = (0, None);
                ttl.clamp(MIN_TTL, MAX_TTL)
            }
            Err(fault) => {
                entry.fault = Some(fault);
                let doublings = entry.failures.min(10);
                entry.failures += 1;
                (MIN_RETRY * 2_u32.pow(doublings)).min(MAX_RETRY)
            }
        };
        entry.due = Some(now + pause);
    }

    /// True once every question has had its answer, good or not.
    pub(super) fn all_asked(&self) -> bool {
        self.0.values().all(|entry| entry.answered)
    }

    /// The targets of a name, in the order of their addresses.
    pub(super) fn targets(&self, resolver: &Resolver, named: &NamedTarget) -> Vec<Target> {
        let addresses = |question: &Question| {
            let entry = self.0.get(question).into_iter();
            entry.flat_map(|entry| entry.addresses.iter().copied())
        };
        let question = Question::of(resolver, &named.name);
        let mut targets = match &named.name {
            TargetName::Host { port, .. } => addresses(&question)
                .map(|address| named.at(SocketAddr::new(address, *port)))
                .collect(),
            TargetName::Service { .. } => {
                let services = self
                    .0
                    .get(&question)
                    .map_or(&[][..], |entry| &entry.services);
                let of = |service: &Service| {
                    let addresses: Vec<_> = addresses(&service.question(resolver)).collect();
                    (service.clone(), addresses)
                };
                service::targets(named, services.iter().map(of).collect())
            }
        };
        targets.truncate(MAX_ADDRESSES);
        targets
    }

    /// How a name does, its service's hosts included.
    pub(super) fn state(&self, resolver: &Resolver, name: &TargetName) -> NameState {
        let question = Question::of(resolver, name);
        let own = self.0.get(&question);
        let hosts = own.map_or(&[][..], |entry| &entry.services);
        let hosts = hosts.iter().filter_map(|service| {
            let entry = self.0.get(&service.question(resolver))?;
            Some((Some(&service.host), entry))
        });
        let all = || {
            own.map(|entry| (None, entry))
                .into_iter()
                .chain(hosts.clone())
        };
        let fault = all().find_map(|(host, entry)| {
            let fault = entry.fault.as_ref()?;
            Some(match host {
                None => fault.clone(),
                Some(host) => format!("{host}: {fault}"),
            })
        });
        NameState {
            fault,
            asked: own.is_some_and(|entry| entry.answered),
            due: all().filter_map(|(_, entry)| entry.due).min(),
        }
    }
}

impl Question {
    fn of(resolver: &Resolver, name: &TargetName) -> Self {
        Self {
            resolver: resolver.clone(),
            name: name.name().clone(),
            kind: match name {
                TargetName::Host { .. } => Kind::Addresses,
                TargetName::Service { .. } => Kind::Service,
            },
        }
    }
}

impl Entry {
    fn new(now: Instant) -> Self {
        Self {
            due: Some(now),
            failures: 0,
            fault: None,
            families: Default::default(),
            addresses: BTreeSet::new(),
            services: Vec::new(),
            answered: false,
        }
    }

    /// Takes the answers of both families; how long they hold, or why one failed or both have
    /// nothing. A family that failed keeps what it had.
    fn take_addresses(
        &mut self,
        families: [Result<Answer<IpAddr>, String>; 2],
    ) -> Result<Duration, String> {
        let (mut holds, mut fault) = (MAX_TTL, None);
        for (family, found) in self.families.iter_mut().zip(families) {
            match found {
                // How long that holds matters less than how long the other family does.
                Ok(found) if found.records.is_empty() => family.clear(),
                Ok(found) => {
                    holds = holds.min(found.ttl);
                    *family = found.records;
                }
                Err(error) => fault = Some(error),
            }
        }
        let found: BTreeSet<IpAddr> = self.families.iter().flatten().copied().collect();
        if found.is_empty() {
            return Err(fault.unwrap_or_else(|| "it has no address".to_owned()));
        }
        self.addresses = found.into_iter().take(MAX_ADDRESSES).collect();
        fault.map_or(Ok(holds), Err)
    }

    fn take_services(&mut self, found: Answer<Service>) -> Result<Duration, String> {
        let mut services = found.records;
        // RFC 2782: a single record with the root as its target says that there is no service.
        services.retain(|service| !service.host.is_empty() && service.port != 0);
        if services.is_empty() {
            return Err("it has no SRV record with a host and a port".to_owned());
        }
        services.sort();
        services.dedup();
        services.truncate(MAX_HOSTS);
        self.services = services;
        Ok(found.ttl)
    }
}

#[cfg(test)]
mod tests;
