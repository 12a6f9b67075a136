//! `pointsman status`: what the running process does, at a glance or as JSON.
//!
//! Everything; or one target group; or one target or health check in detail: its last probes and what
//! would change its state. Reads the API only.

mod zones;

use std::time::Duration;

use conf::Address;
use serde_json::{Value, json};

use super::client::{Client, segment};
use super::outcome::{Failure, print, print_json};
use super::table::Table;
use super::{Remote, control};
use crate::moment;

/// Items of one page of a list: the most the API gives.
const PAGE: usize = 1000;

/// Shows it.
pub(super) fn run(
    remote: &Remote,
    group: Option<&str>,
    target: Option<Address>,
    as_json: bool,
) -> Result<(), Failure> {
    let client = Client::new(remote)?;
    let (document, text): Shown = match (group, target) {
        (None, _) => (everything(&client)?, show_everything),
        (Some(name), None) => named(&client, name)?,
        (Some(group), Some(target)) => (one_target(&client, group, target)?, show_target),
    };
    match as_json {
        true => print_json(&document),
        false => print(&text(&document)),
    }
}

/// A document, and what makes it a text.
type Shown = (Value, fn(&Value) -> String);

/// The target group of that name, else the health check.
fn named(client: &Client, name: &str) -> Result<Shown, Failure> {
    let path = segment(name);
    if let Some(mut group) = client.find(&format!("/api/v1/target-groups/{path}"))? {
        add_targets(client, &mut group)?;
        return Ok((group, show_group));
    }
    if let Some(check) = client.find(&format!("/api/v1/health-checks/{path}"))? {
        return Ok((check, show_check));
    }
    let known = |kind: &str, path: &str| -> Result<String, Failure> {
        let all = list(client, path)?;
        let names: Vec<&str> = all
            .iter()
            .take(10)
            .map(|item| field(item, "name"))
            .collect();
        Ok(match names.is_empty() {
            true => format!("there is no {kind}"),
            false => format!("{kind}s: {}", names.join(", ")),
        })
    };
    let groups = known("target group", "/api/v1/target-groups")?;
    let checks = known("health check", "/api/v1/health-checks")?;
    Err(Failure::Failed(format!(
        "no target group and no health check `{name}`\n  help: {groups}; {checks}"
    )))
}

fn everything(client: &Client) -> Result<Value, Failure> {
    let mut groups = list(client, "/api/v1/target-groups")?;
    for group in &mut groups {
        add_targets(client, group)?;
    }
    let mut zones = list(client, "/api/v1/zones")?;
    for zone in &mut zones {
        let path = format!("/api/v1/zones/{}/records", segment(field(zone, "id")));
        let records = list(client, &path)?;
        insert(zone, "records", records.into());
    }
    Ok(json!({
        "generation": client.fetch("/api/v1/generation")?,
        "listeners": list(client, "/api/v1/listeners")?,
        "target-groups": groups,
        "health-checks": list(client, "/api/v1/health-checks")?,
        "routing-controls": list(client, "/api/v1/routing-controls")?,
        "safety-rules": list(client, "/api/v1/safety-rules")?,
        "zones": zones,
    }))
}

fn one_target(client: &Client, group: &str, target: Address) -> Result<Value, Failure> {
    let (group, target) = (segment(group), segment(&target.to_string()));
    client.fetch(&format!("/api/v1/target-groups/{group}/targets/{target}"))
}

fn add_targets(client: &Client, group: &mut Value) -> Result<(), Failure> {
    let name = segment(field(group, "name"));
    let targets = list(client, &format!("/api/v1/target-groups/{name}/targets"))?;
    insert(group, "targets", targets.into());
    Ok(())
}

/// Every item of a list, page by page.
pub(super) fn list(client: &Client, path: &str) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut query = format!("?limit={PAGE}");
    loop {
        let mut page = client.fetch(&format!("{path}{query}"))?;
        if let Some(items) = page.get_mut("items").and_then(Value::as_array_mut) {
            all.append(items);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => query = format!("?limit={PAGE}&after={}", segment(next)),
            None => return Ok(all),
        }
    }
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

fn show_everything(all: &Value) -> String {
    let generation = &all["generation"];
    let mut text = format!(
        "pointsman {} (pid {}), up {}: generation {} of {}\n",
        field(generation, "version"),
        number(generation, "pid"),
        moment::seconds(number(generation, "uptime-seconds")),
        number(generation, "generation"),
        field(generation, "file"),
    );
    text.push_str(&show_listeners(items(all, "listeners")));
    for group in items(all, "target-groups") {
        text.push('\n');
        text.push_str(&show_group(group));
    }
    text.push_str(&show_checks(items(all, "health-checks")));
    let controls = items(all, "routing-controls");
    if !controls.is_empty() {
        text.push('\n');
        text.push_str(&control::text(controls, items(all, "safety-rules")));
    }
    text.push_str(&zones::show_zones(
        items(all, "zones"),
        &generation["addresses"]["dns"],
    ));
    text
}

fn show_listeners(listeners: &[Value]) -> String {
    if listeners.is_empty() {
        return "\nno listener\n".to_owned();
    }
    let mut table = Table::new(&[
        "LISTENER",
        "PROTOCOL",
        "ADDRESS",
        "DEFAULT ACTION",
        "CONNECTIONS",
        "STATUS",
    ]);
    for listener in listeners {
        table.row([
            cell(listener, "name"),
            cell(listener, "protocol"),
            texts(&listener["bind"]).join(", "),
            cell(listener, "default-action"),
            cell(listener, "connections"),
            verdict(listener),
        ]);
    }
    let rules: String = listeners.iter().map(show_rules).collect();
    format!("\n{}{rules}", table.render(0))
}

fn show_rules(listener: &Value) -> String {
    let rules = items(listener, "rules");
    if rules.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["PRIORITY", "CONDITIONS", "ACTION"]);
    for rule in rules {
        table.row([
            cell(rule, "priority"),
            texts(&rule["conditions"]).join(", "),
            cell(rule, "action"),
        ]);
    }
    let name = field(listener, "name");
    format!("\nrules of listener {name}\n{}", table.render(2))
}

fn show_group(group: &Value) -> String {
    let mut heading = format!(
        "target group {} ({}, {}): {}\n",
        field(group, "name"),
        field(group, "protocol"),
        field(group, "algorithm"),
        verdict(group)
    );
    let left_out = texts(&group["deregistered"]);
    if !left_out.is_empty() {
        let left_out = left_out.join(", ");
        heading.push_str(&format!("  deregistered by the operator: {left_out}\n"));
    }
    for source in items(group, "sources") {
        let (kind, name) = (field(source, "kind"), field(source, "source"));
        let targets = texts(&source["targets"]);
        let targets = match targets.len() {
            0 => "no target".to_owned(),
            1..=5 => targets.join(", "),
            more => format!("{more} targets"),
        };
        heading.push_str(&format!("  {kind} {name}: {targets}\n"));
    }
    let targets = items(group, "targets");
    if targets.is_empty() {
        return heading;
    }
    let columns = [
        "TARGET",
        "STATE",
        "FOR",
        "WEIGHT",
        "IN FLIGHT",
        "SELECTED",
        "WHY",
    ];
    let mut table = Table::new(&columns);
    for target in targets {
        table.row([
            cell(target, "address"),
            cell(target, "state"),
            moment::seconds(number(target, "for-seconds")),
            cell(target, "weight"),
            in_flight(target),
            cell(target, "selected"),
            why(target),
        ]);
    }
    format!("{heading}{}", table.render(2))
}

/// Work in hand, and how much there may be.
fn in_flight(target: &Value) -> String {
    match number(target, "max-in-flight") {
        0 => cell(target, "in-flight"),
        most => format!("{} of {most}", cell(target, "in-flight")),
    }
}

fn show_target(target: &Value) -> String {
    let probes = &target["probes"];
    let mut text = format!(
        "{} of target group {}: {} for {}\n",
        field(target, "address"),
        field(target, "target-group"),
        field(target, "state"),
        moment::seconds(number(target, "for-seconds")),
    );
    let lines = [
        ("why", why(target)),
        ("brought about by", cell(target, "source")),
        ("registered by", cell(target, "registered-by")),
        ("operator", cell(target, "operator")),
        ("weight", cell(target, "weight")),
        ("share", share(target)),
        ("in flight", in_flight(target)),
        ("selected", cell(target, "selected")),
        ("traffic", cell(&probes["passive"], "summary")),
        ("next probe", next_probe(probes)),
        ("what next", cell(probes, "next")),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("  {name:<17} {value}\n"));
    }
    text.push_str(&show_observations(probes));
    text
}

fn show_check(check: &Value) -> String {
    let probes = &check["probes"];
    let healthy = check["healthy"] == Value::Bool(true);
    let mut text = format!(
        "health check {} ({}): {} since {}\n",
        field(check, "name"),
        field(check, "type"),
        if healthy { "healthy" } else { "unhealthy" },
        cell(check, "since"),
    );
    let lines = [
        ("why", cell(check, "description")),
        ("looks at", texts(&check["watches"]).join(", ")),
        ("used by", texts(&check["used-by"]).join(", ")),
        ("next probe", next_probe(probes)),
        ("what next", cell(probes, "next")),
    ];
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("  {name:<17} {value}\n"));
    }
    text.push_str(&show_observations(probes));
    text
}

/// What of its weight a target has now; empty when that is all of it.
fn share(target: &Value) -> String {
    match target["share"].as_u64() {
        Some(share) if share < 100 => format!("{share} % of its weight for now"),
        _ => String::new(),
    }
}

/// The last probes, after an empty line; nothing before the first.
fn show_observations(probes: &Value) -> String {
    let observations = items(probes, "observations");
    if observations.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["LAST PROBES", "RESULT", "TOOK", "SEEN"]);
    for seen in observations {
        table.row([
            format!(
                "{} ago",
                moment::span(Duration::from_millis(number(seen, "age-ms")))
            ),
            cell(seen, "result"),
            format!("{:.1} ms", seen["took-ms"].as_f64().unwrap_or_default()),
            cell(seen, "seen"),
        ]);
    }
    format!("\n{}", table.render(2))
}

fn next_probe(probes: &Value) -> String {
    match probes["next-probe-ms"].as_u64() {
        Some(ms) => format!("in {}", moment::span(Duration::from_millis(ms))),
        None => String::new(),
    }
}

fn show_checks(checks: &[Value]) -> String {
    if checks.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["HEALTH CHECK", "TYPE", "LOOKS AT", "STATUS", "SEEN"]);
    for check in checks {
        table.row([
            cell(check, "name"),
            cell(check, "type"),
            texts(&check["watches"]).join(", "),
            cell(check, "status"),
            cell(check, "description"),
        ]);
    }
    format!("\n{}", table.render(0))
}

/// `ok`, or `warning: why, why`.
fn verdict(object: &Value) -> String {
    let status = cell(object, "status");
    let reasons = texts(&object["reasons"]);
    match reasons.is_empty() {
        true => status,
        false => format!("{status}: {}", reasons.join("; ")),
    }
}

/// A target's reason code and description.
fn why(target: &Value) -> String {
    let (code, said) = (cell(target, "reason"), cell(target, "description"));
    match (code.is_empty(), said.is_empty()) {
        (true, _) => said,
        (false, true) => code,
        (false, false) => format!("{code}: {said}"),
    }
}

pub(super) fn items<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object[key].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn field<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn number(object: &Value, key: &str) -> u64 {
    object[key].as_u64().unwrap_or_default()
}

/// A field as text; empty when it is null.
pub(super) fn cell(object: &Value, key: &str) -> String {
    match &object[key] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn texts(list: &Value) -> Vec<String> {
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    all.iter()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}
