//! The gate: what a request passes between being claimed by a rule and that rule's action.
//!
//! Made with the plan; asked by the data path once per request, with the head as it came. A rule
//! without such settings has none. Never reads or writes anything: what it needs of the world is
//! in tables that others fill.
//!
//! Cost: nothing without a gate; each part says its own.

mod denial;
mod rewrite;

use crate::l7::http1::RequestHead;
pub(crate) use denial::Denial;
use rewrite::{Rewriter, Rewritten};

/// What the requests of one action pass.
#[derive(Debug)]
pub(crate) struct Gate {
    rewriter: Option<Rewriter>,
}

/// A request as a gate sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passing<'r, 'h> {
    /// The head as it came.
    pub(crate) head: &'r RequestHead<'h, 'r>,
    /// Whose copies of regular expressions to use.
    pub(crate) worker: usize,
}

impl Gate {
    /// The gate of an action, for so many workers; `None` when everything passes as it is.
    pub(crate) fn new(gate: &conf::Gate, workers: usize) -> Option<Box<Self>> {
        let gate = Self {
            rewriter: Rewriter::new(&gate.rewrites, workers),
        };
        gate.rewriter.is_some().then(|| Box::new(gate))
    }

    /// What the request is to be forwarded as, or why it must not be.
    pub(crate) fn pass(&self, passing: Passing<'_, '_>) -> Result<Rewritten, Denial> {
        match &self.rewriter {
            Some(rewriter) => rewriter.apply(passing.head, passing.worker),
            None => Ok(Rewritten::default()),
        }
    }
}
