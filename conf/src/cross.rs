//! Checks between sections: sockets that would collide, traffic that would come back, a table
//! without the file that it goes by.
//!
//! Called once, after everything is resolved. TCP and UDP sockets of one address do not collide; the
//! DNS server's addresses are of both.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::scalar::Shown;
use crate::tree::Scope;
use crate::{
    Address, Config, Diagnostic, GroupIdx, LatencyClients, Listener, Span, Spanned, TargetGroup,
};

/// Runs every check.
pub(crate) fn check(config: &Config, scope: &Scope<'_>) {
    asns(config, scope);
    overlaps(config, scope);
    same_sockets(config, scope);
    for listener in &config.listeners {
        for group in listener.groups() {
            if let Some(group) = config.target_groups.get(group.0) {
                loops(listener, group, scope);
            }
        }
    }
    for group in &config.target_groups {
        holds(group, config, scope);
    }
}

/// A socket to be opened, and by whom.
struct Socket<'c> {
    owner: String,
    address: &'c Spanned<SocketAddr>,
    /// Over TCP, over UDP.
    transports: (bool, bool),
}

impl Socket<'_> {
    fn is_written(&self) -> bool {
        self.address.span.start < self.address.span.end
    }
}

fn sockets(config: &Config) -> Vec<Socket<'_>> {
    let listeners = config.listeners.iter().flat_map(|listener| {
        listener.binds.iter().map(|address| Socket {
            owner: format!("listener `{}`", listener.name),
            address,
            transports: (
                listener.protocol.takes_streams(),
                listener.protocol.takes_datagrams(),
            ),
        })
    });
    let dns = config.dns.iter().flat_map(|dns| {
        dns.binds.iter().map(|address| Socket {
            owner: "the DNS server".to_owned(),
            address,
            transports: (true, true),
        })
    });
    let admin = Socket {
        owner: "the admin surface".to_owned(),
        address: &config.admin.bind,
        transports: (true, false),
    };
    std::iter::once(admin).chain(dns).chain(listeners).collect()
}

fn overlaps(config: &Config, scope: &Scope<'_>) {
    let sockets = sockets(config);
    for (index, second) in sockets.iter().enumerate() {
        let first = sockets
            .iter()
            .take(index)
            .find(|first| collide(first, second));
        if let Some(first) = first {
            scope.report(collision(first, second));
        }
    }
}

/// One Unix socket is one listener's, once.
fn same_sockets(config: &Config, scope: &Scope<'_>) {
    let mut seen = HashMap::new();
    for listener in &config.listeners {
        for name in &listener.unix.names {
            let Some((first, owner)) = seen.insert(name.value, (name.span, &listener.name)) else {
                continue;
            };
            let message = format!(
                "`{}` of listener `{}` is listener `{owner}`'s already",
                name.value, listener.name
            );
            scope.report(
                Diagnostic::error("bind-overlap", name.span, message)
                    .consequence("only one of them could be opened, so the process would not start")
                    .help("give each its own path")
                    .related(first, "the other one"),
            );
        }
    }
}

fn collide(first: &Socket<'_>, second: &Socket<'_>) -> bool {
    let tcp = first.transports.0 && second.transports.0;
    let udp = first.transports.1 && second.transports.1;
    (tcp || udp) && overlap(first.address.value, second.address.value)
}

fn collision(first: &Socket<'_>, second: &Socket<'_>) -> Diagnostic {
    // The place to mend is what is written, and of two the later one.
    let place = |socket: &Socket<'_>| (socket.is_written(), socket.address.span);
    let (first, second) = if place(first) > place(second) {
        (second, first)
    } else {
        (first, second)
    };
    let by_default = if first.is_written() {
        ""
    } else {
        ", its default"
    };
    let message = format!(
        "`{}` of {} overlaps `{}` of {}{by_default}",
        second.address.value, second.owner, first.address.value, first.owner
    );
    let problem = Diagnostic::error("bind-overlap", second.address.span, message)
        .consequence("only one of them could be opened, so the process would not start");
    if first.is_written() {
        problem
            .help("use another port or address; port 0 takes any that is free")
            .related(first.address.span, format!("taken by {}", first.owner))
    } else {
        problem.help(format!(
            "use another port, or give {} its own `bind`",
            first.owner
        ))
    }
}

/// True when two sockets cannot be open at the same time. IPv6 sockets take IPv6 only, so that
/// `[::]` and `0.0.0.0` live side by side; port 0 is a free one.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port()
        && a.port() != 0
        && a.is_ipv4() == b.is_ipv4()
        && (a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified())
}

impl Config {
    /// The listener that forwards to the group and that a target at `address` would be.
    pub fn forward_loop(&self, group: &str, address: Address) -> Option<&Listener> {
        self.listeners.iter().find(|listener| {
            let mut groups = listener.groups().into_iter();
            let forwards = groups.any(|index| self.group(index).name == group);
            forwards && back(listener, address).is_some()
        })
    }
}

/// Where the bind stands that a target at `target` would come back to.
fn back(listener: &Listener, target: Address) -> Option<Span> {
    match target {
        Address::Ip(target) => {
            let mut binds = listener.binds.iter();
            let bind = binds.find(|bind| reaches(target, bind.value));
            bind.map(|bind| bind.span)
        }
        Address::Unix(target) => {
            let mut names = listener.unix.names.iter();
            let name = names.find(|name| name.value == target);
            name.map(|name| name.span)
        }
    }
}

/// A target that is the listener itself sends every request round until something breaks.
fn loops(listener: &Listener, group: &TargetGroup, scope: &Scope<'_>) {
    for target in &group.targets {
        if let Some(bind) = back(listener, target.address) {
            scope.report(
                Diagnostic::error(
                    "forward-loop",
                    target.span,
                    format!(
                        "target `{}` of group `{}` is listener `{}` itself",
                        target.address, group.name, listener.name
                    ),
                )
                .consequence("each request would come back to the listener until sockets run out")
                .help("write the address the service itself listens on")
                .related(bind, "the listener accepts here"),
            );
        }
    }
}

fn reaches(target: SocketAddr, bind: SocketAddr) -> bool {
    let wildcard = bind.ip().is_unspecified()
        && bind.is_ipv4() == target.is_ipv4()
        && target.ip().is_loopback();
    target.port() == bind.port() && (target.ip() == bind.ip() || wildcard)
}

/// A hold longer than an http client waits is a hold in vain.
fn holds(group: &TargetGroup, config: &Config, scope: &Scope<'_>) {
    let idle = config
        .listeners
        .iter()
        .filter(|listener| {
            let named = |to: &GroupIdx| config.target_groups.get(to.0);
            let mut groups = listener.groups().into_iter();
            groups.any(|to| named(&to).is_some_and(|to| to.name == group.name))
        })
        .map(|listener| listener.idle_timeout)
        .min();
    if let Some(idle) = idle.filter(|idle| *idle < group.hold) {
        scope.report(
            Diagnostic::warning(
                "hold-above-idle",
                group.span,
                format!(
                    "group `{}` holds requests for {}, its listener drops silent clients after {}",
                    group.name,
                    group.hold.shown(),
                    idle.shown()
                ),
            )
            .consequence("clients would be gone before a target is back")
            .help("make `hold` shorter than `idle-timeout`"),
        );
    }
}

/// Tables of autonomous systems need the file that says whose addresses are.
fn asns(config: &Config, scope: &Scope<'_>) {
    let dns = config.dns.as_ref();
    if dns.is_none_or(|dns| dns.asn_database.is_some()) {
        return;
    }
    let mut tables = config.latencies.iter();
    let named = tables.find_map(|table| match &table.clients {
        LatencyClients::Asns(asns) => asns.first(),
        _ => None,
    });
    if let Some(asn) = named {
        scope.report(
            Diagnostic::error(
                "asn-database-missing",
                asn.span,
                "a latency table names an autonomous system, and [dns] has no `asn-database`"
                    .to_owned(),
            )
            .consequence("nobody would be in it")
            .help(
                "add `asn-database = \"asn.mmdb\"`: an MMDB file with `autonomous_system_number`",
            ),
        );
    }
}
