//! Who is registered with which target group: the file's targets and those of every other source,
//! merged in one place.
//!
//! Owned by the control loop. Sources only offer; [`merge`] alone decides, and what it decides is an
//! ordinary configuration whose groups have other targets. It is applied as every configuration is,
//! so a target of any source gets its slot, its health and its deregistration in the one way.

mod follow;
mod list_file;
mod merge;
mod names;
mod operator;
mod report;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use conf::{Address, Config, Diagnostic, TargetGroup};
use tokio::sync::oneshot;

use follow::Follower;

use merge::{Deregistered, Offer, merge};
pub(crate) use merge::{Merged, Origins};
use operator::OperatorRegistrations;
pub(crate) use operator::{Change, ChangeError, Registration};
pub(crate) use report::{Reports, SourceReport};

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
    pub(crate) changed: Vec<Address>,
    /// True once a restart will remember it.
    pub(crate) saved: bool,
}

/// Every source of registrations but the file, and what the file says.
#[derive(Debug)]
pub(crate) struct Registry {
    /// The configuration as the file has it.
    file: Arc<Config>,
    operator: OperatorRegistrations,
    follower: Follower,
}

impl Registry {
    /// Begins with what `file` says and what was saved at `saved`; waits for the first answers of
    /// its names, though not for long.
    pub(crate) async fn start(file: Arc<Config>, saved: PathBuf) -> Self {
        let mut registry = Self {
            operator: OperatorRegistrations::recall(saved),
            follower: Follower::default(),
            file: file.clone(),
        };
        registry.serves(file);
        registry.follower.settle().await;
        registry
    }

    /// Gets ready for serving `file`: follows its sources as well, and waits for their first
    /// answers, though not for long.
    pub(crate) async fn expect(&mut self, file: &Config) {
        self.follower.follow(file, Some(&self.file));
        self.follower.settle().await;
    }

    /// Goes on with what is served: what was expected did not come.
    pub(crate) fn stays(&mut self) {
        self.follower.follow(&self.file, None);
    }

    /// Returns when some source has something new. Safe to cancel.
    pub(crate) async fn changed(&mut self) {
        self.follower.changed().await;
    }

    /// How every source does; what is new since the last time is logged.
    pub(crate) fn reports(&mut self) -> Reports {
        self.follower.reports()
    }

    /// `file` with the targets of every source.
    pub(crate) fn merge(&self, file: &Config) -> Merged {
        let by_operator = self.operator.offers(file);
        let [of_files, of_names] = self.follower.offers();
        let sources = [&by_operator, &of_files, &of_names];
        merge(file, &sources, self.operator.deregistered())
    }

    /// What the served file says with the targets of every source.
    pub(crate) fn merge_served(&self) -> Merged {
        self.merge(&self.file)
    }

    /// `file` is what is served from now on.
    pub(crate) fn serves(&mut self, file: Arc<Config>) {
        self.file = file;
        self.follower.follow(&self.file, None);
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
    ) -> Result<(Vec<Address>, Undo), ChangeError> {
        let before = self.operator.clone();
        let [of_files, of_names] = self.follower.offers();
        let sources = [&of_files, &of_names];
        let others = merge(&self.file, &sources, &Deregistered::new()).origins;
        let others = |address: Address| others.origin(group, address).is_some();
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

/// What is wrong with the target files of a configuration: a warning each, since a process that
/// serves goes on with what it has.
pub(crate) fn file_problems(config: &Config) -> Vec<Diagnostic> {
    let problem = |group: &TargetGroup| {
        let path = group.sources.file.as_ref()?;
        let error = list_file::read(path).err()?;
        let (path, name) = (path.display(), &group.name);
        let message = format!("`targets-file` of group `{name}`, {path}: {error}");
        let problem = Diagnostic::warning("targets-file", group.span, message);
        let problem = problem
            .consequence("the group would have no target from it until that is mended")
            .help("write one target a line, `127.0.0.1:3001 weight=2`, or a JSON list of them");
        Some(problem)
    };
    config.target_groups.iter().filter_map(problem).collect()
}

/// What was before a change.
#[derive(Debug)]
pub(crate) struct Undo(OperatorRegistrations);
