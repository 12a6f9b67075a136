//! How slowly clients may send and take, and how long an exchange may last.

use std::time::Duration;

use crate::scalar::Bytes;
use crate::tree::{Limit, Reader};
use crate::{Diagnostic, ListenerProtocol};

const KEYS: [&str; 3] = ["min-rate", "min-rate-window", "request-timeout"];

/// Bytes a second.
const RATE: Limit<Bytes> = Limit {
    default: Bytes(0),
    min: Bytes(0),
    max: Bytes(1 << 30),
    why: "a client that moves less for a whole `min-rate-window` is ended; 0 ends none",
};

const WINDOW: Limit<Duration> = Limit {
    default: Duration::from_secs(10),
    min: Duration::from_secs(1),
    max: Duration::from_secs(3600),
    why: "in a shorter one every pause of a network would end a client, a longer one ends nobody in time",
};

const WHOLE: Limit<Duration> = Limit {
    default: Duration::ZERO,
    min: Duration::ZERO,
    max: Duration::from_secs(24 * 3600),
    why: "exchanges that last longer are ended; 0 ends none",
};

/// The values of these keys.
pub(super) struct Pace {
    pub(super) min_rate: u64,
    pub(super) window: Duration,
    pub(super) request_timeout: Duration,
}

/// Reads them.
pub(super) fn read(reader: &mut Reader<'_>, protocol: Option<ListenerProtocol>) -> Pace {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
        let why = format!("a {} listener has no requests", protocol.as_str());
        for key in KEYS {
            reader.misplaced(key, &why, "use `idle-timeout`");
        }
    }
    let rate = reader.size("min-rate", &RATE);
    let alone = reader.key_span("min-rate-window");
    let window = reader.duration_or("min-rate-window", &WINDOW);
    let min_rate = rate.map_or(0, |rate| rate.value.0);
    let refused = rate.is_none() && reader.has("min-rate");
    if let (Some(span), 0, false) = (alone, min_rate, refused) {
        let message = format!("`min-rate-window` of {} has no `min-rate`", reader.title());
        let warning = Diagnostic::warning("no-rate", span, message)
            .consequence("no client would be ended for being slow")
            .help("add `min-rate = \"1KiB\"`, or remove it");
        reader.scope().report(warning);
    }
    Pace {
        min_rate,
        window,
        request_timeout: reader.duration_or("request-timeout", &WHOLE),
    }
}
