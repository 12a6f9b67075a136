//! `anomaly-mitigation` of a target group.

use super::defaults::Numbers;
use crate::document::Kind;
use crate::tree::Reader;
use crate::{Algorithm, Diagnostic, GroupProtocol};

/// True when it is on: ELB's `on` and `off`, or a flag.
pub(super) fn read(
    reader: &mut Reader<'_>,
    protocol: Option<GroupProtocol>,
    algorithm: Algorithm,
    numbers: &Numbers,
) -> bool {
    let Some(value) = reader.take("anomaly-mitigation") else {
        return false;
    };
    match &value.kind {
        Kind::Boolean(false) | Kind::Broken => return false,
        Kind::String(text) if text == "off" => return false,
        Kind::Boolean(true) => {}
        Kind::String(text) if text == "on" => {}
        other => {
            let message = format!(
                "`anomaly-mitigation` of {} is {}",
                reader.title(),
                other.word()
            );
            reader.bad_value(value.span, message, "write \"on\" or \"off\"");
            return false;
        }
    }
    let (fault, help) = if algorithm != Algorithm::WeightedRandom {
        let help = "add `algorithm = \"weighted-random\"`, or use `passive-health`";
        ("chooses by another algorithm than `weighted-random`", help)
    } else if protocol.is_some_and(|protocol| !protocol.takes_streams()) {
        (
            "knows nothing of what becomes of its datagrams",
            "remove it",
        )
    } else if numbers.as_elb && reader.has("stickiness") {
        (
            "keeps clients on their targets, which ELB does not take together",
            "keep one of them, or use `defaults = \"local\"`, which takes both",
        )
    } else {
        return true;
    };
    let message = format!("`anomaly-mitigation` is on, but {} {fault}", reader.title());
    reader.scope().report(
        Diagnostic::error("bad-value", value.span, message)
            .consequence("targets that fail would keep their share")
            .help(help),
    );
    false
}
