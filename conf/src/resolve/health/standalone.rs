//! `[[health-check]]`: Route 53's standalone checks.

use std::time::Duration;

use super::threshold;
use crate::resolve::address;
use crate::resolve::defaults::Numbers;
use crate::resolve::directory::Directory;
use crate::scalar::Shown;
use crate::section::Section;
use crate::tree::{Choice, Reader};
use crate::{CheckIdx, Diagnostic, HealthCheck, HealthCheckKind, Profile};

/// What a standalone check probes.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Tcp,
    Http,
}

/// Resolves every `[[health-check]]`.
pub(in crate::resolve) fn standalone(
    root: &mut Reader<'_>,
    profile: Profile,
    numbers: &Numbers,
    directory: &mut Directory<CheckIdx>,
) -> Vec<HealthCheck> {
    let mut checks = Vec::new();
    for table in root.tables("health-check") {
        let mut reader = Reader::new(
            root.scope(),
            table,
            Section::HealthCheck,
            "this health check",
        );
        let name = directory.declare(&mut reader);
        let kind = standalone_kind(&mut reader);
        let interval = standalone_interval(&mut reader, profile, numbers);
        let failure_threshold =
            threshold(&mut reader, "failure-threshold", &numbers.failure_threshold);
        reader.finish();
        if let (Some(name), Some(kind)) = (name, kind) {
            directory.place(name.value, CheckIdx(checks.len()));
            checks.push(HealthCheck {
                name: name.value.to_owned(),
                span: name.span,
                kind,
                interval,
                failure_threshold,
            });
        }
    }
    checks
}

fn standalone_kind(reader: &mut Reader<'_>) -> Option<HealthCheckKind> {
    let words = [("tcp", Kind::Tcp), ("http", Kind::Http)];
    reader.missing(
        "type",
        "it would not be known what to probe",
        "add `type = \"http\"` or `type = \"tcp\"`",
    );
    let kind = reader.choice("type", &words);
    if !matches!(kind, Choice::Later) {
        reader.missing(
            "address",
            "there would be nothing to probe",
            "add `address = \"192.0.2.10:80\"`",
        );
    }
    let address = reader
        .text("address")
        .and_then(|text| address::destination(text, reader.scope()));
    let protocol = match kind {
        Choice::Is(found) => found.value,
        Choice::Absent | Choice::Refused | Choice::Later => {
            reader.take("path");
            reader.take("host");
            return None;
        }
    };
    match protocol {
        Kind::Tcp => {
            for key in ["path", "host"] {
                reader.misplaced(
                    key,
                    "a tcp probe only connects",
                    "use type `http`, or remove it",
                );
            }
            Some(HealthCheckKind::Tcp { address: address? })
        }
        Kind::Http => {
            let path = address::request_path(reader);
            let host = address::host_header(reader);
            let address = address?;
            Some(HealthCheckKind::Http {
                address,
                path,
                host,
            })
        }
    }
}

fn standalone_interval(reader: &mut Reader<'_>, profile: Profile, numbers: &Numbers) -> Duration {
    let limit = &numbers.standalone_interval;
    let Some(found) = reader.duration("interval", limit) else {
        return limit.default;
    };
    let known = [limit.min, limit.max].contains(&found.value);
    if profile == Profile::Aws && !known {
        reader.scope().report(
            Diagnostic::error(
                "out-of-range",
                found.span,
                format!(
                    "`interval` of {} is {}, neither 10s nor 30s",
                    reader.title(),
                    found.value.shown()
                ),
            )
            .consequence(limit.why)
            .help("choose 10s or 30s"),
        );
    }
    found.value
}
