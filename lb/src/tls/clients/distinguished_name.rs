//! Distinguished names as text (RFC 2253, RFC 4514), as OpenSSL and so ELB writes them: last part first,
//! types by their short names, everything beyond printable ASCII escaped byte by byte.
//!
//! The result has no control bytes and no bytes above 126, so it can stand in a header field.

use std::fmt::Write;

use x509_parser::der_parser::asn1_rs::{Any, Tag};
use x509_parser::prelude::X509Name;
use x509_parser::x509::AttributeTypeAndValue;

/// Types with their short names; others are written as numbers.
const TYPES: [(&str, &str); 20] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.13", "description"),
    ("2.5.4.17", "postalCode"),
    ("2.5.4.42", "GN"),
    ("2.5.4.43", "initials"),
    ("2.5.4.46", "dnQualifier"),
    ("2.5.4.65", "pseudonym"),
    ("2.5.4.97", "organizationIdentifier"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The text of a name.
pub(super) fn text(name: &X509Name<'_>) -> String {
    let parts: Vec<_> = name.iter_rdn().collect();
    let parts = parts.into_iter().rev().map(|part| {
        let pairs: Vec<_> = part.iter().map(pair).collect();
        // Within a part, too, the last comes first.
        pairs.into_iter().rev().collect::<Vec<_>>().join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

fn pair(attribute: &AttributeTypeAndValue<'_>) -> String {
    let number = attribute.attr_type().to_id_string();
    let known = TYPES.iter().find(|(known, _)| *known == number);
    let value = attribute.attr_value();
    match (known, characters(value)) {
        (Some((_, name)), Some(text)) => format!("{name}={}", escaped(&text)),
        (Some((_, name)), None) => format!("{name}={}", digits(value)),
        (None, _) => format!("{number}={}", digits(value)),
    }
}

/// The value as UTF-8, when it is a string.
fn characters(value: &Any<'_>) -> Option<String> {
    let units = |pair: &[u8; 2]| u16::from_be_bytes(*pair);
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => String::from_utf8(value.data.to_vec()).ok(),
        // Latin-1 in practice, as OpenSSL takes it.
        Tag::T61String => Some(value.data.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let (pairs, _) = value.data.as_chunks::<2>();
            let read: Result<String, _> = char::decode_utf16(pairs.iter().map(units)).collect();
            read.ok()
        }
        _ => None,
    }
}

/// The value's DER in digits (RFC 2253 section 2.4).
fn digits(value: &Any<'_>) -> String {
    use x509_parser::der_parser::asn1_rs::ToDer;
    let der = value.to_der_vec().unwrap_or_default();
    let digits = der.iter().map(|byte| format!("{byte:02X}"));
    format!("#{}", digits.collect::<String>())
}

fn escaped(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    let last = text.len().saturating_sub(1);
    for (place, byte) in text.bytes().enumerate() {
        let at_edge = byte == b' ' && (place == 0 || place == last);
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                written.push('\\');
                written.push(char::from(byte));
            }
            b'#' if place == 0 => written.push_str("\\#"),
            b' ' if at_edge => written.push_str("\\ "),
            0x20..=0x7e => written.push(char::from(byte)),
            // Writing to a String cannot fail.
            _ => drop(write!(written, "\\{byte:02X}")),
        }
    }
    written
}
