//! What a target group is set to, by the names of the keys that set it.
//!
//! Part of `/api/v1/target-groups`: defaults are shown as what they came to, so that nobody has to look up
//! which profile gives what.

use std::time::Duration;

use conf::{CookieStickiness, MinimumHealthy, TargetGroup};
use serde::Serialize;

use crate::moment::exact;

/// A group's settings; those of requests are there for groups that take requests.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SettingsReport {
    connect_timeout: String,
    queue_timeout: String,
    /// 0 = any number.
    max_in_flight: u32,
    slow_start: String,
    connection_termination: bool,
    preserve_client_ip: bool,
    cross_zone: bool,
    passive_health: bool,
    unhealthy_state_routing: MinimumReport,
    dns_failover: MinimumReport,
    stickiness: Option<StickinessReport>,
    #[serde(flatten)]
    requests: Option<RequestSettings>,
}

/// What only groups that take requests have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct RequestSettings {
    response_timeout: String,
    anomaly_mitigation: bool,
    /// Null = as many as there are targets.
    retries: Option<u32>,
    /// In percent of the group's requests.
    retry_budget: u32,
    /// 0 = any number.
    max_retries: u32,
}

/// Healthy targets that there must be; 0 = off.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct MinimumReport {
    count: u32,
    percentage: u8,
}

impl From<MinimumHealthy> for MinimumReport {
    fn from(minimum: MinimumHealthy) -> Self {
        Self {
            count: minimum.count,
            percentage: minimum.percentage,
        }
    }
}

/// By what clients keep their target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct StickinessReport {
    /// `source-ip`, `lb-cookie` or `app-cookie`.
    by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    /// The balancer's cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    /// The targets' cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_cookie: Option<String>,
}

impl StickinessReport {
    fn of(group: &TargetGroup) -> Option<Self> {
        let by_source = Self {
            by: "source-ip",
            duration: None,
            cookie: None,
            app_cookie: None,
        };
        match &group.cookie {
            Some(cookie) => Some(Self::by_cookie(cookie)),
            None => group.sticky_by_source.then_some(by_source),
        }
    }

    fn by_cookie(sticky: &CookieStickiness) -> Self {
        Self {
            by: match sticky.application {
                Some(_) => "app-cookie",
                None => "lb-cookie",
            },
            duration: Some(exact(sticky.duration)),
            cookie: Some(sticky.cookie.name.clone()),
            app_cookie: sticky.application.clone(),
        }
    }
}

impl SettingsReport {
    /// Those of `group`.
    pub(super) fn of(group: &TargetGroup) -> Self {
        let text = |length: Duration| exact(length);
        let requests = group.protocol.is_http().then(|| RequestSettings {
            response_timeout: text(group.response_timeout),
            anomaly_mitigation: group.anomaly_mitigation,
            retries: (group.retries.each != u32::MAX).then_some(group.retries.each),
            retry_budget: group.retries.budget,
            max_retries: group.retries.at_a_time,
        });
        Self {
            connect_timeout: text(group.connect_timeout),
            queue_timeout: text(group.queue_timeout),
            max_in_flight: group.max_in_flight,
            slow_start: text(group.slow_start),
            connection_termination: group.connection_termination,
            preserve_client_ip: group.preserve_client_ip,
            cross_zone: group.only_zone.is_none(),
            passive_health: group.passive_health.is_some(),
            unhealthy_state_routing: group.unhealthy_state_routing.into(),
            dns_failover: group.dns_failover.into(),
            stickiness: StickinessReport::of(group),
            requests,
        }
    }
}
