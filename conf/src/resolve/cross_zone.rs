//! `cross-zone` of a target group.

use crate::tree::Reader;
use crate::{Diagnostic, Spanned, Target};

/// The only availability zone whose targets are used, if there is such a limit. `own` is the
/// process's zone, or empty. `off_by_default`: as a Network Load Balancer has it, where zones are known.
pub(super) fn read(
    reader: &mut Reader<'_>,
    own: &str,
    off_by_default: bool,
    targets: &[Target],
) -> Option<String> {
    let off = match reader.flag("cross-zone") {
        Some(flag) => flag,
        None => Spanned::new(!off_by_default || own.is_empty(), reader.span()),
    };
    if off.value {
        return None;
    }
    let title = reader.title();
    if own.is_empty() {
        let message = format!("`cross-zone = false` of {title}, and no zone of this process");
        let problem = Diagnostic::error("no-availability-zone", off.span, message);
        let problem = problem
            .consequence("it would not be known which targets are in the zone of this process")
            .help("add `availability-zone = \"…\"` to [runtime], or remove `cross-zone`");
        reader.scope().report(problem);
        return None;
    }
    let here =
        |target: &Target| target.availability_zone.is_empty() || target.availability_zone == own;
    if !targets.is_empty() && !targets.iter().any(here) {
        let message = format!("no target of {title} is in availability zone `{own}`");
        let problem = Diagnostic::warning("no-targets", off.span, message);
        let problem = problem
            .consequence("every request to it would get 503 at once")
            .help(
                "check `availability-zone` of the targets and of [runtime], or remove `cross-zone`",
            );
        reader.scope().report(problem);
    }
    Some(own.to_owned())
}

/// How many of the targets this process uses.
pub(super) fn count(only: Option<&str>, targets: &[Target]) -> usize {
    let used = |target: &&Target| {
        let zone = target.availability_zone.as_str();
        zone.is_empty() || only.is_none_or(|only| only == zone)
    };
    targets.iter().filter(used).count()
}
