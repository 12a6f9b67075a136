//! The exec probe: a program of the configuration, run without a shell.
//!
//! It has `POINTSMAN_TARGET`, `POINTSMAN_ADDRESS` and `POINTSMAN_PORT` in its environment and a
//! process group of its own, which the timeout kills whole. Exit code 0 passes; the first line it
//! writes is kept. Its standard error goes nowhere: the log belongs to this process.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use conf::{Address, ExecCheck};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{timeout, timeout_at};

use super::connection::Stopwatch;
use super::{ProbePlan, shown_line};
use crate::{Observation, Outcome};

/// Bytes of the first line that are kept.
const MAX_LINE: usize = 1024;
/// What was written before the exit may come after it; children that hold the pipe open may not
/// hold the probe.
const AFTER_EXIT: Duration = Duration::from_millis(50);

/// Passes when the program ends with exit code 0 in time.
pub(super) async fn probe(plan: &ProbePlan, check: &ExecCheck) -> Observation {
    let watch = Stopwatch::start();
    let due = watch.started() + plan.limits.total;
    let mut child = match start(plan, check) {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            return watch.end(Outcome::Void, "no process is left to this user");
        }
        Err(error) => return watch.error(&error),
    };
    // Dropped before the child is: its process id is not another's until then.
    let mut group = Group(child.id());
    let ended = timeout_at(due, output(&mut child)).await;
    let (status, line) = match ended {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => return watch.error(&error),
        Err(_) => return watch.late("exit", plan.limits.total),
    };
    group.0 = None;
    let line = shown_line(&line);
    let seen = match line.is_empty() {
        true => status.to_string(),
        false => format!("{status}: {line}"),
    };
    match status.success() {
        true => watch.end(Outcome::Passed, &seen),
        false => watch.end(Outcome::Failed, &seen),
    }
}

fn start(plan: &ProbePlan, check: &ExecCheck) -> io::Result<Child> {
    let (place, port) = match plan.address {
        Address::Ip(address) => (address.ip().to_string(), address.port().to_string()),
        Address::Unix(name) => (name.as_str().to_owned(), String::new()),
    };
    Command::new(&check.program)
        .args(&check.arguments)
        .env("POINTSMAN_TARGET", plan.address.to_string())
        .env("POINTSMAN_ADDRESS", place)
        .env("POINTSMAN_PORT", port)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Waits for the exit and reads the first line meanwhile, and all the rest, so that a program that
/// writes much is not held up.
async fn output(child: &mut Child) -> io::Result<(ExitStatus, Vec<u8>)> {
    let mut line = FirstLine::default();
    let Some(mut stdout) = child.stdout.take() else {
        return Ok((child.wait().await?, line.bytes));
    };
    let status = loop {
        tokio::select! {
            biased;
            more = line.read(&mut stdout), if !line.closed => more?,
            status = child.wait() => break status?,
        }
    };
    let rest = async {
        while !line.closed && !line.complete {
            line.read(&mut stdout).await?;
        }
        io::Result::Ok(())
    };
    match timeout(AFTER_EXIT, rest).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(())) | Err(_) => Ok((status, line.bytes)),
    }
}

#[derive(Debug, Default)]
struct FirstLine {
    bytes: Vec<u8>,
    complete: bool,
    closed: bool,
}

impl FirstLine {
    async fn read(&mut self, stdout: &mut ChildStdout) -> io::Result<()> {
        let mut buffer = [0; MAX_LINE];
        let length = stdout.read(&mut buffer).await?;
        self.closed = length == 0;
        if !self.complete {
            let read = buffer.get(..length).unwrap_or_default();
            let end = read.iter().position(|&byte| byte == b'\n');
            let part = read.get(..end.unwrap_or(length)).unwrap_or_default();
            self.bytes.extend_from_slice(part);
            self.complete = end.is_some() || self.bytes.len() >= MAX_LINE;
        }
        Ok(())
    }
}

/// A process group to be killed.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| i32::try_from(id).ok());
        if let Some(leader) = leader.and_then(Pid::from_raw) {
            // Fails when all of it has ended: then there is nothing to kill.
            let _gone = kill_process_group(leader, Signal::KILL);
        }
    }
}
