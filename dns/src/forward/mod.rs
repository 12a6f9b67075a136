//! Questions that other servers answer: for the domains and networks of `[[forward-rule]]`.
//!
//! The threads that answer ask [`Rules::find`] before they look anything up, and pass such questions
//! on; [`run`] is the task, on a thread of its own that exists once a configuration has a rule: it
//! keeps the cache, asks the rule's servers and answers the client itself. Bounded: questions under
//! way, those that wait, and what is remembered.

mod ask;
mod cache;
mod message;
mod reading;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use conf::Config;
use ipnet::IpNet;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::name::Name;
use crate::server::order::ReplyTo;
use crate::wire::Transport;
use cache::Cache;
pub(crate) use message::Asked;
pub use reading::read_forwarded;

/// Questions under way at most: each holds a socket.
const AT_ONCE: usize = 512;
/// Questions that may wait for a place; more are dropped, and asked again.
pub(crate) const WAITING: usize = 2048;

/// A rule, ready to be matched.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    /// Lower-case wire form.
    domain: Box<[u8]>,
    servers: Vec<SocketAddr>,
    networks: Vec<IpNet>,
    counts: Counts,
}

/// What became of a rule's questions.
#[derive(Debug, Default)]
struct Counts {
    cached: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Rule {
    /// Questions by what became of them.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            ("answered", of(&self.counts.answered)),
            ("cached", of(&self.counts.cached)),
            ("failed", of(&self.counts.failed)),
        ]
    }
}

/// Every rule, the longest domain first.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Arc<Rule>>);

impl Rules {
    /// Those of a configuration; rules that are as they were go on counting.
    pub(crate) fn new(config: &Config, previous: &Self) -> Self {
        let mut rules: Vec<Arc<Rule>> = Vec::new();
        for rule in config.dns.iter().flat_map(|dns| &dns.forward_rules) {
            let Ok(domain) = Name::parse(rule.domain.as_bytes(), Some(&Name::root())) else {
                continue;
            };
            let domain = domain.to_lower_wire();
            let same = previous.0.iter().find(|old| {
                old.name == rule.name
                    && old.domain == domain
                    && old.servers == rule.servers
                    && old.networks == rule.networks
            });
            rules.push(match same {
                Some(same) => same.clone(),
                None => Arc::new(Rule {
                    name: rule.name.clone(),
                    domain,
                    servers: rule.servers.clone(),
                    networks: rule.networks.clone(),
                    counts: Counts::default(),
                }),
            });
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.domain.len()));
        Self(rules)
    }

    /// True without any rule.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter().map(|rule| &**rule)
    }

    /// The rule of the longest domain around `name` (lower-case wire form) that is for `source`, with
    /// the length of its domain; among those of one domain that of the longest network.
    pub(crate) fn find(&self, source: IpAddr, name: &[u8]) -> Option<(&Arc<Rule>, usize)> {
        let source = source.to_canonical();
        let mut best: Option<(&Arc<Rule>, u8)> = None;
        for rule in &self.0 {
            if best.is_some_and(|(best, _)| best.domain.len() != rule.domain.len()) {
                break;
            }
            if !crate::zone::is_within(name, &rule.domain) {
                continue;
            }
            let holds = rule.networks.iter().filter(|net| net.contains(&source));
            if let Some(length) = holds.map(IpNet::prefix_len).max()
                && best.is_none_or(|(_, best)| length > best)
            {
                best = Some((rule, length));
            }
        }
        best.map(|(rule, _)| (rule, rule.domain.len()))
    }
}

/// A question that is passed on.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) rule: Arc<Rule>,
    pub(crate) asked: Asked,
    pub(crate) transport: Transport,
    pub(crate) to: ReplyTo,
}

/// Answers what is passed on, until the sender is gone. Runs inside a `LocalSet`.
pub(crate) async fn run(mut questions: mpsc::Receiver<Forward>) {
    let mut cache = Cache::default();
    let mut asking: JoinSet<(Forward, Option<Vec<u8>>)> = JoinSet::new();
    loop {
        tokio::select! {
            Some(Ok((forward, answer))) = asking.join_next(), if !asking.is_empty() => {
                let now = Instant::now();
                let counts = &forward.rule.counts;
                let message = match answer {
                    Some(answer) => {
                        counts.answered.fetch_add(1, Ordering::Relaxed);
                        cache.keep(&forward.rule.name, &forward.asked, &answer, now);
                        message::reply(&forward.asked, &answer, 0, forward.transport)
                    }
                    None => {
                        counts.failed.fetch_add(1, Ordering::Relaxed);
                        message::failure(&forward.asked)
                    }
                };
                forward.to.send(message);
            }
            question = questions.recv(), if asking.len() < AT_ONCE => {
                let Some(forward) = question else { return };
                let found = cache.find(&forward.rule.name, &forward.asked, Instant::now());
                if let Some((answer, age)) = found {
                    forward.rule.counts.cached.fetch_add(1, Ordering::Relaxed);
                    let message = message::reply(&forward.asked, answer, age, forward.transport);
                    forward.to.send(message);
                    continue;
                }
                asking.spawn_local(async move {
                    let answer = ask::ask(&forward.rule.servers, &forward.asked).await;
                    (forward, answer)
                });
            }
        }
    }
}
