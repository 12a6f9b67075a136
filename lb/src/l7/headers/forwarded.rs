//! X-Forwarded-For, -Proto and -Port by the listener's rules, and Forwarded (RFC 7239).
//!
//! What a peer that is not trusted says of earlier hops is thrown away; without a list of trusted
//! peers everybody's word is passed on, as ELB does.

use std::net::{IpAddr, SocketAddr};

use conf::ForwardedFor;

use super::RequestEdits;
use crate::l7::http1::{Forwarding, KnownField, RequestHead, push_display, push_field};
use crate::sockets::is_nowhere;

/// The edits, the peer, and whether what it says counts.
type Told<'a> = (&'a RequestEdits, SocketAddr, bool);

/// Appends all of these fields.
pub(super) fn write(
    out: &mut Vec<u8>,
    head: &RequestHead<'_, '_>,
    forwarding: Forwarding<'_>,
    (edits, peer, is_trusted): Told<'_>,
) {
    let appends = edits.forwarded_for == ForwardedFor::Append;
    if edits.forwarded_for != ForwardedFor::Remove {
        let earlier = values(head, KnownField::ForwardedFor).filter(|_| is_trusted);
        let own = appends.then(|| forwarding.client.as_bytes());
        let own = own.filter(|client| !client.is_empty());
        write_list(out, "X-Forwarded-For", earlier, own);
    }
    // Only a proxy that is named is believed in what its own client spoke.
    let named = is_trusted && edits.trusted.is_some();
    match values(head, KnownField::ForwardedProto)
        .next()
        .filter(|_| named)
    {
        Some(scheme) => push_field(out, "X-Forwarded-Proto", scheme),
        None => push_field(out, "X-Forwarded-Proto", forwarding.scheme.as_bytes()),
    }
    match values(head, KnownField::ForwardedPort)
        .next()
        .filter(|_| named)
    {
        Some(port) => push_field(out, "X-Forwarded-Port", port),
        None => {
            push_display(
                out,
                format_args!("X-Forwarded-Port: {}\r\n", forwarding.local.port()),
            );
        }
    }
    if edits.forwarded {
        let is_forwarded =
            |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case("forwarded");
        let earlier = head
            .fields
            .iter()
            .filter(is_forwarded)
            .map(|field| field.value);
        let earlier = earlier.filter(|value| is_trusted && !value.is_empty());
        let element = element(head, forwarding, peer, edits.client_port);
        write_list(out, "Forwarded", earlier, Some(element.as_bytes()));
    }
}

/// The values of a field, empty ones left out.
fn values<'h>(head: &'h RequestHead<'_, '_>, known: KnownField) -> impl Iterator<Item = &'h [u8]> {
    let fields = head
        .fields
        .iter()
        .filter(move |f| KnownField::of(f.name) == known);
    fields
        .map(|field| field.value)
        .filter(|value| !value.is_empty())
}

/// Appends one field with all values, or nothing when there is none.
fn write_list<'v>(
    out: &mut Vec<u8>,
    name: &str,
    earlier: impl Iterator<Item = &'v [u8]>,
    own: Option<&'v [u8]>,
) {
    let mut begun = false;
    for value in earlier.chain(own) {
        if !begun {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
        } else {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(value);
        begun = true;
    }
    if begun {
        out.extend_from_slice(b"\r\n");
    }
}

/// One element of Forwarded. IPv6 addresses and ports need quotes (RFC 7239 section 6).
fn element(
    head: &RequestHead<'_, '_>,
    forwarding: Forwarding<'_>,
    peer: SocketAddr,
    with_port: bool,
) -> String {
    let (address, port) = (peer.ip().to_canonical(), peer.port());
    let client = match (address, with_port) {
        // RFC 7239 section 6.2.
        _ if is_nowhere(peer) => "unknown".to_owned(),
        (IpAddr::V4(v4), false) => v4.to_string(),
        (IpAddr::V4(v4), true) => format!("\"{v4}:{port}\""),
        (IpAddr::V6(v6), false) => format!("\"[{v6}]\""),
        (IpAddr::V6(v6), true) => format!("\"[{v6}]:{port}\""),
    };
    let scheme = forwarding.scheme;
    match head.host {
        // A checked host holds neither quotes nor backslashes.
        Some(host) => format!("for={client};host=\"{host}\";proto={scheme}"),
        None => format!("for={client};proto={scheme}"),
    }
}
