//! `/api/v1/listeners`: where traffic comes in.
//!
//! A listener is as well as the worst target group of its actions.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::{Path, State};
use conf::{Action, Address, Config, ListenerIdx};
use lb::CertificateStatus;
use serde::Serialize;

use super::super::error::ApiError;
use super::super::state::{Admin, Shared, View};
use super::groups::{self, GroupReport};
use super::{List, PagingQuery, Status, page, used_by};

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// A certificate that is valid for fewer days is warned of: ACME clients renew 30 days before, and have
/// failed for two weeks by then.
const EXPIRES_SOON: i64 = 14;

/// A listener as the API and the page show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct ListenerReport {
    pub(in crate::admin) name: String,
    pub(in crate::admin) protocol: &'static str,
    pub(in crate::admin) status: Status,
    pub(in crate::admin) reasons: Vec<String>,
    /// With real ports.
    pub(in crate::admin) bind: Vec<Address>,
    advertise: Vec<IpAddr>,
    /// In words, as are those of rules.
    pub(in crate::admin) default_action: String,
    /// In words: what holds for all its requests.
    pub(in crate::admin) limits: Vec<String>,
    /// By priority.
    pub(in crate::admin) rules: Vec<RuleReport>,
    /// Open client connections.
    pub(in crate::admin) connections: usize,
    certificates: Vec<CertificateReport>,
    max_connections: usize,
    used_by: Vec<String>,
    generation: u64,
}

/// A certificate that is served.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct CertificateReport {
    /// Its file, or `local-ca`.
    file: String,
    names: Vec<String>,
    not_after: String,
    /// Whole days until then; below 0 once it has expired.
    days_left: i64,
}

impl CertificateReport {
    fn new(certificate: &CertificateStatus, now: i64) -> Self {
        let seconds = u64::try_from(certificate.not_after).unwrap_or_default();
        let left = certificate.not_after.saturating_sub(now);
        Self {
            file: certificate.file.clone(),
            names: certificate.names.clone(),
            not_after: healthcheck::rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)),
            days_left: left.div_euclid(DAY),
        }
    }

    /// What people should know before clients do.
    fn warning(&self) -> Option<String> {
        let (file, left) = (&self.file, self.days_left);
        match left {
            ..0 => Some(format!("certificate {file} has expired")),
            0..EXPIRES_SOON => Some(format!("certificate {file} expires in {left} days")),
            _ => None,
        }
    }
}

/// A rule.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::admin) struct RuleReport {
    pub(in crate::admin) priority: u16,
    /// In words; all must hold.
    pub(in crate::admin) conditions: Vec<String>,
    pub(in crate::admin) action: String,
}

/// GET a list.
pub(super) async fn list(
    State(admin): State<Shared>,
    query: PagingQuery,
) -> Result<Json<List<ListenerReport>>, ApiError> {
    let view = admin.view();
    let all = reports(&admin, &view, &groups::reports(&admin, &view));
    page(all, |report| report.name.clone(), query)
}

/// GET one.
pub(super) async fn item(
    State(admin): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<ListenerReport>, ApiError> {
    let view = admin.view();
    let all = reports(&admin, &view, &groups::reports(&admin, &view));
    let found = all.into_iter().find(|report| report.name == name);
    found.map(Json).ok_or_else(|| {
        let known = view.config.listeners.iter();
        let known = known.map(|listener| listener.name.as_str());
        ApiError::not_found("listener", &name, known)
    })
}

/// Every listener, in the order of the file.
pub(in crate::admin) fn reports(
    admin: &Admin,
    view: &View,
    groups: &[GroupReport],
) -> Vec<ListenerReport> {
    let live = admin.lb.listeners();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = now.as_secs().cast_signed();
    let report = |(index, listener): (usize, &conf::Listener)| {
        let live = live.iter().find(|live| *live.name == *listener.name);
        let names = listener.groups().into_iter();
        let names = names.map(|group| view.config.group(group).name.as_str());
        let used: Vec<_> = names
            .filter_map(|name| groups.iter().find(|report| report.name == name))
            .collect();
        let rules = listener.rules.iter();
        let refused = live.map_or(&[][..], |live| &live.refused_certificates);
        let certificates = live.map_or(&[][..], |live| &live.certificates).iter();
        let certificates = certificates.map(|shown| CertificateReport::new(shown, now));
        let certificates: Vec<_> = certificates.collect();
        let warnings = certificates.iter().filter_map(CertificateReport::warning);
        let warnings: Vec<_> = warnings
            .chain(refused.iter().map(ToString::to_string))
            .collect();
        let files = match warnings.is_empty() {
            true => Status::Ok,
            false => Status::Warning,
        };
        ListenerReport {
            name: listener.name.clone(),
            protocol: listener.protocol.as_str(),
            status: used
                .iter()
                .map(|group| group.status)
                .max()
                .unwrap_or(Status::Ok)
                .max(files),
            reasons: used
                .iter()
                .flat_map(|group| reasons_of(group))
                .chain(warnings)
                .collect(),
            certificates,
            bind: live.map_or_else(Vec::new, |live| live.bound.clone()),
            advertise: listener.advertise.clone(),
            default_action: in_words(&view.config, &listener.default_action)
                + &gate_in_words(&listener.gate),
            limits: listener.limits.iter().map(ToString::to_string).collect(),
            rules: rules.map(|rule| rule_report(&view.config, rule)).collect(),
            connections: live.map_or(0, |live| live.open_connections),
            max_connections: listener.max_connections,
            used_by: used_by::of_listener(&view.config, ListenerIdx(index)),
            generation: view.generation,
        }
    };
    view.config
        .listeners
        .iter()
        .enumerate()
        .map(report)
        .collect()
}

fn rule_report(config: &Config, rule: &conf::Rule) -> RuleReport {
    RuleReport {
        priority: rule.priority,
        conditions: rule.conditions.iter().map(ToString::to_string).collect(),
        action: in_words(config, &rule.action) + &gate_in_words(&rule.gate),
    }
}

/// `forward to blue (90), green (10)`, `redirect 301 to …`, `answer 503`.
fn in_words(config: &Config, action: &Action) -> String {
    match action {
        Action::Forward(forward) => {
            let groups = forward.groups.iter().map(|weighted| {
                let name = &config.group(weighted.group).name;
                match forward.groups.len() {
                    1 => name.clone(),
                    _ => format!("{name} ({})", weighted.weight),
                }
            });
            let groups: Vec<_> = groups.collect();
            format!("forward to {}", groups.join(", "))
        }
        Action::Redirect(redirect) => format!("redirect {} to {redirect}", redirect.status),
        Action::FixedResponse(response) => format!("answer {}", response.status),
    }
}

/// `; at most 10 in 1s by source; host ^a$ to b; URL ^/old to /new`
fn gate_in_words(gate: &conf::Gate) -> String {
    let limits = gate.limits.iter();
    let limits: String = limits.map(|limit| format!("; at most {limit}")).collect();
    let words = |what: &str, rewrite: &Option<conf::Rewrite>| {
        let rewrite = rewrite.as_ref();
        rewrite.map_or_else(String::new, |rewrite| format!("; {what} {rewrite}"))
    };
    let token = gate.jwt.as_ref();
    let token = token.map_or_else(String::new, |jwt| format!("; token of {}", jwt.issuer));
    let rewrites = &gate.rewrites;
    limits + &token + &words("host", &rewrites.host) + &words("URL", &rewrites.url)
}

/// A group's reasons in the words of a listener.
fn reasons_of(group: &GroupReport) -> Vec<String> {
    let reasons = group.reasons.join("; ");
    let said = format!("target group {}: {reasons}", group.name);
    if reasons.is_empty() {
        Vec::new()
    } else {
        vec![said]
    }
}
