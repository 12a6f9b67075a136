//! Route 53's health checks as `[[health-check]]` entries.
//!
//! What cannot be asked from here (CloudWatch alarms), or is not in the export, becomes a check that is
//! disabled, which counts as healthy in Route 53 and here: sets that name it stay as they are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Notes;
use super::export::{CheckConfig, HealthCheck};
use super::text::{comment, list, quoted, word};

/// Entries for the checks of `export`, and for those that are `named` and not in it.
pub(super) fn write(export: &[HealthCheck], named: &BTreeSet<String>, notes: &mut Notes) -> String {
    let mut text = String::new();
    let mut controls = BTreeSet::new();
    let mut children = BTreeSet::new();
    for check in export {
        let config = &check.health_check_config;
        children.extend(config.child_health_checks.iter().cloned());
        match entry(config, &mut controls) {
            Ok(keys) => text.push_str(&format!(
                "\n[[health-check]]\nname = {}\n{keys}",
                name(&check.id)
            )),
            Err(why) => {
                notes.left_out(format!("health check {}: {why}", check.id));
                let json = serde_json::to_string_pretty(config).unwrap_or_default();
                text.push_str(&placeholder(&check.id, &format!("left out: {why}\n{json}")));
            }
        }
    }
    for id in named.iter().chain(&children) {
        let known = export.iter().any(|check| check.id == *id);
        let written = text.contains(&format!("\nname = {}\n", name(id)));
        if !known && !written {
            let why = "it is not in the export of health checks (--health-checks)";
            notes.left_out(format!("health check {id}: {why}"));
            text.push_str(&placeholder(id, &format!("left out: {why}")));
        }
    }
    let controls = controls.iter().map(|control| {
        format!(
            "\n[[routing-control]]\nname = {}\ninitial = \"on\"\n",
            quoted(control)
        )
    });
    controls.collect::<String>() + &text
}

/// The name that a check has in the file.
pub(super) fn name(id: &str) -> String {
    quoted(&word(id))
}

fn placeholder(id: &str, why: &str) -> String {
    format!(
        "\n{}[[health-check]]\nname = {}\ntype = \"tcp\"\naddress = \"127.0.0.1:9\"\ndisabled = true\n",
        comment(why, ""),
        name(id)
    )
}

fn entry(config: &CheckConfig, controls: &mut BTreeSet<String>) -> Result<String, String> {
    let mut keys = match config.kind.as_str() {
        "HTTP" | "HTTPS" | "HTTP_STR_MATCH" | "HTTPS_STR_MATCH" | "TCP" => endpoint(config)?,
        "CALCULATED" => calculated(config)?,
        "RECOVERY_CONTROL" => {
            let arn = config.routing_control_arn.as_deref();
            let control = arn.and_then(|arn| arn.rsplit('/').next());
            let control = word(control.ok_or("it names no routing control")?);
            let keys = format!(
                "type = \"routing-control\"\nrouting-control = {}\n",
                quoted(&control)
            );
            controls.insert(control);
            keys
        }
        "CLOUDWATCH_METRIC" => {
            return Err(
                "CloudWatch cannot be asked; a check of type `metric` asks Prometheus".to_owned(),
            );
        }
        other => return Err(format!("its type {other} is not known")),
    };
    if config.inverted {
        keys.push_str("inverted = true\n");
    }
    if config.disabled {
        keys.push_str("disabled = true\n");
    }
    Ok(keys)
}

fn endpoint(config: &CheckConfig) -> Result<String, String> {
    let secure = config.kind.starts_with("HTTPS");
    let kind = match config.kind.as_str() {
        "TCP" => "tcp",
        _ if secure => "https",
        _ => "http",
    };
    let mut keys = format!("type = \"{kind}\"\n");
    let port = config.port.unwrap_or(if secure { 443 } else { 80 });
    let domain = config.fully_qualified_domain_name.as_deref();
    let domain = domain.filter(|domain| !domain.is_empty());
    match (config.ip_address.as_deref(), domain) {
        (Some(address), domain) => {
            let ip: IpAddr = address
                .parse()
                .map_err(|_| format!("{address} is not an address"))?;
            keys.push_str(&format!(
                "address = \"{}\"\n",
                std::net::SocketAddr::new(ip, port)
            ));
            if let (Some(domain), true) = (domain, kind != "tcp") {
                keys.push_str(&format!("host = {}\n", quoted(domain)));
            }
        }
        (None, Some(domain)) => {
            keys.push_str(&format!(
                "domain-name = {}\nport = {port}\n",
                quoted(domain)
            ));
        }
        (None, None) => return Err("it has neither an address nor a domain name".to_owned()),
    }
    if kind != "tcp" {
        let path = config.resource_path.as_deref().unwrap_or("/");
        let slash = if path.starts_with('/') { "" } else { "/" };
        keys.push_str(&format!("path = {}\n", quoted(&format!("{slash}{path}"))));
        if let Some(text) = &config.search_string {
            keys.push_str(&format!("search-string = {}\n", quoted(text)));
        }
    }
    if let (true, Some(sni)) = (secure, config.enable_sni) {
        keys.push_str(&format!("enable-sni = {sni}\n"));
    }
    if config.measure_latency {
        keys.push_str("measure-latency = true\n");
    }
    // Route 53's own defaults.
    keys.push_str(&format!(
        "interval = {}\n",
        config.request_interval.unwrap_or(30)
    ));
    keys.push_str(&format!(
        "failure-threshold = {}\n",
        config.failure_threshold.unwrap_or(3)
    ));
    Ok(keys)
}

fn calculated(config: &CheckConfig) -> Result<String, String> {
    if config.child_health_checks.is_empty() {
        return Err("it has no children".to_owned());
    }
    let children: Vec<String> = config
        .child_health_checks
        .iter()
        .map(|id| word(id))
        .collect();
    let threshold = config.health_threshold.unwrap_or(children.len() as u64);
    Ok(format!(
        "type = \"calculated\"\nchildren = {}\nhealth-threshold = {threshold}\n",
        list(children.iter().map(String::as_str))
    ))
}
