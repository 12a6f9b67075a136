//! EDNS options besides the client subnet: cookies read, and what goes back put together.
//!
//! Used by the parser and the response builder. No allocation; never panics on any bytes.

/// Length of a client cookie (RFC 7873 section 4).
pub(crate) const CLIENT_COOKIE: usize = 8;
/// Length of the server cookies made here (RFC 9018 section 4).
pub(crate) const SERVER_COOKIE: usize = 16;
pub(super) const OPTION_NSID: u16 = 3;
pub(super) const OPTION_COOKIE: u16 = 10;
pub(super) const OPTION_KEEPALIVE: u16 = 11;
/// Room for an NSID of 64 bytes, a cookie and a keepalive, each behind code and length.
const ROOM: usize = 4 + 64 + 4 + CLIENT_COOKIE + SERVER_COOKIE + 4 + 2;

/// The cookie option of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cookie {
    /// The client's own part.
    pub(crate) client: [u8; CLIENT_COOKIE],
    /// The server's, when there is one of the length made here; others are not from here.
    server: Option<[u8; SERVER_COOKIE]>,
}

impl Cookie {
    /// Reads an option's data; `None` for a length that RFC 7873 section 5.2.2 calls malformed.
    pub(crate) fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk::<CLIENT_COOKIE>()?;
        if !matches!(server.len(), 0 | 8..=32) {
            return None;
        }
        Some(Self {
            client: *client,
            server: <[u8; SERVER_COOKIE]>::try_from(server).ok(),
        })
    }

    /// The server's part.
    pub(crate) fn server(&self) -> Option<&[u8; SERVER_COOKIE]> {
        self.server.as_ref()
    }
}

/// Options to be sent, in wire form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    bytes: [u8; ROOM],
    len: usize,
}

impl Options {
    /// None.
    pub(crate) const NONE: Self = Self {
        bytes: [0; ROOM],
        len: 0,
    };

    /// Adds an option; one for which there is no room is left out.
    pub(crate) fn push(&mut self, code: u16, data: &[u8]) {
        let [code_high, code_low] = code.to_be_bytes();
        let length = data.len() as u8;
        let end = self.len + 4 + data.len();
        let Some(place) = self.bytes.get_mut(self.len..end) else {
            return;
        };
        let (head, body) = place.split_at_mut(4);
        head.copy_from_slice(&[code_high, code_low, 0, length]);
        body.copy_from_slice(data);
        self.len = end;
    }

    /// Adds a name server identifier.
    pub(crate) fn nsid(&mut self, identifier: &[u8]) {
        self.push(OPTION_NSID, identifier);
    }

    /// Adds a cookie.
    pub(crate) fn cookie(&mut self, data: &[u8]) {
        self.push(OPTION_COOKIE, data);
    }

    /// Adds how long an idle connection is kept, in units of 100 ms.
    pub(crate) fn keepalive(&mut self, idle: u16) {
        self.push(OPTION_KEEPALIVE, &idle.to_be_bytes());
    }

    /// The options.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_have_the_lengths_of_the_rfc() {
        for length in 0..50 {
            let read = Cookie::read(&vec![7; length]);
            let good = length == 8 || (16..=40).contains(&length);
            assert_eq!(read.is_some(), good, "{length}");
            let server = read.and_then(|cookie| cookie.server);
            assert_eq!(server.is_some(), length == 24, "{length}");
        }
    }

    #[test]
    fn all_options_fit_together() {
        let mut options = Options::NONE;
        options.nsid(&[1; 64]);
        options.cookie(&[2; 24]);
        options.keepalive(100);
        assert_eq!(options.bytes().len(), ROOM);
        options.keepalive(100);
        assert_eq!(options.bytes().len(), ROOM);
    }
}
