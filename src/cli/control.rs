//! `pointsman control`: lists the routing controls of the running process, or turns some of them,
//! all at once.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Remote;
use super::client::Client;
use super::outcome::{Failure, print, print_json};
use super::status::{cell, field, items, list, texts};
use super::table::Table;

/// What the arguments look like.
const HELP: &str = "help: pointsman control NAME on|off [NAME on|off …] [--override RULE]";

/// `NAME on|off ...` as words; lists when there is none.
pub(super) fn run(
    remote: &Remote,
    words: &[String],
    overrides: &[String],
    as_json: bool,
) -> Result<(), Failure> {
    if words.is_empty() {
        if let Some(rule) = overrides.first() {
            let error = format!("override {rule} for what?\n  {HELP}");
            return Err(Failure::Usage(error));
        }
        return show(&Client::new(remote)?, as_json);
    }
    let states = parse(words).map_err(Failure::Usage)?;
    let body = json!({ "states": states, "safety-rules-to-override": overrides });
    let answer = Client::new(remote)?.post("/api/v1/routing-controls", &body)?;
    let answer = answer.expect_ok()?;
    if as_json {
        return print_json(&answer);
    }
    let turned = texts(&answer["turned"]);
    let mut text = String::new();
    for control in items(&answer, "items") {
        let (name, state) = (cell(control, "name"), cell(control, "state"));
        let already = match turned.contains(&name) {
            true => "",
            false => " already",
        };
        text.push_str(&format!("routing control {name} is{already} {state}\n"));
    }
    if answer["saved"] == Value::Bool(false) {
        text.push_str("warning: it could not be saved; a restart would forget it (see the log)\n");
    }
    print(&text)
}

/// Pairs of a name and `on` or `off`, each name once.
fn parse(words: &[String]) -> Result<BTreeMap<&str, &str>, String> {
    let mut states = BTreeMap::new();
    for pair in words.chunks(2) {
        let (name, state) = match pair {
            [name, state] if matches!(state.as_str(), "on" | "off") => (name, state),
            [name, other] => {
                let fault = format!("routing control {name} cannot be `{other}`: on or off");
                return Err(format!("{fault}\n  {HELP}"));
            }
            _ => {
                let name = pair.first().map_or("", String::as_str);
                return Err(format!("turn {name} on or off?\n  {HELP}"));
            }
        };
        if states.insert(name.as_str(), state.as_str()).is_some() {
            return Err(format!("routing control {name} is named twice\n  {HELP}"));
        }
    }
    Ok(states)
}

fn show(client: &Client, as_json: bool) -> Result<(), Failure> {
    let controls = list(client, "/api/v1/routing-controls")?;
    let rules = list(client, "/api/v1/safety-rules")?;
    if as_json {
        return print_json(&json!({ "routing-controls": controls, "safety-rules": rules }));
    }
    match controls.is_empty() {
        true => print("no routing control; define one with [[routing-control]]\n"),
        false => print(&text(&controls, &rules)),
    }
}

/// Both tables; `status` shows them too.
pub(super) fn text(controls: &[Value], rules: &[Value]) -> String {
    if controls.is_empty() {
        return String::new();
    }
    let columns = ["ROUTING CONTROL", "STATE", "SINCE", "GUARDED BY", "USED BY"];
    let mut table = Table::new(&columns);
    for control in controls {
        table.row([
            cell(control, "name"),
            cell(control, "state"),
            cell(control, "since"),
            texts(&control["safety-rules"]).join(", "),
            texts(&control["used-by"]).join(", "),
        ]);
    }
    let mut text = table.render(0);
    if !rules.is_empty() {
        let mut table = Table::new(&["SAFETY RULE", "TYPE", "MET", "ASKS"]);
        for rule in rules {
            let met = if rule["met"] == Value::Bool(true) {
                "yes"
            } else {
                "no"
            };
            table.row([
                cell(rule, "name"),
                cell(rule, "type"),
                met.to_owned(),
                field(rule, "description").to_owned(),
            ]);
        }
        text.push('\n');
        text.push_str(&table.render(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn pairs_are_read_and_slips_told() {
        let states = words("a on b off");
        let states = parse(&states).unwrap();
        assert_eq!(states, BTreeMap::from([("a", "on"), ("b", "off")]));
        for (bad, said) in [
            ("a", "turn a on or off?"),
            ("a on b", "turn b on or off?"),
            ("a up", "routing control a cannot be `up`: on or off"),
            ("a on a off", "routing control a is named twice"),
        ] {
            assert!(parse(&words(bad)).unwrap_err().starts_with(said), "{bad}");
        }
    }
}
