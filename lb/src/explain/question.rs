//! A request as people ask about it: a URL, and what else they care about.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::snapshot::{Listener, Snapshot};

/// A request to explain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestQuestion {
    /// The listener's name; `None` = found by the URL.
    pub listener: Option<String>,
    /// The method.
    pub method: String,
    /// `http://host:port/path?query`.
    pub url: String,
    /// Further fields, as `Name: value`.
    pub fields: Vec<String>,
    /// The client.
    pub source: SocketAddr,
}

/// A URL taken apart.
struct Parts<'u> {
    is_tls: bool,
    authority: &'u str,
    target: &'u str,
}

impl RequestQuestion {
    fn parts(&self) -> Parts<'_> {
        let url = self.url.as_str();
        let (is_tls, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => (false, url),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        Parts {
            is_tls,
            authority,
            target,
        }
    }

    /// The listener that gets it, and the address it comes in at.
    pub(super) fn listener<'s>(
        &self,
        snapshot: &'s Snapshot,
    ) -> Result<(&'s Arc<Listener>, SocketAddr), String> {
        let parts = self.parts();
        let (name, port) = split_port(parts.authority, parts.is_tls);
        let reading = || snapshot.listeners().iter().filter(|l| l.protocol.is_http());
        let known = || {
            let names: Vec<_> = reading().map(|listener| &*listener.name).collect();
            format!("listeners that read requests: {}", names.join(", "))
        };
        let any = SocketAddr::from(([127, 0, 0, 1], port));
        if let Some(wanted) = &self.listener {
            let found = reading().find(|listener| *listener.name == **wanted);
            let found = found.ok_or_else(|| format!("no listener `{wanted}`; {}", known()))?;
            return Ok((found, found.bound.first().copied().unwrap_or(any)));
        }
        let address: Option<IpAddr> = name.trim_matches(['[', ']']).parse().ok();
        let takes = |bound: &SocketAddr| {
            let same = address.is_none_or(|ip| bound.ip() == ip || bound.ip().is_unspecified());
            bound.port() == port && same
        };
        let fits = |listener: &&Arc<Listener>| listener.protocol.is_tls() == parts.is_tls;
        let mut found = reading().filter(fits).filter_map(|listener| {
            let bound = listener.bound.iter().copied().find(takes)?;
            Some((listener, bound))
        });
        found.next().ok_or_else(|| {
            let scheme = if parts.is_tls { "https" } else { "http" };
            format!(
                "no {scheme} listener accepts on port {port} of `{name}`; name one: {}",
                known()
            )
        })
    }

    /// The head as a client would send it.
    pub(super) fn head(&self) -> Vec<u8> {
        let parts = self.parts();
        let slash = if parts.target.starts_with('/') {
            ""
        } else {
            "/"
        };
        let is_host = |field: &&String| {
            let name = field.get(..5);
            name.is_some_and(|name| name.eq_ignore_ascii_case("host:"))
        };
        let mut head = format!("{} {slash}{} HTTP/1.1\r\n", self.method, parts.target);
        if !self.fields.iter().any(|field| is_host(&field)) {
            head += &format!("Host: {}\r\n", parts.authority);
        }
        for field in &self.fields {
            head += &format!("{field}\r\n");
        }
        (head + "\r\n").into_bytes()
    }
}

/// Name and port of an authority.
fn split_port(authority: &str, is_tls: bool) -> (&str, u16) {
    let default = if is_tls { 443 } else { 80 };
    match authority.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse().unwrap_or(default)),
        _ => (authority, default),
    }
}
