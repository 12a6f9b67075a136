//! The table reader: takes keys one by one with their types, and at the end reports what nobody took.
//!
//! Used by every file of `resolve`. A reader never stops: a bad value is reported and read as
//! absent. Dropping a reader without `finish` would lose unknown keys, so it is `must_use`.

mod typed;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::document::{Entry, Kind, Table, Value};
use crate::known;
use crate::section::Section;
use crate::suggest;
use crate::{Diagnostic, Sources, Span, Spanned};

/// A number's default and range, and what a value outside would do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit<T> {
    pub(crate) default: T,
    pub(crate) min: T,
    pub(crate) max: T,
    pub(crate) why: &'static str,
}

/// What every reader shares: where problems go, and where files are.
pub(crate) struct Scope<'s> {
    problems: RefCell<Vec<Diagnostic>>,
    sources: &'s Sources,
    has_holes: bool,
}

impl<'s> Scope<'s> {
    /// A scope over the files read. `has_holes`: some of them had syntax errors.
    pub(crate) fn new(sources: &'s Sources, has_holes: bool) -> Self {
        Self {
            problems: RefCell::new(Vec::new()),
            sources,
            has_holes,
        }
    }

    /// Adds a problem.
    pub(crate) fn report(&self, problem: Diagnostic) {
        self.problems.borrow_mut().push(problem);
    }

    /// `path` against the folder of the file that names it.
    pub(crate) fn path(&self, path: &str, named_in: Span) -> PathBuf {
        self.folder(named_in).join(path)
    }

    /// The folder of the file a span lies in.
    pub(crate) fn folder(&self, span: Span) -> &'s Path {
        self.sources
            .path(span.file)
            .parent()
            .unwrap_or(Path::new(""))
    }

    /// Every problem reported.
    pub(crate) fn into_problems(self) -> Vec<Diagnostic> {
        self.problems.into_inner()
    }
}

/// What came of reading a word out of a list of words.
pub(crate) enum Choice<T> {
    /// No such key.
    Absent,
    /// Reported: not a word, or not one of the list.
    Refused,
    /// Reported: a word of a later version. Other keys of that version are not reported then.
    Later,
    /// One of the list.
    Is(Spanned<T>),
}

impl<T> Choice<T> {
    /// The value, or `default` for anything else.
    pub(crate) fn value_or(self, default: T) -> T {
        match self {
            Self::Is(found) => found.value,
            _ => default,
        }
    }
}

/// Reads one table.
#[must_use = "finish() reports unknown keys"]
pub(crate) struct Reader<'t> {
    scope: &'t Scope<'t>,
    table: &'t Table,
    section: Section,
    title: String,
    taken: Vec<bool>,
    later: bool,
}

impl<'t> Reader<'t> {
    /// A reader of `table`, called `title` in messages: "listener `web`".
    pub(crate) fn new(
        scope: &'t Scope<'t>,
        table: &'t Table,
        section: Section,
        title: impl Into<String>,
    ) -> Self {
        Self {
            scope,
            table,
            section,
            title: title.into(),
            taken: vec![false; table.entries.len()],
            later: false,
        }
    }

    /// Passes over keys of later versions: what they belong to has been refused already.
    pub(crate) fn pass_later_keys(&mut self) {
        self.later = true;
    }

    /// Where the table stands.
    pub(crate) fn span(&self) -> Span {
        self.table.span
    }

    /// What it is called in messages.
    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Gives it a better name, once it is known.
    pub(crate) fn rename(&mut self, title: impl Into<String>) {
        self.title = title.into();
    }

    /// Where problems go.
    pub(crate) fn scope(&self) -> &'t Scope<'t> {
        self.scope
    }

    /// True when the key is there, readable or not.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// True when the key is absent or an empty list: what the file says, not what was left of it.
    pub(crate) fn is_empty_or_absent(&self, key: &str) -> bool {
        self.entry(key).is_none_or(
            |(_, entry)| matches!(&entry.value.kind, Kind::Array(items) if items.is_empty()),
        )
    }

    /// True when the key's value is a string.
    pub(crate) fn is_text(&self, key: &str) -> bool {
        self.entry(key)
            .is_some_and(|(_, entry)| matches!(entry.value.kind, Kind::String(_)))
    }

    /// Where the key stands.
    pub(crate) fn key_span(&self, key: &str) -> Option<Span> {
        self.entry(key).map(|(_, entry)| entry.key_span)
    }

    fn entry(&self, key: &str) -> Option<(usize, &'t Entry)> {
        self.table
            .entries
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.key == key)
    }

    /// Takes a key's value; `None` when absent or broken.
    pub(crate) fn take(&mut self, key: &str) -> Option<&'t Value> {
        debug_assert!(
            self.section.keys().contains(&key),
            "{key} of {:?}",
            self.section
        );
        let (index, entry) = self.entry(key)?;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = true;
        }
        (!matches!(entry.value.kind, Kind::Broken)).then_some(&entry.value)
    }

    /// Reports that a key which must be there is not.
    pub(crate) fn missing(&self, key: &str, consequence: &str, help: &str) {
        if !self.has(key) {
            let message = format!("{} has no `{key}`", self.title);
            self.scope.report(
                Diagnostic::error("missing-key", self.table.span, message)
                    .consequence(consequence)
                    .help(help),
            );
        }
    }

    /// As [`Reader::misplaced`], unless somebody took the key already.
    pub(crate) fn misplaced_once(&mut self, key: &str, why: &str, help: &str) {
        let taken = self.entry(key).and_then(|(index, _)| self.taken.get(index));
        if taken == Some(&false) {
            self.misplaced(key, why, help);
        }
    }

    /// Takes a key only to say that it means nothing here.
    pub(crate) fn misplaced(&mut self, key: &str, why: &str, help: &str) {
        if let Some(span) = self.key_span(key) {
            self.take(key);
            self.scope.report(
                Diagnostic::error(
                    "misplaced-key",
                    span,
                    format!("`{key}` means nothing in {}: {why}", self.title),
                )
                .consequence("the key would be read and never used")
                .help(help),
            );
        }
    }

    /// Reports a value that cannot be read.
    pub(crate) fn bad_value(&self, span: Span, message: String, help: impl Into<String>) {
        let consequence = format!("{} could not do what the line asks for", self.title);
        self.scope.report(
            Diagnostic::error("bad-value", span, message)
                .consequence(consequence)
                .help(help),
        );
    }

    /// Reports every key nobody took: those of later versions as such, the others as unknown.
    pub(crate) fn finish(self) {
        let left = self.table.entries.iter().zip(&self.taken);
        for (entry, _) in left.filter(|(_, taken)| !**taken) {
            match known::key(self.section, &entry.key) {
                Some(later) if self.later || later.is_off(&entry.value) => {}
                Some(later) => {
                    let what = later.named(&entry.value);
                    self.scope
                        .report(known::refuse(&what, entry.key_span, later.text));
                }
                // Under a header that cannot be read, keys seem to stand at the top level.
                None if self.section == Section::Root && self.scope.has_holes => {}
                None => self.unknown(entry),
            }
        }
    }

    fn unknown(&self, entry: &Entry) {
        let key = &entry.key;
        let message = format!("`{key}` is not a key of {}", self.title);
        let keys = self.section.keys().iter().copied();
        let near = suggest::nearest(key, keys.clone().chain(known::keys(self.section)));
        let help = match (near, self.section.home_of(key)) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(home)) => format!("`{key}` belongs in {}", home.heading()),
            (None, None) => suggest::help(key, keys, "it takes", "remove the key"),
        };
        self.scope.report(
            Diagnostic::error("unknown-key", entry.key_span, message)
                .consequence("it would have been ignored, whatever it was meant to do")
                .help(help),
        );
    }
}
