//! The agent probe: one line in the words of HAProxy's agent-check.
//!
//! | word | effect |
//! |---|---|
//! | `up` | passes |
//! | `down` `fail` `failed` `stopped` | fails; what follows a `#` is the reason |
//! | `ready` `drain` `maint` | the target takes work, takes no new work, until another word comes |
//! | `75%` | the target's weight is that share of what it would be |
//! | `maxconn:30` | no more than that much work at a time, whatever the file allows; 0 = as the file says |
//!
//! Words are separated by blanks or commas; others are passed over, as HAProxy does. A line without
//! `down` or its like passes when it has at least one known word.

use std::io;

use conf::AgentCheck;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::connection::Stopwatch;
use super::{ProbePlan, malformed, shown_line};
use crate::{AgentReport, AgentState, Observation, Outcome};

/// Bytes of a line that are read.
const MAX_LINE: usize = 1024;

/// Passes when the agent says nothing against it.
pub(super) async fn probe(plan: &ProbePlan, check: &AgentCheck) -> Observation {
    let mut watch = Stopwatch::start();
    let mut stream = match watch.connect(plan, &plan.limits).await {
        Ok(stream) => stream,
        Err(observation) => return observation,
    };
    let due = watch.response_due(&plan.limits);
    let line = match timeout_at(due, line(&mut stream, check, &mut watch)).await {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => return watch.error(&error),
        Err(_) => return watch.late("line", plan.limits.total),
    };
    watch.response();
    let shown = shown_line(&line);
    let said = parse(&String::from_utf8_lossy(&line));
    let mut observation = match said.verdict {
        Some(Verdict::Up) => watch.end(Outcome::Passed, &shown),
        Some(Verdict::Down) => watch.end(Outcome::Failed, &shown),
        None if shown.is_empty() => watch.end(Outcome::Failed, "an empty line"),
        None => watch.end(Outcome::Failed, &format!("not an agent's line: {shown}")),
    };
    observation.agent = Some(said.report);
    observation
}

/// Reads up to the first line end, or the connection's.
async fn line(
    stream: &mut TcpStream,
    check: &AgentCheck,
    watch: &mut Stopwatch,
) -> io::Result<Vec<u8>> {
    stream.write_all(&check.send).await?;
    let mut line = Vec::new();
    loop {
        if line.len() >= MAX_LINE {
            return Err(malformed("a line over 1 KiB"));
        }
        let room = (MAX_LINE - line.len()) as u64;
        let read = (&mut *stream).take(room).read_buf(&mut line).await?;
        watch.first_byte();
        if let Some(end) = line.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            line.truncate(end);
            return Ok(line);
        }
        if read == 0 {
            return Ok(line);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Up,
    Down,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    verdict: Option<Verdict>,
    report: AgentReport,
}

/// Whether a line passes, if it is an agent's.
pub(super) fn passes(line: &str) -> Option<bool> {
    parse(line).verdict.map(|verdict| verdict == Verdict::Up)
}

fn parse(line: &str) -> Said {
    let mut said = Said::default();
    let words = line.split('#').next().unwrap_or_default();
    for word in words.split([' ', '\t', ',']) {
        let word = word.to_ascii_lowercase();
        let state = match word.as_str() {
            "ready" => Some(AgentState::Ready),
            "drain" => Some(AgentState::Drain),
            "maint" => Some(AgentState::Maintenance),
            _ => None,
        };
        let percent = word.strip_suffix('%').and_then(|share| share.parse().ok());
        let limit = word.strip_prefix("maxconn:");
        let limit = limit.and_then(|limit| limit.parse().ok());
        let is_known = word == "up" || state.is_some() || percent.is_some() || limit.is_some();
        said.report.state = state.or(said.report.state);
        said.report.percent = percent.or(said.report.percent);
        said.report.max_in_flight = limit.or(said.report.max_in_flight);
        if matches!(word.as_str(), "down" | "fail" | "failed" | "stopped") {
            said.verdict = Some(Verdict::Down);
        } else if is_known {
            said.verdict = said.verdict.or(Some(Verdict::Up));
        }
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_haproxy_does() {
        use AgentState::{Drain, Maintenance, Ready};
        use Verdict::{Down, Up};
        let cases = [
            ("up", Some(Up), None, None, None),
            ("UP 75%", Some(Up), None, Some(75), None),
            ("ready,up", Some(Up), Some(Ready), None, None),
            ("drain", Some(Up), Some(Drain), None, None),
            ("maint 0%", Some(Up), Some(Maintenance), Some(0), None),
            ("down#disk full, up", Some(Down), None, None, None),
            ("up down", Some(Down), None, None, None),
            ("stopped\tdrain", Some(Down), Some(Drain), None, None),
            ("50% maxconn:30", Some(Up), None, Some(50), Some(30)),
            ("maxconn:many", None, None, None, None),
            ("maxconn:9 maxconn:0", Some(Up), None, None, Some(0)),
            ("maxconn:4294967296", None, None, None, None),
            ("-5%", None, None, None, None),
            ("hello up", Some(Up), None, None, None),
            ("hello", None, None, None, None),
            ("", None, None, None, None),
        ];
        for (line, verdict, state, percent, max_in_flight) in cases {
            let report = AgentReport {
                state,
                percent,
                max_in_flight,
            };
            assert_eq!(parse(line), Said { verdict, report }, "{line}");
        }
    }
}
