//! Keys and values that a later version will serve: known by name, refused with a reason.
//!
//! Asked by the readers for every key and word they cannot use. People bring files and habits from
//! ELB and Route 53; they must hear "not yet, and this is what you would miss", not "unknown". A
//! key whose value means "off" asks for nothing and passes in silence.

mod keys;
mod values;

use crate::document::{Kind, Value};
use crate::scalar::parse_duration;
use crate::section::Section;
use crate::{Diagnostic, Span};

/// What to say of something that is not served yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    /// What would have been missing.
    pub(crate) missing: &'static str,
    /// What works instead.
    pub(crate) instead: &'static str,
}

/// A value that asks for nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Off {
    /// The word itself.
    Word(&'static str),
    /// The boolean itself.
    Flag(bool),
    /// The number itself, or a duration of that many seconds.
    Number(i128),
    /// An empty list or table.
    Empty,
}

/// A key of a later version.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaterKey {
    section: Section,
    name: &'static str,
    off: &'static [Off],
    /// What to say.
    pub(crate) text: Text,
}

impl LaterKey {
    /// The key for a message, with its value where other values would do.
    pub(crate) fn named(&self, value: &Value) -> String {
        let name = self.name;
        match &value.kind {
            _ if self.off.is_empty() => format!("`{name}`"),
            Kind::String(text) => format!("`{name} = \"{text}\"`"),
            Kind::Integer(number) => format!("`{name} = {number}`"),
            Kind::Boolean(flag) => format!("`{name} = {flag}`"),
            _ => format!("`{name}`"),
        }
    }

    /// True when `value` means "off".
    pub(crate) fn is_off(&self, value: &Value) -> bool {
        self.off.iter().any(|off| match (off, &value.kind) {
            (Off::Word(word), Kind::String(text)) => text == word,
            (Off::Flag(flag), Kind::Boolean(value)) => value == flag,
            (Off::Number(number), Kind::Integer(value)) => value == number,
            (Off::Number(number), Kind::String(text)) => parse_duration(text)
                .is_ok_and(|duration| i128::try_from(duration.as_millis()) == Ok(number * 1000)),
            (Off::Empty, Kind::Array(items)) => items.is_empty(),
            (Off::Empty, Kind::Table(table)) => table.entries.is_empty(),
            _ => false,
        })
    }
}

/// A key of a later version of `section`.
pub(crate) fn key(section: Section, name: &str) -> Option<&'static LaterKey> {
    keys::LATER
        .iter()
        .find(|later| later.section == section && later.name == name)
}

/// The names of the later keys of `section`.
pub(crate) fn keys(section: Section) -> impl Iterator<Item = &'static str> + Clone {
    keys::LATER
        .iter()
        .filter(move |later| later.section == section)
        .map(|later| later.name)
}

/// What to say of a later word as the value of `key` in `section`.
pub(crate) fn value(section: Section, key: &str, word: &str) -> Option<Text> {
    values::LATER
        .iter()
        .find(|later| later.section == section && later.key == key && later.words.contains(&word))
        .map(|later| later.text)
}

/// The diagnostic: `what` is quoted by the caller.
pub(crate) fn refuse(what: &str, span: Span, text: Text) -> Diagnostic {
    Diagnostic::error(
        "not-in-this-version",
        span,
        format!("{what} is not served by this version"),
    )
    .consequence(text.missing)
    .help(text.instead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_both_served_and_later() {
        for later in keys::LATER {
            assert!(
                !later.section.keys().contains(&later.name),
                "{} of {:?}",
                later.name,
                later.section
            );
        }
    }

    #[test]
    fn values_belong_to_served_keys() {
        for later in values::LATER {
            assert!(
                later.section.keys().contains(&later.key),
                "{} of {:?}",
                later.key,
                later.section
            );
        }
    }
}
