//! Rules without what they lead to: which of them claims a request.
//!
//! Asked by what compares the compiled form with a plain one: fuzzing. Traffic asks
//! [`Listener::rule_for`](crate::snapshot::Listener), which is the same matching.

use std::net::IpAddr;

use super::{Action, FixedResponse, MAX_HOST, Rule, Rules, subject};
use crate::l7::http1::RequestHead;

/// Compiled rules, in the order given.
#[derive(Debug)]
pub struct Matcher(Rules);

impl Matcher {
    /// Compiles the conditions of `rules`.
    pub fn new(rules: &[conf::Rule]) -> Self {
        let compiled = rules.iter().map(|rule| {
            let action = Action::FixedResponse(FixedResponse::default());
            Rule::new(rule, action, None, 1)
        });
        Self(Rules::new(compiled.collect()))
    }

    /// The place of the first rule whose conditions all hold for a request of `peer`.
    pub fn first(&self, head: &RequestHead<'_, '_>, peer: IpAddr) -> Option<usize> {
        let mut lowered = [0; MAX_HOST];
        self.0.first_of(&subject(head, &mut lowered, peer, 0)?)
    }
}
