//! `pointsman register` and `deregister`: targets of a running process come and go.

use clap::Args;
use conf::Address;
use serde_json::{Value, json};

use super::Remote;
use super::client::{Client, segment};
use super::outcome::{Failure, print};
use super::status::{cell, items, texts};

/// A target to register.
#[derive(Debug, Args)]
pub(super) struct Registration {
    /// The target group
    group: String,
    /// The target (ip:port or unix:/path)
    target: Address,
    /// Its weight, 0 (no new work) to 1000 [default: 1]
    #[arg(long, value_parser = clap::value_parser!(u16).range(0..=1000))]
    weight: Option<u16>,
    /// Its availability zone
    #[arg(long, value_name = "ZONE")]
    availability_zone: Option<String>,
    /// Only use it when no other target can be
    #[arg(long)]
    backup: bool,
    #[command(flatten)]
    remote: Remote,
}

/// Registers it.
pub(super) fn register(options: &Registration) -> Result<(), Failure> {
    let (group, target) = (&options.group, options.target);
    let mut asked = json!({ "address": target });
    if let Some(weight) = options.weight {
        asked["weight"] = weight.into();
    }
    if let Some(zone) = &options.availability_zone {
        asked["availability-zone"] = zone.as_str().into();
    }
    if options.backup {
        asked["backup"] = true.into();
    }
    let body = json!({ "targets": [asked] });
    let answer = Client::new(&options.remote)?.post(&path(group), &body)?;
    let answer = answer.expect_ok()?;
    let (mut already, mut state) = (" already", String::new());
    if !texts(&answer["changed"]).is_empty() {
        already = "";
    }
    if let Some(target) = items(&answer, "items").first() {
        let (now, weight) = (cell(target, "state"), cell(target, "weight"));
        state = format!(": {now}, weight {weight}");
    }
    let text = format!("{group} {target} is{already} registered{state}\n");
    print(&format!("{text}{}", unsaved(&answer)))
}

/// Deregisters it.
pub(super) fn deregister(remote: &Remote, group: &str, target: Address) -> Result<(), Failure> {
    let body = json!({ "targets": [{ "address": target }] });
    let answer = Client::new(remote)?.delete(&path(group), &body)?;
    let answer = answer.expect_ok()?;
    if texts(&answer["changed"]).is_empty() {
        return print(&format!("{group} {target} was not registered\n"));
    }
    let rest = match items(&answer, "items").first() {
        Some(left) => {
            let in_flight = cell(left, "in-flight");
            format!(
                "takes no new work; {in_flight} in flight may finish within the deregistration delay"
            )
        }
        None => "is gone".to_owned(),
    };
    let text = format!("{group} {target} is deregistered: it {rest}\n");
    print(&format!("{text}{}", unsaved(&answer)))
}

fn path(group: &str) -> String {
    format!("/api/v1/target-groups/{}/targets", segment(group))
}

fn unsaved(answer: &Value) -> &'static str {
    match answer["saved"] == Value::Bool(false) {
        true => "warning: it could not be saved; a restart would forget it (see the log)\n",
        false => "",
    }
}
