//! The header that a connection to a target begins with: the client's addresses, and what came with
//! the client's own header.
//!
//! Asked for by the data paths when they connect. TLVs that came are passed on as they came, AWS's
//! 0xEA among them; a checksum is made anew. An ID that came is kept, so that one connection has one
//! ID along a chain of proxies.
//!
//! Cost: one allocation per connection of a group with `proxy-protocol-out`, none of others.

use std::net::SocketAddr;
use std::rc::Rc;

use conf::{ProxyOptions, ProxyOut};
use healthcheck::proxy_header::{self, Proxied, Transport, tlv};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::sockets::is_nowhere;
use crate::tls::Session;

/// What came with a client's header beside addresses: whole TLVs, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tlvs(Rc<[u8]>);

impl Tlvs {
    /// The TLVs in `bytes`; `None` when a length leads past the end.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split(rest)?.1;
        }
        Some(Self(bytes.into()))
    }

    /// True when there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Kind and value of each.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Tlv<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (first, after) = split(rest)?;
            rest = after;
            Some(first)
        })
    }
}

/// Kind and value.
type Tlv<'a> = (u8, &'a [u8]);

/// A TLV, and the bytes after it.
fn split(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (value, rest) = rest.split_at_checked(length)?;
    Some(((kind, value), rest))
}

/// A client, as targets are told of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Introduced<'a> {
    /// Its address.
    pub(crate) client: SocketAddr,
    /// The address it used.
    pub(crate) local: SocketAddr,
    /// What came with its own header.
    pub(crate) tlvs: Option<&'a Tlvs>,
    /// Its TLS, that ends here or passes through.
    pub(crate) session: Option<&'a Session>,
    /// How it comes to targets.
    pub(crate) transport: Transport,
}

impl Introduced<'_> {
    /// The header that `out` asks for.
    pub(crate) fn header(&self, out: ProxyOut, rng: &mut SmallRng) -> Vec<u8> {
        let proxied = Proxied {
            source: self.client,
            destination: self.local,
            transport: self.transport,
        };
        let fresh = format!("{:032x}", rng.random::<u128>());
        let came = || self.tlvs.into_iter().flat_map(Tlvs::iter);
        let ssl = self.session.and_then(|session| ssl(session, out.options));
        let alpn = self.session.filter(|_| ssl.is_some());
        let alpn = alpn.and_then(|session| session.alpn.as_deref());
        let ssl = ssl.as_deref().map(|value| (tlv::SSL, value));
        let alpn = alpn.map(|name| (tlv::ALPN, name));
        let asked = self
            .session
            .and_then(|session| session.server_name.as_deref());
        let asked = asked.filter(|_| out.options.authority);
        let authority = asked.map(|name| (tlv::AUTHORITY, name.as_bytes()));
        // What ended here is what this program went by; the same told by others gives way.
        let told = |kind| match kind {
            tlv::AUTHORITY => authority.is_some(),
            tlv::SSL | tlv::ALPN => ssl.is_some(),
            _ => false,
        };
        let passed =
            came().filter(|(kind, _)| !matches!(*kind, tlv::CRC32C | tlv::NOOP) && !told(*kind));
        let has_id = came().any(|(kind, _)| kind == tlv::UNIQUE_ID);
        let makes_id = out.options.unique_id && !has_id;
        let id = makes_id.then_some((tlv::UNIQUE_ID, fresh.as_bytes()));
        let mut header = Vec::new();
        let (version, checksum) = (out.version, out.options.crc32c);
        let tlvs = passed.chain(alpn).chain(authority).chain(ssl).chain(id);
        // A client without an address is nobody that a header could name.
        let proxied = (!is_nowhere(self.client)).then_some(proxied);
        proxy_header::write(&mut header, version, proxied, tlvs, checksum);
        header
    }
}

/// What `options` tell of TLS that ended here (proxy-protocol.txt section 2.2.5).
fn ssl(session: &Session, options: ProxyOptions) -> Option<Vec<u8>> {
    /// The client came by TLS.
    const CLIENT_SSL: u8 = 0x01;
    /// It showed a certificate on this connection.
    const CERT_CONN: u8 = 0x02;
    /// It showed one in this session.
    const CERT_SESS: u8 = 0x04;
    let wanted = options.ssl || options.cert_cn || options.ssl_cipher;
    if !wanted || session.version.is_empty() {
        return None;
    }
    let identity = session.identity.as_deref();
    let client = match (identity, session.resumed) {
        (None, _) => CLIENT_SSL,
        (Some(_), true) => CLIENT_SSL | CERT_SESS,
        (Some(_), false) => CLIENT_SSL | CERT_SESS | CERT_CONN,
    };
    let verified = identity.is_some_and(|identity| identity.verified);
    let mut value = vec![client];
    // Zero says that a certificate was shown and verified.
    value.extend(u32::from(!verified).to_be_bytes());
    let mut add = |kind, text: &str| proxy_header::write_tlv(&mut value, kind, text.as_bytes());
    add(tlv::SSL_VERSION, session.version);
    if let Some(name) = identity.and_then(|identity| identity.common_name.as_deref())
        && options.cert_cn
    {
        add(tlv::SSL_CN, name);
    }
    if options.ssl_cipher {
        add(tlv::SSL_CIPHER, session.cipher);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use conf::ProxyProtocol;
    use rand::SeedableRng;

    use super::*;
    use crate::tls::ClientIdentity;

    fn out(unique_id: bool) -> ProxyOut {
        ProxyOut {
            version: ProxyProtocol::V2,
            options: ProxyOptions {
                authority: true,
                unique_id,
                ..ProxyOptions::default()
            },
        }
    }

    fn session(name: &str, identity: Option<ClientIdentity>) -> Session {
        Session {
            version: "TLSv1.3",
            cipher: "TLS_AES_128_GCM_SHA256",
            named_group: "x25519",
            handshake: None,
            server_name: Some(name.into()),
            alpn: Some(b"h2"[..].into()),
            offered: Box::default(),
            certificate: None,
            resumed: false,
            identity: identity.map(Box::new),
        }
    }

    fn tlvs_told(came: &[u8], server_name: Option<&str>, unique_id: bool) -> Vec<u8> {
        let came = Tlvs::new(came).unwrap();
        let session = server_name.map(|name| session(name, None));
        let client = Introduced {
            client: "192.0.2.1:4711".parse().unwrap(),
            local: "192.0.2.2:80".parse().unwrap(),
            tlvs: Some(&came),
            session: session.as_ref(),
            transport: Transport::Stream,
        };
        let header = client.header(out(unique_id), &mut SmallRng::seed_from_u64(1));
        header[28..].to_vec()
    }

    #[test]
    fn tlvs_that_came_go_on_but_for_the_checksum() {
        let came = b"\xea\0\x05\x01vpce\x03\0\x04sums\x04\0\0\x02\0\x01a";
        assert_eq!(
            tlvs_told(came, None, false),
            b"\xea\0\x05\x01vpce\x02\0\x01a"
        );
    }

    #[test]
    fn an_id_is_made_unless_one_came() {
        let made = tlvs_told(b"", None, true);
        assert_eq!((made.len(), &made[..3]), (35, &b"\x05\0\x20"[..]));
        assert_eq!(tlvs_told(b"\x05\0\x02id", None, true), b"\x05\0\x02id");
    }

    #[test]
    fn the_name_asked_for_here_takes_the_place_of_one_that_came() {
        let came = b"\x02\0\x01a\xea\0\x01x";
        assert_eq!(
            tlvs_told(came, Some("bc"), false),
            b"\xea\0\x01x\x02\0\x02bc"
        );
    }

    #[test]
    fn lengths_past_the_end_are_refused() {
        assert_eq!(Tlvs::new(b"\x02\0\x02a"), None);
        assert_eq!(Tlvs::new(b"\x02\0"), None);
    }

    #[test]
    fn tls_that_ended_here_is_told_of_in_place_of_what_others_told() {
        let came = Tlvs::new(b"\x20\0\x01x\x01\0\x01y\xea\0\x01z").unwrap();
        let session = session("a.test", None);
        let client = Introduced {
            client: "192.0.2.1:4711".parse().unwrap(),
            local: "192.0.2.2:443".parse().unwrap(),
            tlvs: Some(&came),
            session: Some(&session),
            transport: Transport::Stream,
        };
        let mut out = out(false);
        out.options = ProxyOptions {
            ssl_cipher: true,
            cert_cn: true,
            ..ProxyOptions::default()
        };
        let header = client.header(out, &mut SmallRng::seed_from_u64(1));
        let ssl = b"\x01\0\0\0\x01\x21\0\x07TLSv1.3\x23\0\x16TLS_AES_128_GCM_SHA256";
        let length = u8::try_from(ssl.len()).unwrap();
        let expected = [b"\xea\0\x01z\x01\0\x02h2\x20\0".as_slice(), &[length], ssl].concat();
        assert_eq!(header[28..], expected);
    }
}
