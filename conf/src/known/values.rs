//! Words of later versions, as values of keys that this version does serve.
//!
//! Data only; read through [`super::value`].

use super::Text;
use crate::section::Section::{self, *};

/// Words of one key.
pub(super) struct LaterWords {
    pub(super) section: Section,
    pub(super) key: &'static str,
    pub(super) words: &'static [&'static str],
    pub(super) text: Text,
}

const fn later(
    section: Section,
    key: &'static str,
    words: &'static [&'static str],
    missing: &'static str,
    instead: &'static str,
) -> LaterWords {
    LaterWords {
        section,
        key,
        words,
        text: Text { missing, instead },
    }
}

/// Every later word.
pub(super) const LATER: &[LaterWords] = &[
    later(
        Listener,
        "protocol",
        &["geneve"],
        "no tunnel to appliances would be opened",
        "remove the listener; `http` and `tcp` are served",
    ),
    later(
        TargetGroup,
        "protocol",
        &["geneve"],
        "no tunnel to appliances would be opened",
        "remove the group",
    ),
    later(
        Stickiness,
        "type",
        &["source-ip-dest-ip", "source-ip-dest-ip-proto"],
        "a client's requests would go to any target, not to the one it had",
        "use `source-ip`",
    ),
    later(
        TargetHealthCheck,
        "protocol",
        &["quic", "icmp"],
        "targets would not be probed in the way they answer",
        "use `tcp`, `http`, `grpc` or `udp`, on another `port` if need be",
    ),
    later(
        HealthCheck,
        "type",
        &["cloudwatch-metric"],
        "no CloudWatch would be asked",
        "use type `metric`, which asks a Prometheus server",
    ),
    later(
        Record,
        "type",
        &[
            "RRSIG",
            "NSEC",
            "NSEC3",
            "NSEC3PARAM",
            "DNSKEY",
            "CDS",
            "CDNSKEY",
        ],
        "the zone would not be signed",
        "remove the record; zones are served unsigned",
    ),
];
