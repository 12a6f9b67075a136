//! `slow-start` of a target group.

use std::time::Duration;

use super::defaults::Numbers;
use crate::Algorithm;
use crate::tree::Reader;

/// The time a target's share grows over; 0 = off. `placing` is the group's algorithm, and whether
/// clients keep their target by address.
pub(super) fn read(
    reader: &mut Reader<'_>,
    placing: (Algorithm, bool),
    numbers: &Numbers,
) -> Duration {
    if numbers.as_elb
        && matches!(
            placing.0,
            Algorithm::LeastOutstandingRequests | Algorithm::WeightedRandom
        )
    {
        let why = format!("ELB has no slow start with `{}`", placing.0.as_str());
        let help = "remove it, choose `round-robin`, or use `defaults = \"local\"`, which can";
        reader.misplaced("slow-start", &why, help);
        return Duration::ZERO;
    }
    let by = match placing {
        (_, true) => Some("`stickiness`"),
        (algorithm, false) if algorithm.is_hashing() => Some("the algorithm"),
        _ => None,
    };
    if let Some(by) = by {
        let why = format!(
            "{by} keeps a client on one target, and a growing share would move clients all the while"
        );
        reader.misplaced("slow-start", &why, "remove it, or choose another algorithm");
        return Duration::ZERO;
    }
    let found = reader.duration("slow-start", &numbers.slow_start);
    let slow_start = found.map_or(numbers.slow_start.default, |found| found.value);
    if let Some(found) = found
        && !slow_start.is_zero()
        && slow_start < numbers.shortest_slow_start
    {
        let seconds = numbers.shortest_slow_start.as_secs();
        let message = format!(
            "`slow-start` of {} is shorter than {seconds}s",
            reader.title()
        );
        let help = format!("write 0s, or {seconds}s to 15m as ELB has it");
        reader.bad_value(found.span, message, &help);
    }
    slow_start
}
