//! The text of a `targets-file`: one target a line, or JSON; Prometheus' file_sd format is JSON.
//!
//! Read by the root package whenever such a file changed, so untrusted and bounded: a list with one
//! mistake is refused whole, since half a list would deregister the other half. Pure.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::scalar::clipped;
use crate::{Address, BadAddress, NamedTarget, Span, Target, TargetName};

/// Targets of one list; more are a mistake.
const MAX_ENTRIES: usize = 10_000;
const MAX_WEIGHT: u16 = 1000;

/// What a file lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetList {
    /// Targets by address, none twice.
    pub targets: Vec<Target>,
    /// Targets by name, none twice.
    pub names: Vec<NamedTarget>,
}

/// Why a list is refused: where, and what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetListError(String);

/// What an entry says of its target.
#[derive(Debug, Clone, Default)]
struct Attributes {
    weight: Option<u16>,
    availability_zone: String,
    backup: bool,
}

impl TargetList {
    /// Reads a list: JSON when it begins with `[`, else lines.
    ///
    /// # Errors
    /// [`TargetListError`] for the first mistake.
    pub fn parse(text: &str) -> Result<Self, TargetListError> {
        let mut reading = Reading::default();
        match text.trim_start().starts_with('[') {
            true => reading.json(text)?,
            false => {
                for (number, line) in (1..).zip(text.lines()) {
                    let at = |what| TargetListError(format!("line {number}: {what}"));
                    reading.line(line).map_err(at)?;
                }
            }
        }
        Ok(reading.list)
    }
}

#[derive(Default)]
struct Reading {
    list: TargetList,
    addresses: HashSet<Address>,
    names: HashSet<TargetName>,
}

impl Reading {
    /// `ADDRESS [weight=N] [availability-zone=Z] [backup]`, or a comment.
    fn line(&mut self, line: &str) -> Result<(), String> {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(place) = words.next() else {
            return Ok(());
        };
        let mut attributes = Attributes::default();
        for word in words {
            match word.split_once('=') {
                None if word == "backup" => attributes.backup = true,
                Some((key, value)) => attributes.set(key, value)?,
                None => return Err(not_an_attribute(word)),
            }
        }
        self.add(place, attributes)
    }

    fn json(&mut self, text: &str) -> Result<(), TargetListError> {
        let entries: Vec<Value> = serde_json::from_str(text)
            .map_err(|error| TargetListError(format!("it is no JSON list: {error}")))?;
        for (number, entry) in (1..).zip(entries) {
            let at = |what| TargetListError(format!("entry {number}: {what}"));
            self.entry(entry).map_err(at)?;
        }
        Ok(())
    }

    fn entry(&mut self, entry: Value) -> Result<(), String> {
        if let Value::String(place) = &entry {
            return self.add(place, Attributes::default());
        }
        if entry.get("targets").is_some() {
            let group: FileSd = serde_json::from_value(entry).map_err(|e| e.to_string())?;
            let mut attributes = Attributes::default();
            for (key, value) in &group.labels {
                // Other labels are for Prometheus.
                if let (true, Value::String(value)) = (is_attribute(key), value) {
                    attributes.set(key, value)?;
                }
            }
            return (group.targets.iter())
                .try_for_each(|place| self.add(place, attributes.clone()));
        }
        let entry: Entry = serde_json::from_value(entry).map_err(|error| error.to_string())?;
        let attributes = Attributes {
            weight: entry.weight,
            availability_zone: entry.availability_zone,
            backup: entry.backup,
        };
        match (entry.address, entry.srv) {
            (Some(place), None) => self.add(&place, attributes),
            (None, Some(name)) if entry.weight.is_none() => {
                let found = TargetName::parse_service(&name);
                let wrong = || format!("`{}` is not the name of SRV records", clipped(&name));
                self.add_name(found.ok_or_else(wrong)?, attributes)
            }
            (None, Some(_)) => Err("`weight` with `srv`: the SRV records have weights".to_owned()),
            _ => Err("it needs `address` or `srv`, and not both".to_owned()),
        }
    }

    fn add(&mut self, place: &str, attributes: Attributes) -> Result<(), String> {
        if attributes.weight.is_some_and(|weight| weight > MAX_WEIGHT) {
            return Err(format!("a weight is at most {MAX_WEIGHT}"));
        }
        let address = match place.parse::<Address>() {
            Ok(address) => address.to_canonical(),
            Err(BadAddress::Malformed) => {
                let wrong = || {
                    format!(
                        "`{}` is not `ip:port`, not `host:port` and not `unix:/path`",
                        clipped(place)
                    )
                };
                let name = TargetName::parse(place).ok_or_else(wrong)?;
                return self.add_name(name, attributes);
            }
            Err(fault) => return Err(format!("`{}`: {fault}", clipped(place))),
        };
        if let Some(why) = Target::unusable(address) {
            return Err(format!("`{place}` cannot be a target: {why}"));
        }
        if !self.addresses.insert(address) {
            return Err(format!("`{address}` is listed twice"));
        }
        self.list.targets.push(Target {
            weight: attributes.weight.unwrap_or(1),
            availability_zone: attributes.availability_zone,
            backup: attributes.backup,
            ..Target::at(address)
        });
        self.within_bounds()
    }

    fn add_name(&mut self, name: TargetName, attributes: Attributes) -> Result<(), String> {
        if !self.names.insert(name.clone()) {
            return Err(format!("`{name}` is listed twice"));
        }
        self.list.names.push(NamedTarget {
            name,
            span: Span::default(),
            weight: attributes.weight.unwrap_or(1),
            availability_zone: attributes.availability_zone,
            backup: attributes.backup,
            max_in_flight: 0,
        });
        self.within_bounds()
    }

    fn within_bounds(&self) -> Result<(), String> {
        match self.list.targets.len() + self.list.names.len() > MAX_ENTRIES {
            true => Err(format!("there are more than {MAX_ENTRIES} targets")),
            false => Ok(()),
        }
    }
}

impl Attributes {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "weight" => {
                let weight = value.parse().ok().filter(|weight| *weight <= MAX_WEIGHT);
                let wrong = || format!("`{}` is no weight from 0 to 1000", clipped(value));
                self.weight = Some(weight.ok_or_else(wrong)?);
            }
            "availability-zone" | "availability_zone" => self.availability_zone = value.to_owned(),
            "backup" => {
                self.backup = match value {
                    "true" => true,
                    "false" => false,
                    _ => return Err("`backup` is `true` or `false`".to_owned()),
                };
            }
            _ => return Err(not_an_attribute(key)),
        }
        Ok(())
    }
}

fn is_attribute(key: &str) -> bool {
    // Prometheus has no hyphens in the names of labels.
    ["weight", "availability-zone", "availability_zone", "backup"].contains(&key)
}

fn not_an_attribute(word: &str) -> String {
    format!(
        "`{}` is not weight=N, availability-zone=NAME or backup",
        clipped(word)
    )
}

/// As in `targets` of a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    address: Option<String>,
    srv: Option<String>,
    weight: Option<u16>,
    #[serde(default)]
    availability_zone: String,
    #[serde(default)]
    backup: bool,
}

/// Prometheus' `<file_sd_config>`.
#[derive(Deserialize)]
struct FileSd {
    targets: Vec<String>,
    #[serde(default)]
    labels: serde_json::Map<String, Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<Vec<String>, String> {
        let list = TargetList::parse(text).map_err(|error| error.to_string())?;
        let show = |place: String, weight: u16, zone: &str, backup: bool| {
            let backup = if backup { " backup" } else { "" };
            format!("{place} {weight} {zone}{backup}")
                .replace("  ", " ")
                .trim_end()
                .to_owned()
        };
        let targets = list.targets.iter();
        let targets = targets.map(|t| {
            show(
                t.address.to_string(),
                t.weight,
                &t.availability_zone,
                t.backup,
            )
        });
        let names = list.names.iter();
        let names =
            names.map(|n| show(n.name.to_string(), n.weight, &n.availability_zone, n.backup));
        Ok(targets.chain(names).collect())
    }

    #[test]
    fn every_form_is_read() {
        let lines = "# comment\n\n 127.0.0.1:80 weight=5 # five\n[::1]:80 backup\r\n\
                     db.example.test:5432 availability-zone=a\n\
                     unix:/run/app.sock weight=2\n";
        let expected = [
            "127.0.0.1:80 5",
            "[::1]:80 1 backup",
            "unix:/run/app.sock 2",
            "db.example.test:5432 1 a",
        ];
        assert_eq!(shown(lines).unwrap(), expected);
        let json = r#"["127.0.0.1:80",
            {"address": "[::ffff:127.0.0.2]:80", "weight": 0, "availability-zone": "b", "backup": true},
            {"srv": "_http._tcp.example.test"}]"#;
        let expected = [
            "127.0.0.1:80 1",
            "127.0.0.2:80 0 b backup",
            "_http._tcp.example.test 1",
        ];
        assert_eq!(shown(json).unwrap(), expected);
        let prometheus = r#"[{"targets": ["127.0.0.1:80", "app:81"],
            "labels": {"job": "x", "weight": "3", "availability_zone": "c"}}]"#;
        assert_eq!(
            shown(prometheus).unwrap(),
            ["127.0.0.1:80 3 c", "app:81 3 c"]
        );
        assert_eq!(shown("").unwrap(), shown("[]").unwrap());
    }

    #[test]
    fn one_mistake_refuses_the_list_and_is_told_with_its_place() {
        for (text, said) in [
            (
                "127.0.0.1:80\n127.0.0.1",
                "line 2: `127.0.0.1` is not `ip:port`",
            ),
            (
                "unix:app.sock",
                "line 1: `unix:app.sock`: the path of a Unix socket begins with `/`",
            ),
            (
                "127.0.0.1:0",
                "line 1: `127.0.0.1:0` cannot be a target: 0 is not a port",
            ),
            ("a:80\na:80", "line 2: `a:80` is listed twice"),
            ("127.0.0.1:80 heavy", "line 1: `heavy` is not weight=N"),
            ("127.0.0.1:80 weight=1001", "line 1: `1001` is no weight"),
            ("[", "it is no JSON list"),
            ("[1]", "entry 1: invalid type"),
            ("[{}]", "entry 1: it needs `address` or `srv`"),
            (
                "[{\"srv\": \"example.test\"}]",
                "entry 1: `example.test` is not the name of SRV",
            ),
            (
                "[{\"srv\": \"_a._b.c\", \"weight\": 1}]",
                "entry 1: `weight` with `srv`",
            ),
            (
                "[{\"address\": \"a:1\", \"wieght\": 1}]",
                "entry 1: unknown field",
            ),
            ("[{\"targets\": [\"a\"]}]", "entry 1: `a` is not"),
        ] {
            let refused = shown(text).unwrap_err();
            assert!(refused.starts_with(said), "{text}: {refused}");
        }
        let many: String = (0..=MAX_ENTRIES).map(|n| format!("h{n}:1\n")).collect();
        assert!(shown(&many).unwrap_err().contains("more than 10000"));
    }
}
