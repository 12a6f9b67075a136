//! The table of types: which fields each type's data is made of.
//!
//! Sources: RFC 1035 section 3.3 and the RFC of each later type (IANA "DNS parameters" lists
//! them). A type that is not here can be written in RFC 3597 form only.

use conf::RecordType;

use super::fields::{Fields, RdataError};
use super::wire::{Cursor, Shown};
use super::{address, binary, location, number, service, strings, types};

/// One field of a type's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// A domain name.
    Name,
    /// A number of that many bits.
    U8,
    U16,
    U32,
    /// Seconds, with units in text.
    Seconds,
    /// A DNSSEC algorithm: number or mnemonic.
    Algorithm,
    /// A certificate type: number or mnemonic (RFC 4398).
    CertificateType,
    /// `YYYYMMDDHHmmSS` or seconds (RFC 4034 section 3.2).
    Timestamp,
    /// A record type.
    Type,
    /// A type bitmap to the end (RFC 4034 section 4.1.2).
    Types,
    A,
    Aaaa,
    /// Eight, six or eight bytes as groups of hex digits.
    Locator64,
    Eui48,
    Eui64,
    /// IPSECKEY: gateway type, algorithm and gateway (RFC 4025).
    Gateway,
    /// APL items to the end (RFC 3123).
    Prefixes,
    /// One character-string.
    Text,
    /// One or more character-strings, to the end.
    Texts,
    /// None, one or more character-strings, to the end.
    MoreTexts,
    /// A CAA tag: a character-string of letters and digits.
    Tag,
    /// Bytes to the end, written as one string (CAA, URI).
    Value,
    /// Bytes to the end in hex or base64.
    Hex,
    Base64,
    /// NSEC3: salt in hex with a length byte, and next hash in base32hex with a length byte.
    Salt,
    Hash,
    /// LOC as a whole.
    Location,
    /// SVCB parameters to the end.
    Parameters,
}

/// The fields of a type; `None` for types known by number only.
pub(super) fn schema(rtype: RecordType) -> Option<&'static [Field]> {
    use Field::*;
    Some(match rtype {
        RecordType::A => &[A],
        RecordType::AAAA => &[Aaaa],
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => &[Name],
        RecordType::MB | RecordType::MG | RecordType::MR => &[Name],
        RecordType::SOA => &[Name, Name, U32, Seconds, Seconds, Seconds, Seconds],
        RecordType::HINFO => &[Text, Text],
        RecordType::MINFO | RecordType::RP => &[Name, Name],
        RecordType::MX | RecordType::AFSDB | RecordType::RT => &[U16, Name],
        RecordType::KX | RecordType::LP => &[U16, Name],
        RecordType::PX => &[U16, Name, Name],
        RecordType::TXT | RecordType::SPF | RecordType::AVC => &[Texts],
        RecordType::X25 => &[Text],
        RecordType::ISDN => &[Text, MoreTexts],
        RecordType::LOC => &[Location],
        RecordType::SRV => &[U16, U16, U16, Name],
        RecordType::NAPTR => &[U16, U16, Text, Text, Text, Name],
        RecordType::CERT => &[CertificateType, U16, Algorithm, Base64],
        RecordType::APL => &[Prefixes],
        RecordType::DS | RecordType::CDS | RecordType::DLV => &[U16, Algorithm, U8, Hex],
        RecordType::SSHFP => &[U8, U8, Hex],
        RecordType::IPSECKEY => &[U8, Gateway, Base64],
        RecordType::RRSIG => &[
            Type, Algorithm, U8, Seconds, Timestamp, Timestamp, U16, Name, Base64,
        ],
        RecordType::NSEC => &[Name, Types],
        RecordType::DNSKEY | RecordType::CDNSKEY => &[U16, U8, Algorithm, Base64],
        RecordType::DHCID | RecordType::OPENPGPKEY => &[Base64],
        RecordType::NSEC3 => &[U8, U8, U16, Salt, Hash, Types],
        RecordType::NSEC3PARAM => &[U8, U8, U16, Salt],
        RecordType::TLSA | RecordType::SMIMEA => &[U8, U8, U8, Hex],
        RecordType::CSYNC => &[U32, U16, Types],
        RecordType::ZONEMD => &[U32, U8, U8, Hex],
        RecordType::SVCB | RecordType::HTTPS => &[U16, Name, Parameters],
        RecordType::NID | RecordType::L64 => &[U16, Locator64],
        RecordType::L32 => &[U16, A],
        RecordType::EUI48 => &[Eui48],
        RecordType::EUI64 => &[Eui64],
        RecordType::URI => &[U16, U16, Value],
        RecordType::CAA => &[U8, Tag, Value],
        _ => return None,
    })
}

/// True for types that are no data: questions, pseudo-records and type 0 (RFC 6895 section 3.1).
pub fn is_meta(rtype: RecordType) -> bool {
    rtype.0 == 0 || rtype == RecordType::OPT || (128..=255).contains(&rtype.0)
}

/// Types of RFC 1035 whose names may be compressed on the wire (RFC 3597 section 4).
pub(super) fn is_compressible(rtype: RecordType) -> bool {
    matches!(
        rtype,
        RecordType::NS
            | RecordType::CNAME
            | RecordType::SOA
            | RecordType::PTR
            | RecordType::MX
            | RecordType::MB
            | RecordType::MG
            | RecordType::MR
            | RecordType::MINFO
    )
}

/// Mnemonics of types that can be written in RFC 3597 form only.
const NUMBER_ONLY: &[(&str, u16)] = &[
    ("MD", 3),
    ("MF", 4),
    ("WKS", 11),
    ("NSAP", 22),
    ("NSAP-PTR", 23),
    ("SIG", 24),
    ("KEY", 25),
    ("GPOS", 27),
    ("NXT", 30),
    ("EID", 31),
    ("NIMLOC", 32),
    ("ATMA", 34),
    ("A6", 38),
    ("SINK", 40),
    ("HIP", 55),
    ("NINFO", 56),
    ("RKEY", 57),
    ("TALINK", 58),
    ("UINFO", 100),
    ("UID", 101),
    ("GID", 102),
    ("UNSPEC", 103),
    ("DOA", 259),
    ("AMTRELAY", 260),
    ("RESINFO", 261),
    ("WALLET", 262),
    ("TA", 32768),
];

/// The type of a mnemonic (any case) or of `TYPE123`.
pub fn type_by_name(text: &str) -> Option<RecordType> {
    let listed = || {
        let found = NUMBER_ONLY
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(text));
        found.map(|&(_, number)| RecordType(number))
    };
    RecordType::parse(text).or_else(listed)
}

impl Field {
    /// Reads the field from text and appends its wire form.
    pub(super) fn read(self, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
        match self {
            Self::Name => strings::read_name(fields, out),
            Self::U8 => number::read_u8(fields, out),
            Self::U16 => number::read_u16(fields, out),
            Self::U32 => number::read_u32(fields, out),
            Self::Seconds => number::read_seconds(fields, out),
            Self::Algorithm => number::read_algorithm(fields, out),
            Self::CertificateType => number::read_certificate_type(fields, out),
            Self::Timestamp => number::read_timestamp(fields, out),
            Self::Type => types::read_type(fields, out),
            Self::Types => types::read_types(fields, out),
            Self::A => address::read_v4(fields, out),
            Self::Aaaa => address::read_v6(fields, out),
            Self::Locator64 => address::read_groups(fields, out, address::LOCATOR),
            Self::Eui48 => address::read_groups(fields, out, address::EUI48),
            Self::Eui64 => address::read_groups(fields, out, address::EUI64),
            Self::Gateway => address::read_gateway(fields, out),
            Self::Prefixes => address::read_prefixes(fields, out),
            Self::Text => strings::read_text(fields, out),
            Self::Texts => strings::read_texts(fields, out),
            Self::MoreTexts => strings::read_more_texts(fields, out),
            Self::Tag => strings::read_tag(fields, out),
            Self::Value => strings::read_value(fields, out),
            Self::Hex => binary::read_hex(fields, out),
            Self::Base64 => binary::read_base64(fields, out),
            Self::Salt => binary::read_salt(fields, out),
            Self::Hash => binary::read_hash(fields, out),
            Self::Location => location::read(fields, out),
            Self::Parameters => service::read(fields, out),
        }
    }

    /// Walks over the field in wire form and appends its text; `None` when the bytes are not one.
    pub(super) fn show(self, wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
        match self {
            Self::Name => shown.word(wire.name()?),
            Self::U8 | Self::Algorithm => shown.word(wire.u8()?),
            Self::U16 | Self::CertificateType => shown.word(wire.u16()?),
            Self::U32 | Self::Seconds => shown.word(wire.u32()?),
            Self::Timestamp => shown.word(number::show_timestamp(wire.u32()?)),
            Self::Type => shown.word(RecordType(wire.u16()?)),
            Self::Types => return types::show_types(wire, shown),
            Self::A => shown.word(std::net::Ipv4Addr::from(wire.array::<4>()?)),
            Self::Aaaa => shown.word(std::net::Ipv6Addr::from(wire.array::<16>()?)),
            Self::Locator64 => shown.word(address::show_groups(wire, address::LOCATOR)?),
            Self::Eui48 => shown.word(address::show_groups(wire, address::EUI48)?),
            Self::Eui64 => shown.word(address::show_groups(wire, address::EUI64)?),
            Self::Gateway => return address::show_gateway(wire, shown),
            Self::Prefixes => return address::show_prefixes(wire, shown),
            Self::Text => shown.quoted(wire.text()?),
            Self::Texts => return strings::show_texts(wire, shown, 1),
            Self::MoreTexts => return strings::show_texts(wire, shown, 0),
            Self::Tag => return strings::show_tag(wire, shown),
            Self::Value => shown.quoted(wire.rest()),
            Self::Hex => shown.word(binary::show_hex(wire.rest())?),
            Self::Base64 => shown.word(binary::show_base64(wire.rest())?),
            Self::Salt => shown.word(binary::show_salt(wire.text()?)),
            Self::Hash => shown.word(binary::show_hash(wire.text()?)?),
            Self::Location => return location::show(wire, shown),
            Self::Parameters => return service::show(wire, shown),
        }
        Some(())
    }
}

/// Notes on data that is well-formed but cannot be meant.
pub(super) fn check(rtype: RecordType, rdata: &[u8], fields: &mut Fields<'_>) {
    let (expected, digest) = match (rtype, rdata) {
        (RecordType::DS | RecordType::CDS, [_, _, _, 1, digest @ ..]) => (20, digest),
        (RecordType::DS | RecordType::CDS, [_, _, _, 2 | 3, digest @ ..]) => (32, digest),
        (RecordType::DS | RecordType::CDS, [_, _, _, 4, digest @ ..]) => (48, digest),
        (RecordType::SSHFP, [_, 1, digest @ ..]) => (20, digest),
        (RecordType::SSHFP, [_, 2, digest @ ..]) => (32, digest),
        (RecordType::TLSA | RecordType::SMIMEA, [_, _, 1, digest @ ..]) => (32, digest),
        (RecordType::TLSA | RecordType::SMIMEA, [_, _, 2, digest @ ..]) => (64, digest),
        _ => return,
    };
    if digest.len() != expected {
        let message = format!(
            "the digest has {} bytes, its type calls for {expected}",
            digest.len()
        );
        fields.note(fields.whole(), message);
    }
}

/// True for a type with a mnemonic whose own syntax is not read here.
pub(super) fn is_number_only(rtype: RecordType) -> bool {
    rtype == RecordType::NULL || NUMBER_ONLY.iter().any(|&(_, number)| number == rtype.0)
}

/// True for types whose data is character-strings only.
pub(crate) fn is_text(rtype: RecordType) -> bool {
    let is_string = |field: &Field| matches!(field, Field::Text | Field::Texts | Field::MoreTexts);
    schema(rtype).is_some_and(|fields| fields.iter().all(is_string))
}

/// The common type whose mnemonic is most like `text`, if one is close.
pub(crate) fn similar_type(text: &str) -> Option<&'static str> {
    const COMMON: &[&str] = &[
        "A", "AAAA", "CAA", "CNAME", "DNAME", "DNSKEY", "DS", "HINFO", "HTTPS", "LOC", "MX",
        "NAPTR", "NS", "NSEC", "PTR", "RRSIG", "SOA", "SPF", "SRV", "SSHFP", "SVCB", "TLSA", "TXT",
        "URI",
    ];
    if !(2..=16).contains(&text.len()) {
        return None;
    }
    let upper = text.to_ascii_uppercase();
    let distance = |name: &&&str| strsim::damerau_levenshtein(&upper, name);
    let best = COMMON.iter().min_by_key(distance)?;
    (distance(&best) <= 1).then_some(best)
}
