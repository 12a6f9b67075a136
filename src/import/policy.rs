//! Traffic policies: the tree of a policy document as record sets, one record for each rule.
//!
//! The start of the tree stands at the policy record's own name, each rule at `_RULE` below it. What
//! comes of it goes the way of all record sets.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::export::{
    AliasTarget, Coordinates, GeoLocation, GeoProximity, RecordSet, ResourceRecord, object,
};

/// TTL of a policy record that gives none.
const TTL: u32 = 60;

/// A policy document.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    record_type: String,
    #[serde(default)]
    start_rule: Option<String>,
    #[serde(default)]
    start_endpoint: Option<String>,
    #[serde(default)]
    endpoints: BTreeMap<String, Endpoint>,
    #[serde(default)]
    rules: BTreeMap<String, Rule>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(rename = "Type")]
    kind: String,
    value: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    rule_type: String,
    #[serde(flatten)]
    branches: BTreeMap<String, Value>,
}

/// One way on from a rule.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Branch {
    rule_reference: Option<String>,
    endpoint_reference: Option<String>,
    evaluate_target_health: Option<bool>,
    health_check: Option<String>,
    weight: Option<Value>,
    region: Option<String>,
    country: Option<String>,
    continent: Option<String>,
    subdivision: Option<String>,
    is_default: Option<bool>,
    latitude: Option<String>,
    longitude: Option<String>,
    bias: Option<Value>,
}

/// Reads what `get-traffic-policy` prints, or a document alone.
pub(super) fn read(text: &str) -> Result<Document, String> {
    let policy = object(text, "TrafficPolicy")?;
    let document = match policy.get("Document").and_then(Value::as_str) {
        Some(document) => serde_json::from_str(document),
        None => serde_json::from_value(policy),
    };
    document.map_err(|error| format!("it is not a policy document: {error}"))
}

/// The record sets that a policy record stands for.
pub(super) fn expand(document: &Document, record: &RecordSet) -> Result<Vec<RecordSet>, String> {
    let mut out = Vec::new();
    let expansion = Expansion { document, record };
    match (&document.start_rule, &document.start_endpoint) {
        (Some(rule), _) => {
            for (name, each) in &document.rules {
                let owner = match name == rule {
                    true => record.name.clone(),
                    false => expansion.name_of(name),
                };
                expansion.rule(each, owner, &mut out)?;
            }
        }
        (None, Some(endpoint)) => {
            let mut set = expansion.set(record.name.clone());
            expansion.lead_to_endpoint(&mut set, endpoint, false)?;
            out.push(set);
        }
        (None, None) => return Err("it has no start".to_owned()),
    }
    Ok(out)
}

struct Expansion<'e> {
    document: &'e Document,
    record: &'e RecordSet,
}

impl Expansion<'_> {
    fn name_of(&self, rule: &str) -> String {
        let label: String = rule
            .chars()
            .map(|c| {
                if c.is_ascii_alphanumeric() || c == '-' {
                    c
                } else {
                    '-'
                }
            })
            .collect();
        format!("_{label}.{}", self.record.name)
    }

    fn set(&self, name: String) -> RecordSet {
        RecordSet {
            name,
            rtype: self.document.record_type.clone(),
            ..RecordSet::default()
        }
    }

    fn rule(&self, rule: &Rule, owner: String, out: &mut Vec<RecordSet>) -> Result<(), String> {
        let one = |key: &str, role: &str| -> Result<Option<(Branch, String)>, String> {
            let value = rule.branches.get(key).cloned();
            let branch = value.map(serde_json::from_value).transpose();
            let branch: Option<Branch> = branch.map_err(|error| format!("{key}: {error}"))?;
            Ok(branch.map(|branch| (branch, role.to_owned())))
        };
        let many = |key: &str| -> Result<Vec<(Branch, String)>, String> {
            let value = rule
                .branches
                .get(key)
                .cloned()
                .unwrap_or(Value::Array(Vec::new()));
            let branches: Vec<Branch> =
                serde_json::from_value(value).map_err(|error| format!("{key}: {error}"))?;
            let numbered = branches.into_iter().enumerate();
            Ok(numbered
                .map(|(at, branch)| (branch, (at + 1).to_string()))
                .collect())
        };
        let kind = rule.rule_type.as_str();
        let branches = match kind {
            "failover" => one("Primary", "primary")?
                .into_iter()
                .chain(one("Secondary", "secondary")?)
                .collect(),
            "geo" => many("Locations")?,
            "latency" => many("Regions")?,
            "geoproximity" => many("GeoproximityLocations")?,
            "multivalue" | "weighted" => many("Items")?,
            other => return Err(format!("rules of type {other} are not known")),
        };
        for (branch, id) in branches {
            let mut set = self.set(owner.clone());
            set.set_identifier = Some(id.clone());
            set.health_check_id = branch.health_check.clone();
            chosen_by(&mut set, kind, &branch, &id)?;
            let evaluate = branch.evaluate_target_health.unwrap_or(false);
            match (&branch.rule_reference, &branch.endpoint_reference) {
                (Some(rule), _) => {
                    if !self.document.rules.contains_key(rule) {
                        return Err(format!("it has no rule {rule}"));
                    }
                    set.alias_target = Some(alias(self.name_of(rule), evaluate));
                }
                (None, Some(endpoint)) => self.lead_to_endpoint(&mut set, endpoint, evaluate)?,
                (None, None) => return Err("a branch leads nowhere".to_owned()),
            }
            out.push(set);
        }
        Ok(())
    }

    fn lead_to_endpoint(
        &self,
        set: &mut RecordSet,
        endpoint: &str,
        evaluate: bool,
    ) -> Result<(), String> {
        let found = self.document.endpoints.get(endpoint);
        let found = found.ok_or_else(|| format!("it has no endpoint {endpoint}"))?;
        let value = found.value.clone().unwrap_or_default();
        if found.kind == "value" {
            set.ttl = Some(self.record.ttl.unwrap_or(TTL));
            set.resource_records = Some(vec![ResourceRecord { value }]);
        } else {
            set.alias_target = Some(alias(value, evaluate));
        }
        Ok(())
    }
}

fn alias(dns_name: String, evaluate_target_health: bool) -> AliasTarget {
    AliasTarget {
        hosted_zone_id: String::new(),
        dns_name,
        evaluate_target_health,
    }
}

/// What the rule's type says of a branch.
fn chosen_by(set: &mut RecordSet, kind: &str, branch: &Branch, role: &str) -> Result<(), String> {
    match kind {
        "failover" => set.failover = Some(role.to_ascii_uppercase()),
        "weighted" => set.weight = Some(whole(branch.weight.as_ref()).unwrap_or(1).unsigned_abs()),
        "multivalue" => set.multi_value_answer = Some(true),
        "latency" => set.region = Some(branch.region.clone().unwrap_or_default()),
        "geo" => {
            let default = branch.is_default == Some(true);
            set.geo_location = Some(GeoLocation {
                continent_code: branch.continent.clone().filter(|_| !default),
                country_code: match default {
                    true => Some("*".to_owned()),
                    false => branch.country.clone(),
                },
                subdivision_code: branch.subdivision.clone(),
            });
        }
        _ => {
            let region = branch.region.as_deref();
            let point = branch.latitude.clone().zip(branch.longitude.clone());
            set.geo_proximity_location = Some(GeoProximity {
                // The documents write `aws:route53:us-east-1`.
                aws_region: region.map(|code| code.trim_start_matches("aws:route53:").to_owned()),
                local_zone_group: None,
                coordinates: point.map(|(latitude, longitude)| Coordinates {
                    latitude,
                    longitude,
                }),
                bias: whole(branch.bias.as_ref()),
            });
        }
    }
    Ok(())
}

/// The documents write numbers as texts, most of the time.
fn whole(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    }
}
