//! What a listener's file entry changes in heads, compiled: one list of edits for requests and one
//! for responses.
//!
//! Made by the plan once per configuration, used by the codec's writers. A listener that changes
//! nothing has none, and its heads take the plain path. Never touches what frames a message: the
//! configuration lets nobody name such fields.
//!
//! Cost: one length test per field and edit list; values are copied once into the head.

mod certificate;
mod forwarded;
mod host;
mod names;
mod trace;

use std::net::SocketAddr;

use conf::{ForwardedFor, Trace};
use ipnet::IpNet;

use super::http1::{Forwarding, RequestHead, push_field, push_kept};
use crate::sockets::is_nowhere;
use names::Names;
pub(super) use trace::write_trace_id;

/// What is changed in requests.
#[derive(Debug)]
pub struct RequestEdits {
    forwarded_for: ForwardedFor,
    client_port: bool,
    /// Whose word about earlier hops counts; `None` = everybody's.
    trusted: Option<Box<[IpNet]>>,
    forwarded: bool,
    rewrites_host: bool,
    tls: Option<conf::TlsFields>,
    /// ELB's and other names of fields about the client's certificate.
    certificate: Box<[conf::FieldPair]>,
    trace: Trace,
    drop_invalid: bool,
    /// Fields that are not forwarded as they came.
    dropped: Names,
    /// Old and new names.
    renamed: Box<[conf::FieldPair]>,
    /// Whole lines.
    inserted: Box<[u8]>,
}

/// Edits, and what of the client's connection they tell.
#[derive(Debug, Clone, Copy)]
pub struct Edited<'a> {
    /// The edits.
    pub edits: &'a RequestEdits,
    /// Whose connection it is.
    pub peer: SocketAddr,
    /// Version and cipher suite agreed on with the client.
    pub tls: Option<(&'a str, &'a str)>,
}

impl RequestEdits {
    /// The compiled edits; `None` when requests change only as forwarding demands.
    pub fn new(edits: &conf::HeaderEdits) -> Option<Self> {
        let plain = conf::HeaderEdits {
            response: edits.response.clone(),
            ..conf::HeaderEdits::default()
        };
        if *edits == plain {
            return None;
        }
        let tls = edits.tls.iter().flat_map(|tls| [&tls.version, &tls.cipher]);
        let traced = match edits.trace {
            Trace::Off => &[][..],
            Trace::Amzn => &["x-amzn-trace-id"],
            Trace::W3c => &["traceparent"],
            Trace::Both => &["x-amzn-trace-id", "traceparent"],
        };
        let forwarded = edits.forwarded.then_some("forwarded");
        let host = edits.rewrites_host.then_some("host");
        let own = tls.map(String::as_str).chain(traced.iter().copied());
        let certificate = edits.certificate.iter().map(|(_, name)| name.as_str());
        let own = own.chain(forwarded).chain(host).chain(certificate);
        Some(Self {
            forwarded_for: edits.forwarded_for,
            client_port: edits.client_port,
            trusted: edits.trusted.as_deref().map(Into::into),
            forwarded: edits.forwarded,
            rewrites_host: edits.rewrites_host,
            tls: edits.tls.clone(),
            certificate: edits.certificate.clone().into(),
            trace: edits.trace,
            drop_invalid: edits.drop_invalid,
            dropped: Names::new(own.chain(named(&edits.request))),
            renamed: edits.request.rename.clone().into(),
            inserted: lines(&edits.request),
        })
    }

    /// True when `head` has fields that are dropped because their names are not valid.
    pub(super) fn drops_invalid(&self, head: &RequestHead<'_, '_>) -> bool {
        self.drop_invalid && head.fields.iter().any(|field| is_invalid(field.name))
    }

    /// True when clients' addresses are told with their ports.
    pub(super) fn shows_port(&self) -> bool {
        self.client_port
    }

    /// Appends the fields of `head` with all edits, Host first when it is rewritten.
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        head: &RequestHead<'_, '_>,
        forwarding: Forwarding<'_>,
        edited: Edited<'_>,
    ) {
        let is_trusted = self.trusts(edited.peer);
        match head.host {
            Some(host) if self.rewrites_host => host::write(out, host, forwarding),
            Some(host) if head.absolute => push_field(out, "Host", host.as_bytes()),
            Some(_) => {}
            None => host::write_own(out, forwarding),
        }
        let removed = head.removed | self.removed(head, is_trusted);
        push_kept(out, head.bytes, head.fields, removed);
        for (old, new) in &self.renamed {
            for field in head
                .fields
                .iter()
                .filter(|f| f.name.eq_ignore_ascii_case(old))
            {
                push_field(out, new, field.value);
            }
        }
        forwarded::write(out, head, forwarding, (self, edited.peer, is_trusted));
        if let (Some(names), Some((version, cipher))) = (&self.tls, edited.tls) {
            push_field(out, &names.version, version.as_bytes());
            push_field(out, &names.cipher, cipher.as_bytes());
        }
        certificate::write(out, forwarding.identity, &self.certificate);
        if self.trace != Trace::Off {
            trace::write(out, head.fields, self.trace, trace::Fresh::now());
        }
        out.extend_from_slice(&self.inserted);
    }

    /// True when what the peer says of earlier hops counts; over a Unix socket it does.
    fn trusts(&self, peer: SocketAddr) -> bool {
        if is_nowhere(peer) {
            return true;
        }
        let peer = peer.ip().to_canonical();
        let named = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&peer));
        self.trusted.as_deref().is_none_or(named)
    }

    /// Bits of the fields that these edits take away.
    fn removed(&self, head: &RequestHead<'_, '_>, is_trusted: bool) -> u128 {
        let restarts = matches!(self.trace, Trace::W3c | Trace::Both)
            && trace::parent_of(head.fields).is_none();
        let goes = |name: &str| {
            self.dropped.contain(name)
                || (self.drop_invalid && is_invalid(name))
                || (!is_trusted && name.eq_ignore_ascii_case("forwarded"))
                || (restarts && name.eq_ignore_ascii_case("tracestate"))
        };
        let bits = head.fields.iter().enumerate();
        bits.fold(0, |bits, (index, field)| {
            bits | (u128::from(goes(field.name)) << index)
        })
    }
}

/// Not valid as ELB has it: `[-A-Za-z0-9]+`.
fn is_invalid(name: &str) -> bool {
    name.bytes()
        .any(|byte| !byte.is_ascii_alphanumeric() && byte != b'-')
}

/// What is changed in responses, this program's own ones included.
#[derive(Debug)]
pub struct ResponseEdits {
    dropped: Names,
    renamed: Box<[conf::FieldPair]>,
    inserted: Box<[u8]>,
}

impl ResponseEdits {
    /// The compiled edits; `None` when responses change only as forwarding demands.
    pub fn new(edits: &conf::FieldEdits) -> Option<Self> {
        (*edits != conf::FieldEdits::default()).then(|| Self {
            dropped: Names::new(named(edits)),
            renamed: edits.rename.clone().into(),
            inserted: lines(edits),
        })
    }

    /// Bits of the fields that these edits take away.
    pub(super) fn removed(&self, fields: &[httparse::Header<'_>]) -> u128 {
        let bits = fields.iter().enumerate();
        bits.fold(0, |bits, (index, field)| {
            bits | (u128::from(self.dropped.contain(field.name)) << index)
        })
    }

    /// Appends the fields that get other names and those that are put in.
    pub(super) fn write(&self, out: &mut Vec<u8>, fields: &[httparse::Header<'_>], removed: u128) {
        for (index, field) in fields.iter().enumerate() {
            let stays = removed & (1 << index) == 0;
            let new = self
                .renamed
                .iter()
                .filter(|(old, _)| field.name.eq_ignore_ascii_case(old));
            for (_, new) in new.filter(|_| stays) {
                push_field(out, new, field.value);
            }
        }
        out.extend_from_slice(&self.inserted);
    }

    /// Appends the fields that are put in.
    pub(super) fn write_inserted(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.inserted);
    }
}

/// Names of the fields that are not passed on as they came: also those that something of ours
/// takes the place of.
fn named(edits: &conf::FieldEdits) -> impl Iterator<Item = &str> {
    let renamed = edits.rename.iter().flat_map(|(old, new)| [old, new]);
    let inserted = edits.insert.iter().map(|(name, _)| name);
    let names = edits.remove.iter().chain(renamed).chain(inserted);
    names.map(String::as_str)
}

fn lines(edits: &conf::FieldEdits) -> Box<[u8]> {
    let mut lines = Vec::new();
    for (name, value) in &edits.insert {
        push_field(&mut lines, name, value.as_bytes());
    }
    lines.into()
}

#[cfg(test)]
mod tests;
