//! An explanation, for the API and in words.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What would become of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RequestExplanation {
    /// The listener that gets it.
    pub listener: String,
    /// Every rule, in the order they are looked at.
    pub rules: Vec<RuleReport>,
    /// The priority of the one that claims it, or `default`; empty when it is refused before.
    pub rule: String,
    /// What that says: `forward`, `redirect`, `fixed-response`.
    pub action: String,
    /// Rate limits it would count against, in words.
    pub limits: Vec<String>,
    /// The host it is forwarded with, if rewritten.
    pub host: Option<String>,
    /// Path and query it is forwarded with, if rewritten.
    pub target: Option<String>,
    /// Groups that take turns, of which the next one is chosen.
    pub weights: Vec<WeightReport>,
    /// What the client's cookies say of its session, in words; `None` where there are no sessions.
    pub session: Option<String>,
    /// What a target is chosen from.
    pub group: Option<GroupReport>,
    /// The target, where no draw decides.
    pub choice: Option<String>,
    /// How it is chosen, or why none is.
    pub how: Option<String>,
    /// The answer's status when no target gives it.
    pub status: Option<u16>,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Why it is refused.
    pub reason: Option<String>,
}

/// A rule and its conditions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct RuleReport {
    /// Its priority.
    pub priority: u16,
    /// All its conditions hold.
    pub holds: bool,
    /// In the order of the file.
    pub conditions: Vec<ConditionReport>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct ConditionReport {
    /// In words.
    pub condition: String,
    /// One of its values matches.
    pub holds: bool,
}

/// A group of a weighted forward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct WeightReport {
    /// Its name.
    pub group: String,
    /// Turns it has in a whole cycle.
    pub turns: usize,
    /// It has the next turn.
    pub next: bool,
}

/// What a target is chosen from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GroupReport {
    /// Its name.
    pub name: String,
    /// How one is chosen.
    pub algorithm: String,
    /// Too few are healthy: all that are registered are used.
    pub fail_open: bool,
    /// Every registered one.
    pub targets: Vec<TargetReport>,
}

/// A target, as far as it matters to choosing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct TargetReport {
    /// Its address.
    pub target: String,
    /// What its health says.
    pub condition: String,
    /// Its share.
    pub weight: u16,
    /// What of the weight is due now, in percent.
    pub share: u8,
    /// Exchanges and flows it has now.
    pub in_flight: u32,
    /// Traffic could not reach it a moment ago.
    pub suspect: bool,
    /// Used only when no other can be.
    pub backup: bool,
    /// Seconds that its answers take to begin, where the algorithm goes by it and one has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<f64>,
}

impl fmt::Display for RequestExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "listener {}", self.listener)?;
        for rule in &self.rules {
            rule.fmt(f, self.rule == rule.priority.to_string())?;
        }
        if self.rule == "default" {
            writeln!(f, "no rule claims it: the listener's own action")?;
        }
        for limit in &self.limits {
            writeln!(f, "counts against the limit {limit}")?;
        }
        if let Some(reason) = &self.reason {
            let status = self.status.unwrap_or_default();
            return writeln!(f, "refused: {status} ({reason})");
        }
        if let Some(location) = &self.location {
            let status = self.status.unwrap_or_default();
            return writeln!(f, "redirect {status} to {location}");
        }
        if let Some(status) = self.status {
            return writeln!(f, "answered {status} by the {}", self.action);
        }
        let rewritten = [("host", &self.host), ("URL", &self.target)];
        for (what, text) in rewritten {
            if let Some(text) = text {
                writeln!(f, "forwarded with the {what} {text}")?;
            }
        }
        if self.weights.len() > 1 {
            for weight in &self.weights {
                let next = if weight.next { "  <- next" } else { "" };
                writeln!(f, "group {} has {} turns{next}", weight.group, weight.turns)?;
            }
        }
        if let Some(session) = &self.session {
            writeln!(f, "session: {session}")?;
        }
        if let Some(group) = &self.group {
            write!(f, "{group}")?;
        }
        let how = self.how.as_deref().unwrap_or_default();
        match &self.choice {
            Some(choice) => writeln!(f, "target {choice}: {how}"),
            None => writeln!(f, "target: {how}"),
        }
    }
}

impl RuleReport {
    pub(crate) fn fmt(&self, f: &mut fmt::Formatter<'_>, claims: bool) -> fmt::Result {
        let verdict = match (claims, self.holds) {
            (true, _) => "claims it",
            (false, true) => "would hold too, but comes later",
            (false, false) => "does not hold",
        };
        writeln!(f, "rule {}: {verdict}", self.priority)?;
        self.conditions.iter().try_for_each(|condition| {
            let mark = if condition.holds { '+' } else { '-' };
            writeln!(f, "  {mark} {}", condition.condition)
        })
    }
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = match self.fail_open {
            true => ", failing open: all that are registered are used",
            false => "",
        };
        writeln!(f, "group {}, {}{open}", self.name, self.algorithm)?;
        let mut targets = self.targets.iter();
        targets.try_for_each(|target| write!(f, "{target}"))
    }
}

impl fmt::Display for TargetReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "  {} {}, weight {}, {} in flight",
            self.target, self.condition, self.weight, self.in_flight
        )?;
        if self.share < 100 {
            write!(f, ", {} % of its share", self.share)?;
        }
        if let Some(latency) = self.latency {
            write!(f, ", answers after {latency:.6} s")?;
        }
        if self.suspect {
            f.write_str(", suspect")?;
        }
        if self.backup {
            f.write_str(", backup")?;
        }
        writeln!(f)
    }
}
