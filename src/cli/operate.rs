//! `pointsman drain`, `undrain`, `weight` and `reload`: changes of a running process.

use conf::Address;
use serde_json::{Value, json};

use super::Remote;
use super::client::{Client, segment};
use super::outcome::{Failure, print, print_json};

/// A weight argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// This one, until it is reset.
    Set(u16),
    /// The configured one again.
    Reset,
}

/// Reads a weight argument: 0 to 1000, or `reset`.
pub(super) fn parse_weight(text: &str) -> Result<Weight, String> {
    if text == "reset" {
        return Ok(Weight::Reset);
    }
    match text.parse() {
        Ok(weight @ 0..=1000) => Ok(Weight::Set(weight)),
        _ => Err("a weight is 0 to 1000, or `reset` for the configured one".to_owned()),
    }
}

/// Gives a target no new work.
pub(super) fn drain(remote: &Remote, group: &str, target: Address) -> Result<(), Failure> {
    let answer = change(remote, group, target, "drain", &json!({}))?;
    let in_flight = answer.get("in-flight").and_then(Value::as_u64).unwrap_or(0);
    let rest = match in_flight {
        0 => "nothing is in flight on it".to_owned(),
        n => format!("{n} in flight will finish"),
    };
    print(&format!(
        "{group} {target} takes no new work and DNS leaves it out; {rest}\n"
    ))
}

/// Takes a drain back.
pub(super) fn undrain(remote: &Remote, group: &str, target: Address) -> Result<(), Failure> {
    let answer = change(remote, group, target, "undrain", &json!({}))?;
    let state = answer.get("state").and_then(Value::as_str).unwrap_or("?");
    print(&format!("{group} {target} is no longer drained: {state}\n"))
}

/// Changes a weight.
pub(super) fn weight(
    remote: &Remote,
    group: &str,
    target: Address,
    weight: Weight,
) -> Result<(), Failure> {
    let body = match weight {
        Weight::Set(weight) => json!({ "weight": weight }),
        Weight::Reset => json!({ "weight": null }),
    };
    let answer = change(remote, group, target, "weight", &body)?;
    let now = answer.get("weight").and_then(Value::as_u64).unwrap_or(0);
    let note = match weight {
        Weight::Set(_) => " (until it is reset)",
        Weight::Reset => " (as configured)",
    };
    print(&format!("{group} {target} has weight {now}{note}\n"))
}

fn change(
    remote: &Remote,
    group: &str,
    target: Address,
    verb: &str,
    body: &Value,
) -> Result<Value, Failure> {
    let target = segment(&target.to_string());
    let path = format!(
        "/api/v1/target-groups/{}/targets/{target}/{verb}",
        segment(group)
    );
    Client::new(remote)?.post(&path, body)?.expect_ok()
}

/// Makes the process read its file again; prints every diagnostic of a file it refused.
pub(super) fn reload(remote: &Remote, as_json: bool) -> Result<(), Failure> {
    let reply = Client::new(remote)?.post("/api/v1/reload", &json!({}))?;
    let Some(result) = reply.body.get("result").and_then(Value::as_str) else {
        return reply.expect_ok().map(|_| ());
    };
    let applied = result == "success";
    if as_json {
        print_json(&reply.body)?;
    } else {
        let text = |key: &str| reply.body.get(key).and_then(Value::as_str).unwrap_or("");
        let generation = reply.body.get("generation").and_then(Value::as_u64);
        let generation = generation.unwrap_or(0);
        let verdict = if applied {
            format!(
                "reloaded {}: generation {generation} serves\n",
                text("file")
            )
        } else {
            format!(
                "{} was not applied: generation {generation} goes on serving\n",
                text("file")
            )
        };
        print(&format!("{}{verdict}", text("report")))?;
    }
    if applied {
        Ok(())
    } else {
        Err(Failure::ConfigReported)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_0_to_1000_or_reset() {
        assert_eq!(parse_weight("0"), Ok(Weight::Set(0)));
        assert_eq!(parse_weight("1000"), Ok(Weight::Set(1000)));
        assert_eq!(parse_weight("reset"), Ok(Weight::Reset));
        for bad in ["1001", "-1", "", "1.5", "Reset"] {
            assert!(parse_weight(bad).is_err(), "{bad}");
        }
    }
}
