//! `algorithm` of a target group: which ones go with what the group speaks.

use crate::tree::{Choice, Reader};
use crate::{Algorithm, Diagnostic, GroupProtocol};

/// Reports an algorithm of requests in a group that knows none.
pub(super) fn check(
    reader: &Reader<'_>,
    algorithm: &Choice<Algorithm>,
    protocol: Option<GroupProtocol>,
) {
    let (Choice::Is(found), Some(protocol)) = (algorithm, protocol) else {
        return;
    };
    if protocol.is_http() || !found.value.is_of_requests() {
        return;
    }
    let message = format!(
        "`algorithm` of {} is `{}`, but a {} group knows no requests",
        reader.title(),
        found.value.as_str(),
        protocol.as_str()
    );
    reader.scope().report(
        Diagnostic::error("bad-value", found.span, message)
            .consequence("there would be nothing to choose by")
            .help("use `least-connections`"),
    );
}
