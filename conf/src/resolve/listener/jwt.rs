//! `jwt`: requests must carry a token of an issuer.
//!
//! A key set in a file is read here too, so that a missing or broken one is an error of the
//! configuration and not of every request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::document::{Kind, Table};
use crate::resolve::health::{metric, tls};
use crate::section::Section;
use crate::tree::{Choice, Limit, Reader};
use crate::{
    Destination, Diagnostic, JwksLocation, JwksUrl, JwtAlgorithm, JwtClaim, JwtClaimFormat,
    JwtKeys, JwtValidation, Sni, Spanned, TlsCheck, TlsTrust, read_jwks,
};

/// Characters of the issuer and of a URL (ELB), and of what claims say.
const MAX_TEXT: usize = 256;
/// Additional claims, and values of one (ELB).
const MAX_CLAIMS: usize = 10;

/// Claims that are always looked at (ELB).
const OWN_CLAIMS: [&str; 4] = ["iss", "exp", "nbf", "iat"];

const REFRESH: Limit<Duration> = Limit {
    default: Duration::from_secs(300),
    min: Duration::from_secs(1),
    max: Duration::from_secs(86_400),
    why: "shorter would be a burden to the issuer, longer would trust withdrawn keys",
};

const LEEWAY: Limit<Duration> = Limit {
    default: Duration::from_secs(30),
    min: Duration::ZERO,
    max: Duration::from_secs(600),
    why: "clocks are not further apart, and tokens would be good long after their end",
};

/// What a `jwt` key says.
#[derive(Debug)]
enum Jwt {
    /// There is none.
    Absent,
    /// It says `"off"`: tokens are not looked at, whatever the listener says.
    Off,
    /// Tokens are demanded.
    Demanded(Arc<JwtValidation>),
    /// It could not be read.
    Broken,
}

/// Whose tokens all requests of a listener must carry, unless their rule says otherwise.
pub(super) fn of_listener(
    reader: &mut Reader<'_>,
    reads_requests: bool,
) -> Option<Arc<JwtValidation>> {
    match read(reader, reads_requests) {
        Jwt::Demanded(validation) => Some(validation),
        Jwt::Absent | Jwt::Off | Jwt::Broken => None,
    }
}

/// Whose tokens a rule's requests must carry.
pub(super) fn of_rule(
    reader: &mut Reader<'_>,
    reads_requests: bool,
    inherited: Option<&Arc<JwtValidation>>,
) -> Option<Arc<JwtValidation>> {
    match read(reader, reads_requests) {
        Jwt::Demanded(validation) => Some(validation),
        Jwt::Absent => inherited.cloned(),
        Jwt::Off | Jwt::Broken => None,
    }
}

/// The `jwt` of a listener or rule.
fn read(reader: &mut Reader<'_>, reads_requests: bool) -> Jwt {
    if !reads_requests {
        reader.misplaced(
            "jwt",
            "requests are not read",
            "check tokens in the targets",
        );
        return Jwt::Absent;
    }
    let Some(value) = reader.take("jwt") else {
        return match reader.has("jwt") {
            true => Jwt::Broken,
            false => Jwt::Absent,
        };
    };
    let title = format!("`jwt` of {}", reader.title());
    match &value.kind {
        Kind::String(word) if word == "off" => Jwt::Off,
        Kind::Table(table) => {
            let found = validation(reader, table, title);
            found.map_or(Jwt::Broken, |found| Jwt::Demanded(Arc::new(found)))
        }
        _ => {
            let help =
                "write `jwt = { issuer = \"…\", jwks = \"https://…\" }`, or `\"off\"` in a rule";
            reader.bad_value(value.span, format!("{title} is not a table"), help);
            Jwt::Broken
        }
    }
}

fn validation(outer: &Reader<'_>, table: &Table, title: String) -> Option<JwtValidation> {
    let mut reader = Reader::new(outer.scope(), table, Section::Jwt, title);
    let help = "add `issuer = \"…\"`, exactly as the claim `iss` of its tokens has it";
    reader.missing("issuer", "everybody's tokens would be good", help);
    let help = "add `jwks = \"https://…\"` or the path of a file";
    reader.missing("jwks", "no signature could be verified", help);
    let issuer = short(&mut reader, "issuer");
    let refresh = reader.duration_or("refresh", &REFRESH);
    let location = location(&mut reader);
    let audience = words(&mut reader, "audience");
    let algorithms = algorithms(&mut reader);
    let required_claims = words(&mut reader, "required-claims");
    let additional_claims = claims(&mut reader);
    let leeway = reader.duration_or("leeway", &LEEWAY);
    reader.finish();
    Some(JwtValidation {
        issuer: issuer?.value.to_owned(),
        keys: JwtKeys {
            location: location?,
            refresh,
        },
        audience: audience?,
        algorithms: algorithms?,
        required_claims: required_claims?,
        additional_claims: additional_claims?,
        leeway,
    })
}

/// A text of 1 to 256 characters.
fn short<'t>(reader: &mut Reader<'t>, key: &str) -> Option<Spanned<&'t str>> {
    let text = reader.text(key)?;
    check_short(reader, key, text).then_some(text)
}

fn check_short(reader: &Reader<'_>, key: &str, text: Spanned<&str>) -> bool {
    let length = text.value.chars().count();
    if (1..=MAX_TEXT).contains(&length) {
        return true;
    }
    let message = format!(
        "`{key}` of {} has {length} characters, outside 1 to {MAX_TEXT}",
        reader.title()
    );
    reader.bad_value(text.span, message, "write it as it stands in tokens");
    false
}

/// Texts of `key`; `None` when it is there and not good, which must not widen what passes.
fn words(reader: &mut Reader<'_>, key: &str) -> Option<Vec<String>> {
    let was = reader.has(key);
    let found = reader.texts(key);
    let good = found.iter().filter(|text| check_short(reader, key, **text));
    let good: Vec<_> = good.map(|text| text.value.to_owned()).collect();
    if was && reader.is_empty_or_absent(key) {
        let message = format!("`{key}` of {} is empty", reader.title());
        let span = reader.key_span(key).unwrap_or(reader.span());
        reader.bad_value(span, message, "name at least one, or remove the key");
    }
    (!was || (!good.is_empty() && good.len() == found.len())).then_some(good)
}

fn algorithms(reader: &mut Reader<'_>) -> Option<Vec<JwtAlgorithm>> {
    let names = words(reader, "algorithms")?;
    if names.is_empty() {
        return Some(JwtAlgorithm::ALL.map(|(_, algorithm)| algorithm).to_vec());
    }
    let span = reader.key_span("algorithms").unwrap_or(reader.span());
    let known = |name: &String| JwtAlgorithm::ALL.iter().find(|(known, _)| known == name);
    let found: Vec<_> = names.iter().map(|name| (name, known(name))).collect();
    for (name, _) in found.iter().filter(|(_, known)| known.is_none()) {
        let message = format!("`algorithms` of {} cannot hold `{name}`", reader.title());
        let help = "write \"RS256\" or \"ES256\": those with public keys that are served";
        reader.bad_value(span, message, help);
    }
    found
        .into_iter()
        .map(|(_, known)| known.map(|(_, algorithm)| *algorithm))
        .collect()
}

/// `additional-claims = [{ name, format, values }, …]`; `None` when one cannot be read.
fn claims(reader: &mut Reader<'_>) -> Option<Vec<JwtClaim>> {
    let values = reader.one_or_list("additional-claims");
    if values.len() > MAX_CLAIMS {
        let message = format!(
            "{} has {} additional claims, more than {MAX_CLAIMS}",
            reader.title(),
            values.len()
        );
        let span = reader
            .key_span("additional-claims")
            .unwrap_or(reader.span());
        reader.bad_value(span, message, "look at the others in the targets");
    }
    let claims = values.into_iter().map(|value| {
        let title = format!("an additional claim of {}", reader.title());
        match &value.kind {
            Kind::Table(table) => claim(reader, table, title),
            _ => {
                let help = "write `{ name = \"scope\", format = \"space-separated-values\", values = [\"read\"] }`";
                reader.bad_value(value.span, format!("{title} is not a table"), help);
                None
            }
        }
    });
    // All of them are read, so that all their mistakes are found.
    let claims: Vec<_> = claims.collect();
    claims.into_iter().collect()
}

fn claim(outer: &Reader<'_>, table: &Table, title: String) -> Option<JwtClaim> {
    let mut reader = Reader::new(outer.scope(), table, Section::JwtClaim, title);
    reader.missing("name", "no claim could be looked at", "add `name = \"…\"`");
    let help = "add `values = [\"…\"]`, or use `required-claims`";
    reader.missing("values", "it would not be known what it may say", help);
    let name = short(&mut reader, "name");
    if let Some(own) = name.filter(|name| OWN_CLAIMS.contains(&name.value)) {
        let message = format!("{} is `{}`", reader.title(), own.value);
        let help = "remove it: `iss`, `exp`, `nbf` and `iat` are always looked at";
        reader.bad_value(own.span, message, help);
    }
    let format = match reader.choice("format", &JwtClaimFormat::ALL) {
        Choice::Is(format) => Some(format.value),
        Choice::Absent => Some(JwtClaimFormat::SingleString),
        Choice::Refused | Choice::Later => None,
    };
    let values = words(&mut reader, "values");
    let span = reader.key_span("values").unwrap_or(reader.span());
    let count = values.as_ref().map_or(0, Vec::len);
    if count > MAX_CLAIMS {
        let message = format!(
            "{} has {count} values, more than {MAX_CLAIMS}",
            reader.title()
        );
        reader.bad_value(span, message, "look at the others in the targets");
    }
    let blank = |value: &String| value.contains(' ');
    if format == Some(JwtClaimFormat::SpaceSeparatedValues) && values.iter().flatten().any(blank) {
        let message = format!("a value of {} holds a blank", reader.title());
        reader.bad_value(span, message, "write each word as a value of its own");
    }
    reader.finish();
    let values = values.filter(|values| !values.is_empty())?;
    Some(JwtClaim {
        name: name?.value.to_owned(),
        format: format?,
        values,
    })
}

/// `jwks`: a URL or a path.
fn location(reader: &mut Reader<'_>) -> Option<JwksLocation> {
    let text = short(reader, "jwks");
    let is_url = text.is_some_and(|text| text.value.contains("://"));
    if let Some(text) = text.filter(|_| is_url) {
        return url(reader, text).map(|url| JwksLocation::Url(Box::new(url)));
    }
    for key in ["ca", "server-name"] {
        reader.misplaced(
            key,
            "its `jwks` is a file",
            "use an https URL, or remove it",
        );
    }
    let text = text?;
    let path = reader.scope().path(text.value, text.span);
    if let Err(fault) = read_jwks(&path) {
        let message = format!("`{}` {fault}", path.display());
        reader.scope().report(
            Diagnostic::error("bad-jwks", text.span, message)
                .consequence("no token could be verified, so every request would be refused")
                .help("name a JSON Web Key Set with the issuer's public keys; the path is relative to this file's folder"),
        );
        return None;
    }
    Some(JwksLocation::File(path))
}

fn url(reader: &mut Reader<'_>, text: Spanned<&str>) -> Option<JwksUrl> {
    let url = metric::parse(reader, text);
    let is_clear = text.value.starts_with("http://");
    if is_clear {
        for key in ["ca", "server-name"] {
            reader.misplaced(key, "its `jwks` is in clear text", "use `https://`");
        }
    }
    let host = url.as_ref().map(|url| url.host.clone());
    let ca = reader.text("ca");
    let trust = ca.map_or(TlsTrust::Public, |ca| tls::authorities_of(reader, ca));
    let named = reader.text("server-name");
    let url = url?;
    let is_local = match &url.server {
        Destination::Address(address) => address.ip().is_loopback(),
        Destination::Name { name, .. } => name == "localhost",
    };
    if is_clear && !is_local {
        let message = format!("`jwks` of {} is in clear text", reader.title());
        reader.scope().report(
            Diagnostic::error("clear-text-keys", text.span, message)
                .consequence(
                    "whoever is on the way could put keys of their own in, and sign any token",
                )
                .help("use `https://`; clear text is for this machine's own addresses"),
        );
        return None;
    }
    let own = host.as_deref().map(without_port).unwrap_or_default();
    let server_name = named.map_or(own, |name| name.value);
    let tls = (!is_clear).then(|| TlsCheck {
        trust,
        server_name: server_name
            .parse::<IpAddr>()
            .is_err()
            .then(|| server_name.to_owned()),
        sni: Sni::Sent,
    });
    let path = text.value.splitn(4, '/').nth(3).unwrap_or_default();
    Some(JwksUrl {
        text: text.value.to_owned(),
        server: url.server,
        host: url.host,
        path: format!("/{path}"),
        tls,
    })
}

/// A Host header's host.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            name.trim_matches(['[', ']'])
        }
        _ => host.trim_matches(['[', ']']),
    }
}
