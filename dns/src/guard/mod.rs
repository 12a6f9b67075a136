//! What the server says of itself and how it guards itself: identity, cookies, rate limits.
//!
//! Made from `[dns]` once per configuration generation and shared by all snapshots of it; secrets
//! and the table of the limiter go on from one generation to the next.

mod cookies;
mod limiter;
mod siphash;

use std::sync::Arc;

use conf::{Config, DnsService};
use ipnet::IpNet;

pub(crate) use cookies::Secrets;
pub(crate) use limiter::{Kind, Limiter, Verdict};

/// Everything about answering that is neither zones nor decisions.
#[derive(Debug)]
pub(crate) struct Guard {
    /// Senders whose client subnet options count.
    pub(crate) believed: Box<[IpNet]>,
    /// Name server identifier; empty: none.
    pub(crate) nsid: Box<[u8]>,
    /// Answer to `version.bind`; empty: none.
    pub(crate) version: Box<[u8]>,
    /// Answer to `hostname.bind`; empty: none.
    pub(crate) hostname: Box<[u8]>,
    /// Cookie secrets.
    pub(crate) secrets: Secrets,
    /// The rate limiter.
    pub(crate) limiter: Option<Arc<Limiter>>,
    /// The idle time told to TCP clients that ask, in units of 100 ms (RFC 7828).
    pub(crate) keepalive: u16,
}

impl Guard {
    /// Nobody believed, nothing said, nothing limited.
    pub(crate) fn nothing() -> Self {
        Self {
            believed: Box::default(),
            nsid: Box::default(),
            version: Box::default(),
            hostname: Box::default(),
            secrets: Secrets::None,
            limiter: None,
            keepalive: 0,
        }
    }

    /// That of a configuration, after `previous`.
    pub(crate) fn new(config: &Config, previous: Option<&Self>) -> Self {
        let default = DnsService::default();
        let service = config.dns.as_ref().map_or(&default, |dns| &dns.service);
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().as_bytes().into();
        let idle = config
            .dns
            .as_ref()
            .map_or(0, |dns| dns.tcp_idle_timeout.as_millis() / 100);
        let kept = previous.and_then(|previous| previous.limiter.clone());
        let limiter = service.rate_limit.as_ref().map(|settings| match kept {
            Some(kept) if kept.settings() == settings => kept,
            _ => Arc::new(Limiter::new(settings)),
        });
        Self {
            believed: config.dns.iter().flat_map(|dns| dns.ecs.clone()).collect(),
            nsid: text(&service.nsid),
            version: text(&service.version),
            hostname: text(&service.hostname),
            secrets: Secrets::new(&service.cookies, previous.map(|guard| &guard.secrets)),
            limiter,
            keepalive: u16::try_from(idle).unwrap_or(u16::MAX),
        }
    }
}
