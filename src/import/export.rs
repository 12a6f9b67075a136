//! What the AWS CLI prints of Route 53, as far as it is taken over.
//!
//! `list-resource-record-sets`, `get-hosted-zone`, `list-health-checks`, `list-cidr-blocks` and
//! `get-traffic-policy` (or the policy's document alone). Fields that nothing here reads are let be.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One record set; several of one name and type make a record under a policy.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RecordSet {
    pub(super) name: String,
    #[serde(rename = "Type")]
    pub(super) rtype: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) set_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) geo_location: Option<GeoLocation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failover: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) multi_value_answer: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cidr_routing_config: Option<CidrRouting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) geo_proximity_location: Option<GeoProximity>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    pub(super) ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_records: Option<Vec<ResourceRecord>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) alias_target: Option<AliasTarget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) health_check_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traffic_policy_instance_id: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GeoLocation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) continent_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) country_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subdivision_code: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CidrRouting {
    pub(super) collection_id: String,
    pub(super) location_name: String,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GeoProximity {
    #[serde(rename = "AWSRegion", skip_serializing_if = "Option::is_none")]
    pub(super) aws_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) local_zone_group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) coordinates: Option<Coordinates>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bias: Option<i64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Coordinates {
    pub(super) latitude: String,
    pub(super) longitude: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ResourceRecord {
    pub(super) value: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AliasTarget {
    #[serde(default)]
    pub(super) hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    pub(super) dns_name: String,
    /// Required by the API; a file without it means what the API's default would be.
    #[serde(default)]
    pub(super) evaluate_target_health: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostedZone {
    pub(super) name: String,
    #[serde(default)]
    pub(super) config: ZoneConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ZoneConfig {
    #[serde(default)]
    pub(super) private_zone: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HealthCheck {
    pub(super) id: String,
    pub(super) health_check_config: CheckConfig,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct CheckConfig {
    #[serde(rename = "Type")]
    pub(super) kind: String,
    #[serde(rename = "IPAddress")]
    pub(super) ip_address: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) resource_path: Option<String>,
    pub(super) fully_qualified_domain_name: Option<String>,
    pub(super) search_string: Option<String>,
    pub(super) request_interval: Option<u64>,
    pub(super) failure_threshold: Option<u64>,
    pub(super) measure_latency: bool,
    pub(super) inverted: bool,
    pub(super) disabled: bool,
    pub(super) health_threshold: Option<u64>,
    pub(super) child_health_checks: Vec<String>,
    #[serde(rename = "EnableSNI")]
    pub(super) enable_sni: Option<bool>,
    pub(super) routing_control_arn: Option<String>,
    pub(super) alarm_identifier: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CidrBlock {
    pub(super) cidr_block: String,
    pub(super) location_name: String,
}

/// The list under a key of the CLI's object, or a list alone.
pub(super) fn list<T: for<'v> Deserialize<'v>>(text: &str, key: &str) -> Result<Vec<T>, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let list = match value {
        Value::Object(mut object) => object
            .remove(key)
            .ok_or_else(|| format!("it has no `{key}`"))?,
        other => other,
    };
    serde_json::from_value(list).map_err(|error| format!("`{key}`: {error}"))
}

/// The object under a key of the CLI's object, or that object itself.
pub(super) fn object(text: &str, key: &str) -> Result<Value, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(match value.get_mut(key) {
        Some(inner) => inner.take(),
        None => value,
    })
}
