//! Request heads: parsed in place, checked, and judged (RFC 9112 sections 2 to 5).
//!
//! Called by the client connection with whatever bytes have arrived; says "more", a head whose
//! slices borrow the buffer, or a refusal. Tokenizing is httparse's; every check that keeps two
//! implementations from reading one request in two ways is here, on the raw bytes. The verdict
//! does not depend on how the bytes were split. Cost: one pass by httparse, one over line ends,
//! one length match per field; no allocation.

use std::mem::MaybeUninit;

use httparse::Header;

use super::fields::{self, Connection, KnownField, MAX_FIELDS};
use super::framing::{BodyLength, FramingFault, LengthFields};
use super::host::is_valid_host;
use super::refusal::Refusal;

/// Longest method, in bytes; registered ones have at most 17.
const MAX_METHOD: usize = 32;
/// Longest request line, in bytes (ELB).
const MAX_REQUEST_LINE: usize = 16 * 1024;

/// Addresses in X-Forwarded-For (ELB).
const MAX_ADDRESSES: usize = 30;
/// Longest field, in bytes (ELB).
const MAX_FIELD: usize = 16 * 1024;

/// How large a head may be.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// The whole head with its last empty line, in bytes.
    pub bytes: usize,
}

/// Versions served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

/// A request head that may be forwarded.
#[derive(Debug, Clone)]
pub struct RequestHead<'b, 'f> {
    /// The head as it came, empty lines before it included; the body follows.
    pub bytes: &'b [u8],
    /// A token, compared by case.
    pub method: &'b str,
    /// Path and query in origin form, or `*`; from an absolute target it may lack its first `/`.
    pub target: &'b str,
    /// What the client speaks.
    pub version: Version,
    /// The authority of an absolute target, else Host; only HTTP/1.0 may lack it.
    pub host: Option<&'b str>,
    /// True when the target was absolute: its authority replaces Host (RFC 9112 section 3.2.2).
    pub absolute: bool,
    /// All fields in order.
    pub fields: &'f [Header<'b>],
    /// Bit `n` is set when field `n` is not forwarded as it is.
    pub removed: u128,
    /// How long the body is.
    pub body: BodyLength,
    /// What Connection says.
    pub connection: Connection,
    /// True when an upgrade is asked for in a way that may be forwarded.
    pub upgrade: bool,
    /// True when the client waits for 100 before it sends the body.
    pub expects_continue: bool,
    /// True when something in it may be a desync tier's business.
    pub unusual: bool,
    /// True when the client takes trailers (`TE: trailers`).
    pub trailers: bool,
}

impl<'b> RequestHead<'b, '_> {
    /// Puts another host in the place of what it has: in a field of our own, as for an absolute
    /// target.
    pub(crate) fn replace_host(&mut self, host: &'b str) {
        self.removed |= bits(self.fields, |field| {
            KnownField::of(field.name) == KnownField::Host
        });
        (self.host, self.absolute) = (Some(host), true);
    }

    /// True when the client will send another request on its connection.
    pub fn persists(&self) -> bool {
        match self.version {
            Version::Http11 => !self.connection.close,
            Version::Http10 => self.connection.keep_alive && !self.connection.close,
        }
    }

    /// True when sending it twice does what sending it once does (RFC 9110 section 9.2.2).
    pub fn is_idempotent(&self) -> bool {
        matches!(
            self.method,
            "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "TRACE"
        )
    }
}

/// How many bytes of empty lines come before anything else; ignored (RFC 9112 section 2.2).
pub fn empty_lines(bytes: &[u8]) -> usize {
    let pairs = bytes.chunks_exact(2).take_while(|pair| *pair == b"\r\n");
    pairs.count() * 2
}

/// Parses the head at the start of `bytes`; `None` when it is not complete yet.
pub fn parse_request<'b, 'f>(
    bytes: &'b [u8],
    slots: &'f mut [MaybeUninit<Header<'b>>; MAX_FIELDS],
    limits: HeadLimits,
) -> Result<Option<RequestHead<'b, 'f>>, Refusal> {
    let skipped = empty_lines(bytes);
    let window = bytes.get(skipped..bytes.len().min(limits.bytes));
    let window = window.unwrap_or_default();
    check_lengths(window)?;
    let mut request = httparse::Request::new(&mut []);
    let parsed = request.parse_with_uninit_headers(window, slots);
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) => skipped + length,
        Ok(httparse::Status::Partial) if bytes.len() >= limits.bytes => {
            return Err(Refusal::LargeHead);
        }
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return refuse(error, window, request.method.is_some()),
    };
    let head = bytes.get(..length).unwrap_or_default();
    check_line_ends(head.get(skipped..).unwrap_or_default())?;
    let version = match request.version {
        Some(0) => Version::Http10,
        _ => Version::Http11,
    };
    let method = request.method.unwrap_or_default();
    let (target, authority) = split_target(method, request.path.unwrap_or_default())?;
    let mut judged = Judged::default();
    for (index, field) in request.headers.iter().enumerate() {
        judged.field(1 << index, field)?;
    }
    if length > MAX_FIELD && request.headers.iter().any(is_long) {
        return Err(Refusal::LargeField);
    }
    let mut head = RequestHead {
        bytes: head,
        method,
        target,
        version,
        host: judged.host,
        absolute: authority.is_some(),
        fields: request.headers,
        removed: judged.removed,
        body: BodyLength::Empty,
        connection: judged.connection,
        upgrade: false,
        expects_continue: judged.expect.is_some() && version == Version::Http11,
        trailers: judged.trailers,
        unusual: judged.resembles,
    };
    judged.finish(&mut head)?;
    head.host = authority.or(head.host);
    Ok(Some(head))
}

/// Refuses endless methods and request lines before anything else is looked at.
fn check_lengths(bytes: &[u8]) -> Result<(), Refusal> {
    let method = bytes.iter().take(MAX_METHOD + 1);
    if method.take_while(|&&b| fields::is_token_byte(b)).count() > MAX_METHOD {
        return Err(Refusal::LongMethod);
    }
    match bytes.get(..MAX_REQUEST_LINE) {
        Some(line) if memchr::memchr(b'\n', line).is_none() => Err(Refusal::LongRequestLine),
        _ => Ok(()),
    }
}

/// What httparse's verdict means; a version is judged once its line is there.
fn refuse<'b, 'f>(
    error: httparse::Error,
    bytes: &[u8],
    has_method: bool,
) -> Result<Option<RequestHead<'b, 'f>>, Refusal> {
    use httparse::Error;
    Err(match error {
        Error::Token if has_method => Refusal::BadTarget,
        Error::Token | Error::Status => Refusal::BadMethod,
        Error::Version => {
            let Some(end) = memchr::memchr(b'\n', bytes) else {
                return Ok(None);
            };
            let line = bytes.get(..end).unwrap_or_default();
            let word = line.rsplit(|&b| b == b' ').next().unwrap_or_default();
            match word {
                [
                    b'H',
                    b'T',
                    b'T',
                    b'P',
                    b'/',
                    b'0'..=b'9',
                    b'.',
                    b'0'..=b'9',
                    b'\r',
                ] => Refusal::UnsupportedVersion,
                _ => Refusal::BadVersion,
            }
        }
        Error::NewLine => Refusal::BareLineEnd,
        Error::HeaderName if is_folded(bytes) => Refusal::FoldedField,
        Error::HeaderName => Refusal::BadFieldName,
        Error::HeaderValue => Refusal::BadFieldValue,
        Error::TooManyHeaders => Refusal::ManyFields,
    })
}

fn is_long(field: &Header<'_>) -> bool {
    field.name.len() + field.value.len() > MAX_FIELD
}

/// True when some line begins with a blank.
fn is_folded(bytes: &[u8]) -> bool {
    bytes
        .windows(2)
        .any(|pair| matches!(pair, [b'\n', b' ' | b'\t']))
}

/// httparse takes a bare LF for a line end; this program does not.
fn check_line_ends(head: &[u8]) -> Result<(), Refusal> {
    let bare = |at: usize| at.checked_sub(1).and_then(|i| head.get(i)) != Some(&b'\r');
    match memchr::memchr_iter(b'\n', head).any(bare) {
        true => Err(Refusal::BareLineEnd),
        false => Ok(()),
    }
}

/// Path and query, and the authority of an absolute target.
fn split_target<'b>(method: &str, target: &'b str) -> Result<(&'b str, Option<&'b str>), Refusal> {
    match method {
        "CONNECT" => return Err(Refusal::Connect),
        "TRACE" => return Err(Refusal::Trace),
        _ => {}
    }
    if !target.is_ascii() || memchr::memchr(b'#', target.as_bytes()).is_some() {
        return Err(Refusal::BadTarget);
    }
    if target.starts_with('/') || (target == "*" && method == "OPTIONS") {
        return Ok((target, None));
    }
    let rest = ["http://", "https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    let rest = rest.ok_or(Refusal::BadTarget)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_valid_host(authority.as_bytes()) {
        return Err(Refusal::BadTarget);
    }
    match path {
        "" if method == "OPTIONS" => Ok(("*", Some(authority))),
        "" => Ok(("/", Some(authority))),
        _ => Ok((path, Some(authority))),
    }
}

/// What the fields of one head say.
#[derive(Default)]
struct Judged<'b> {
    removed: u128,
    host: Option<&'b str>,
    lengths: LengthFields,
    connection: Connection,
    expect: Option<u128>,
    upgrade: Option<bool>,
    upgrade_bits: u128,
    trailers: bool,
    /// Addresses in X-Forwarded-For.
    addresses: usize,
    /// A name could pass for one of a length field.
    resembles: bool,
}

impl<'b> Judged<'b> {
    fn field(&mut self, bit: u128, field: &Header<'b>) -> Result<(), Refusal> {
        let value = field.value;
        match KnownField::of(field.name) {
            KnownField::Other => self.resembles |= fields::may_pass_for_length(field.name),
            KnownField::Suspicious => return Err(Refusal::SuspiciousField),
            KnownField::Host => {
                if self.host.is_some() {
                    return Err(Refusal::SeveralHosts);
                }
                let host = std::str::from_utf8(value).ok();
                let host = host.filter(|host| is_valid_host(host.as_bytes()));
                self.host = Some(host.ok_or(Refusal::BadHost)?);
            }
            KnownField::ContentLength => self.lengths.content_length(value),
            KnownField::TransferEncoding => self.lengths.transfer_encoding(value),
            KnownField::Connection => {
                self.removed |= bit;
                if !self.connection.read(value) {
                    return Err(Refusal::BadConnection);
                }
            }
            KnownField::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.expect = Some(self.expect.unwrap_or_default() | bit);
            }
            KnownField::Expect => return Err(Refusal::UnknownExpectation),
            KnownField::Upgrade => {
                let clear = !fields::options(value).any(|o| o.eq_ignore_ascii_case(b"h2c"));
                self.upgrade = Some(self.upgrade.unwrap_or(true) && clear);
                self.upgrade_bits |= bit;
            }
            KnownField::Te => {
                self.removed |= bit;
                self.trailers |=
                    fields::options(value).any(|o| o.eq_ignore_ascii_case(b"trailers"));
            }
            KnownField::ForwardedFor => {
                self.removed |= bit;
                self.addresses += fields::options(value).count();
                if self.addresses > MAX_ADDRESSES {
                    return Err(Refusal::ManyAddresses);
                }
            }
            KnownField::KeepAlive
            | KnownField::ProxyConnection
            | KnownField::TlsFacts
            | KnownField::ForwardedPort
            | KnownField::ForwardedProto
            | KnownField::ClientCertificate => self.removed |= bit,
        }
        Ok(())
    }

    /// What only the whole head can tell.
    fn finish(&self, head: &mut RequestHead<'b, '_>) -> Result<(), Refusal> {
        let http10 = head.version == Version::Http10;
        if self.host.is_none() && !http10 {
            return Err(Refusal::MissingHost);
        }
        head.body = match self.lengths.decide(http10) {
            Ok(length) => length.unwrap_or(BodyLength::Empty),
            Err(fault) => return Err(fault.into()),
        };
        head.unusual |= self.lengths.is_given() && matches!(head.method, "GET" | "HEAD");
        if head.connection.upgrade && self.upgrade.is_some() && head.body != BodyLength::Empty {
            return Err(Refusal::UpgradeWithBody);
        }
        head.upgrade = !http10 && head.connection.upgrade && self.upgrade == Some(true);
        if !head.upgrade {
            head.removed |= self.upgrade_bits;
        }
        if http10 {
            head.removed |= self.expect.unwrap_or_default();
        }
        if head.connection.others > 0 {
            head.removed |= named_fields(head.fields);
        }
        if head.absolute {
            let host = |field: &Header<'_>| KnownField::of(field.name) == KnownField::Host;
            head.removed |= bits(head.fields, host);
        }
        Ok(())
    }
}

impl From<FramingFault> for Refusal {
    fn from(fault: FramingFault) -> Self {
        match fault {
            FramingFault::BadContentLength => Self::BadContentLength,
            FramingFault::SeveralContentLengths => Self::SeveralContentLengths,
            FramingFault::BothLengths => Self::BothLengths,
            FramingFault::EncodingInHttp10 => Self::EncodingInHttp10,
            FramingFault::BadTransferEncoding => Self::BadTransferEncoding,
            FramingFault::UnknownTransferCoding => Self::UnknownTransferCoding,
        }
    }
}

/// The fields that Connection takes away.
pub(super) fn named_fields(fields: &[Header<'_>]) -> u128 {
    let connection = |f: &&Header<'_>| KnownField::of(f.name) == KnownField::Connection;
    fields
        .iter()
        .filter(connection)
        .fold(0, |removed, connection| {
            removed | bits(fields, |field| fields::names(connection.value, field.name))
        })
}

/// The bits of the fields that `test` is true for.
pub(super) fn bits(fields: &[Header<'_>], test: impl Fn(&Header<'_>) -> bool) -> u128 {
    let bit = |(index, field)| if test(field) { 1_u128 << index } else { 0 };
    fields.iter().enumerate().map(bit).fold(0, |a, b| a | b)
}
