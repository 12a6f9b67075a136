//! What ends flows on targets that leave: `connection-termination`, and for targets that probes find
//! unhealthy `unhealthy-connection-termination` and `unhealthy-draining-interval`.

use std::time::Duration;

use super::defaults::Numbers;
use crate::tree::{Limit, Reader};
use crate::{GroupProtocol, Profile, UnhealthyFlows};

/// NLB `target_health_state.unhealthy.draining_interval_seconds`.
const INTERVAL: Limit<Duration> = Limit {
    default: Duration::ZERO,
    min: Duration::ZERO,
    max: Duration::from_secs(360_000),
    why: "ELB's draining interval goes from 0 to 360000 seconds",
};

/// Whether the end of the deregistration delay ends flows, and what becomes of those of unhealthy
/// targets.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    profile: Profile,
    numbers: &Numbers,
) -> (bool, UnhealthyFlows) {
    let given = reader.flag("connection-termination");
    let ends = given.map_or_else(|| by_default(protocol, numbers), |found| found.value);
    let unhealthy = reader.flag("unhealthy-connection-termination");
    let unhealthy = unhealthy.map_or_else(
        // ELB has them apart, and this one on; here one key is enough for both.
        || profile == Profile::Aws || ends,
        |found| found.value,
    );
    let interval = reader.duration("unhealthy-draining-interval", &INTERVAL);
    let interval = interval.filter(|found| !found.value.is_zero());
    let flows = match (unhealthy, interval) {
        (true, Some(found)) => {
            let message = format!(
                "{} has an `unhealthy-draining-interval`, but flows of unhealthy targets end at once",
                reader.title()
            );
            let help = "add `unhealthy-connection-termination = false`, or remove it";
            reader.bad_value(found.span, message, help);
            UnhealthyFlows::End
        }
        (true, None) => UnhealthyFlows::End,
        (false, Some(found)) => UnhealthyFlows::EndAfter(found.value),
        (false, None) => UnhealthyFlows::Keep,
    };
    (ends, flows)
}

/// NLB lets flows of targets that are gone run on, but for new groups with UDP.
fn by_default(protocol: Option<GroupProtocol>, numbers: &Numbers) -> bool {
    let streams = |p: GroupProtocol| p.is_http() || !p.takes_datagrams();
    numbers.connection_termination || protocol.is_some_and(|protocol| !streams(protocol))
}
