//! The table reader's typed reads: strings, numbers, durations, sizes, words, lists, tables.
//!
//! Each takes one key and gives `None`, the problem reported, when the value is not of its type or
//! out of its range.

use std::time::Duration;

use super::{Choice, Limit, Reader};
use crate::document::{Kind, Table, Value};
use crate::scalar::{Bytes, Shown, parse_duration, parse_size};
use crate::{Diagnostic, Span, Spanned, known, suggest};

impl<'t> Reader<'t> {
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
}
