//! Listeners: where traffic is accepted and what is done with it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::{Action, GroupIdx, Rule};
use crate::{Span, Spanned};

/// Index of a listener in [`Config::listeners`](crate::Config::listeners).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerIdx(pub usize);

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerProtocol {
    /// HTTP/1.1 and HTTP/1.0 in clear text.
    Http,
    /// Any byte stream.
    Tcp,
}

impl ListenerProtocol {
    /// The name in config, API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
        }
    }
}

/// Accepts traffic.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Unique among listeners.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// Addresses to accept on; at least one; no two listeners overlap.
    pub binds: Vec<Spanned<SocketAddr>>,
    /// What it speaks.
    pub protocol: ListenerProtocol,
    /// Addresses for DNS aliases: as given, else the non-wildcard binds' own.
    pub advertise: Vec<IpAddr>,
    /// By priority, lowest first; none for `tcp`.
    pub rules: Vec<Rule>,
    /// What happens when no rule matches; for `tcp` always a forward.
    pub default_action: Action,
    /// Open client connections at most; 0 = only the file-descriptor budget limits them.
    pub max_connections: usize,
    /// A client connection or flow without a byte for this long is closed (ELB
    /// `idle_timeout.timeout_seconds`, default 60 s; for tcp `tcp.idle_timeout.seconds`, 350 s).
    pub idle_timeout: Duration,
    /// A request head must be complete this long after its first byte (http only).
    pub header_timeout: Duration,
    /// Request heads over this are refused with 431 (http only), in bytes.
    pub max_header_bytes: usize,
}

impl Listener {
    /// Its actions: the rules' by priority, then the default one.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        let rules = self.rules.iter().map(|rule| &rule.action);
        rules.chain(std::iter::once(&self.default_action))
    }

    /// The groups of its actions, each once.
    pub fn groups(&self) -> Vec<GroupIdx> {
        let mut found = Vec::new();
        for group in self.actions().flat_map(Action::groups) {
            if !found.contains(&group) {
                found.push(group);
            }
        }
        found
    }
}
