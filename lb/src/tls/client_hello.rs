//! What a ClientHello asks for, read without taking part in the handshake (RFC 8446 section 4.1.2).
//!
//! Pure: fed with all that came so far, it says what is asked for, or how much there must be before
//! it is worth asking again. The message may lie in many segments and many records. With Encrypted
//! Client Hello the name is the outer one, which is all that anybody on the way can see.
//!
//! Cost: one copy of the message, and only when it is whole.

/// Bytes of records that are read for one message at most: with post-quantum key shares and padding
/// they have less than 4 KiB.
pub(crate) const MAX_BYTES: usize = 32 * 1024;
/// Records one message may be cut into: more is nobody's honest work.
const MAX_RECORDS: usize = 1024;

const RECORD_HEADER: usize = 5;
const MESSAGE_HEADER: usize = 4;
/// Content type of handshake messages (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// Handshake type.
const CLIENT_HELLO: u8 = 1;
/// Extensions: RFC 6066, RFC 7301, RFC 9849.
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
/// Longest host name, in bytes.
const MAX_NAME: usize = 255;

/// What a client asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The server name (RFC 6066), in lower case, without a final dot.
    pub server_name: Option<String>,
    /// The application protocols offered (RFC 7301), in the client's order.
    pub alpn: Vec<Vec<u8>>,
    /// It has an encrypted inner ClientHello (or pretends to): the name is the outer one.
    pub is_encrypted: bool,
}

/// How far a ClientHello has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is whole.
    Whole(ClientHello),
    /// There must be at least so many bytes.
    Needs(usize),
}

/// Why the bytes are no ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The first byte is no handshake record's.
    #[error("the client does not speak TLS: clear text on a TLS port, as a rule")]
    NotTls,
    /// It breaks the rules of records or messages.
    #[error("the ClientHello is malformed")]
    Malformed,
    /// It is longer than any honest one.
    #[error("the ClientHello is longer than 32 KiB")]
    TooLong,
}

impl ClientHello {
    /// Looks at everything that came so far.
    ///
    /// # Errors
    /// [`Fault`]: it will never be a ClientHello.
    pub fn read(bytes: &[u8]) -> Result<Progress, Fault> {
        let mut fragments: Vec<&[u8]> = Vec::new();
        let mut rest = bytes;
        let mut gathered = 0;
        loop {
            let (fragment, after) = match record(rest)? {
                Record::Whole(fragment, after) => (fragment, after),
                Record::Needs(more) => return needs(bytes.len(), more),
            };
            gathered += fragment.len();
            fragments.push(fragment);
            rest = after;
            if fragments.len() > MAX_RECORDS {
                return Err(Fault::TooLong);
            }
            if let Some(length) = message_length(&fragments)? {
                if gathered >= length {
                    let message = fragments.concat();
                    let body = message.get(MESSAGE_HEADER..length).unwrap_or_default();
                    return Ok(Progress::Whole(hello(body).ok_or(Fault::Malformed)?));
                }
                if length > MAX_BYTES {
                    return Err(Fault::TooLong);
                }
            }
        }
    }
}

enum Record<'b> {
    /// What it carries, and what comes after it.
    Whole(&'b [u8], &'b [u8]),
    /// So many bytes are missing.
    Needs(usize),
}

/// Takes one record. What can be judged is judged before all of it is there.
fn record(bytes: &[u8]) -> Result<Record<'_>, Fault> {
    match bytes {
        [kind, ..] if *kind != HANDSHAKE => return Err(Fault::NotTls),
        // Record versions are 3.x for ever (RFC 8446 section 5.1).
        [_, major, ..] if *major != 3 => return Err(Fault::NotTls),
        _ => {}
    }
    let Some(([_, _, _, high, low], rest)) = bytes.split_first_chunk() else {
        return Ok(Record::Needs(RECORD_HEADER - bytes.len()));
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    // Handshake records are neither empty nor longer than 2^14 (RFC 8446 section 5.1).
    if length == 0 || length > 1 << 14 {
        return Err(Fault::Malformed);
    }
    Ok(match rest.split_at_checked(length) {
        Some((fragment, after)) => Record::Whole(fragment, after),
        None => Record::Needs(length - rest.len()),
    })
}

fn needs(there: usize, more: usize) -> Result<Progress, Fault> {
    match there + more {
        needed if needed > MAX_BYTES => Err(Fault::TooLong),
        needed => Ok(Progress::Needs(needed)),
    }
}

/// Length of the message with its header; `None` while that is not whole.
fn message_length(fragments: &[&[u8]]) -> Result<Option<usize>, Fault> {
    let mut first = fragments
        .iter()
        .flat_map(|fragment| fragment.iter().copied());
    match first.next() {
        Some(CLIENT_HELLO) => {}
        Some(_) => return Err(Fault::Malformed),
        None => return Ok(None),
    }
    let (Some(a), Some(b), Some(c)) = (first.next(), first.next(), first.next()) else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    Ok(Some(MESSAGE_HEADER + length))
}

/// The body of a ClientHello.
fn hello(body: &[u8]) -> Option<ClientHello> {
    // Legacy version and random.
    let rest = body.get(34..)?;
    let (_session, rest) = vector8(rest)?;
    let (_suites, rest) = vector16(rest)?;
    let (_compressions, rest) = vector8(rest)?;
    let mut found = ClientHello::default();
    // TLS 1.2 clients may have no extensions at all.
    if rest.is_empty() {
        return Some(found);
    }
    let (mut extensions, after) = vector16(rest)?;
    if !after.is_empty() {
        return None;
    }
    while !extensions.is_empty() {
        let (kind, rest) = extensions.split_first_chunk()?;
        let (data, rest) = vector16(rest)?;
        extensions = rest;
        match u16::from_be_bytes(*kind) {
            SERVER_NAME => found.server_name = Some(server_name(data)?),
            ALPN => found.alpn = protocols(data)?,
            ENCRYPTED_CLIENT_HELLO => found.is_encrypted = true,
            _ => {}
        }
    }
    Some(found)
}

/// The one host name of a list of names.
fn server_name(data: &[u8]) -> Option<String> {
    let (list, after) = vector16(data)?;
    let (kind, rest) = list.split_first()?;
    let (name, more) = vector16(rest)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._".contains(byte);
    let good = *kind == 0
        && after.is_empty()
        && more.is_empty()
        && (1..=MAX_NAME).contains(&name.len())
        && name.iter().all(is_name);
    let name = std::str::from_utf8(name).ok().filter(|_| good)?;
    Some(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase())
}

fn protocols(data: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut list, after) = vector16(data)?;
    if !after.is_empty() || list.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    while !list.is_empty() {
        let (name, rest) = vector8(list)?;
        if name.is_empty() {
            return None;
        }
        found.push(name.to_vec());
        list = rest;
    }
    Some(found)
}

/// What a length of one byte leads in, and what follows.
fn vector8(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

/// What a length of two bytes leads in, and what follows.
fn vector16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A real one, by rustls.
    fn real(name: &str, alpn: &[&[u8]]) -> Vec<u8> {
        let mut config = healthcheck::tls_client(&conf::TlsTrust::Anyone, b"", true);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = name.to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut out = Vec::new();
        client.write_tls(&mut out).unwrap();
        out
    }

    /// The same message in records of `size` bytes.
    fn cut(hello: &[u8], size: usize) -> Vec<u8> {
        let records = hello[5..].chunks(size).map(|part| {
            let length = (part.len() as u16).to_be_bytes();
            [&[22, 3, 1], &length[..], part].concat()
        });
        records.collect::<Vec<_>>().concat()
    }

    fn whole(bytes: &[u8]) -> ClientHello {
        match ClientHello::read(bytes).unwrap() {
            Progress::Whole(hello) => hello,
            Progress::Needs(more) => panic!("needs {more} of {}", bytes.len()),
        }
    }

    #[test]
    fn names_and_protocols_are_found_however_the_message_is_cut() {
        let hello = real("App.Test", &[b"h2", b"http/1.1"]);
        let expected = ClientHello {
            server_name: Some("app.test".to_owned()),
            alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            is_encrypted: false,
        };
        assert_eq!(whole(&hello), expected);
        for size in [1, 2, 3, 4, 7, 100, 1000] {
            let cut = cut(&hello, size);
            if hello.len() / size > MAX_RECORDS {
                assert_eq!(ClientHello::read(&cut), Err(Fault::TooLong));
                continue;
            }
            assert_eq!(whole(&cut), expected, "records of {size}");
            // Every start of it asks for more than there is, and never for more than all of it.
            for end in 0..cut.len() {
                match ClientHello::read(&cut[..end]).unwrap() {
                    Progress::Needs(needed) => assert!(needed > end && needed <= cut.len()),
                    Progress::Whole(found) => panic!("{found:?} after {end}"),
                }
            }
        }
        // What comes after it is none of its business.
        assert_eq!(whole(&[&hello[..], b"more"].concat()), expected);
        assert_eq!(whole(&real("127.0.0.1", &[])), ClientHello::default());
    }

    #[test]
    fn an_encrypted_one_shows_its_outer_name() {
        let mut hello = real("outer.test", &[]);
        // One more extension at the end, and every length that contains it.
        let extension = [0xfe, 0x0d, 0, 4, 0, 0, 0, 0];
        hello.extend(extension);
        let add = |hello: &mut Vec<u8>, at: usize| {
            let length = u16::from_be_bytes([hello[at], hello[at + 1]]) + 8;
            hello[at..at + 2].copy_from_slice(&length.to_be_bytes());
        };
        add(&mut hello, 3);
        add(&mut hello, 7);
        let session = 43 + 1 + usize::from(hello[43]);
        let suites = usize::from(u16::from_be_bytes([hello[session], hello[session + 1]]));
        let compressions = session + 2 + suites;
        let extensions = compressions + 1 + usize::from(hello[compressions]);
        add(&mut hello, extensions);
        let found = whole(&hello);
        assert!(found.is_encrypted);
        assert_eq!(found.server_name.as_deref(), Some("outer.test"));
    }

    #[test]
    fn what_is_none_is_refused_as_soon_as_that_shows() {
        for (bytes, fault) in [
            (&b"GET / HTTP/1.1\r\n"[..], Fault::NotTls),
            (b"\x16\x02", Fault::NotTls),
            (b"\x16\x03\x01\x00\x00", Fault::Malformed),
            (b"\x16\x03\x01\xff\xff", Fault::Malformed),
            // Not a ClientHello.
            (b"\x16\x03\x01\x00\x01\x02", Fault::Malformed),
            // One that says that it is 16 MiB long.
            (b"\x16\x03\x01\x00\x04\x01\xff\xff\xff", Fault::TooLong),
            // Cut off within, whole by its own length.
            (
                b"\x16\x03\x01\x00\x06\x01\x00\x00\x02\x03\x03",
                Fault::Malformed,
            ),
        ] {
            assert_eq!(ClientHello::read(bytes), Err(fault), "{bytes:x?}");
        }
    }
}
