//! The wire side: a query is parsed in place, an answer written straight into the send buffer.
//!
//! Used by the answer path only. Nothing here allocates per query or knows zones.

mod blob;
mod lower;
mod options;
mod question;
mod response;
mod subnet;

pub(crate) use blob::{Blob, BlobView, push_record};
pub(crate) use lower::LowerName;
pub(crate) use options::{CLIENT_COOKIE, Cookie, Options, SERVER_COOKIE};
pub(crate) use question::{Edns, HEADER_LEN, Header, Verdict, parse, parse_rest, read_name};
pub(crate) use response::{ExtendedError, Full, NAME_AT, Response, Section, limit};

/// Response codes (RFC 1035 section 4.1.1, RFC 6891, RFC 6672), as they stand in the header and,
/// above 15, in the OPT record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rcode {
    /// No error.
    NoError,
    /// The query could not be read.
    FormErr,
    /// The server cannot answer at the moment.
    ServFail,
    /// The name does not exist.
    NxDomain,
    /// The kind of query is not known.
    NotImp,
    /// The server does not answer for the name, or does not do what was asked.
    Refused,
    /// A DNAME made a name that is too long (RFC 6672 section 2.2).
    YxDomain,
    /// An RRset exists that should not (RFC 2136 section 2.2).
    YxRrset,
    /// An RRset does not exist that should.
    NxRrset,
    /// The server is not the one to ask, or the signature does not hold (RFC 8945 section 5.2).
    NotAuth,
    /// A name is not in the zone of an update.
    NotZone,
    /// The EDNS version is not known (RFC 6891 section 6.1.3).
    BadVers,
}

impl Rcode {
    /// Every code, in the order metrics list them.
    pub const ALL: [Self; 12] = [
        Self::NoError,
        Self::FormErr,
        Self::ServFail,
        Self::NxDomain,
        Self::NotImp,
        Self::Refused,
        Self::YxDomain,
        Self::YxRrset,
        Self::NxRrset,
        Self::NotAuth,
        Self::NotZone,
        Self::BadVers,
    ];

    /// The number, extended bits included.
    pub fn number(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormErr => 1,
            Self::ServFail => 2,
            Self::NxDomain => 3,
            Self::NotImp => 4,
            Self::Refused => 5,
            Self::YxDomain => 6,
            Self::YxRrset => 7,
            Self::NxRrset => 8,
            Self::NotAuth => 9,
            Self::NotZone => 10,
            Self::BadVers => 16,
        }
    }

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormErr => "FORMERR",
            Self::ServFail => "SERVFAIL",
            Self::NxDomain => "NXDOMAIN",
            Self::NotImp => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::YxDomain => "YXDOMAIN",
            Self::YxRrset => "YXRRSET",
            Self::NxRrset => "NXRRSET",
            Self::NotAuth => "NOTAUTH",
            Self::NotZone => "NOTZONE",
            Self::BadVers => "BADVERS",
        }
    }
}

/// What carries a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: answers are limited and say so by TC.
    Udp,
    /// Streams: answers up to 65,535 bytes.
    Tcp,
}

impl Transport {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}
