//! How sources of registrations do, for the API, metrics and the log.

use std::collections::BTreeMap;

use conf::Address;
use tokio::time::Instant;

/// What kind of source it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourceKind {
    /// A name that is looked up.
    Name,
    /// A file that is watched.
    File,
}

impl SourceKind {
    /// The word in the API and in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::File => "targets-file",
        }
    }
}

/// How one source does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceReport {
    /// What it is.
    pub(crate) kind: SourceKind,
    /// Its name or path.
    pub(crate) source: String,
    /// What it offers: what it last said that could be used.
    pub(crate) targets: Vec<Address>,
    /// Why that is not what it says now.
    pub(crate) fault: Option<String>,
    /// When it is asked or looked at next; `None` while that is going on.
    pub(crate) next: Option<Instant>,
}

impl SourceReport {
    /// What is wrong, and what follows from it; for people.
    pub(crate) fn trouble(&self) -> Option<String> {
        let fault = self.fault.as_ref()?;
        let (kind, source) = (self.kind.as_str(), &self.source);
        let kept = match self.targets.len() {
            0 => "it gives no target until that is mended".to_owned(),
            count => format!("{count} of its last good answer stay registered"),
        };
        Some(format!("{kind} {source}: {fault}; {kept}"))
    }
}

/// How every source does, by group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reports(pub(super) BTreeMap<String, Vec<SourceReport>>);

impl Reports {
    /// The sources of a group.
    pub(crate) fn of(&self, group: &str) -> &[SourceReport] {
        self.0.get(group).map_or(&[], Vec::as_slice)
    }

    /// Groups with their sources.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (&str, &[SourceReport])> {
        let all = self.0.iter();
        all.map(|(group, sources)| (group.as_str(), sources.as_slice()))
    }

    /// Logs what began and what ended since `before`.
    pub(super) fn log_differences(&self, before: &Self) {
        for (group, sources) in &self.0 {
            for now in sources {
                let was = before.of(group).iter();
                let mut was = was.filter(|was| was.kind == now.kind && was.source == now.source);
                let was = was.next();
                let (kind, source) = (now.kind.as_str(), &now.source);
                match (was.and_then(|was| was.fault.as_ref()), &now.fault) {
                    (old, Some(fault)) if old != Some(fault) => {
                        let trouble = now.trouble().unwrap_or_default();
                        tracing::warn!("target group {group}: {trouble}");
                    }
                    (Some(_), None) => {
                        let count = now.targets.len();
                        tracing::info!(
                            "target group {group}: {kind} {source} is well again: {count} targets"
                        );
                    }
                    _ => {}
                }
                let old: &[Address] = was.map_or(&[], |was| &was.targets);
                let missing = |from: &[Address], of: &[Address]| {
                    let left = from.iter().filter(|address| !of.contains(address)).take(20);
                    left.map(Address::to_string).collect::<Vec<_>>().join(", ")
                };
                let (new, gone) = (missing(&now.targets, old), missing(old, &now.targets));
                for (verb, which) in [("has", new), ("no longer has", gone)] {
                    if !which.is_empty() {
                        tracing::info!("target group {group}: {kind} {source} {verb} {which}");
                    }
                }
            }
        }
    }
}
