//! Rules of `http` listeners: conditions on a request, and the action when all of them hold.
//!
//! Patterns are kept as they were written; the balancer compiles wildcards, regular expressions
//! are compiled here because a bad one is an error of the file.

use std::fmt;

use ipnet::IpNet;

use super::{Action, Gate};
use crate::Span;

/// The lowest priority is looked at first; the first rule whose conditions all hold decides.
#[derive(Debug, Clone)]
pub struct Rule {
    /// 1 to 50000, unique in its listener.
    pub priority: u16,
    /// Where it stands.
    pub span: Span,
    /// At least one; all must hold.
    pub conditions: Vec<Condition>,
    /// What is done then.
    pub action: Action,
    /// What its requests pass before.
    pub gate: Gate,
}

/// One thing asked of a request; it holds when one of its values matches.
#[derive(Debug, Clone)]
pub enum Condition {
    /// The host without its port, whatever its case.
    Host(Vec<Pattern>),
    /// The path as it was sent, by case, without the query.
    Path(Vec<Pattern>),
    /// The method, by case.
    Method(Vec<String>),
    /// A header field, each of its lines tried, whatever the value's case.
    Header {
        /// The field's name, whatever its case.
        name: String,
        /// What its value may be.
        values: Vec<Pattern>,
    },
    /// The address of the client's connection.
    SourceIp(Vec<IpNet>),
    /// A parameter of the query, whatever its case.
    Query(Vec<QueryPattern>),
    /// The server name asked for in the TLS handshake, whatever its case.
    Sni(Vec<Pattern>),
    /// An application protocol: agreed on, or offered where TLS passes through.
    Alpn(Vec<String>),
}

/// What a text may be.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// The whole of it, with `*` for any text and `?` for one character.
    Wildcard(String),
    /// Some part of it.
    Regex(Regex),
}

/// What a parameter of the query may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPattern {
    /// Its key; `None` = any. `*` and `?` as in [`Pattern::Wildcard`], `\` before them (or before
    /// itself) for the character.
    pub key: Option<String>,
    /// Its value, in the same form.
    pub value: String,
}

/// A compiled regular expression over bytes. A clone matches independently of its original: give
/// each thread its own, so that they need not take turns.
#[derive(Debug, Clone)]
pub struct Regex(regex::bytes::Regex);

/// Bytes a compiled expression, and its cache at run time, may take: expressions of 128 characters
/// stay far below unless repetitions multiply.
const REGEX_BYTES: usize = 256 << 10;

impl Regex {
    /// Compiles `text`; letters match in either case when `any_case`.
    pub(crate) fn new(text: &str, any_case: bool) -> Result<Self, regex::Error> {
        regex::bytes::RegexBuilder::new(text)
            .case_insensitive(any_case)
            .unicode(false)
            .size_limit(REGEX_BYTES)
            .dfa_size_limit(REGEX_BYTES)
            .build()
            .map(Self)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// What its groups match where it matches first.
    pub(super) fn captures<'t>(&self, text: &'t [u8]) -> Option<regex::bytes::Captures<'t>> {
        self.0.captures(text)
    }

    /// How many groups it has, the whole included.
    pub(crate) fn groups(&self) -> usize {
        self.0.captures_len()
    }

    /// True when some part of `text` matches. Takes time linear in its length.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.0.is_match(text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wildcard(text) => f.write_str(text),
            Self::Regex(regex) => write!(f, "~{}", regex.as_str()),
        }
    }
}

impl fmt::Display for QueryPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key}={}", self.value),
            None => f.write_str(&self.value),
        }
    }
}

impl fmt::Display for Condition {
    /// In one line for people: `host a.test or b.test`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(values) => list(f, "host", values),
            Self::Path(values) => list(f, "path", values),
            Self::Method(values) => list(f, "method", values),
            Self::Header { name, values } => list(f, &format!("header {name}:"), values),
            Self::SourceIp(values) => list(f, "source-ip", values),
            Self::Query(values) => list(f, "query", values),
            Self::Sni(values) => list(f, "sni", values),
            Self::Alpn(values) => list(f, "alpn", values),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, what: &str, values: &[impl fmt::Display]) -> fmt::Result {
    f.write_str(what)?;
    values.iter().enumerate().try_for_each(|(index, value)| {
        let word = if index == 0 { " " } else { " or " };
        write!(f, "{word}{value}")
    })
}
