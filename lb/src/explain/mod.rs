//! What would become of a request, and why: asked by people, answered without sending anything.
//!
//! Called by the admin API, on the control thread. It goes the way of the data path with the same
//! parts (parser, rules, gate, pickers), on the snapshot that serves; nothing is counted, no turn
//! taken, no limit used. What the data path decides by a draw is said to be one.

mod question;
mod report;
mod session;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use conf::{Algorithm, Config};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

pub use question::RequestQuestion;
pub use report::{
    ConditionReport, GroupReport, RequestExplanation, RuleReport, TargetReport, WeightReport,
};

use crate::balance::{Origin, Pick, Tried};
use crate::l7::http1::{HeadLimits, MAX_FIELDS, RequestHead, parse_request};
use crate::rules::{Action, Branch, Passing, explain_rules};
use crate::snapshot::{Condition, Group, Listener, Member, Route, Snapshot};
use crate::sticky::Claim;
use session::Session;

/// Explains a request to the listeners of `snapshot`, whose configuration is `config`.
///
/// # Errors
/// A sentence, when no listener would get it.
pub(crate) fn explain(
    config: &Config,
    snapshot: &Snapshot,
    question: &RequestQuestion,
) -> Result<RequestExplanation, String> {
    let (listener, local) = question.listener(snapshot)?;
    let bytes = question.head();
    let mut slots = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
    let limits = HeadLimits {
        bytes: listener.max_header_bytes,
    };
    let mut explanation = RequestExplanation {
        listener: listener.name.to_string(),
        ..RequestExplanation::default()
    };
    match parse_request(&bytes, &mut slots, limits) {
        Ok(Some(head)) => {
            let asked = Asked {
                snapshot,
                listener,
                local,
                peer: question.source,
            };
            asked.explain(config, &head, &mut explanation);
        }
        Ok(None) => return Err("the request is not complete".to_owned()),
        Err(refusal) => {
            explanation.status = Some(refusal.status());
            explanation.reason = Some(refusal.as_str().to_owned());
        }
    }
    Ok(explanation)
}

/// A request that reached a listener.
struct Asked<'a> {
    snapshot: &'a Snapshot,
    listener: &'a Listener,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Asked<'_> {
    fn explain(
        &self,
        config: &Config,
        head: &RequestHead<'_, '_>,
        explanation: &mut RequestExplanation,
    ) {
        let configured = config.listeners.iter();
        let configured = configured.clone().find(|l| *l.name == *self.listener.name);
        let rules = configured.map_or(&[][..], |listener| &listener.rules);
        explanation.rules = explain_rules(rules, head, self.peer.ip());
        let place = self.listener.rule_for(head, self.peer.ip(), 0);
        let branch = self.listener.branch(place);
        explanation.rule = branch.label.to_string();
        explanation.action = branch.action.as_str().to_owned();
        let own = place.and_then(|place| rules.get(place));
        let gate = own.map(|rule| &rule.gate).or(configured.map(|l| &l.gate));
        let all = configured.into_iter().flat_map(|listener| &listener.limits);
        let all = all.chain(gate.into_iter().flat_map(|gate| &gate.limits));
        explanation.limits = all.map(ToString::to_string).collect();
        if !self.passes(branch, head, explanation) {
            return;
        }
        match &branch.action {
            Action::FixedResponse(response) => explanation.status = Some(response.status),
            Action::Redirect(redirect) => {
                let mut location = Vec::new();
                redirect.write_location(&mut location, head, self.local);
                explanation.status = Some(redirect.status);
                explanation.location = Some(String::from_utf8_lossy(&location).into_owned());
            }
            Action::Forward(forward) => {
                let session = Session::of(forward, head);
                explanation.session = session.said.clone();
                let next = session.claim.as_ref().map_or(forward.peek(), Claim::place);
                let routes = forward.routes().enumerate();
                let weights = routes.map(|(place, (route, turns))| WeightReport {
                    group: route.tally.group_name.to_string(),
                    turns,
                    next: next == Some(place),
                });
                explanation.weights = weights.collect();
                match next.and_then(|place| forward.route(place)) {
                    Some(route) => self.choose(route, &session, explanation),
                    None => no_target(explanation),
                }
            }
        }
    }

    /// False when the gate would not let it pass.
    fn passes(
        &self,
        branch: &Branch,
        head: &RequestHead<'_, '_>,
        explanation: &mut RequestExplanation,
    ) -> bool {
        let Some(gate) = &branch.gate else {
            return true;
        };
        let passing = Passing {
            head,
            peer: self.peer.ip(),
            now: Instant::now(),
            worker: 0,
        };
        match gate.preview(passing) {
            Ok(rewritten) => {
                explanation.host = rewritten.host.map(Into::into);
                explanation.target = rewritten.target.map(Into::into);
                true
            }
            Err(denial) => {
                explanation.status = Some(denial.status());
                explanation.reason = Some(denial.as_str().to_owned());
                false
            }
        }
    }

    fn choose(&self, route: &Route, session: &Session, explanation: &mut RequestExplanation) {
        let Some(group) = self.snapshot.group(route) else {
            return no_target(explanation);
        };
        let origin = Origin::tcp(self.peer, self.local);
        let origin = match &session.claim {
            Some(claim) => claim.origin(origin),
            None => origin,
        };
        let had = session.claim.as_ref().and_then(Claim::target);
        // A copy, so that no turn is taken.
        let cursor = AtomicU64::new(group.cursor.0.load(Ordering::Relaxed));
        let mut rng = SmallRng::seed_from_u64(0);
        let pick = group.pick_by(&cursor, &mut rng, &origin, &Tried::default());
        let (choice, how) = match pick {
            Pick::Target(target) if had == Some(target.address()) => (
                Some(target.name().to_string()),
                "the one that the client's session has",
            ),
            Pick::Target(target) => match drawn(group.settings.algorithm) {
                Some(how) if !group.settings.sticky_by_source => (None, how),
                _ => (Some(target.name().to_string()), chosen_by(group)),
            },
            Pick::Hold => (
                None,
                "none can be used: it waits for one, up to `hold`, then 503",
            ),
            Pick::Full => (
                None,
                "all have as much work as they may have: it waits, up to `queue-timeout`, then 503",
            ),
            Pick::None => (None, "none is registered: 503 at once"),
        };
        explanation.choice = choice;
        explanation.how = Some(how.to_owned());
        explanation.group = Some(GroupReport {
            name: group.name().to_string(),
            algorithm: group.settings.algorithm.as_str().to_owned(),
            fail_open: group.fail_open,
            targets: group.members.iter().map(target).collect(),
        });
    }
}

fn no_target(explanation: &mut RequestExplanation) {
    explanation.status = Some(503);
    explanation.reason = Some("no-target".to_owned());
}

/// How algorithms choose that draw.
fn drawn(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::WeightedRandom => Some("drawn by weight"),
        Algorithm::PowerOfTwoChoices => Some("the less busy of two drawn"),
        _ => None,
    }
}

/// Why an algorithm chose the target it did.
pub(crate) fn chosen_by(group: &Group) -> &'static str {
    if group.settings.sticky_by_source {
        return "the one that the client's address stands for";
    }
    match group.settings.algorithm {
        Algorithm::LeastConnections | Algorithm::LeastOutstandingRequests => {
            "the one with the least in flight for its weight"
        }
        Algorithm::PeakEwma => {
            "the one whose answer should begin soonest: latency times work in hand"
        }
        Algorithm::PowerOfTwoChoices => "the less loaded of two drawn at random",
        Algorithm::WeightedRandom => "one drawn at random, by weight",
        Algorithm::SourceIpHash => "the one that the client's address stands for",
        Algorithm::FlowHash | Algorithm::ConnectionIdHash => {
            "the one that both ends' addresses and ports stand for"
        }
        Algorithm::RequestHash => {
            "the one that the hashed part of the request stands for, unless it has more than its share"
        }
        Algorithm::Maglev => "the one that the client stands for",
        Algorithm::RoundRobin => "the next in turn, unless another request comes first",
    }
}

fn target(member: &Member) -> TargetReport {
    let target = &member.target;
    TargetReport {
        target: target.name().to_string(),
        condition: condition_word(member.condition).to_owned(),
        weight: member.weight,
        share: member.share,
        in_flight: target.in_flight(),
        suspect: target.is_suspect(),
        backup: member.backup,
        latency: None,
    }
}

/// What a target's health says, in a word.
pub(crate) fn condition_word(condition: Condition) -> &'static str {
    match condition {
        Condition::Initial => "initial",
        Condition::Healthy => "healthy",
        Condition::Unhealthy => "unhealthy",
        Condition::Draining => "draining",
        Condition::Elsewhere => "in another availability zone",
    }
}

/// The rules of the listener called `listener`, and which of their conditions hold for a head that came
/// some time ago; none when it cannot be read.
pub(crate) fn rules_then(
    config: &Config,
    listener: &str,
    head: &[u8],
    peer: IpAddr,
) -> Vec<RuleReport> {
    let mut listeners = config.listeners.iter();
    let Some(listener) = listeners.find(|configured| configured.name == listener) else {
        return Vec::new();
    };
    let mut slots = [const { std::mem::MaybeUninit::uninit() }; MAX_FIELDS];
    let limits = HeadLimits { bytes: head.len() };
    match parse_request(head, &mut slots, limits) {
        Ok(Some(head)) => explain_rules(&listener.rules, &head, peer),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
