//! The gate: what a request passes between being claimed by a rule and that rule's action.
//!
//! Made with the plan; asked by the data path once per request, with the head as it came. A rule
//! without such settings has none. Does no I/O: what it needs of the world is in tables that
//! others fill. The order is limits of the listener, limits of the rule, the token, rewrites.
//!
//! Cost: nothing without a gate; each part says its own.

mod denial;
mod key;
mod limit;
mod rewrite;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;

pub(crate) use denial::Denial;
pub(crate) use limit::{Limit, LimitCounts, Usage};

use crate::jwt::Validator;
use crate::l7::http1::RequestHead;
use limit::Over;
use rewrite::{Rewriter, Rewritten};

/// What the requests of one action pass.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Of the whole listener.
    shared_limits: Arc<[Limit]>,
    /// Of this action.
    limits: Box<[Limit]>,
    validator: Option<Arc<Validator>>,
    rewriter: Option<Rewriter>,
}

/// A request as a gate sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'r, 'h> {
    /// The head as it came.
    pub(crate) head: &'r RequestHead<'h, 'r>,
    /// The client.
    pub(crate) peer: IpAddr,
    /// When its first byte was read.
    pub(crate) now: Instant,
    /// Whose copies of regular expressions to use.
    pub(crate) worker: usize,
}

/// What became of a request that passed.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// What it is forwarded as.
    pub(crate) rewritten: Rewritten,
    /// It was over a limit that only counts.
    pub(crate) over_limit: bool,
}

impl Gate {
    /// The gate of an action with these limits, for so many workers; `None` when everything passes
    /// as it is.
    pub(crate) fn new(
        gate: &conf::Gate,
        shared_limits: &Arc<[Limit]>,
        limits: Box<[Limit]>,
        validator: Option<Arc<Validator>>,
        workers: usize,
    ) -> Option<Box<Self>> {
        let gate = Self {
            shared_limits: shared_limits.clone(),
            limits,
            validator,
            rewriter: Rewriter::new(&gate.rewrites, workers),
        };
        let is_open = gate.rewriter.is_none()
            && gate.validator.is_none()
            && gate.limits.is_empty()
            && gate.shared_limits.is_empty();
        (!is_open).then(|| Box::new(gate))
    }

    /// What the request is to be forwarded as, or why it must not be.
    pub(crate) fn pass(&self, passing: Passing<'_, '_>) -> Result<Passed, Denial> {
        let over_limit = self.limit(passing)?;
        if let Some(validator) = &self.validator {
            let checked = validator.check(passing.head.fields, SystemTime::now(), passing.worker);
            checked.map_err(Denial::Token)?;
        }
        let rewritten = match &self.rewriter {
            Some(rewriter) => rewriter.apply(passing.head, passing.worker)?,
            None => Rewritten::default(),
        };
        Ok(Passed {
            rewritten,
            over_limit,
        })
    }

    /// What [`Gate::pass`] would give as far as limits let it; uses nothing of them.
    pub(crate) fn preview(&self, passing: Passing<'_, '_>) -> Result<Rewritten, Denial> {
        if let Some(validator) = &self.validator {
            // No worker's cache.
            let checked = validator.check(passing.head.fields, SystemTime::now(), usize::MAX);
            checked.map_err(Denial::Token)?;
        }
        match &self.rewriter {
            Some(rewriter) => rewriter.apply(passing.head, passing.worker),
            None => Ok(Rewritten::default()),
        }
    }

    /// True when the request is over a limit that only counts.
    fn limit(&self, passing: Passing<'_, '_>) -> Result<bool, Denial> {
        let mut over_limit = false;
        for limit in self.shared_limits.iter().chain(&self.limits) {
            match limit.take(passing) {
                None => {}
                Some(Over::DryRun) => over_limit = true,
                Some(Over::Refused(retry_after)) => {
                    return Err(Denial::RateLimited { retry_after });
                }
            }
        }
        Ok(over_limit)
    }

    /// True when requests must carry a token.
    pub(crate) fn asks_for_token(&self) -> bool {
        self.validator.is_some()
    }

    /// The limits of its own action.
    pub(crate) fn limits(&self) -> &[Limit] {
        &self.limits
    }

    /// The limits of the whole listener.
    pub(crate) fn shared_limits(&self) -> &[Limit] {
        &self.shared_limits
    }
}
