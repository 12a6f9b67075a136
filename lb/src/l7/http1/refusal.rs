//! Why a request is refused: one variant per rule, with its status, word and sentence.
//!
//! Made by the request parser and the body decoder; turned into an answer by the client
//! connection, into a label by metrics and the access log. Pure data.

/// A request this program does not forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The method is not a token (RFC 9110 section 9.1).
    BadMethod,
    /// The method is longer than 32 bytes.
    LongMethod,
    /// CONNECT: this is no forward proxy.
    Connect,
    /// TRACE: it would reflect credentials.
    Trace,
    /// The request target has none of the four forms of RFC 9112 section 3.2.
    BadTarget,
    /// The request line is longer than 16 KiB (ELB's limit).
    LongRequestLine,
    /// The version is not `HTTP/` digit `.` digit.
    BadVersion,
    /// A well-formed version other than 1.0 and 1.1.
    UnsupportedVersion,
    /// A line ends in LF alone, or CR stands alone.
    BareLineEnd,
    /// A field is folded over lines (RFC 9112 section 5.2).
    FoldedField,
    /// A field name is not a token directly followed by a colon.
    BadFieldName,
    /// A field value holds a control byte.
    BadFieldValue,
    /// A name that becomes `content-length` or `transfer-encoding` once `_` is read as `-`.
    SuspiciousField,
    /// The head is larger than the listener takes.
    LargeHead,
    /// A field is larger than 16 KiB (ELB's limit).
    LargeField,
    /// More than 128 fields.
    ManyFields,
    /// X-Forwarded-For holds more than 30 addresses (ELB's limit).
    ManyAddresses,
    /// HTTP/1.1 without Host.
    MissingHost,
    /// More than one Host.
    SeveralHosts,
    /// Host is not a host name or address with an optional port.
    BadHost,
    /// Content-Length is not a plain decimal number that fits.
    BadContentLength,
    /// Content-Length more than once.
    SeveralContentLengths,
    /// Content-Length together with Transfer-Encoding.
    BothLengths,
    /// Transfer-Encoding in HTTP/1.0.
    EncodingInHttp10,
    /// Transfer-Encoding that is not `chunked`, once.
    BadTransferEncoding,
    /// A transfer coding that is not known here.
    UnknownTransferCoding,
    /// More than 16 options in Connection, or one that is not a token.
    BadConnection,
    /// Upgrade together with a body.
    UpgradeWithBody,
    /// Expect with anything but `100-continue`.
    UnknownExpectation,
    /// The chunked body is malformed.
    BadChunk,
    /// Chunk extensions or trailers are larger than allowed.
    LargeChunkOverhead,
    /// The body is larger than the listener takes.
    LargeBody,
    /// The listener's desync mitigation does not let it pass.
    Desync,
    /// A trailer field that would change framing or routing.
    BadTrailer,
}

impl Refusal {
    /// The status to answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Trace | Self::Connect => 405,
            Self::LongMethod | Self::UnknownTransferCoding => 501,
            Self::LongRequestLine => 414,
            Self::UnsupportedVersion => 505,
            Self::LargeBody => 413,
            Self::LargeHead | Self::LargeField | Self::ManyFields => 431,
            // ELB's own code.
            Self::ManyAddresses => 463,
            Self::UnknownExpectation => 417,
            _ => 400,
        }
    }

    /// The word for labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadMethod => "bad-method",
            Self::LongMethod => "long-method",
            Self::Connect => "connect-method",
            Self::Trace => "trace-method",
            Self::BadTarget => "bad-request-target",
            Self::LongRequestLine => "long-request-line",
            Self::BadVersion => "bad-version",
            Self::UnsupportedVersion => "unsupported-version",
            Self::BareLineEnd => "bare-line-end",
            Self::FoldedField => "folded-field",
            Self::BadFieldName => "bad-field-name",
            Self::BadFieldValue => "bad-field-value",
            Self::SuspiciousField => "suspicious-field",
            Self::LargeHead => "large-head",
            Self::LargeField => "large-field",
            Self::ManyFields => "many-fields",
            Self::ManyAddresses => "many-forwarded-addresses",
            Self::MissingHost => "missing-host",
            Self::SeveralHosts => "several-hosts",
            Self::BadHost => "bad-host",
            Self::BadContentLength => "bad-content-length",
            Self::SeveralContentLengths => "several-content-lengths",
            Self::BothLengths => "content-length-and-transfer-encoding",
            Self::EncodingInHttp10 => "transfer-encoding-in-http-1.0",
            Self::BadTransferEncoding => "bad-transfer-encoding",
            Self::UnknownTransferCoding => "unknown-transfer-coding",
            Self::BadConnection => "bad-connection-option",
            Self::UpgradeWithBody => "upgrade-with-body",
            Self::UnknownExpectation => "unknown-expectation",
            Self::BadChunk => "bad-chunk",
            Self::LargeChunkOverhead => "large-chunk-overhead",
            Self::BadTrailer => "bad-trailer",
            Self::LargeBody => "large-body",
            Self::Desync => "desync-mitigation",
        }
    }

    /// One sentence for the person who sent it.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadMethod => "The request method is not a valid token.",
            Self::LongMethod => "The request method is longer than 32 bytes.",
            Self::Connect => "CONNECT is not served here: this is not a forward proxy.",
            Self::Trace => "TRACE is not served here.",
            Self::BadTarget => "The request target is malformed.",
            Self::LongRequestLine => "The request line is longer than 16 KiB.",
            Self::BadVersion => "The HTTP version is malformed.",
            Self::UnsupportedVersion => "Only HTTP/1.0 and HTTP/1.1 are served here.",
            Self::BareLineEnd => "A line of the request head does not end in CR LF.",
            Self::FoldedField => "A header field is folded over several lines.",
            Self::BadFieldName => "A header field name is malformed.",
            Self::BadFieldValue => "A header field value holds a forbidden byte.",
            Self::SuspiciousField => {
                "A header field name resembles Content-Length or Transfer-Encoding."
            }
            Self::LargeHead => "The request head is too large.",
            Self::LargeField => "A header field is larger than 16 KiB.",
            Self::ManyFields => "The request has more than 128 header fields.",
            Self::ManyAddresses => "X-Forwarded-For holds more than 30 addresses.",
            Self::MissingHost => "The Host header field is missing.",
            Self::SeveralHosts => "There is more than one Host header field.",
            Self::BadHost => "The Host is not a host name or address with an optional port.",
            Self::BadContentLength => "Content-Length is not a plain decimal number.",
            Self::SeveralContentLengths => "There is more than one Content-Length.",
            Self::BothLengths => "Content-Length and Transfer-Encoding were both sent.",
            Self::EncodingInHttp10 => "Transfer-Encoding was sent in an HTTP/1.0 request.",
            Self::BadTransferEncoding => "Transfer-Encoding is not a single `chunked`.",
            Self::UnknownTransferCoding => "The transfer coding is not known here.",
            Self::BadConnection => "The Connection header field is malformed or too long.",
            Self::UpgradeWithBody => "An Upgrade request must not have a body.",
            Self::UnknownExpectation => "The only expectation served here is 100-continue.",
            Self::BadChunk => "The chunked body is malformed.",
            Self::LargeChunkOverhead => "The chunk extensions or trailers are too large.",
            Self::Desync => "The request could mean different things to different readers.",
            Self::LargeBody => "The request body is larger than this listener takes.",
            Self::BadTrailer => "A trailer field is malformed or not allowed as a trailer.",
        }
    }
}

/// The reason phrase of a status this program answers by itself.
pub fn reason_phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        463 => "Too Many Forwarded Addresses",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => "",
    }
}
