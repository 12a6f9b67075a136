//! Follows the sources that change by themselves: names and files.
//!
//! Part of the [`Registry`](super::Registry): runs their machines, asks and reads when something is
//! due, and says when what they offer may have changed. Tells the log of every beginning and end of
//! trouble, once.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use conf::{Config, NamedTarget, Resolver, TargetGroup};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::Offers;
use super::list_file::{ListFile, POLL};
use super::merge::{Offer, Origin};
use super::names::lookup::Lookups;
use super::names::{Names, Question, Reply};
use super::report::{Reports, SourceKind, SourceReport};

/// How long a new configuration waits for the first answers of its names.
pub(super) const FIRST_ANSWERS: Duration = Duration::from_secs(2);

/// Questions that are being asked at once: each holds sockets.
const MAX_RUNNING: usize = 64;

/// What the sources of one group are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Followed {
    resolver: Resolver,
    names: Vec<NamedTarget>,
    file: Option<PathBuf>,
}

/// Names and files of the groups that are followed.
#[derive(Debug, Default)]
pub(super) struct Follower {
    groups: BTreeMap<String, Followed>,
    names: Names,
    files: HashMap<PathBuf, ListFile>,
    lookups: Lookups,
    running: JoinSet<(Question, Reply)>,
    next_poll: Option<Instant>,
    reports: Reports,
}

impl Follower {
    /// Follows the groups of `config` from now on, and of `also` as well.
    pub(super) fn follow(&mut self, config: &Config, also: Option<&Config>) {
        self.groups.clear();
        let also = also.into_iter().flat_map(|also| &also.target_groups);
        // What the first configuration says of a group counts.
        for group in config.target_groups.iter().chain(also) {
            if !group.sources.is_empty() {
                let followed = || Followed::of(group);
                self.groups
                    .entry(group.name.clone())
                    .or_insert_with(followed);
            }
        }
        let wanted = |path: &PathBuf| self.groups.values().any(|g| g.file.as_ref() == Some(path));
        self.files.retain(|path, _| wanted(path));
        for path in self.groups.values().filter_map(|group| group.file.clone()) {
            self.files
                .entry(path.clone())
                .or_insert_with(|| ListFile::new(path));
        }
        self.next_poll = (!self.files.is_empty()).then(Instant::now);
        self.poll_files(Instant::now());
    }

    /// Waits, for a moment at most, until every name has been asked for.
    pub(super) async fn settle(&mut self) {
        let deadline = Instant::now() + FIRST_ANSWERS;
        let asked = async {
            while !self.names.all_asked() {
                self.step().await;
            }
        };
        // Out of time: what is not answered yet follows when it is.
        let _ = tokio::time::timeout_at(deadline, asked).await;
    }

    /// Returns when what is offered may have changed; never without sources. Safe to cancel.
    pub(super) async fn changed(&mut self) {
        while !self.step().await {}
    }

    /// One event; true when an answer or a file was read.
    async fn step(&mut self) -> bool {
        let room = MAX_RUNNING.saturating_sub(self.running.len());
        for question in self.names.take_due(Instant::now(), room) {
            let lookup = self.lookups.ask(&question);
            self.running.spawn(async move { (question, lookup.await) });
        }
        // What is due and has no room is asked when another question has had its answer.
        let has_room = self.running.len() < MAX_RUNNING;
        let due = has_room.then(|| self.names.next_due()).flatten();
        let wake = due.into_iter().chain(self.next_poll).min();
        let some_wake = wake.unwrap_or_else(Instant::now);
        tokio::select! {
            Some(ended) = self.running.join_next() => {
                // A lookup does not panic, and is never aborted while it is waited for.
                if let Ok((question, reply)) = ended {
                    self.names.answered(&question, reply, Instant::now());
                    self.want_names();
                }
                true
            }
            () = sleep_until(some_wake), if wake.is_some() => self.poll_files(Instant::now()),
            else => std::future::pending().await,
        }
    }

    fn poll_files(&mut self, now: Instant) -> bool {
        let mut read = false;
        if self.next_poll.is_some_and(|at| at <= now) {
            self.next_poll = Some(now + POLL);
            for file in self.files.values_mut() {
                read |= file.poll();
            }
        }
        self.want_names();
        read
    }

    fn want_names(&mut self) {
        let groups = self.groups.values();
        let wanted: Vec<_> = groups
            .flat_map(|group| {
                self.names_of(group)
                    .map(|named| (&group.resolver, &named.name))
            })
            .map(|(resolver, name)| (resolver.clone(), name.clone()))
            .collect();
        let wanted = wanted.iter().map(|(resolver, name)| (resolver, name));
        self.names.want(wanted, Instant::now());
    }

    /// A group's names, those that its file lists included.
    fn names_of<'s>(&'s self, group: &'s Followed) -> impl Iterator<Item = &'s NamedTarget> {
        let file = group.file.as_ref().and_then(|path| self.files.get(path));
        let listed = file.into_iter().flat_map(|file| &file.list.names);
        group.names.iter().chain(listed)
    }

    /// What files offer, then what names do.
    pub(super) fn offers(&self) -> [Offers; 2] {
        let (mut of_files, mut of_names) = (Offers::new(), Offers::new());
        for (name, group) in &self.groups {
            let file = group.file.as_ref().and_then(|path| self.files.get(path));
            let listed = file.into_iter().flat_map(|file| &file.list.targets);
            let offer = |target: &conf::Target| Offer {
                target: target.clone(),
                origin: Origin::TargetsFile,
            };
            of_files.insert(name.clone(), listed.map(offer).collect());
            let offered = self.names_of(group).flat_map(|named| {
                let shown: std::sync::Arc<str> = named.name.to_string().into();
                let targets = self.names.targets(&group.resolver, named).into_iter();
                targets.map(move |target| Offer {
                    target,
                    origin: Origin::Name(shown.clone()),
                })
            });
            of_names.insert(name.clone(), offered.collect());
        }
        [of_files, of_names]
    }

    /// How every source does; differences from the last time go to the log and are counted.
    pub(super) fn reports(&mut self) -> Reports {
        let mut reports = Reports::default();
        for (name, group) in &self.groups {
            let mut sources = Vec::new();
            for named in self.names_of(group) {
                let state = self.names.state(&group.resolver, &named.name);
                let targets = self.names.targets(&group.resolver, named);
                sources.push(SourceReport {
                    kind: SourceKind::Name,
                    source: named.name.to_string(),
                    targets: targets.iter().map(|target| target.address).collect(),
                    fault: state.fault.or_else(|| {
                        let wait = "it has not been answered yet";
                        (!state.asked).then(|| wait.to_owned())
                    }),
                    next: state.due,
                });
            }
            if let Some(file) = group.file.as_ref().and_then(|path| self.files.get(path)) {
                sources.push(SourceReport {
                    kind: SourceKind::File,
                    source: group
                        .file
                        .as_ref()
                        .map_or_else(String::new, |p| p.display().to_string()),
                    targets: file
                        .list
                        .targets
                        .iter()
                        .map(|target| target.address)
                        .collect(),
                    fault: file.fault.clone(),
                    next: self.next_poll,
                });
            }
            reports.0.insert(name.clone(), sources);
        }
        reports.log_differences(&self.reports);
        self.reports = reports.clone();
        reports
    }
}

impl Followed {
    fn of(group: &TargetGroup) -> Self {
        Self {
            resolver: group.sources.resolver.clone(),
            names: group.sources.names.clone(),
            file: group.sources.file.clone(),
        }
    }
}
