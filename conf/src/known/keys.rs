//! Keys of later versions, by section.
//!
//! Data only; read through [`super::key`]. ELB attributes and Route 53 fields keep their names in
//! kebab-case.

use super::Off::{self, Empty, Flag, Number, Word};
use super::{LaterKey, Text};
use crate::section::Section::{self, *};

const fn later(
    section: Section,
    name: &'static str,
    off: &'static [Off],
    missing: &'static str,
    instead: &'static str,
) -> LaterKey {
    LaterKey {
        section,
        name,
        off,
        text: Text { missing, instead },
    }
}

const REMOVE: &str = "remove the key";
const NO_TLS: &str = "connections would be in clear text";
const NO_LOCATION: &str = "all clients would get the same answers, wherever they are";
const NO_STICKY: &str = "a client's requests would go to any target, not to the one it had";
const STICKY_THERE: &str =
    "write it in the target group, or in `forward = { target-groups = […], stickiness = \"1h\" }`";
const NO_LOG: &str = "nothing would be written there";

/// Every later key. One line each, so that it reads as the table it is.
#[rustfmt::skip]
pub(super) const LATER: &[LaterKey] = &[
    // The top level.
    later(Root, "etcd", &[Empty], "this process would share neither configuration nor health with others", "remove it; each process reads its own file"),
    later(Root, "oidc", &[Empty], "nobody would be asked to log in", "keep the admin surface on loopback"),
    later(Root, "dnssec", &[Flag(false), Empty], "zones would be served unsigned", REMOVE),
    later(Root, "certificate", &[Empty], NO_TLS, REMOVE),
    later(Root, "rate-limit", &[Empty], "requests would not be limited", "write it in a [[listener]] or a rule"),
    // [admin]
    later(Admin, "token-file", &[], "everybody who reaches the address could change the process", "keep `bind` on loopback and remove the key"),
    later(Admin, "tls", &[Flag(false), Empty], "the admin surface would be in clear text", "keep `bind` on loopback and remove the key"),
    later(Admin, "oidc", &[Empty], "nobody would be asked to log in", "keep `bind` on loopback and remove the key"),
    // [runtime]
    later(Runtime, "user", &[], "the process would keep the rights it was started with", "start it as that user"),
    later(Runtime, "max-in-flight", &[Number(0)], "requests would not be limited", REMOVE),
    // [logs]
    // [[listener]]
    later(Listener, "stickiness", &[Word("off"), Empty], NO_STICKY, STICKY_THERE),
    later(Listener, "authenticate-oidc", &[], "nobody would be asked to log in", "authenticate in the targets"),
    later(Listener, "authenticate-cognito", &[], "nobody would be asked to log in", "authenticate in the targets"),
    later(Listener, "access-logs", &[Empty, Flag(false)], NO_LOG, "use `[logs] access`"),
    later(Listener, "connection-logs", &[Empty, Flag(false)], NO_LOG, "use `[logs] connection`: the log is of all listeners"),
    later(Listener, "zonal-shift", &[Flag(false)], "no availability zone could be taken out", "drain its targets"),
    later(Listener, "deletion-protection", &[Flag(false)], "a reload without the listener would remove it", REMOVE),
    later(Listener, "waf-fail-open", &[Flag(false)], "there is no firewall to fail", REMOVE),
    later(Listener, "client-routing-policy", &[Word("any-availability-zone")], "aliases would answer with every advertised address", REMOVE),
    later(Listener, "default", &[], "what no rule claims would go to the listener's own action", "write `forward`, `redirect` or `fixed-response` in the listener itself"),
    // [[listener.rule]]
    later(Rule, "authenticate-oidc", &[], "nobody would be asked to log in", "authenticate in the targets"),
    later(Rule, "authenticate-cognito", &[], "nobody would be asked to log in", "authenticate in the targets"),
    later(Rule, "stickiness", &[Word("off"), Empty], NO_STICKY, STICKY_THERE),
    // [[target-group]]
    later(TargetGroup, "target-control-port", &[], "targets could not say how much work they take", "remove it; `least-connections` gives busy targets less"),
    later(TargetGroup, "target-failover", &[Word("no-rebalance"), Empty], "flows would stay with the target they have", REMOVE),
    later(TargetGroup, "multi-value-headers", &[Flag(false)], "there are no Lambda targets", REMOVE),
    later(TargetGroup, "health-check-logs", &[Empty, Flag(false)], "the log is of all groups and checks", "use `health` in [logs]"),
    later(TargetGroup, "tls", &[Flag(false), Empty], NO_TLS, REMOVE),
    // targets = [{ … }]
    later(Target, "server-name", &[], NO_TLS, REMOVE),
    // [target-group.health-check]
    later(TargetHealthCheck, "enabled", &[Flag(true)], "targets would be probed all the same", "remove it: groups are always checked"),
    // [[health-check]]
    later(HealthCheck, "regions", &[Empty], "the address would be probed from here only", REMOVE),
    later(HealthCheck, "region", &[], "the address would be probed from here only", REMOVE),
    later(HealthCheck, "metric", &[], "no CloudWatch would be asked", "use type `metric` with `url` and `query`, which ask a Prometheus server"),
    later(HealthCheck, "insufficient-data-health-status", &[], "it would not say what counts while there is no data", "use `insufficient-data`"),
    // [[network]]
    later(Network, "availability-zone", &[], "its clients would get targets of all availability zones", REMOVE),
    // [dns]
    later(Dns, "dnssec", &[Flag(false), Empty], "zones would be served unsigned", REMOVE),
    later(Dns, "tls-bind", &[Empty], "no encrypted transport would be opened", REMOVE),
    later(Dns, "https-bind", &[Empty], "no encrypted transport would be opened", REMOVE),
    later(Dns, "quic-bind", &[Empty], "no encrypted transport would be opened", REMOVE),
    later(Dns, "forward", &[Empty], "queries for other zones would be refused, not forwarded", "use [[forward-rule]]"),
    // [[zone]]
    later(Zone, "dnssec", &[Flag(false), Empty], "the zone would be served unsigned", REMOVE),
    // sets = [{ … }]
    later(Set, "local-zone-group", &[], NO_LOCATION, REMOVE),
];
