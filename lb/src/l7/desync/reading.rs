//! A raw head read as leniently as any server might, noting what lines are wrong.

use super::{Reason, Tier, Verdict};

/// The parts of a request line; empty where there is none.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RequestLine<'b> {
    pub(super) method: &'b [u8],
    pub(super) uri: &'b [u8],
    /// With the blanks around it.
    pub(super) version: &'b [u8],
}

/// One field, its value with the blanks around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'b> {
    pub(super) name: &'b [u8],
    pub(super) value: &'b [u8],
}

/// A line without its end, and what follows it; `None` for the rest when the line has no end.
fn line<'b>(bytes: &'b [u8], verdict: &mut Verdict) -> (&'b [u8], Option<&'b [u8]>) {
    let (line, rest) = match memchr::memchr(b'\n', bytes) {
        Some(end) => (
            bytes.get(..end).unwrap_or_default(),
            Some(bytes.get(end + 1..).unwrap_or_default()),
        ),
        None => (bytes, None),
    };
    match line.split_last() {
        Some((b'\r', line)) => (line, rest),
        _ => {
            verdict.raise(Tier::Acceptable, Reason::NonCrLfLineTermination);
            (line, rest)
        }
    }
}

impl<'b> RequestLine<'b> {
    /// Reads the first line; what follows it comes too.
    pub(super) fn read(bytes: &'b [u8], verdict: &mut Verdict) -> (Self, Option<&'b [u8]>) {
        let (line, rest) = line(bytes, verdict);
        (Self::parts(line, verdict), rest)
    }

    fn parts(line: &'b [u8], verdict: &mut Verdict) -> Self {
        let missing = |method, version, verdict: &mut Verdict| {
            verdict.raise(Tier::Ambiguous, Reason::MissingUri);
            Self {
                method,
                uri: b"",
                version,
            }
        };
        let (method, rest) = match memchr::memchr(b' ', line) {
            Some(at) => (
                line.get(..at).unwrap_or_default(),
                line.get(at + 1..).unwrap_or_default(),
            ),
            None => return missing(line, b"", verdict),
        };
        match last_blank(rest) {
            Some(at) => {
                let uri = rest.get(..at).unwrap_or_default();
                let version = rest.get(at + 1..).unwrap_or_default();
                if uri.is_empty() && version.is_empty() {
                    return missing(method, b"", verdict);
                }
                Self {
                    method,
                    uri,
                    version,
                }
            }
            None if rest.is_empty() => missing(method, b"", verdict),
            None if rest.starts_with(b"HTTP/1.") => missing(method, rest, verdict),
            // Without a version: HTTP/0.9.
            None => Self {
                method,
                uri: rest,
                version: b"",
            },
        }
    }
}

/// The last blank that something follows which could be a version.
fn last_blank(bytes: &[u8]) -> Option<usize> {
    let is_token = |&byte: &u8| super::is_token_byte(byte);
    let last_token = bytes.iter().rposition(is_token).unwrap_or_default();
    let before = bytes.get(..last_token).unwrap_or_default();
    memchr::memrchr(b' ', before).or_else(|| (bytes.first() == Some(&b' ')).then_some(0))
}

/// Reads the lines after the first up to an empty one.
pub(super) fn fields<'b>(bytes: Option<&'b [u8]>, verdict: &mut Verdict) -> Vec<Field<'b>> {
    let mut fields = Vec::new();
    let mut unfolded: Option<&[u8]> = None;
    let mut is_media_type = false;
    let mut bytes = bytes.unwrap_or_default();
    loop {
        let (line, rest) = line(bytes, verdict);
        if line.is_empty() {
            return fields;
        }
        let is_folded = matches!(line, [b' ' | b'\t', ..]);
        let colon = memchr::memchr(b':', line);
        let (name, value) = match colon {
            Some(at) => (
                line.get(..at).unwrap_or_default(),
                line.get(at + 1..).unwrap_or_default(),
            ),
            None => (line, &b""[..]),
        };
        if !is_folded && colon.is_some() {
            is_media_type = name.eq_ignore_ascii_case(b"content-type");
            unfolded = Some(name);
        }
        let (name, value) = match unfolded {
            // A fold that could not pass for a field of its own; a media type may have colons.
            Some(begun) if is_folded && (is_media_type || colon.is_none()) => (begun, name),
            _ => (name, value),
        };
        fields.push(Field { name, value });
        if !is_folded && colon.is_none() {
            verdict.raise(Tier::Ambiguous, Reason::MissingHeaderColon);
        }
        if is_folded && !is_media_type {
            verdict.raise(Tier::Ambiguous, Reason::MultilineHeader);
        }
        match rest {
            None => {
                verdict.raise(Tier::Ambiguous, Reason::PartialHeaderLine);
                return fields;
            }
            Some([]) => {
                verdict.raise(Tier::Ambiguous, Reason::MissingLastEmptyLine);
                return fields;
            }
            Some(rest) => bytes = rest,
        }
    }
}
