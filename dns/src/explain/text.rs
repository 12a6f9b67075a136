//! An explanation as text for people.

use std::fmt::{Display, Formatter, Result, Write};

use super::{Candidate, Explanation, Step};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let flag = if self.authoritative {
            ", authoritative"
        } else {
            ""
        };
        writeln!(f, "{} {}: {}{flag}", self.name, self.r#type, self.rcode)?;
        for line in &self.answers {
            writeln!(
                f,
                "  {} {} {} {}",
                line.name, line.ttl, line.r#type, line.data
            )?;
        }
        if self.answers.is_empty() {
            writeln!(f, "  no answer")?;
        }
        for line in &self.authority {
            writeln!(
                f,
                "  authority: {} {} {} {}",
                line.name, line.ttl, line.r#type, line.data
            )?;
        }
        let client = &self.client;
        write!(f, "client {} ({})", client.address, client.source)?;
        if let (Some(there), Some(by)) = (&client.whereabouts, &client.found_by) {
            write!(f, ": {there}, by {by}")?;
        }
        match self.scope {
            Some(scope) => writeln!(f, "; decided by {scope} bits of the address")?,
            None => writeln!(f, "; no record asked where")?,
        }
        for step in &self.steps {
            write!(f, "{step}")?;
        }
        if self.steps.is_empty() {
            writeln!(
                f,
                "no routed record took part: everybody gets this answer, whatever is healthy"
            )?;
        }
        Ok(())
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        writeln!(
            f,
            "{} {} ({}, {})",
            self.name, self.r#type, self.policy, self.reason
        )?;
        let width = self.sets.iter().map(|set| set.id.chars().count()).max();
        for set in &self.sets {
            let mark = if self.chosen.contains(&set.id) {
                "->"
            } else {
                "  "
            };
            writeln!(
                f,
                "  {mark} {:width$}  {}",
                set.id,
                set.words(),
                width = width.unwrap_or(0)
            )?;
        }
        if let Some(bits) = self.prefix_bits {
            writeln!(
                f,
                "     chosen by the first {bits} bits of the client's address"
            )?;
        }
        if let Some(draw) = self.draw {
            writeln!(
                f,
                "     drew {} of 0 to {}",
                draw.point,
                draw.of.saturating_sub(1)
            )?;
        }
        Ok(())
    }
}

impl Candidate {
    fn words(&self) -> String {
        let mut words = String::new();
        let state = if self.healthy { "healthy" } else { "unhealthy" };
        let _ = match self.choice {
            Some(_) => write!(words, "{state}"),
            None => write!(words, "not for this client, {state}"),
        };
        if !self.health.is_empty() {
            let _ = write!(words, " ({})", self.health.join("; "));
        }
        for detail in &self.details {
            let _ = write!(words, ", {detail}");
        }
        let _ = write!(words, ", {}", self.leads_to);
        words
    }
}
