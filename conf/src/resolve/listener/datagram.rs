//! Keys of listeners that receive datagrams: how long UDP flows live and how many there may be.

use crate::resolve::defaults::Numbers;
use crate::tree::Reader;
use crate::{ListenerProtocol, UdpSettings};

/// The keys, which mean nothing to a listener that receives no datagrams.
const KEYS: [&str; 4] = [
    "udp-idle-timeout",
    "udp-unreplied-timeout",
    "udp-responses",
    "max-flows-per-source",
];

/// Reads them; `protocol` is `None` when it could not be read.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<ListenerProtocol>,
    numbers: &Numbers,
) -> UdpSettings {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.takes_datagrams()) {
        let why = format!("protocol `{}` receives no datagrams", protocol.as_str());
        for key in KEYS {
            reader.misplaced(
                key,
                &why,
                "remove it, or use protocol `udp`, `tcp-udp` or `quic`",
            );
        }
    }
    if let Some(protocol) = protocol.filter(|protocol| !protocol.takes_streams()) {
        let why = format!(
            "a {} listener has flows, not connections",
            protocol.as_str()
        );
        reader.misplaced("idle-timeout", &why, "use `udp-idle-timeout`");
    }
    let idle_timeout = reader.duration_or("udp-idle-timeout", &numbers.udp_idle_timeout);
    let limit = &numbers.udp_unreplied_timeout;
    let unreplied_timeout = reader.duration_or("udp-unreplied-timeout", limit);
    let mut number = |key, limit| {
        let found = reader.whole(key, limit);
        let number = found.map_or(limit.default, |found| found.value);
        u32::try_from(number).unwrap_or(u32::MAX)
    };
    UdpSettings {
        idle_timeout,
        unreplied_timeout,
        responses: number("udp-responses", &numbers.udp_responses),
        max_flows_per_source: number("max-flows-per-source", &numbers.max_flows_per_source),
    }
}
