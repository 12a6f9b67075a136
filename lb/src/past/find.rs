//! Finding past requests by what people have of them: an X-Amzn-Trace-Id or its Root, a traceparent or
//! its trace ID, a connection's trace ID.

use super::report::PastQuestion;
use super::{PastReport, PastRings, Text};
use crate::explain::rules_then;
use crate::past::PastRequest;

/// What `question` asks for, newest first. `config` is the configuration of `generation`, which serves.
pub(crate) fn find(
    rings: &PastRings,
    question: &PastQuestion,
    config: &conf::Config,
    generation: u64,
) -> Vec<PastReport> {
    let wanted = question.trace.as_deref().map(Wanted::new);
    let mut found = rings.all();
    found.retain(|past| wanted.as_ref().is_none_or(|wanted| wanted.is(past)));
    found.sort_by_key(|past| std::cmp::Reverse(past.time));
    found.truncate(question.limit);
    let report = |past: &std::sync::Arc<PastRequest>| {
        let mut report = PastReport::of(past);
        report.rules_changed = past.generation != generation;
        if !report.rules_changed {
            let head = past.text(Text::Head);
            report.rules = rules_then(config, &report.listener, head, past.client.ip());
        }
        report
    };
    found.iter().map(report).collect()
}

/// A trace's ID as somebody has it.
struct Wanted {
    /// A part of an X-Amzn-Trace-Id, without its name.
    id: String,
    /// The 32 digits of a W3C trace.
    digits: Option<String>,
    connection: Option<String>,
}

impl Wanted {
    fn new(text: &str) -> Self {
        let text = text.trim();
        let part = text.split(';').find_map(|part| {
            let (name, value) = part.trim().split_once('=')?;
            let known = ["root", "self"].iter();
            known
                .clone()
                .any(|known| name.eq_ignore_ascii_case(known))
                .then_some(value)
        });
        let id = part.unwrap_or(text).to_owned();
        // 00-TRACE-SPAN-FLAGS (W3C Trace Context section 3.2).
        let digits = match text.split('-').collect::<Vec<_>>()[..] {
            [_, trace, span, _] if trace.len() == 32 && span.len() == 16 => trace,
            _ => text,
        };
        let is_digits = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
        Self {
            digits: is_digits.then(|| digits.to_ascii_lowercase()),
            connection: text.starts_with("TID_").then(|| text.to_owned()),
            id,
        }
    }

    fn is(&self, past: &PastRequest) -> bool {
        if let Some(connection) = &self.connection {
            return *connection == past.connection.to_string();
        }
        let trace = past.text(Text::TraceId);
        let mut values = trace.split(|byte| *byte == b';').map(|part| {
            let part = part.trim_ascii();
            let at = memchr::memchr(b'=', part);
            at.and_then(|at| part.get(at + 1..)).unwrap_or(part)
        });
        values.any(|value| value == self.id.as_bytes() || self.is_w3c(value))
    }

    /// True when an ID in ELB's form, `1-8 digits-24 digits`, has the digits of the trace.
    fn is_w3c(&self, value: &[u8]) -> bool {
        let Some(digits) = &self.digits else {
            return false;
        };
        let Some((time, rest)) = digits.split_at_checked(8) else {
            return false;
        };
        value == format!("1-{time}-{rest}").as_bytes()
    }
}
