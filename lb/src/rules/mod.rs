//! Rules compiled: which of a listener's actions a request gets.
//!
//! Made with the plan, once per configuration; asked by the HTTP data path for every request of a
//! listener that has rules. Rules are looked at by priority until one's conditions all hold. Never
//! reads or writes anything.
//!
//! Cost: no allocation, no lock; one comparison for most rules that do not hold (`guard`).
//! Each worker has its own copy of every regular expression, so that none waits for another.

mod action;
mod condition;
mod explain;
mod gate;
mod guard;
mod matcher;
mod pattern;
mod redirect;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

pub(crate) use action::{Action, FixedResponse, Forward};
pub(crate) use explain::explain_rules;
pub(crate) use gate::{Denial, Gate, Limit, LimitCounts, Passed, Passing, Usage};
pub use matcher::Matcher;
pub(crate) use redirect::{MAX_LOCATION, Redirect};

use crate::l7::http1::RequestHead;
use crate::snapshot::Listener;
use condition::{Condition, Parameters, Subject};
use guard::{Block, Signs, name_bit};

/// Longest host name the codec lets through, in bytes.
const MAX_HOST: usize = 255;

/// What a rule, or the lack of one, leads to.
#[derive(Debug)]
pub(crate) struct Branch {
    /// The rule's priority, or `default`; for the access log.
    pub(crate) label: Box<str>,
    /// What is done.
    pub(crate) action: Action,
    /// What its requests pass before; `None` = nothing.
    pub(crate) gate: Option<Box<Gate>>,
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The cheapest ones first.
    conditions: Box<[Condition]>,
    branch: Branch,
}

impl Rule {
    /// `rule`, leading to `action`, for so many workers.
    pub(crate) fn new(
        rule: &conf::Rule,
        action: Action,
        gate: Option<Box<Gate>>,
        workers: usize,
    ) -> Self {
        let compiled = rule.conditions.iter();
        let mut conditions: Vec<_> = compiled.map(|c| Condition::new(c, workers)).collect();
        conditions.sort_by_key(Condition::cost);
        Self {
            conditions: conditions.into(),
            branch: Branch {
                label: rule.priority.to_string().into(),
                action,
                gate,
            },
        }
    }

    fn holds(&self, subject: &Subject<'_>) -> bool {
        self.conditions.iter().all(|c| c.holds(subject))
    }
}

/// A listener's rules, by priority.
#[derive(Debug)]
pub(crate) struct Rules {
    rules: Box<[Rule]>,
    /// Their guards, side by side.
    guards: Box<[Block]>,
}

impl Rules {
    /// Rules in this order.
    pub(crate) fn new(rules: Vec<Rule>) -> Self {
        Self {
            guards: Block::all(rules.iter().map(|rule| &*rule.conditions)),
            rules: rules.into(),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rules.len()
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    fn first_of(&self, subject: &Subject<'_>) -> Option<usize> {
        let signs = Signs::of(subject);
        let rules = self.rules.chunks(Block::RULES).enumerate();
        self.guards
            .iter()
            .zip(rules)
            .find_map(|(guards, (block, rules))| {
                let holds =
                    |place: &usize| rules.get(*place).is_some_and(|rule| rule.holds(subject));
                let place = guards.open(&signs).find(holds)?;
                Some(block * Block::RULES + place)
            })
    }
}

impl Listener {
    /// The place of the rule that claims a request of `peer`; `None` = the default action.
    pub(crate) fn rule_for(
        &self,
        head: &RequestHead<'_, '_>,
        peer: IpAddr,
        worker: usize,
    ) -> Option<usize> {
        if self.rules.is_empty() {
            return None;
        }
        let mut lowered = [0; MAX_HOST];
        let subject = subject(head, &mut lowered, peer, worker)?;
        self.rules.first_of(&subject)
    }

    /// The place of the rule that claims a connection of `peer`, by what its handshake asks for:
    /// a name in lower case, and protocols by commas.
    pub(crate) fn rule_for_flow(
        &self,
        server_name: &str,
        alpn: &[u8],
        peer: IpAddr,
        worker: usize,
    ) -> Option<usize> {
        let subject = Subject {
            method: "",
            host: server_name.as_bytes(),
            path: b"",
            parameters: Parameters::default(),
            field_names: 0,
            fields: &[],
            alpn,
            peer: peer.to_canonical(),
            worker,
        };
        self.rules.first_of(&subject)
    }

    /// Every branch: the rules' by priority, then the default one.
    pub(crate) fn branches(&self) -> impl Iterator<Item = &Branch> {
        let rules = self.rules.rules.iter().map(|rule| &rule.branch);
        rules.chain(std::iter::once(&self.default))
    }

    /// What [`Listener::rule_for`] led to.
    pub(crate) fn branch(&self, rule: Option<usize>) -> &Branch {
        rule.and_then(|place| self.rules.rules.get(place))
            .map_or(&self.default, |rule| &rule.branch)
    }
}

/// What rules look at in a request of `peer`; `lowered` is room for its host.
fn subject<'r>(
    head: &'r RequestHead<'_, '_>,
    lowered: &'r mut [u8; MAX_HOST],
    peer: IpAddr,
    worker: usize,
) -> Option<Subject<'r>> {
    let name = host_name(head.host.unwrap_or_default());
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
    let host = lowered.get_mut(..name.len())?;
    host.copy_from_slice(name);
    host.make_ascii_lowercase();
    let (path, query) = path_and_query(head.target);
    Some(Subject {
        method: head.method,
        host,
        path: path.as_bytes(),
        parameters: query.map_or_else(Parameters::default, |query| {
            Parameters::new(query.as_bytes())
        }),
        field_names: head
            .fields
            .iter()
            .fold(0, |bits, field| bits | name_bit(field.name.as_bytes())),
        fields: head.fields,
        alpn: &[],
        peer: peer.to_canonical(),
        worker,
    })
}

/// `host` without its port.
fn host_name(host: &str) -> &str {
    let from = match host.starts_with('[') {
        true => memchr::memchr(b']', host.as_bytes()).unwrap_or(0),
        false => 0,
    };
    let rest = host.as_bytes().get(from..).unwrap_or_default();
    let port = memchr::memchr(b':', rest);
    port.and_then(|at| host.get(..from + at)).unwrap_or(host)
}

/// The path, which is never empty, and what follows the first `?`.
fn path_and_query(target: &str) -> (&str, Option<&str>) {
    let mark = memchr::memchr(b'?', target.as_bytes());
    let (path, query) = match mark.and_then(|at| target.split_at_checked(at)) {
        Some((path, query)) => (path, query.get(1..)),
        None => (target, None),
    };
    (if path.is_empty() { "/" } else { path }, query)
}
