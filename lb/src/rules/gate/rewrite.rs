//! Rewrites compiled: another host and URL for a request that is forwarded.
//!
//! Asked by the gate, after the rule was chosen, so that nothing here alters routing. What comes
//! out is read again by the request parser as the head it would be sent in: what no client could
//! have sent is never forwarded. Cost: for a match two allocations and one parse of a short head.

use std::mem::MaybeUninit;

use conf::{Rewrite, Rewrites};

use super::Denial;
use crate::l7::http1::{HeadLimits, MAX_FIELDS, RequestHead, parse_request};
use crate::rules::host_name;

/// Room for the request line (the parser's limit is 16 KiB) and Host.
const ROOM: HeadLimits = HeadLimits { bytes: 20 * 1024 };

/// Rewrites, a copy of each expression for each worker.
#[derive(Debug)]
pub(super) struct Rewriter {
    host: Option<Box<[Rewrite]>>,
    url: Option<Box<[Rewrite]>>,
}

/// What a request is forwarded as; `None` = as it came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rewritten {
    /// Host, with its port if it has one.
    pub(crate) host: Option<Box<str>>,
    /// Path and query.
    pub(crate) target: Option<Box<str>>,
}

impl Rewriter {
    /// Configured rewrites, for so many workers; `None` when there are none.
    pub(super) fn new(rewrites: &Rewrites, workers: usize) -> Option<Self> {
        let copies = |rewrite: &Rewrite| vec![rewrite.clone(); workers].into_boxed_slice();
        (!rewrites.is_empty()).then(|| Self {
            host: rewrites.host.as_ref().map(copies),
            url: rewrites.url.as_ref().map(copies),
        })
    }

    /// What becomes of a request.
    pub(super) fn apply(
        &self,
        head: &RequestHead<'_, '_>,
        worker: usize,
    ) -> Result<Rewritten, Denial> {
        let rewritten = Rewritten {
            host: of(self.host.as_deref(), worker)
                .zip(head.host)
                .and_then(|(rewrite, host)| rewrite_host(rewrite, host)),
            target: of(self.url.as_deref(), worker)
                .and_then(|rewrite| rewrite_target(rewrite, head.target)),
        };
        match rewritten.is_fit() {
            true => Ok(rewritten),
            false => Err(Denial::RewriteFailed),
        }
    }
}

/// A worker's copy.
fn of(copies: Option<&[Rewrite]>, worker: usize) -> Option<&Rewrite> {
    copies?.get(worker)
}

/// The host without its port is rewritten; the port stays unless the new host brings its own.
fn rewrite_host(rewrite: &Rewrite, host: &str) -> Option<Box<str>> {
    let name = host_name(host);
    let port = host.get(name.len()..).unwrap_or_default();
    let mut out = Vec::with_capacity(host.len() + 32);
    if !rewrite.apply(name.as_bytes(), &mut out) {
        return None;
    }
    let mut new = into_text(out);
    if host_name(&new) == new {
        new.push_str(port);
    }
    Some(new.into())
}

fn rewrite_target(rewrite: &Rewrite, target: &str) -> Option<Box<str>> {
    let mut out = Vec::with_capacity(target.len() + 32);
    let is_match = match target {
        // Means the whole service, not a path.
        "*" => false,
        // An absolute target without a path.
        query if query.starts_with('?') => {
            let whole = format!("/{query}");
            rewrite.apply(whole.as_bytes(), &mut out)
        }
        target => rewrite.apply(target.as_bytes(), &mut out),
    };
    is_match.then(|| into_text(out).into())
}

/// Groups of byte expressions may cut a character in two; what is no text fails the check.
fn into_text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

impl Rewritten {
    /// True when a client could have sent it.
    fn is_fit(&self) -> bool {
        if self.host.is_none() && self.target.is_none() {
            return true;
        }
        let host = self.host.as_deref().unwrap_or("a");
        let target = self.target.as_deref().unwrap_or("/");
        let head = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        match parse_request(head.as_bytes(), &mut slots, ROOM) {
            Ok(Some(read)) => {
                (read.target, read.host, read.absolute) == (target, Some(host), false)
                    && read.bytes.len() == head.len()
                    && read.fields.len() == 1
            }
            _ => false,
        }
    }

    /// `head` with what was rewritten in its places.
    pub(crate) fn onto<'r, 'f>(&'r self, head: RequestHead<'r, 'f>) -> RequestHead<'r, 'f> {
        let mut head = head;
        if let Some(target) = self.target.as_deref() {
            head.target = target;
        }
        if let Some(host) = self.host.as_deref() {
            head.replace_host(host);
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_client_could_send_is_not_forwarded() {
        let check = |host: Option<&str>, target: Option<&str>| {
            let rewritten = Rewritten {
                host: host.map(Into::into),
                target: target.map(Into::into),
            };
            rewritten.is_fit()
        };
        assert!(check(None, None));
        assert!(check(Some("b.test:81"), Some("/a?b=%20")));
        assert!(check(Some("[::1]:80"), None));
        for target in [
            "",
            "a",
            "//a b",
            "/a\r\nX: y",
            "/#a",
            "http://a/",
            "/\u{e9}",
            "/a HTTP/1.1\r\n\r\n",
            "*",
        ] {
            assert!(!check(None, Some(target)), "{target:?}");
        }
        for host in ["", "a b", "a\r\nX: y", "u@a", "a:b", "a/b", " a"] {
            assert!(!check(Some(host), None), "{host:?}");
        }
        let long = format!("/{}", "a".repeat(16 * 1024));
        assert!(!check(None, Some(&long)));
    }
}
