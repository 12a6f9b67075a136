//! The TCP probe: connects, perhaps sends bytes and compares the first that come, then resets the
//! connection.
//!
//! Bounded: the expected bytes are at most 1 KiB, and no more than 2 KiB are read.

use std::io;

use conf::TcpCheck;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::connection::Stopwatch;
use super::{ProbePlan, shown_line};
use crate::{Observation, Outcome};

/// Bytes of an answer that are read.
const MAX_ANSWER: usize = 2048;

/// Passes when the connection stands within the limit, and the answer is what it must be.
pub(super) async fn probe(plan: &ProbePlan, check: &TcpCheck) -> Observation {
    let mut watch = Stopwatch::start();
    let stream = match watch.connect(plan, &plan.limits).await {
        Ok(stream) => stream,
        Err(observation) => return observation,
    };
    let Some(expected) = &check.receive else {
        return watch.end(Outcome::Passed, "connected");
    };
    let due = watch.response_due(&plan.limits);
    let answer = match timeout_at(due, ask(stream, &check.send, expected, &mut watch)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return watch.error(&error),
        Err(_) => return watch.late("answer", plan.limits.total),
    };
    watch.response();
    let line = shown_line(&answer);
    match answer.starts_with(expected) {
        true => watch.end(Outcome::Passed, &format!("answered: {line}")),
        false => watch.end(Outcome::Failed, &format!("another answer: {line}")),
    }
}

/// Sends, and reads until the answer is, or is not, what is expected.
async fn ask(
    mut stream: TcpStream,
    send: &[u8],
    expected: &[u8],
    watch: &mut Stopwatch,
) -> io::Result<Vec<u8>> {
    stream.write_all(send).await?;
    let mut answer = Vec::with_capacity(MAX_ANSWER);
    loop {
        if stream.read_buf(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        watch.first_byte();
        let same = answer.iter().zip(expected).all(|(a, b)| a == b);
        if !same || answer.len() >= expected.len() {
            return Ok(answer);
        }
    }
}
