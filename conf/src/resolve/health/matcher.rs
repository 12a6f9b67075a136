//! `matcher`: the codes that count as success, HTTP or gRPC statuses.
//!
//! Called by the readers of the kinds that compare codes. Lists and ranges, as ELB writes them.

use super::Owner;
use crate::document::Kind;
use crate::tree::Reader;
use crate::{Matcher, Profile};

/// What a matcher may hold, and what it holds when the file does not say.
pub(super) struct Codes {
    default: (u16, u16),
    low: u16,
    high: u16,
    /// Digits of a code: 3, or any number of them.
    digits: Option<usize>,
    what: &'static str,
    help: &'static str,
}

impl Codes {
    /// HTTP statuses (ELB `Matcher.HttpCode`: ALB 200-499, NLB 200-599).
    pub(super) fn http(owner: &Owner) -> Self {
        let (default, low, high) = match (owner.profile, owner.protocol) {
            (Profile::Local, _) => ((200, 299), 100, 599),
            (Profile::Aws, protocol) if protocol.is_http() => ((200, 200), 200, 499),
            (Profile::Aws, _) => ((200, 399), 200, 599),
        };
        Self {
            default,
            low,
            high,
            digits: Some(3),
            what: "statuses",
            help: "write statuses and ranges: \"200\", \"200,202\", \"200-299\"",
        }
    }

    /// gRPC statuses (ELB `Matcher.GrpcCode`: 0-99). `default` is what passes unless said.
    pub(super) fn grpc(default: u16) -> Self {
        Self {
            default: (default, default),
            low: 0,
            high: 99,
            digits: None,
            what: "gRPC statuses",
            help: "write statuses and ranges: \"0\", \"0,12\", \"0-16\"",
        }
    }

    /// The matcher of a file that gives none.
    pub(super) fn default(&self) -> Matcher {
        Matcher {
            ranges: vec![self.default],
        }
    }

    /// Reads `matcher`.
    pub(super) fn read(&self, reader: &mut Reader<'_>) -> Matcher {
        let Some(value) = reader.take("matcher") else {
            return self.default();
        };
        let text = match &value.kind {
            Kind::Integer(code) => code.to_string(),
            _ => match reader.as_text("matcher", value) {
                Some(text) => text.value.to_owned(),
                None => return self.default(),
            },
        };
        let ranges: Option<Vec<_>> = text.split(',').map(|part| self.range(part)).collect();
        let Some(mut ranges) = ranges else {
            let Self {
                what, low, high, ..
            } = self;
            reader.bad_value(
                value.span,
                format!("`{text}` is not a list of {what} from {low} to {high}"),
                self.help,
            );
            return self.default();
        };
        ranges.sort_unstable();
        Matcher { ranges }
    }

    fn range(&self, part: &str) -> Option<(u16, u16)> {
        let (from, to) = match part.split_once('-') {
            Some((from, to)) => (self.code(from)?, self.code(to)?),
            None => (self.code(part)?, self.code(part)?),
        };
        (self.low <= from && from <= to && to <= self.high).then_some((from, to))
    }

    fn code(&self, text: &str) -> Option<u16> {
        let text = text.trim();
        let good = self.digits.is_none_or(|digits| text.len() == digits)
            && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| text.parse().ok())?
    }
}
