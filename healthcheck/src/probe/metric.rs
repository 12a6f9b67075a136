//! The metric probe: a PromQL expression evaluated by a Prometheus server, its samples compared.
//!
//! Passes when every sample stands to the threshold as it must. No sample, and no answer that could
//! be read, is no data: what that counts as is the check's own. Bounded: 1 MiB of answer.

use std::collections::BTreeMap;

use conf::{Comparison, InsufficientData, MetricCheck};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::timeout_at;

use super::body::Body;
use super::connection::Stopwatch;
use super::tls::TlsPlan;
use super::{ProbePlan, http, malformed, shown};
use crate::{Observation, Outcome};

/// Bytes of an answer: thousands of samples, more than a check should have.
pub(super) const MAX_ANSWER: usize = 1 << 20;
/// Bytes read at once.
const PIECE: usize = 16 * 1024;

/// What a metric probe sends and expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricPlan {
    request: Box<[u8]>,
    tls: Option<TlsPlan>,
    condition: Condition,
    insufficient_data: InsufficientData,
}

/// How samples must stand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Condition {
    pub(super) comparison: Comparison,
    pub(super) threshold: f64,
}

// The threshold is finite.
impl Eq for Condition {}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Verdict {
    /// Every sample stands as it must.
    Met(String),
    /// At least one does not.
    NotMet(String),
    /// There is none, or no answer.
    NoData(String),
}

impl MetricPlan {
    /// The plan for `check`; `tls` is that of its server.
    pub(super) fn new(check: &MetricCheck, tls: Option<TlsPlan>) -> Self {
        let path = format!(
            "{}/api/v1/query?query={}&timeout={}ms",
            check.prefix,
            encoded(&check.query),
            check.timeout.as_millis()
        );
        Self {
            request: http::request("GET", &path, &check.host, &check.headers),
            tls,
            condition: Condition {
                comparison: check.comparison,
                threshold: check.threshold,
            },
            insufficient_data: check.insufficient_data,
        }
    }

    fn observation(&self, watch: &Stopwatch, verdict: Verdict) -> Observation {
        match (verdict, self.insufficient_data) {
            (Verdict::Met(seen), _) => watch.end(Outcome::Passed, &seen),
            (Verdict::NotMet(seen), _) => watch.end(Outcome::Failed, &seen),
            (Verdict::NoData(why), InsufficientData::Healthy) => {
                watch.end(Outcome::Passed, &format!("no data: {why}"))
            }
            (Verdict::NoData(why), InsufficientData::Unhealthy) => {
                watch.end(Outcome::Failed, &format!("no data: {why}"))
            }
            (Verdict::NoData(why), InsufficientData::LastKnown) => {
                watch.end(Outcome::NoData, &format!("no data, so as it was: {why}"))
            }
        }
    }
}

/// Asks, reads, compares.
pub(super) async fn probe(plan: &ProbePlan, metric: &MetricPlan) -> Observation {
    let mut watch = Stopwatch::start();
    let answered = match &metric.tls {
        None => match watch.connect(plan, &plan.limits).await {
            Ok(stream) => ask(stream, &mut watch, plan, metric).await,
            Err(observation) => Err(observation),
        },
        Some(tls) => match tls.connect(&mut watch, plan).await {
            Ok(stream) => ask(stream, &mut watch, plan, metric).await,
            Err(observation) => Err(observation),
        },
    };
    match answered {
        Ok(verdict) => metric.observation(&watch, verdict),
        Err(observation) => no_answer(metric, &watch, observation),
    }
}

/// What to make of a server that could not be asked.
pub(super) fn unasked(metric: &MetricPlan, observation: Observation) -> Observation {
    no_answer(metric, &Stopwatch::start(), observation)
}

fn no_answer(metric: &MetricPlan, watch: &Stopwatch, observation: Observation) -> Observation {
    // This process's own fault says nothing, not even that there is no data.
    if observation.outcome == Outcome::Void {
        return observation;
    }
    let verdict = Verdict::NoData(observation.seen.to_string());
    Observation {
        started: observation.started,
        ..metric.observation(watch, verdict)
    }
}

async fn ask<S>(
    mut stream: S,
    watch: &mut Stopwatch,
    plan: &ProbePlan,
    metric: &MetricPlan,
) -> Result<Verdict, Observation>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = &plan.limits;
    let due = watch.started() + limits.total;
    let answer = async {
        let (head, rest) = http::exchange(&mut stream, &metric.request, watch).await?;
        watch.response();
        let coding = head
            .coding
            .ok_or_else(|| malformed("the answer is coded"))?;
        let mut body = Body::with_room(head.framing, coding, MAX_ANSWER);
        body.feed(&rest)?;
        let mut buffer = Vec::with_capacity(PIECE);
        while !body.is_over() {
            buffer.clear();
            if stream.read_buf(&mut buffer).await? == 0 {
                break;
            }
            body.feed(&buffer)?;
        }
        Ok((head.line, judge(body.window(), metric.condition)))
    };
    match timeout_at(due, answer).await {
        // An answer of something else: its first line says more.
        Ok(Ok((line, Verdict::NoData(why)))) if !line.contains(" 200") => {
            Ok(Verdict::NoData(format!("{line}: {why}")))
        }
        Ok(Ok((_, verdict))) => Ok(verdict),
        Ok(Err(error)) => Err(watch.error(&error)),
        Err(_) => Err(watch.late("answer", limits.total)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    data: Option<Data>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "camelCase")]
enum Data {
    Scalar(Value),
    Vector(Vec<Sample>),
    Matrix(serde::de::IgnoredAny),
    String(serde::de::IgnoredAny),
}

/// Its time, and the number as text.
type Value = (f64, String);

#[derive(Deserialize)]
struct Sample {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    /// Absent for native histograms.
    value: Option<Value>,
}

/// What the body of an answer says (Prometheus' HTTP API, `/api/v1/query`).
pub(super) fn judge(body: &[u8], condition: Condition) -> Verdict {
    if body.len() >= MAX_ANSWER {
        return Verdict::NoData("the answer has more than 1 MiB".to_owned());
    }
    let answer: Answer = match serde_json::from_slice(body) {
        Ok(answer) => answer,
        Err(error) => {
            return Verdict::NoData(format!("not an answer of Prometheus: {error}"));
        }
    };
    if answer.status != "success" {
        let error = answer.error.unwrap_or(answer.status);
        return Verdict::NoData(shown(&error));
    }
    let samples = match answer.data {
        Some(Data::Scalar(value)) => vec![Sample {
            metric: BTreeMap::new(),
            value: Some(value),
        }],
        Some(Data::Vector(samples)) => samples,
        Some(Data::Matrix(_)) => return range(),
        Some(Data::String(_)) => {
            return Verdict::NoData("the query gives a string, not a number".to_owned());
        }
        None => return Verdict::NoData("the answer has no data".to_owned()),
    };
    compare(&samples, condition)
}

fn range() -> Verdict {
    let why = "the query gives ranges; put a function around it, such as avg_over_time";
    Verdict::NoData(why.to_owned())
}

/// All must hold. NaN, what 0/0 gives, is no sample.
fn compare(samples: &[Sample], condition: Condition) -> Verdict {
    let mut found = Vec::new();
    for sample in samples {
        let Some((_, text)) = &sample.value else {
            return Verdict::NoData("the query gives histograms, not numbers".to_owned());
        };
        let Ok(number) = text.parse::<f64>() else {
            return Verdict::NoData(format!("`{}` is no number", shown(text)));
        };
        if !number.is_nan() {
            found.push((number, sample));
        }
    }
    let Some((first, _)) = found.first() else {
        return Verdict::NoData("the query gives no sample".to_owned());
    };
    let Condition {
        comparison,
        threshold,
    } = condition;
    let sign = comparison.as_str();
    let against = |(number, _): &&(f64, &Sample)| !comparison.holds(*number, threshold);
    let all = found.len();
    let broken: Vec<_> = found.iter().filter(against).collect();
    match broken.first() {
        None if all == 1 => Verdict::Met(format!("{first} {sign} {threshold}")),
        None => Verdict::Met(format!("all of {all} samples {sign} {threshold}")),
        Some((number, sample)) => {
            let whose = labels(sample);
            let one = format!("{number} is not {sign} {threshold}{whose}");
            Verdict::NotMet(match all {
                1 => one,
                _ => format!("{} of {all} samples: {one}", broken.len()),
            })
        }
    }
}

/// The series' labels, for people; empty for none.
fn labels(sample: &Sample) -> String {
    if sample.metric.is_empty() {
        return String::new();
    }
    let label = |(name, value): (&String, &String)| format!("{name}={value:?}");
    let all: Vec<_> = sample.metric.iter().map(label).collect();
    shown(&format!(" {{{}}}", all.join(", "))).replacen('{', " {", 1)
}

/// Percent-encoded for a query string (RFC 3986 section 2.3).
fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const BELOW: Condition = Condition {
        comparison: Comparison::Less,
        threshold: 5.0,
    };

    fn vector(values: &[&str]) -> String {
        let sample = |(n, value): (usize, &&str)| {
            format!(r#"{{"metric":{{"a":"{n}"}},"value":[1.5,"{value}"]}}"#)
        };
        let samples: Vec<_> = values.iter().enumerate().map(sample).collect();
        let samples = samples.join(",");
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#)
    }

    #[test]
    fn every_sample_must_hold_and_what_is_none_is_no_data() {
        let met = |seen: &str| Verdict::Met(seen.to_owned());
        let not = |seen: &str| Verdict::NotMet(seen.to_owned());
        let none = |why: &str| Verdict::NoData(why.to_owned());
        let scalar = |value: &str| {
            format!(
                r#"{{"status":"success","data":{{"resultType":"scalar","result":[1,"{value}"]}}}}"#
            )
        };
        let typed = |kind: &str| {
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[]}}}}"#)
        };
        for (body, verdict) in [
            (scalar("4.5"), met("4.5 < 5")),
            (scalar("5"), not("5 is not < 5")),
            (scalar("-Inf"), met("-inf < 5")),
            (scalar("NaN"), none("the query gives no sample")),
            (scalar("x"), none("`x` is no number")),
            (vector(&[]), none("the query gives no sample")),
            (vector(&["1", "NaN", "+4e0"]), met("all of 2 samples < 5")),
            (
                vector(&["1", "+Inf", "9"]),
                not("2 of 3 samples: inf is not < 5 {a=\"1\"}"),
            ),
            (
                typed("string"),
                none("the query gives a string, not a number"),
            ),
            (
                r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#.to_owned(),
                none("parse error"),
            ),
            (
                r#"{"status":"success"}"#.to_owned(),
                none("the answer has no data"),
            ),
        ] {
            assert_eq!(judge(body.as_bytes(), BELOW), verdict, "{body}");
        }
        for body in [&typed("matrix"), "", "{", "[]", "\u{0}", &typed("other")] {
            let verdict = judge(body.as_bytes(), BELOW);
            assert!(matches!(verdict, Verdict::NoData(_)), "{body}");
        }
        let large = vec![b' '; MAX_ANSWER];
        assert!(matches!(judge(&large, BELOW), Verdict::NoData(_)));
    }

    #[test]
    fn expressions_are_encoded_whole() {
        assert_eq!(
            encoded("a{b=\"c d\"} + 1"),
            "a%7Bb%3D%22c%20d%22%7D%20%2B%201"
        );
    }
}
