//! Conditions compiled: one thing asked of a request; its values are tried until one matches.

use std::net::IpAddr;

use httparse::Header;
use ipnet::IpNet;

use super::guard::name_bit;
use super::pattern::Pattern;

/// What rules look at in a request.
pub(super) struct Subject<'r> {
    pub(super) method: &'r str,
    /// In lower case, without port and final dot.
    pub(super) host: &'r [u8],
    pub(super) path: &'r [u8],
    pub(super) parameters: Parameters<'r>,
    pub(super) fields: &'r [Header<'r>],
    /// The bits of the names of its fields.
    pub(super) field_names: u64,
    /// Application protocols of the handshake, by commas.
    pub(super) alpn: &'r [u8],
    pub(super) peer: IpAddr,
    /// Whose copy of a regular expression to use.
    pub(super) worker: usize,
}

/// Parameters that are taken apart once for all rules; queries seldom have more.
const TAKEN_APART: usize = 8;

/// The parameters of a query. One as `key=value`; without `=` there is a key only.
#[derive(Default)]
pub(super) struct Parameters<'r> {
    first: [(&'r [u8], Option<&'r [u8]>); TAKEN_APART],
    count: usize,
    /// Those that found no room.
    others: Option<&'r [u8]>,
}

impl<'r> Parameters<'r> {
    /// Those of a query.
    pub(super) fn new(query: &'r [u8]) -> Self {
        let mut parameters = Self {
            others: Some(query),
            ..Self::default()
        };
        while let (Some(place), Some(query)) = (
            parameters.first.get_mut(parameters.count),
            parameters.others,
        ) {
            let (parameter, others) = split(query, b'&');
            *place = split(parameter, b'=');
            parameters.others = others;
            parameters.count += 1;
        }
        parameters
    }

    /// The bits of their keys, of all names when not all were taken apart.
    pub(super) fn key_bits(&self) -> u64 {
        let first = self.first.iter().take(self.count);
        let bits = first.fold(0, |bits, (key, _)| bits | name_bit(key));
        self.others.map_or(bits, |_| u64::MAX)
    }

    fn any(&self, wanted: impl Fn(&[u8], Option<&[u8]>) -> bool) -> bool {
        let first = self.first.iter().take(self.count);
        let mut others = self.others.into_iter();
        first.into_iter().any(|(key, value)| wanted(key, *value))
            || others.any(|others| {
                others.split(|&b| b == b'&').any(|parameter| {
                    let (key, value) = split(parameter, b'=');
                    wanted(key, value)
                })
            })
    }
}

/// What stands before the first `mark`, and after it.
fn split(text: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(mark, text).and_then(|at| text.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (text, None),
    }
}

/// A compiled condition.
#[derive(Debug)]
pub(super) enum Condition {
    Host(Box<[Pattern]>),
    Path(Box<[Pattern]>),
    Method(Box<[Box<str>]>),
    Header {
        name: Box<str>,
        values: Box<[Pattern]>,
    },
    SourceIp(Box<[IpNet]>),
    Query(Box<[Parameter]>),
    Alpn(Box<[Box<str>]>),
}

/// A compiled [`conf::QueryPattern`].
#[derive(Debug)]
pub(super) struct Parameter {
    key: Option<Pattern>,
    value: Pattern,
}

impl Condition {
    /// A configured condition, for so many workers.
    pub(super) fn new(condition: &conf::Condition, workers: usize) -> Self {
        let patterns = |values: &[conf::Pattern], folds: bool| {
            let compiled = values.iter();
            compiled
                .map(|value| Pattern::new(value, folds, workers))
                .collect()
        };
        match condition {
            // A connection's server name stands where a request has its host.
            conf::Condition::Host(values) | conf::Condition::Sni(values) => {
                Self::Host(patterns(values, true))
            }
            conf::Condition::Alpn(values) => {
                Self::Alpn(values.iter().map(|value| value.as_str().into()).collect())
            }
            conf::Condition::Path(values) => Self::Path(patterns(values, false)),
            conf::Condition::Method(values) => {
                Self::Method(values.iter().map(|value| value.as_str().into()).collect())
            }
            conf::Condition::Header { name, values } => Self::Header {
                name: name.as_str().into(),
                values: patterns(values, true),
            },
            conf::Condition::SourceIp(networks) => Self::SourceIp(networks.as_slice().into()),
            conf::Condition::Query(values) => {
                let parameter = |value: &conf::QueryPattern| Parameter {
                    key: value.key.as_deref().map(Pattern::escaped),
                    value: Pattern::escaped(&value.value),
                };
                Self::Query(values.iter().map(parameter).collect())
            }
        }
    }

    /// How long it takes, roughly; cheap ones are asked first.
    pub(super) fn cost(&self) -> u32 {
        let sum = |values: &[Pattern]| values.iter().map(Pattern::cost).sum::<u32>();
        match self {
            Self::Method(_) | Self::Alpn(_) => 1,
            Self::Host(values) | Self::Path(values) => sum(values),
            Self::SourceIp(networks) => 2 * networks.len() as u32,
            Self::Header { values, .. } => 10 + sum(values),
            Self::Query(parameters) => 10 * parameters.len() as u32,
        }
    }

    /// True when one of its values matches.
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        let worker = subject.worker;
        match self {
            Self::Host(values) => values
                .iter()
                .any(|v| v.is_match::<false>(subject.host, worker)),
            Self::Path(values) => values
                .iter()
                .any(|v| v.is_match::<false>(subject.path, worker)),
            Self::Method(methods) => methods.iter().any(|method| **method == *subject.method),
            Self::Header { name, .. } if subject.field_names & name_bit(name.as_bytes()) == 0 => {
                false
            }
            Self::Header { name, values } => subject
                .fields
                .iter()
                .filter(|field| field.name.eq_ignore_ascii_case(name))
                .any(|field| {
                    values
                        .iter()
                        .any(|v| v.is_match::<true>(field.value, worker))
                }),
            Self::SourceIp(networks) => networks.iter().any(|n| n.contains(&subject.peer)),
            Self::Alpn(values) => subject
                .alpn
                .split(|byte| *byte == b',')
                .any(|name| values.iter().any(|value| value.as_bytes() == name)),
            Self::Query(wanted) => subject.parameters.any(|key, value| {
                wanted
                    .iter()
                    .any(|parameter| parameter.is_match(key, value))
            }),
        }
    }
}

impl Parameter {
    /// The bits of which a query has one that it matches.
    pub(super) fn key_bits(&self) -> u64 {
        let key = self.key.as_ref().and_then(Pattern::only);
        key.map_or(u64::MAX, name_bit)
    }

    /// For a pattern without a key, a parameter without a value is matched by its key.
    fn is_match(&self, key: &[u8], value: Option<&[u8]>) -> bool {
        // Queries have no regular expressions: no worker's copy is asked for.
        match &self.key {
            Some(wanted) => {
                wanted.is_match::<true>(key, 0)
                    && self.value.is_match::<true>(value.unwrap_or_default(), 0)
            }
            None => self.value.is_match::<true>(value.unwrap_or(key), 0),
        }
    }
}
