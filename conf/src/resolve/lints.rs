//! Records that are valid and hardly ever meant: warnings, each with what would happen.
//!
//! Called by the readers of records and zones. Never changes what is served.

use crate::tree::Reader;
use crate::{
    AliasTarget, Audience, Diagnostic, FailoverRole, Place, Policy, Record, RecordSet, SetData,
    Span,
};

/// Route 53's documentation recommends this at most, in seconds, for records with health checks.
const TTL_WITH_HEALTH: u32 = 60;

/// Warns of what a record says; `ttl` is where its own TTL stands.
pub(super) fn record(reader: &Reader<'_>, record: &Record, ttl: Option<Span>) {
    let title = reader.title();
    let warn = |problem: Diagnostic| reader.scope().report(problem);
    let sets = record.sets.as_slice();
    let audiences: Vec<Audience> = sets.iter().map(|set| set.audience).collect();
    match record.policy {
        Policy::Geolocation if !audiences.contains(&Audience::Place(Place::default())) => warn(
            Diagnostic::warning(
                "no-default-location",
                record.span,
                format!("{title} has no default set"),
            )
            .consequence(
                "clients of other places, and all of whom nothing is known, would get no answer",
            )
            .help("add a set with `location = \"default\"`"),
        ),
        Policy::IpBased if !audiences.contains(&Audience::CidrLocation(None)) => warn(
            Diagnostic::warning(
                "no-default-location",
                record.span,
                format!("{title} has no default set"),
            )
            .consequence("clients of other networks would get no answer")
            .help("add a set with `cidr-location = \"*\"`"),
        ),
        Policy::Failover => {
            let primary = sets
                .iter()
                .find(|set| set.failover == Some(FailoverRole::Primary));
            if let Some(primary) = primary.filter(|set| !depends_on_health(set)) {
                warn(
                    Diagnostic::warning(
                        "failover-without-health-check",
                        primary.span,
                        format!(
                            "the primary set `{}` of {title} is always healthy",
                            primary.id
                        ),
                    )
                    .consequence("the secondary would never answer")
                    .help("add `health-check`, or let its alias evaluate its target's health"),
                );
            }
        }
        _ => {}
    }
    let by_health = record.policy != Policy::Simple && sets.iter().any(has_own_health);
    if let Some(span) = ttl.filter(|_| by_health && record.beyond.ttl.is_none())
        && record.ttl > TTL_WITH_HEALTH
    {
        let message = format!(
            "`ttl` of {title} is {} s, and its answer follows health",
            record.ttl
        );
        warn(
            Diagnostic::warning("long-ttl", span, message)
                .consequence("clients would go on using what is unhealthy for as long")
                .help("write 60 or less, or `ttl-min` and `ttl-max`"),
        );
    }
}

/// Warns of a zone's name.
pub(super) fn zone(reader: &Reader<'_>, name: &str, span: Span) {
    let plain = name.trim_end_matches('.').to_ascii_lowercase();
    if plain == "local" || plain.ends_with(".local") {
        reader.scope().report(
            Diagnostic::warning(
                "mdns-name",
                span,
                format!("`{name}` is a name of multicast DNS (RFC 6762)"),
            )
            .consequence("many systems never ask a DNS server for such names")
            .help("use a name below `test`, `internal` or `home.arpa`"),
        );
    }
}

/// True when something can make the set unhealthy.
fn depends_on_health(set: &RecordSet) -> bool {
    // A primary with values and no check is an error of its own.
    let blind = matches!(&set.data, SetData::Alias(alias) if !alias.evaluate_target_health);
    set.health_check.is_some() || !blind
}

/// True when health of its own, not of another record with a TTL of its own, decides.
fn has_own_health(set: &RecordSet) -> bool {
    let service = match &set.data {
        SetData::Alias(alias) => {
            alias.evaluate_target_health && !matches!(alias.target, AliasTarget::Record(_))
        }
        SetData::Values(_) => false,
    };
    set.health_check.is_some() || service
}
