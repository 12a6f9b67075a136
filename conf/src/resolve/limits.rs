//! `max-in-flight` of groups and targets, and how long work waits for a place.

use std::time::Duration;

use super::defaults::Numbers;
use crate::tree::Reader;
use crate::{Diagnostic, GroupProtocol, Target};

const MAX: &str = "max-in-flight";
const TIMEOUT: &str = "queue-timeout";

/// Reads a group's keys; `protocol` is `None` when it could not be read.
pub(super) fn of_group(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    targets: &[Target],
    numbers: &Numbers,
) -> (u32, Duration) {
    if let Some(protocol) = protocol.filter(|protocol| protocol.takes_datagrams()) {
        let word = protocol.as_str();
        let why = format!("flows of a {word} group do not wait for a place");
        let help =
            "remove it; `max-connections` and `max-flows-per-source` of the listener limit flows";
        for key in [MAX, TIMEOUT] {
            reader.misplaced(key, &why, help);
        }
        if let Some(target) = targets.iter().find(|target| target.max_in_flight > 0) {
            let message = format!(
                "`{MAX}` means nothing in a target of {}: {why}",
                reader.title()
            );
            let problem = Diagnostic::error("misplaced-key", target.span, message)
                .consequence("the key would be read and never used")
                .help(help);
            reader.scope().report(problem);
        }
    }
    (
        of_target(reader, numbers),
        reader.duration_or(TIMEOUT, &numbers.queue_timeout),
    )
}

/// Reads a target's, or a group's, key.
pub(super) fn of_target(reader: &mut Reader<'_>, numbers: &Numbers) -> u32 {
    let found = reader.whole(MAX, &numbers.max_in_flight);
    let number = found.map_or(numbers.max_in_flight.default, |found| found.value);
    u32::try_from(number).unwrap_or(u32::MAX)
}
