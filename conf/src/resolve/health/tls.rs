//! `ca`, `insecure`, `server-name`: whom a probe, or a connection to a target, over TLS believes.
//!
//! Called by the readers of the kinds that speak TLS and by that of target groups. Reads the file that `ca` names, so that a
//! missing or broken one is an error of the configuration and not a target that is never healthy.

use std::net::IpAddr;
use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, DnsName};

use crate::tree::Reader;
use crate::{Diagnostic, Profile, Sni, Spanned, TlsCheck, TlsTrust};

/// The keys read here.
pub(in crate::resolve) const KEYS: [&str; 3] = ["ca", "insecure", "server-name"];
/// More than any bundle of authorities holds.
const CA_BYTES: u64 = 4 << 20;

/// Reads the keys. `host`, without its port, is the name when none is given.
pub(in crate::resolve) fn read(
    reader: &mut Reader<'_>,
    profile: Profile,
    host: Option<&str>,
) -> TlsCheck {
    let named = reader.text("server-name").and_then(|name| {
        let good = is_name(name.value);
        if !good {
            reader.bad_value(
                name.span,
                format!("`{}` is not a server name", name.value),
                "write a host name without a port; an IP address is used when there is none",
            );
        }
        good.then(|| name.value.to_owned())
    });
    let host = host.map(without_port).filter(|host| is_name(host));
    TlsCheck {
        trust: trust(reader, profile),
        server_name: named.or_else(|| host.map(str::to_owned)),
        sni: Sni::Sent,
    }
}

fn trust(reader: &mut Reader<'_>, profile: Profile) -> TlsTrust {
    let insecure = reader.flag("insecure");
    let ca = reader.text("ca");
    let default = match profile {
        Profile::Local => false,
        // Neither ELB nor Route 53 validates certificates of what they probe.
        Profile::Aws => ca.is_none() && !reader.has("ca"),
    };
    let Some(ca) = ca else {
        return match insecure.map_or(default, |flag| flag.value) {
            true => TlsTrust::Anyone,
            false => TlsTrust::Public,
        };
    };
    if let Some(flag) = insecure.filter(|flag| flag.value) {
        reader.bad_value(
            flag.span,
            format!("{} has a `ca` and is `insecure`", reader.title()),
            "keep `ca` to verify certificates, or `insecure = true` to take any",
        );
    }
    authorities_of(reader, ca)
}

/// The authorities of the file that `ca` names.
pub(in crate::resolve) fn authorities_of(reader: &Reader<'_>, ca: Spanned<&str>) -> TlsTrust {
    let path = reader.scope().path(ca.value, ca.span);
    match authorities(&path) {
        Ok(found) => TlsTrust::Authorities(found.into()),
        Err(fault) => {
            let message = format!("`{}` {fault}", path.display());
            report(reader, ca, message);
            TlsTrust::Public
        }
    }
}

fn report(reader: &Reader<'_>, ca: Spanned<&str>, message: String) {
    reader.scope().report(
        Diagnostic::error("bad-ca", ca.span, message)
            .consequence("no certificate could be verified, so nothing would ever be healthy")
            .help("name a PEM file of CA certificates; the path is relative to this file's folder"),
    );
}

/// The certificates of a PEM file, each fit to be an authority.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > CA_BYTES {
        return Err("is larger than 4 MiB".to_owned());
    }
    let text = std::fs::read(path).map_err(unreadable)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| format!("is not PEM: {error}"))?;
    if found.is_empty() {
        return Err("has no certificate".to_owned());
    }
    for (index, certificate) in found.iter().enumerate() {
        webpki::anchor_from_trusted_cert(certificate)
            .map_err(|error| format!("has a bad certificate, number {}: {error}", index + 1))?;
    }
    Ok(found)
}

fn is_name(text: &str) -> bool {
    text.parse::<IpAddr>().is_err() && DnsName::try_from(text).is_ok()
}

/// A Host header's host.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}
