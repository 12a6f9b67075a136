//! Field names that matter to framing and forwarding, and what Connection says.
//!
//! Called by both head parsers for every field. Cost: one length match and at most one
//! case-insensitive comparison per field name.

/// Fields a head may have at most (Envoy's and ELB's order of magnitude).
pub const MAX_FIELDS: usize = 128;

/// What the names of fields about clients' certificates begin with.
const CLIENT_CERTIFICATE: &str = "x-amzn-mtls-";

/// Connection options beyond the known ones that one message may name.
const MAX_OPTIONS: usize = 16;

/// A field this program acts on; everything else passes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownField {
    /// `TE`
    Te,
    /// `Host`
    Host,
    /// `Expect`
    Expect,
    /// `Upgrade`
    Upgrade,
    /// `Connection`
    Connection,
    /// `Keep-Alive`
    KeepAlive,
    /// `Content-Length`
    ContentLength,
    /// `X-Forwarded-For`
    ForwardedFor,
    /// `X-Forwarded-Port`
    ForwardedPort,
    /// `X-Forwarded-Proto`
    ForwardedProto,
    /// `Proxy-Connection`
    ProxyConnection,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `X-Amzn-Mtls-…`: who a client is by its certificate.
    ClientCertificate,
    /// `X-Amzn-Tls-Version`, `X-Amzn-Tls-Cipher-Suite`: ours to write, or nobody's
    TlsFacts,
    /// Looks like a length field to what reads `_` as `-`.
    Suspicious,
    /// Anything else.
    Other,
}

impl KnownField {
    /// Which one a name is.
    pub fn of(name: &str) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        match name.len() {
            2 if is("te") => Self::Te,
            4 if is("host") => Self::Host,
            6 if is("expect") => Self::Expect,
            7 if is("upgrade") => Self::Upgrade,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::KeepAlive,
            14 if is("content-length") => Self::ContentLength,
            14 if is("content_length") => Self::Suspicious,
            15 if is("x-forwarded-for") => Self::ForwardedFor,
            16 if is("x-forwarded-port") => Self::ForwardedPort,
            16 if is("proxy-connection") => Self::ProxyConnection,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            17 if is("x-forwarded-proto") => Self::ForwardedProto,
            17 if is("transfer_encoding") => Self::Suspicious,
            22.. if is_of_client_certificate(name) => Self::ClientCertificate,
            18 if is("x-amzn-tls-version") => Self::TlsFacts,
            23 if is("x-amzn-tls-cipher-suite") => Self::TlsFacts,
            _ => Self::Other,
        }
    }
}

/// True for ELB's fields about clients' certificates, also as who reads `-` as `_` sees them.
fn is_of_client_certificate(name: &str) -> bool {
    let start = name.bytes().zip(CLIENT_CERTIFICATE.bytes());
    let mut start = start.map(|(byte, known)| match byte {
        b'_' => known == b'-',
        byte => byte.eq_ignore_ascii_case(&known),
    });
    start.all(|same| same)
}

/// Names a Connection option must not take away: they carry identity, routing, framing or
/// end-to-end meaning (abuses of RFC 9110 section 7.6.1). Upgrade has a rule of its own.
const KEPT: [&str; 19] = [
    "upgrade",
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "content-encoding",
    "content-range",
    "cache-control",
    "authorization",
    "cookie",
    "set-cookie",
    "expect",
    "date",
    "location",
    "origin",
    "forwarded",
    "x-real-ip",
    "x-request-id",
    "x-amzn-trace-id",
];

/// What the Connection fields of one message say (RFC 9110 section 7.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connection {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// `te`
    pub te: bool,
    /// How many other options there are: names of fields to take away.
    pub others: usize,
}

impl Connection {
    /// Adds one Connection field's value; false when it is malformed or too long.
    pub fn read(&mut self, value: &[u8]) -> bool {
        for option in options(value) {
            if option.is_empty() {
                continue;
            }
            if !option.iter().copied().all(is_token_byte) {
                return false;
            }
            let is = |known: &str| option.eq_ignore_ascii_case(known.as_bytes());
            match option.len() {
                5 if is("close") => self.close = true,
                10 if is("keep-alive") => self.keep_alive = true,
                7 if is("upgrade") => self.upgrade = true,
                2 if is("te") => self.te = true,
                _ => self.others += 1,
            }
        }
        self.others <= MAX_OPTIONS
    }
}

/// True when a Connection value names `field` and the field may be taken away for it.
pub fn names(value: &[u8], field: &str) -> bool {
    let kept = || {
        KEPT.iter().any(|kept| field.eq_ignore_ascii_case(kept))
            || field
                .get(..12)
                .is_some_and(|start| start.eq_ignore_ascii_case("x-forwarded-"))
    };
    options(value).any(|option| option.eq_ignore_ascii_case(field.as_bytes())) && !kept()
}

/// True for names that desync mitigation looks at twice: long enough for `content-length` and
/// beginning as a length field does, or with what is neither letter nor digit.
pub fn may_pass_for_length(name: &str) -> bool {
    let begins =
        |byte: u8| matches!(byte, b'c' | b'C' | b't' | b'T') || !byte.is_ascii_alphanumeric();
    name.len() >= 14 && name.bytes().next().is_some_and(begins)
}

/// The elements of a comma-separated list, blanks trimmed.
pub fn options(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim)
}

/// Without blanks at both ends.
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// RFC 9110 section 5.6.2, tchar.
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Where a field's line begins in the head it was parsed from.
pub fn line_start(head: &[u8], field: &httparse::Header<'_>) -> usize {
    (field.name.as_ptr() as usize).saturating_sub(head.as_ptr() as usize)
}
