//! What the length fields of one request say together: Transfer-Encoding and Content-Length, and
//! fields that pass for them.

use super::{Reason, Tier, Verdict, trim};

/// Codings that may stand in Transfer-Encoding.
const CODINGS: [&[u8]; 5] = [b"chunked", b"compress", b"deflate", b"gzip", b"identity"];

/// The values of all length fields, in order.
#[derive(Debug, Default)]
pub(super) struct Lengths<'b> {
    pub(super) encodings: Vec<&'b [u8]>,
    pub(super) lengths: Vec<&'b [u8]>,
}

impl Lengths<'_> {
    /// Adds to `verdict` what is wrong with them.
    pub(super) fn judge(&self, method: &[u8], version: &[u8], verdict: &mut Verdict) {
        let (has_encoding, has_length) = (!self.encodings.is_empty(), !self.lengths.is_empty());
        if version <= &b"HTTP/1.0"[..] && has_encoding {
            let reason = Reason::UndefinedTransferEncodingSemantics;
            return verdict.raise(Tier::Ambiguous, reason);
        }
        if version < &b"HTTP/1.0"[..] && has_length {
            let reason = Reason::UndefinedContentLengthSemantics;
            return verdict.raise(Tier::Ambiguous, reason);
        }
        self.judge_encodings(verdict);
        let length = self.judge_lengths(verdict);
        if matches!(method, b"GET" | b"HEAD") {
            if has_encoding {
                let reason = Reason::UndefinedTransferEncodingSemantics;
                verdict.raise(Tier::Ambiguous, reason);
            }
            match length {
                Some(0) => verdict.raise(Tier::Acceptable, Reason::GetHeadZeroContentLength),
                Some(_) => {
                    let reason = Reason::UndefinedContentLengthSemantics;
                    verdict.raise(Tier::Ambiguous, reason);
                }
                None => {}
            }
        }
        if length.is_some() && has_encoding {
            verdict.raise(Tier::Ambiguous, Reason::BothTeClPresent);
        }
    }

    fn judge_encodings(&self, verdict: &mut Verdict) {
        let mut was_chunked = false;
        let items = self
            .encodings
            .iter()
            .flat_map(|value| value.split(|&b| b == b','));
        for item in items {
            match coding(item) {
                Some(b"chunked") if was_chunked => {
                    verdict.raise(Tier::Severe, Reason::MultipleTransferEncodingChunked);
                }
                Some(name) => was_chunked = name == b"chunked",
                None => verdict.raise(Tier::Severe, Reason::BadTransferEncoding),
            }
        }
    }

    /// The first length that is a number.
    fn judge_lengths(&self, verdict: &mut Verdict) -> Option<u64> {
        let mut found = None;
        for value in &self.lengths {
            match (number(value), found) {
                (None, _) => verdict.raise(Tier::Severe, Reason::BadContentLength),
                (Some(length), None) => found = Some(length),
                (Some(length), Some(first)) if length == first => {
                    verdict.raise(Tier::Ambiguous, Reason::DuplicateContentLength);
                }
                _ => verdict.raise(Tier::Severe, Reason::MultipleContentLength),
            }
        }
        found
    }
}

/// The coding an element of Transfer-Encoding names, its parameters left out.
pub(super) fn coding(item: &[u8]) -> Option<&'static [u8]> {
    let name = trim(item.split(|&b| b == b';').next().unwrap_or_default());
    let known = |coding: &&&[u8]| coding.eq_ignore_ascii_case(name);
    CODINGS.iter().find(known).copied()
}

/// A number of 64 bits in decimal digits, blanks around them; none at all are 0.
pub(super) fn number(value: &[u8]) -> Option<u64> {
    trim(value)
        .iter()
        .try_fold(0_u64, |number, &byte| match byte {
            b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
            _ => None,
        })
}
