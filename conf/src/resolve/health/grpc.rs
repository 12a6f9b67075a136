//! What a gRPC probe calls and expects: `path`, `service`, `host`, `matcher`, `tls`.
//!
//! In `local` the health service that gRPC defines is asked; in `aws` the method that ELB calls,
//! which nothing implements, so that status 12 (unimplemented) shows a live server.

use super::Owner;
use super::matcher::Codes;
use super::tls;
use crate::resolve::address;
use crate::tree::Reader;
use crate::{GrpcCheck, Profile};

/// The keys read here, but for those of TLS.
pub(super) const KEYS: [&str; 5] = ["path", "service", "host", "matcher", "tls"];
/// gRPC's health service (grpc/doc/health-checking.md).
const HEALTH: &str = "/grpc.health.v1.Health/Check";
/// ELB's default path.
const ELB: &str = "/AWS.ALB/healthcheck";
/// gRPC status 12: unimplemented.
const UNIMPLEMENTED: u16 = 12;
/// Longer names no service has.
const MAX_SERVICE: usize = 255;

/// Reads a gRPC check.
pub(super) fn read(reader: &mut Reader<'_>, owner: &Owner) -> GrpcCheck {
    let is_local = owner.profile == Profile::Local;
    let path = match reader.has("path") {
        true => address::request_path(reader),
        false if is_local || reader.has("service") => HEALTH.to_owned(),
        false => ELB.to_owned(),
    };
    let service = service(reader, &path).or_else(|| {
        let asks_health = is_local && path == HEALTH;
        asks_health.then(String::new)
    });
    let default = match (&service, is_local) {
        (Some(_), _) | (None, true) => 0,
        (None, false) => UNIMPLEMENTED,
    };
    let host = address::host_header(reader);
    GrpcCheck {
        matcher: Codes::grpc(default).read(reader),
        tls: encryption(reader, owner, host.as_deref()),
        path,
        service,
        host,
    }
}

/// The check of a group whose file gives none: ELB's.
pub(super) fn unwritten() -> GrpcCheck {
    GrpcCheck {
        matcher: Codes::grpc(UNIMPLEMENTED).default(),
        tls: None,
        path: ELB.to_owned(),
        service: None,
        host: None,
    }
}

fn service(reader: &mut Reader<'_>, path: &str) -> Option<String> {
    if path != HEALTH {
        let help = format!("leave `path` out: it is {HEALTH} then");
        reader.misplaced("service", "only the health service is asked for one", &help);
        return None;
    }
    let name = reader.text("service")?;
    if name.value.len() > MAX_SERVICE {
        let message = format!("`service` of {} is too long", reader.title());
        let help = "write the service's full name, as in `package.Service`, or \"\" for the whole";
        reader.bad_value(name.span, message, help);
    }
    Some(name.value.to_owned())
}

fn encryption(
    reader: &mut Reader<'_>,
    owner: &Owner,
    host: Option<&str>,
) -> Option<crate::TlsCheck> {
    let wanted = reader.flag("tls").is_some_and(|flag| flag.value);
    if wanted {
        return Some(tls::read(reader, owner.profile, host));
    }
    for key in tls::KEYS {
        reader.misplaced(
            key,
            "the probe is in clear text",
            "add `tls = true`, or remove it",
        );
    }
    None
}
