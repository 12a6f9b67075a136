//! `desync-mitigation-mode` and `strict-framing` of an `http` or `https` listener.

use crate::tree::Reader;
use crate::{Desync, DesyncMode, Diagnostic, ListenerProtocol};

const MODE: &str = "desync-mitigation-mode";
const STRICT: &str = "strict-framing";

/// Reads both keys; `protocol` is `None` when it could not be read.
pub(super) fn read(reader: &mut Reader<'_>, protocol: Option<ListenerProtocol>) -> Desync {
    if let Some(protocol) = protocol.filter(|protocol| !protocol.is_http()) {
        let why = format!("a {} listener reads no headers", protocol.as_str());
        for key in [MODE, STRICT] {
            reader.misplaced(key, &why, "remove it");
        }
    }
    let mode = reader.choice(MODE, &DesyncMode::WORDS);
    let strict_framing = reader.flag(STRICT).is_none_or(|found| found.value);
    let mode = mode.value_or(DesyncMode::Defensive);
    if mode == DesyncMode::Monitor && !strict_framing {
        let span = reader.key_span(STRICT).unwrap_or(reader.span());
        let message = format!(
            "{} forwards requests that look like attacks",
            reader.title()
        );
        let warning = Diagnostic::warning("forwards-attacks", span, message)
            .consequence("nothing but the log would tell of request smuggling")
            .help(format!(
                "use `{MODE} = \"defensive\"`, or remove `{STRICT}`"
            ));
        reader.scope().report(warning);
    }
    Desync {
        mode,
        strict_framing,
    }
}
