//! Response heads: parsed as strictly as requests (RFC 9112 sections 4 and 6.3).
//!
//! Called by the exchange with what a target sent. A fault becomes 502: what cannot be framed with
//! certainty is never relayed. Cost: as for requests; no allocation.

use std::mem::MaybeUninit;

use httparse::Header;

use super::fields::{self, Connection, KnownField, MAX_FIELDS};
use super::framing::{BodyLength, FramingFault, LengthFields};
use super::head::{HeadLimits, Version, bits, named_fields};

/// Why a response is not relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResponseFault {
    /// The status line is malformed.
    BadStatusLine,
    /// A field is malformed, folded, or ends in a bare LF.
    BadField,
    /// The head is larger than 32 KiB or has more than 128 fields (ELB).
    LargeHead,
    /// The length fields contradict each other or are malformed.
    BadLength,
    /// 101 that was not asked for.
    UnaskedUpgrade,
    /// The chunked body is malformed.
    BadChunk,
}

impl ResponseFault {
    /// The word for labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadStatusLine => "target-bad-status-line",
            Self::BadField => "target-bad-field",
            Self::LargeHead => "target-large-head",
            Self::BadLength => "target-bad-length",
            Self::UnaskedUpgrade => "target-unasked-upgrade",
            Self::BadChunk => "target-bad-chunk",
        }
    }
}

impl From<FramingFault> for ResponseFault {
    fn from(_: FramingFault) -> Self {
        Self::BadLength
    }
}

/// A response head that may be relayed.
#[derive(Debug)]
pub struct ResponseHead<'b, 'f> {
    /// The head as it came; the body follows.
    pub bytes: &'b [u8],
    /// 100 to 999.
    pub status: u16,
    /// What follows the version on the status line: status and reason.
    pub status_line: &'b [u8],
    /// What the target speaks.
    pub version: Version,
    /// All fields in order.
    pub fields: &'f [Header<'b>],
    /// Bit `n` is set when field `n` is not relayed.
    pub removed: u128,
    /// Bits of Transfer-Encoding fields.
    pub encoding: u128,
    /// How long the body is.
    pub body: BodyLength,
    /// What Connection says.
    pub connection: Connection,
    /// Seconds of `Keep-Alive: timeout=`.
    pub keep_alive_timeout: Option<u32>,
}

impl ResponseHead<'_, '_> {
    /// True for 1xx other than 101: another head follows.
    pub fn is_interim(&self) -> bool {
        (100..200).contains(&self.status) && self.status != 101
    }

    /// True when the target will take another request on its connection.
    pub fn persists(&self) -> bool {
        let keeps = match self.version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        };
        keeps && self.body != BodyLength::UntilClose
    }
}

/// Parses the head at the start of `bytes`; `None` when it is not complete yet. `to_head` says
/// that the request's method was HEAD, whose response has no body.
pub fn parse_response<'b, 'f>(
    bytes: &'b [u8],
    slots: &'f mut [MaybeUninit<Header<'b>>; MAX_FIELDS],
    limits: HeadLimits,
    to_head: bool,
) -> Result<Option<ResponseHead<'b, 'f>>, ResponseFault> {
    let window = bytes.get(..limits.bytes).unwrap_or(bytes);
    if window.first().is_some_and(|&b| b != b'H') {
        return Err(ResponseFault::BadStatusLine);
    }
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, window, slots) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if bytes.len() >= limits.bytes => {
            return Err(ResponseFault::LargeHead);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let bytes = bytes.get(..length).unwrap_or_default();
    let mut head = ResponseHead {
        bytes,
        status: response.code.unwrap_or_default(),
        status_line: status_line(bytes)?,
        version: match response.version {
            Some(0) => Version::Http10,
            _ => Version::Http11,
        },
        fields: response.headers,
        removed: 0,
        encoding: 0,
        body: BodyLength::Empty,
        connection: Connection::default(),
        keep_alive_timeout: None,
    };
    if head.status < 100 {
        return Err(ResponseFault::BadStatusLine);
    }
    judge(&mut head, to_head)?;
    Ok(Some(head))
}

fn fault(error: httparse::Error) -> ResponseFault {
    use httparse::Error;
    match error {
        Error::Version | Error::Status | Error::Token => ResponseFault::BadStatusLine,
        Error::HeaderName | Error::HeaderValue | Error::NewLine => ResponseFault::BadField,
        Error::TooManyHeaders => ResponseFault::LargeHead,
    }
}

/// Status and reason, once every line is known to end in CR LF.
fn status_line(head: &[u8]) -> Result<&[u8], ResponseFault> {
    let bare = |at: usize| at.checked_sub(1).and_then(|i| head.get(i)) != Some(&b'\r');
    if memchr::memchr_iter(b'\n', head).any(bare) {
        return Err(ResponseFault::BadField);
    }
    let end = memchr::memchr(b'\r', head).unwrap_or_default();
    let version = "HTTP/1.1 ".len();
    head.get(version..end).ok_or(ResponseFault::BadStatusLine)
}

fn judge(head: &mut ResponseHead<'_, '_>, to_head: bool) -> Result<(), ResponseFault> {
    let mut lengths = LengthFields::default();
    let mut counted = 0;
    for (index, field) in head.fields.iter().enumerate() {
        let bit = 1 << index;
        match KnownField::of(field.name) {
            KnownField::ContentLength => {
                counted |= bit;
                lengths.content_length(field.value);
            }
            KnownField::TransferEncoding => {
                head.encoding |= bit;
                lengths.transfer_encoding(field.value);
            }
            KnownField::Suspicious => return Err(ResponseFault::BadLength),
            KnownField::Connection => {
                head.removed |= bit;
                if !head.connection.read(field.value) {
                    return Err(ResponseFault::BadField);
                }
            }
            KnownField::KeepAlive => {
                head.removed |= bit;
                head.keep_alive_timeout = keep_alive_timeout(field.value);
            }
            KnownField::ProxyConnection => head.removed |= bit,
            _ => {}
        }
    }
    let length = lengths.decide(head.version == Version::Http10)?;
    if !matches!(head.status, 101 | 426) {
        let upgrade = |f: &Header<'_>| KnownField::of(f.name) == KnownField::Upgrade;
        head.removed |= bits(head.fields, upgrade);
    }
    if head.connection.others > 0 {
        head.removed |= named_fields(head.fields);
    }
    head.body = match head.status {
        // RFC 9110 section 8.6: neither length field belongs in these.
        100..200 | 204 => {
            head.removed |= counted | head.encoding;
            BodyLength::Empty
        }
        304 => BodyLength::Empty,
        _ if to_head => BodyLength::Empty,
        _ => length.unwrap_or(BodyLength::UntilClose),
    };
    Ok(())
}

/// The seconds of `timeout=` in a Keep-Alive value.
fn keep_alive_timeout(value: &[u8]) -> Option<u32> {
    fields::options(value).find_map(|option| {
        let option = std::str::from_utf8(option).ok()?;
        let (name, seconds) = option.split_once('=')?;
        name.trim_end()
            .eq_ignore_ascii_case("timeout")
            .then_some(())?;
        seconds.trim_start().parse().ok()
    })
}
