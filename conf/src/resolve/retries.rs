//! `retries`, `retry-budget` and `max-retries` of a target group.

use crate::tree::{Limit, Reader};
use crate::{GroupProtocol, Retries};

/// Attempts of one request are bounded whatever the file says.
const EACH: Limit<u64> = Limit {
    default: 31,
    min: 0,
    max: 31,
    why: "no request is tried on more than 32 targets",
};
/// Finagle's and linkerd's.
const BUDGET: Limit<u64> = Limit {
    default: 20,
    min: 0,
    max: 100,
    why: "it is a share of the group's requests, in percent",
};
const AT_A_TIME: Limit<u64> = Limit {
    default: 0,
    min: 0,
    max: 1_000_000,
    why: "no process may hold so many sockets",
};

/// Reads the keys; they mean nothing to a group that is not HTTP's.
pub(super) fn read(reader: &mut Reader<'_>, protocol: Option<GroupProtocol>) -> Retries {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
        let word = protocol.as_str();
        let why = format!("a {word} group connects to each target once, and sends nothing twice");
        for key in ["retries", "retry-budget", "max-retries"] {
            reader.misplaced(key, &why, "remove it");
        }
        return Retries::default();
    }
    let number = |found: Option<crate::Spanned<u64>>, default| {
        found.map_or(default, |found| {
            u32::try_from(found.value).unwrap_or(u32::MAX)
        })
    };
    let default = Retries::default();
    Retries {
        each: number(reader.whole("retries", &EACH), default.each),
        budget: number(reader.whole("retry-budget", &BUDGET), default.budget),
        at_a_time: number(reader.whole("max-retries", &AT_A_TIME), default.at_a_time),
    }
}
