//! Desync mitigation: how far a request is from meaning one thing to every reader, and what is done
//! about it. Tiers and reasons are those of AWS's http-desync-guardian.
//!
//! Asked only about requests in which the strict parser met something unusual; one that it takes
//! without a second look costs nothing here. Works on the raw bytes, never on what was made of them.

mod gate;
mod lengths;
mod normalise;
mod reading;
mod similarity;

use conf::DesyncMode;

pub use gate::{Passage, Strictness, verdict_of_refused};
pub use normalise::{head_length, normalise};

use super::http1::is_token_byte;
use lengths::Lengths;
use reading::{Field, RequestLine};
use similarity::{Similarity, similarity};

/// How far a request is from what the RFCs ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// Nothing is wrong with it.
    Compliant,
    /// It breaks a rule, in a way that every reader understands alike.
    Acceptable,
    /// Readers may differ about where it ends.
    Ambiguous,
    /// It can only be meant to make readers differ.
    Severe,
}

impl Tier {
    /// ELB's word in access logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::Acceptable => "Acceptable",
            Self::Ambiguous => "Ambiguous",
            Self::Severe => "Severe",
        }
    }
}

/// Why a request is in its tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are AWS's and say it")]
pub enum Reason {
    Compliant,
    EmptyHeader,
    SuspiciousHeader,
    NonCompliantHeader,
    BadHeader,
    AmbiguousUri,
    SpaceInUri,
    BadUri,
    NonCompliantVersion,
    BadVersion,
    GetHeadZeroContentLength,
    UndefinedContentLengthSemantics,
    MultipleContentLength,
    DuplicateContentLength,
    BadContentLength,
    UndefinedTransferEncodingSemantics,
    MultipleTransferEncodingChunked,
    BadTransferEncoding,
    BothTeClPresent,
    BadMethod,
    NonCrLfLineTermination,
    MultilineHeader,
    PartialHeaderLine,
    MissingLastEmptyLine,
    MissingHeaderColon,
    MissingUri,
}

impl Reason {
    /// ELB's word in access logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compliant => "Compliant",
            Self::EmptyHeader => "EmptyHeader",
            Self::SuspiciousHeader => "SuspiciousHeader",
            Self::NonCompliantHeader => "NonCompliantHeader",
            Self::BadHeader => "BadHeader",
            Self::AmbiguousUri => "AmbiguousUri",
            Self::SpaceInUri => "SpaceInUri",
            Self::BadUri => "BadUri",
            Self::NonCompliantVersion => "NonCompliantVersion",
            Self::BadVersion => "BadVersion",
            Self::GetHeadZeroContentLength => "GetHeadZeroContentLength",
            Self::UndefinedContentLengthSemantics => "UndefinedContentLengthSemantics",
            Self::MultipleContentLength => "MultipleContentLength",
            Self::DuplicateContentLength => "DuplicateContentLength",
            Self::BadContentLength => "BadContentLength",
            Self::UndefinedTransferEncodingSemantics => "UndefinedTransferEncodingSemantics",
            Self::MultipleTransferEncodingChunked => "MultipleTransferEncodingChunked",
            Self::BadTransferEncoding => "BadTransferEncoding",
            Self::BothTeClPresent => "BothTeClPresent",
            Self::BadMethod => "BadMethod",
            Self::NonCrLfLineTermination => "NonCrLfLineTermination",
            Self::MultilineHeader => "MultilineHeader",
            Self::PartialHeaderLine => "PartialHeaderLine",
            Self::MissingLastEmptyLine => "MissingLastEmptyLine",
            Self::MissingHeaderColon => "MissingHeaderColon",
            Self::MissingUri => "MissingUri",
        }
    }
}

/// What is done with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// It is forwarded.
    Forward,
    /// It is forwarded, and the connections on both sides end with it.
    ForwardOnce,
    /// It is refused.
    Refuse,
}

/// A tier and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// How bad it is.
    pub tier: Tier,
    /// The first reason for it.
    pub reason: Reason,
}

impl Verdict {
    const COMPLIANT: Self = Self {
        tier: Tier::Compliant,
        reason: Reason::Compliant,
    };

    /// The first reason of a tier stays; only a worse one takes its place.
    fn raise(&mut self, tier: Tier, reason: Reason) {
        if self.tier < tier {
            *self = Self { tier, reason };
        }
    }

    /// What `mode` does about it (ELB `routing.http.desync_mitigation_mode`).
    pub fn measure(self, mode: DesyncMode) -> Measure {
        match (mode, self.tier) {
            (DesyncMode::Monitor, _)
            | (DesyncMode::Defensive, Tier::Compliant | Tier::Acceptable)
            | (DesyncMode::Strictest, Tier::Compliant) => Measure::Forward,
            (DesyncMode::Defensive, Tier::Ambiguous) => Measure::ForwardOnce,
            (DesyncMode::Defensive, Tier::Severe) | (DesyncMode::Strictest, _) => Measure::Refuse,
        }
    }
}

/// Classifies a raw request head.
pub fn classify(bytes: &[u8]) -> Verdict {
    let mut verdict = Verdict::COMPLIANT;
    let (line, rest) = RequestLine::read(bytes, &mut verdict);
    // All lines are read before any field is judged: their faults come first.
    let fields = reading::fields(rest, &mut verdict);
    judge_parts(line, &fields, verdict)
}

/// What the parts of a head add to what is known of it.
fn judge_parts(line: RequestLine<'_>, fields: &[Field<'_>], known: Verdict) -> Verdict {
    // In byte order: what is later than HTTP/1 is for others to judge.
    if line.version >= &b"HTTP/2"[..] {
        return Verdict::COMPLIANT;
    }
    let version = match trim(line.version) {
        [] => &b"HTTP/0.9"[..],
        _ => line.version,
    };
    let (mut verdict, mut lengths) = (known, Lengths::default());
    for field in fields {
        judge(*field, &mut lengths, &mut verdict);
    }
    lengths.judge(line.method, version, &mut verdict);
    if !line.method.iter().copied().all(is_token_byte) {
        verdict.raise(Tier::Severe, Reason::BadMethod);
    }
    judge_version(version, &mut verdict);
    judge_uri(line.uri, &mut verdict);
    verdict
}

/// One field: its bytes, and whether it is, or passes for, a length field.
fn judge<'b>(field: Field<'b>, lengths: &mut Lengths<'b>, verdict: &mut Verdict) {
    let encoding = similarity(b"transfer-encoding", field.name);
    let length = match encoding {
        Similarity::Distant => similarity(b"content-length", field.name),
        _ => Similarity::Distant,
    };
    let is_bad = field
        .name
        .iter()
        .chain(field.value)
        .copied()
        .any(is_bad_byte);
    let is_odd = !field.name.iter().copied().all(is_token_byte)
        || !field.value.iter().copied().all(is_value_byte);
    match (is_bad, is_odd) {
        (true, _) => verdict.raise(Tier::Severe, Reason::BadHeader),
        (false, true) => verdict.raise(Tier::Acceptable, Reason::NonCompliantHeader),
        (false, false) => {}
    }
    let is_essential = encoding == Similarity::Identical || length == Similarity::Identical;
    if matches!(trim(field.name), [] | [b':', ..]) {
        verdict.raise(Tier::Ambiguous, Reason::EmptyHeader);
        return;
    }
    if !is_essential {
        if is_bad || (encoding, length) == (Similarity::Distant, Similarity::Distant) {
            return;
        }
        verdict.raise(Tier::Ambiguous, Reason::SuspiciousHeader);
    }
    match encoding {
        Similarity::Distant => lengths.lengths.push(field.value),
        _ => lengths.encodings.push(field.value),
    }
}

fn judge_version(version: &[u8], verdict: &mut Verdict) {
    let plain = trim(version);
    let minor = match plain {
        b"HTTP/0.9" => {
            verdict.raise(Tier::Acceptable, Reason::NonCompliantVersion);
            return;
        }
        [
            b'H',
            b'T',
            b'T',
            b'P',
            b'/',
            b'1',
            b'.',
            minor @ b'0'..=b'9',
        ] => *minor,
        _ => {
            verdict.raise(Tier::Severe, Reason::BadVersion);
            return;
        }
    };
    if plain.len() != version.len() || minor > b'1' {
        verdict.raise(Tier::Acceptable, Reason::NonCompliantVersion);
    }
}

fn judge_uri(uri: &[u8], verdict: &mut Verdict) {
    for &byte in uri {
        match byte {
            b' ' => verdict.raise(Tier::Acceptable, Reason::SpaceInUri),
            b'\r' | b'\n' | 0 => {
                verdict.raise(Tier::Severe, Reason::BadUri);
                return;
            }
            0x7f | ..b' ' => verdict.raise(Tier::Ambiguous, Reason::AmbiguousUri),
            _ => {}
        }
    }
}

/// Bytes that only an attack puts into a field.
fn is_bad_byte(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// RFC 9110 section 5.5, obs-text included.
fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Without blanks at both ends.
fn trim(bytes: &[u8]) -> &[u8] {
    super::http1::trim(bytes)
}

#[cfg(test)]
mod tests;
