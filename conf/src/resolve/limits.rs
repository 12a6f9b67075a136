//! `max-in-flight` of groups and targets, and how long work waits for a place.

use std::time::Duration;

use super::defaults::Numbers;
use crate::tree::Reader;

const MAX: &str = "max-in-flight";
const TIMEOUT: &str = "queue-timeout";

/// Reads a group's keys.
pub(super) fn of_group(reader: &mut Reader<'_>, numbers: &Numbers) -> (u32, Duration) {
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
