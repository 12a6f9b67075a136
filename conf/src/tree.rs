//! The table reader: takes keys one by one with their types, and at the end reports what nobody took.
//!
//! Used by every file of `resolve`. A reader never stops: a bad value is reported and read as
//! absent. Dropping a reader without `finish` would lose unknown keys, so it is `must_use`.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::document::{Entry, Kind, Table, Value};
use crate::known;
use crate::scalar::{Bytes, Shown, parse_duration, parse_size};
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

    /// A string.
    pub(crate) fn text(&mut self, key: &str) -> Option<Spanned<&'t str>> {
        let value = self.take(key)?;
        self.as_text(key, value)
    }

    /// `value` as a string.
    pub(crate) fn as_text(&self, key: &str, value: &'t Value) -> Option<Spanned<&'t str>> {
        match &value.kind {
            Kind::String(text) => Some(Spanned::new(text, value.span)),
            Kind::Broken => None,
            _ => {
                self.wrong_type(key, value, "a string", "put it in double quotes");
                None
            }
        }
    }

    /// A boolean.
    pub(crate) fn flag(&mut self, key: &str) -> Option<Spanned<bool>> {
        let value = self.take(key)?;
        if let Kind::Boolean(flag) = value.kind {
            return Some(Spanned::new(flag, value.span));
        }
        self.wrong_type(
            key,
            value,
            "a boolean",
            "write `true` or `false`, without quotes",
        );
        None
    }

    /// A whole number in a range.
    pub(crate) fn whole(&mut self, key: &str, limit: &Limit<u64>) -> Option<Spanned<u64>> {
        let value = self.take(key)?;
        let Kind::Integer(number) = value.kind else {
            self.wrong_type(
                key,
                value,
                "an integer",
                "write a whole number, without quotes",
            );
            return None;
        };
        match u64::try_from(number) {
            Ok(number) => self.in_range(key, Spanned::new(number, value.span), limit),
            Err(_) => {
                self.out_of_range(key, value.span, &number.to_string(), limit);
                None
            }
        }
    }

    /// A duration in a range.
    pub(crate) fn duration(
        &mut self,
        key: &str,
        limit: &Limit<Duration>,
    ) -> Option<Spanned<Duration>> {
        let value = self.take(key)?;
        let help = "write a number and a unit: \"500ms\", \"30s\", \"5m\", \"1h\", \"1d\"; a bare number is seconds";
        let duration = match &value.kind {
            Kind::Integer(seconds) => match u64::try_from(*seconds) {
                Ok(seconds) => Duration::from_secs(seconds),
                Err(_) => {
                    self.out_of_range(key, value.span, &seconds.to_string(), limit);
                    return None;
                }
            },
            Kind::String(text) => match parse_duration(text) {
                Ok(duration) => duration,
                Err(fault) => {
                    self.bad_value(value.span, fault.to_string(), help);
                    return None;
                }
            },
            _ => {
                self.wrong_type(key, value, "a duration", help);
                return None;
            }
        };
        self.in_range(key, Spanned::new(duration, value.span), limit)
    }

    /// A duration, or its default.
    pub(crate) fn duration_or(&mut self, key: &str, limit: &Limit<Duration>) -> Duration {
        self.duration(key, limit)
            .map_or(limit.default, |found| found.value)
    }

    /// A size in a range.
    pub(crate) fn size(&mut self, key: &str, limit: &Limit<Bytes>) -> Option<Spanned<Bytes>> {
        let value = self.take(key)?;
        let help =
            "write a number and a unit: \"512B\", \"64KiB\", \"1MiB\"; a bare number is bytes";
        let size = match &value.kind {
            Kind::Integer(bytes) => Bytes(u64::try_from(*bytes).unwrap_or(u64::MAX)),
            Kind::String(text) => match parse_size(text) {
                Ok(size) => Bytes(size),
                Err(fault) => {
                    self.bad_value(value.span, fault.to_string(), help);
                    return None;
                }
            },
            _ => {
                self.wrong_type(key, value, "a size", help);
                return None;
            }
        };
        self.in_range(key, Spanned::new(size, value.span), limit)
    }

    /// One of a list of words.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Choice<T> {
        if !self.has(key) {
            self.take(key);
            return Choice::Absent;
        }
        let Some(text) = self.text(key) else {
            return Choice::Refused;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text.value) {
            return Choice::Is(Spanned::new(*value, text.span));
        }
        if let Some(later) = known::value(self.section, key, text.value) {
            self.later = true;
            let what = format!("`{key} = \"{}\"`", text.value);
            self.scope.report(known::refuse(&what, text.span, later));
            return Choice::Later;
        }
        let names = words.iter().map(|(word, _)| *word);
        self.bad_value(
            text.span,
            format!("`{key}` of {} cannot be `{}`", self.title, text.value),
            suggest::help(text.value, names, "one of", "leave the key out"),
        );
        Choice::Refused
    }

    /// A value or a list of them; empty when absent.
    pub(crate) fn one_or_list(&mut self, key: &str) -> Vec<&'t Value> {
        match self.take(key) {
            None => Vec::new(),
            Some(Value {
                kind: Kind::Array(items),
                ..
            }) => items.iter().collect(),
            Some(value) => vec![value],
        }
    }

    /// A string or a list of strings; empty when absent.
    pub(crate) fn texts(&mut self, key: &str) -> Vec<Spanned<&'t str>> {
        self.one_or_list(key)
            .into_iter()
            .filter_map(|value| self.as_text(key, value))
            .collect()
    }

    /// A table.
    pub(crate) fn table(&mut self, key: &str) -> Option<&'t Table> {
        let value = self.take(key)?;
        if let Kind::Table(table) = &value.kind {
            return Some(table);
        }
        let help = format!("write `{key} = {{ … }}`");
        self.wrong_type(key, value, "a table", &help);
        None
    }

    /// Tables of `[[key]]`; empty when absent.
    pub(crate) fn tables(&mut self, key: &str) -> Vec<&'t Table> {
        let help = format!("write `[[{key}]]` with two brackets, once for each {key}");
        match self.take(key) {
            None => Vec::new(),
            Some(Value {
                kind: Kind::Array(items),
                ..
            }) => items
                .iter()
                .filter_map(|item| match &item.kind {
                    Kind::Table(table) => Some(table),
                    _ => {
                        self.wrong_type(key, item, "a table", &help);
                        None
                    }
                })
                .collect(),
            Some(value) => {
                self.wrong_type(key, value, "a list of tables", &help);
                Vec::new()
            }
        }
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

    fn wrong_type(&self, key: &str, value: &Value, wanted: &str, help: &str) {
        if matches!(value.kind, Kind::Broken) {
            return;
        }
        let message = format!(
            "`{key}` of {} must be {wanted}, not {}",
            self.title,
            value.kind.word()
        );
        self.scope.report(
            Diagnostic::error("wrong-type", value.span, message)
                .consequence(format!("`{key}` would have no value that could be used"))
                .help(help),
        );
    }

    fn in_range<T: Shown + PartialOrd>(
        &self,
        key: &str,
        found: Spanned<T>,
        limit: &Limit<T>,
    ) -> Option<Spanned<T>> {
        if found.value < limit.min || found.value > limit.max {
            self.out_of_range(key, found.span, &found.value.shown(), limit);
            return None;
        }
        Some(found)
    }

    fn out_of_range<T: Shown>(&self, key: &str, span: Span, shown: &str, limit: &Limit<T>) {
        let (min, max) = (limit.min.shown(), limit.max.shown());
        let message = format!(
            "`{key}` of {} is {shown}, outside {min} to {max}",
            self.title
        );
        self.scope.report(
            Diagnostic::error("out-of-range", span, message)
                .consequence(limit.why)
                .help(format!("choose from {min} to {max}")),
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
