//! Trace fields: X-Amzn-Trace-Id as ELB writes it, and traceparent (W3C Trace Context).
//!
//! An ID that came is kept; ELB's field gets our own `Self` beside it. Both fields made here name
//! one trace: ELB's Root is the same 32 digits with two hyphens more.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use conf::Trace;
use httparse::Header;
use memchr::memmem::Finder;

use crate::digits::push_hex;

/// How the line of an X-Amzn-Trace-Id of ours begins, after the line before it.
static AMZN_LINE: LazyLock<Finder<'static>> =
    LazyLock::new(|| Finder::new(b"\r\nX-Amzn-Trace-Id: "));
/// The same of a traceparent.
static PARENT_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\ntraceparent: "));

/// A longer X-Amzn-Trace-Id is replaced by a fresh one (ELB).
const MAX_AMZN: usize = 7 * 1024;

/// What a new ID is made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fresh {
    /// Seconds since 1970.
    pub(super) seconds: u32,
    /// 96 bits of a trace's ID.
    pub(super) trace: u128,
    /// A span's ID, not 0.
    pub(super) span: u64,
}

impl Fresh {
    /// One for now.
    pub(super) fn now() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            // Wraps in 2106, as the field does.
            seconds: now.map_or(0, |now| now.as_secs() as u32),
            trace: rand::random::<u128>() >> 32,
            span: rand::random::<u64>() | 1,
        }
    }

    /// Appends the trace's ID in ELB's form.
    fn push_root(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"1-");
        push_hex::<8>(out, self.seconds.into());
        out.push(b'-');
        push_hex::<24>(out, self.trace);
    }

    /// Appends the rest of a traceparent. What is logged here is a record of the trace: sampled
    /// (section 3.2.2.5.1).
    fn push_span(self, out: &mut Vec<u8>) {
        out.push(b'-');
        push_hex::<16>(out, self.span.into());
        out.extend_from_slice(b"-01");
    }
}

/// Appends an ID in ELB's form that is made of a traceparent's digits.
fn push_root(out: &mut Vec<u8>, time: &[u8], rest: &[u8]) {
    out.extend_from_slice(b"1-");
    out.extend_from_slice(time);
    out.push(b'-');
    out.extend_from_slice(rest);
}

/// Appends what `trace` asks for.
pub(super) fn write(out: &mut Vec<u8>, fields: &[Header<'_>], trace: Trace, fresh: Fresh) {
    let parent = parent_of(fields);
    if matches!(trace, Trace::Amzn | Trace::Both) {
        let parent = parent.filter(|_| trace == Trace::Both);
        write_amzn(out, fields, parent, fresh);
    }
    if matches!(trace, Trace::W3c | Trace::Both) {
        out.extend_from_slice(b"traceparent: ");
        match (parent, root_digits(fields).filter(|_| trace == Trace::Both)) {
            (Some(parent), _) => out.extend_from_slice(parent),
            (None, Some((time, rest))) => {
                out.extend_from_slice(b"00-");
                out.extend_from_slice(time.as_bytes());
                out.extend_from_slice(rest.as_bytes());
                fresh.push_span(out);
            }
            (None, None) => {
                out.extend_from_slice(b"00-");
                push_hex::<8>(out, fresh.seconds.into());
                push_hex::<24>(out, fresh.trace);
                fresh.push_span(out);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a request's X-Amzn-Trace-Id for the log: as it is forwarded, else as it came, else that of a
/// traceparent, else one that only the log has. A scan or two of the forwarded head.
pub(in crate::l7) fn write_trace_id(out: &mut Vec<u8>, forwarded: &[u8], fields: &[Header<'_>]) {
    // Ours, or one that a client wrote in just this way and that is forwarded untouched.
    let own = value_of_line(forwarded, &AMZN_LINE);
    let came = || values(fields, "x-amzn-trace-id").next();
    if let Some(value) = own.or_else(came) {
        return out.extend_from_slice(value);
    }
    let parent = value_of_line(forwarded, &PARENT_LINE).or_else(|| parent_of(fields));
    let root = parent.and_then(|parent| Some((parent.get(3..11)?, parent.get(11..35)?)));
    out.extend_from_slice(b"Root=");
    match root {
        Some((time, rest)) => push_root(out, time, rest),
        None => Fresh::now().push_root(out),
    }
}

fn value_of_line<'h>(head: &'h [u8], line: &Finder<'_>) -> Option<&'h [u8]> {
    let at = line.find(head)?;
    let value = head.get(at + line.needle().len()..)?;
    value.get(..memchr::memchr(b'\r', value)?)
}

/// The traceparent of a request, when there is just one and it is valid.
pub(super) fn parent_of<'b>(fields: &[Header<'b>]) -> Option<&'b [u8]> {
    let mut found = values(fields, "traceparent");
    let only = found.next()?;
    (found.next().is_none() && is_parent(only)).then_some(only)
}

/// W3C Trace Context section 3.2: version, trace, parent, flags; later versions may say more.
fn is_parent(value: &[u8]) -> bool {
    let hex = |from: usize, to: usize| {
        let digits = value.get(from..to).unwrap_or_default();
        let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.len() == to - from && digits.iter().all(lower)
    };
    let is_zero = |from: usize, to: usize| {
        let digits = value.get(from..to).unwrap_or_default();
        digits.iter().all(|&byte| byte == b'0')
    };
    let hyphen = |at: usize| value.get(at) == Some(&b'-');
    let version = value.get(..2).unwrap_or_default();
    let ends = match version {
        b"00" => value.len() == 55,
        b"ff" => false,
        _ => value.len() == 55 || hyphen(55),
    };
    ends && hex(0, 2)
        && hyphen(2)
        && hex(3, 35)
        && !is_zero(3, 35)
        && hyphen(35)
        && hex(36, 52)
        && !is_zero(36, 52)
        && hyphen(52)
        && hex(53, 55)
}

/// ELB's rules: no field, or too long a one: a new Root. Without Root: one is added. With Root:
/// our `Self` comes first, and another one goes.
fn write_amzn(out: &mut Vec<u8>, fields: &[Header<'_>], parent: Option<&[u8]>, fresh: Fresh) {
    out.extend_from_slice(b"X-Amzn-Trace-Id: ");
    let came = values(fields, "x-amzn-trace-id").next();
    let came = came.filter(|value| value.len() <= MAX_AMZN);
    let has_root = came.is_some_and(|came| root_of(came).is_some());
    if has_root {
        out.extend_from_slice(b"Self=");
        fresh.push_root(out);
    } else {
        out.extend_from_slice(b"Root=");
        match parent.and_then(|parent| Some((parent.get(3..11)?, parent.get(11..35)?))) {
            Some((time, rest)) => push_root(out, time, rest),
            None => fresh.push_root(out),
        }
    }
    for part in came.into_iter().flat_map(parts) {
        let is_self = part
            .get(..5)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"self="));
        if !part.is_empty() && !is_self {
            out.push(b';');
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// The digits of a Root that came in ELB's form: what a traceparent can be made of.
fn root_digits<'b>(fields: &[Header<'b>]) -> Option<(&'b str, &'b str)> {
    let came = values(fields, "x-amzn-trace-id").next()?;
    let came = Some(came).filter(|value| value.len() <= MAX_AMZN)?;
    let root = std::str::from_utf8(root_of(came)?).ok()?;
    let (time, rest) = root.strip_prefix("1-")?.split_once('-')?;
    let lower = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let good = time.len() == 8 && rest.len() == 24 && lower(time) && lower(rest);
    let is_zero = time.bytes().chain(rest.bytes()).all(|byte| byte == b'0');
    (good && !is_zero).then_some((time, rest))
}

fn root_of(value: &[u8]) -> Option<&[u8]> {
    let root = parts(value).find(|part| {
        part.get(..5)
            .is_some_and(|name| name.eq_ignore_ascii_case(b"root="))
    });
    root.and_then(|part| part.get(5..))
}

/// The parts of an X-Amzn-Trace-Id, blanks trimmed.
fn parts(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b';').map(<[u8]>::trim_ascii)
}

fn values<'b>(fields: &[Header<'b>], name: &str) -> impl Iterator<Item = &'b [u8]> {
    let fields = fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name));
    fields.map(|field| field.value)
}
