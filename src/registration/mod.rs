//! Who is registered with which target group: the file's targets and those of every other source,
//! merged in one place.
//!
//! Owned by the control loop. Sources only offer; [`merge`] alone decides, and what it decides is an
//! ordinary configuration whose groups have other targets. It is applied as every configuration is,
//! so a target of any source gets its slot, its health and its deregistration in the one way.

mod merge;
mod operator;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use conf::Config;
use tokio::sync::oneshot;

use merge::{Deregistered, Offer, merge};
pub(crate) use merge::{Merged, Origins};
use operator::OperatorRegistrations;
pub(crate) use operator::{Change, ChangeError, Registration};

/// Offered by one source or several, by group.
type Offers = HashMap<String, Vec<Offer>>;

/// A change asked for by the API.
#[derive(Debug)]
pub(crate) struct ChangeRequest {
    /// The target group.
    pub(crate) group: String,
    /// What is to change.
    pub(crate) change: Change,
    /// Told when every worker and the DNS server obey.
    pub(crate) answer: oneshot::Sender<Result<Changed, ChangeError>>,
}

/// What became of a change.
#[derive(Debug)]
pub(crate) struct Changed {
    /// Targets that were registered, or were not, before.
    pub(crate) changed: Vec<SocketAddr>,
    /// True once a restart will remember it.
    pub(crate) saved: bool,
}

/// Every source of registrations but the file, and what the file says.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The configuration as the file has it.
    file: Arc<Config>,
    operator: OperatorRegistrations,
}

impl Registry {
    /// Begins with what `file` says and what was saved at `saved`.
    pub(crate) fn start(file: Arc<Config>, saved: PathBuf) -> Self {
        let mut registry = Self {
            operator: OperatorRegistrations::recall(saved),
            file: file.clone(),
        };
        registry.serves(file);
        registry
    }

    /// `file` with the targets of every source.
    pub(crate) fn merge(&self, file: &Config) -> Merged {
        let offers = self.operator.offers(file);
        merge(file, &[&offers], self.operator.deregistered())
    }

    /// What the served file says with the targets of every source.
    pub(crate) fn merge_served(&self) -> Merged {
        self.merge(&self.file)
    }

    /// `file` is what is served from now on.
    pub(crate) fn serves(&mut self, file: Arc<Config>) {
        self.file = file;
        self.operator.forget_strangers(&self.file);
    }

    /// Changes what the operator registered: the targets for which that makes a difference, and
    /// what takes it back.
    ///
    /// # Errors
    /// [`ChangeError`]; nothing has changed then.
    pub(crate) fn change(
        &mut self,
        group: &str,
        change: &Change,
    ) -> Result<(Vec<SocketAddr>, Undo), ChangeError> {
        let before = self.operator.clone();
        let others = merge(&self.file, &[], &Deregistered::new()).origins;
        let others = |address: SocketAddr| others.origin(group, address).is_some();
        let mut next = before.clone();
        let changed = next.change(&self.file, group, change, &others)?;
        self.operator = next;
        Ok((changed, Undo(before)))
    }

    /// Takes a change back.
    pub(crate) fn undo(&mut self, undo: Undo) {
        self.operator = undo.0;
    }

    /// Saves what the operator registered; false when that failed.
    pub(crate) async fn save(&self) -> bool {
        self.operator.save().await
    }
}

/// What was before a change.
#[derive(Debug)]
pub(crate) struct Undo(OperatorRegistrations);
