//! Unix sockets: where a listener accepts, and which settings of a group cannot be kept for a target there.
//!
//! Misfits are asked for by the group's resolver, and by whoever registers targets while it is served.

use super::{TargetGroup, TargetHealthCheckKind};
use crate::{Address, Spanned, UnixName};

/// Unix sockets that a listener accepts on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnixBinds {
    /// Their names; no two listeners have the same.
    pub names: Vec<Spanned<UnixName>>,
    /// Permissions of their files, 0 to 0o777: who may connect.
    pub mode: u32,
    /// Whose their files are.
    pub owner: UnixOwner,
}

/// A user and a group of this machine, by name or number; `None` is the process's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnixOwner {
    /// The user.
    pub user: Option<String>,
    /// The group.
    pub group: Option<String>,
}

/// Why a group cannot have a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Misfit {
    /// The reason: a sentence's end.
    pub why: &'static str,
    /// How to mend it.
    pub help: &'static str,
}

impl TargetGroup {
    /// Why the group cannot have a target at `address`; always `None` over IP.
    pub fn misfit(&self, address: Address) -> Option<Misfit> {
        address.unix()?;
        let check = &self.health_check;
        if self.protocol.takes_datagrams() {
            Some(Misfit {
                why: "datagrams go to targets over IP only",
                help: "write its IP address and port; Unix sockets are for streams",
            })
        } else if self.preserve_client_ip {
            Some(Misfit {
                why: "no connection to it can come from a client's address",
                help: "remove `preserve-client-ip`; `proxy-protocol-out` tells it who the client is",
            })
        } else if matches!(check.kind, TargetHealthCheckKind::Udp(_)) {
            Some(Misfit {
                why: "the group's health check sends datagrams, and it takes none",
                help: "use a health check of protocol `tcp` or `http`",
            })
        } else if check.port.is_some() {
            Some(Misfit {
                why: "it has no ports, so the `port` of the group's health check is nobody's",
                help: "remove `port`: the socket itself is probed; or give it a group of its own",
            })
        } else {
            None
        }
    }
}
