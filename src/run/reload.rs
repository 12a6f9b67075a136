//! Applying a configuration: all of it or nothing.
//!
//! Phases: load (file, includes, zone files; on a blocking thread) > prepare (board, balancer, DNS;
//! binds and compiles, changes nothing visible) > commit in the order board, balancer, DNS, admin
//! view; each acknowledges to the board what it serves. Any error before the commit drops what was prepared, which undoes it. The
//! first configuration goes the same way.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use conf::{AccessLog, Config, Diagnostic, Severity, Sources};
use healthcheck::{BoardHandle, SlotMap};
use serde_json::{Value, json};

use crate::admin::{View, ZoneEntry, catalogue, set_serials};
use crate::registration::Merged;

/// The planes a configuration is applied to.
#[derive(Clone)]
pub(super) struct Planes {
    pub(super) board: BoardHandle,
    pub(super) lb: lb::Lb,
    pub(super) dns: dns::Dns,
}

/// A file as read: the model and every problem found.
pub(super) struct Candidate {
    pub(super) config: Arc<Config>,
    pub(super) sources: Sources,
    pub(super) diagnostics: Vec<Diagnostic>,
    zones: dns::Zones,
}

/// What became of a reload.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Applied, or refused with nothing changed.
    pub(crate) applied: bool,
    generation: u64,
    report: String,
    diagnostics: Value,
}

impl Candidate {
    /// Reads a file, its includes and its zone files.
    pub(super) fn load(file: &Path) -> Self {
        let mut loaded = conf::load(file);
        let (zones, problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
        loaded.add(problems);
        loaded.add(log_problems(&loaded.config));
        Self {
            config: Arc::new(loaded.config),
            sources: loaded.sources,
            diagnostics: loaded.diagnostics,
            zones,
        }
    }

    /// The same, away from the control thread's event loop.
    pub(super) async fn load_aside(file: PathBuf) -> Option<Self> {
        let loading = tokio::task::spawn_blocking(move || Self::load(&file));
        loading.await.ok()
    }

    /// What serving its zones with other targets takes.
    pub(super) fn zones_for_other_targets(&self) -> dns::Zones {
        self.zones.for_other_targets()
    }

    /// True when it must not be applied.
    pub(super) fn has_errors(&self) -> bool {
        has_errors(&self.diagnostics)
    }

    /// Every problem, for people.
    pub(super) fn report(&self) -> String {
        let mut text = conf::render_human(&self.diagnostics, &self.sources, false);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

impl Outcome {
    /// What became of `candidate`, with `generation` serving now.
    pub(super) fn new(applied: bool, generation: u64, candidate: &Candidate) -> Self {
        Self {
            applied,
            generation,
            report: candidate.report(),
            diagnostics: conf::render_json(&candidate.diagnostics, &candidate.sources),
        }
    }

    /// A file that could not even be read to its end: the loader itself failed.
    pub(super) fn loader_failed(generation: u64) -> Self {
        Self {
            applied: false,
            generation,
            report: "the loader failed on this file; the log has the details\n".to_owned(),
            diagnostics: json!([]),
        }
    }

    /// Problems for people, each on lines of its own; empty when there are none.
    pub(super) fn report(&self) -> &str {
        &self.report
    }

    /// The answer of the API.
    pub(crate) fn to_json(&self, file: &Path) -> Value {
        let mut body = json!({
            "result": if self.applied { "success" } else { "failure" },
            "generation": self.generation,
            "file": file,
            "report": self.report,
            "diagnostics": self.diagnostics,
        });
        if let (false, Some(body)) = (self.applied, body.as_object_mut()) {
            let error = format!("{} was not applied", file.display());
            body.insert("error".to_owned(), error.into());
            let help = "mend what the report names and reload again";
            body.insert("help".to_owned(), help.into());
        }
        body
    }
}

impl Planes {
    /// Applies a candidate, with the targets of every source, as generation `generation`. `None`,
    /// and the reasons added to the candidate's diagnostics, when a plane refused it: nothing
    /// changed then.
    pub(super) async fn apply(
        &self,
        candidate: &mut Candidate,
        merged: Merged,
        generation: u64,
    ) -> Option<View> {
        if candidate.has_errors() {
            return None;
        }
        let zones = std::mem::take(&mut candidate.zones);
        let catalogue = catalogue(&zones);
        let served = self.serve(merged, zones, catalogue, generation).await;
        served
            .map_err(|refused| candidate.diagnostics.extend(refused))
            .ok()
    }

    /// Applies a configuration as generation `generation`.
    ///
    /// # Errors
    /// Why a plane refused it: nothing changed then.
    pub(super) async fn serve(
        &self,
        merged: Merged,
        zones: dns::Zones,
        mut catalogue: Vec<Arc<ZoneEntry>>,
        generation: u64,
    ) -> Result<View, Vec<Diagnostic>> {
        let Merged { config, origins } = merged;
        let board = self.board.prepare(&config, generation).await;
        let slots: Arc<SlotMap> = board.slots().clone();
        // Both planes are asked even when the first refuses: all problems in one go.
        let lb = self.lb.prepare(&config, generation, &slots);
        let dns = self.dns.prepare(&config, zones, generation, &slots);
        let (lb, dns) = match (lb, dns) {
            (Ok(lb), Ok(dns)) => (lb, dns),
            (lb, dns) => {
                return Err(lb.err().into_iter().chain(dns.err()).flatten().collect());
            }
        };
        self.board.commit(board).await;
        self.lb.commit(lb).await;
        self.dns.commit(dns).await;
        set_serials(&mut catalogue, &self.dns.zones());
        Ok(View {
            generation,
            config,
            origins,
            slots,
            zones: catalogue,
            since: SystemTime::now(),
        })
    }
}

/// Logs that cannot be written. Found out by opening them, which makes the files: a folder that
/// lets nobody make files is the usual problem.
fn log_problems(config: &Config) -> Vec<Diagnostic> {
    let queries = config
        .dns
        .as_ref()
        .and_then(|dns| dns.service.query_log.as_ref());
    let access = log_problem(&config.logs.access, "access log", "logs.access", "requests");
    let flow = config.logs.flow.as_ref();
    let flow = flow.and_then(|flow| log_problem(flow, "flow log", "logs.flow", "flows"));
    let queries = queries
        .and_then(|log| log_problem(&log.destination, "query log", "dns.query-log", "queries"));
    let health = "probes and changes of state";
    let health = log_problem(
        &config.logs.health,
        "health check log",
        "logs.health",
        health,
    );
    let connection = log_problem(
        &config.logs.connection,
        "connection log",
        "logs.connection",
        "connections",
    );
    access
        .into_iter()
        .chain(flow)
        .chain(connection)
        .chain(health)
        .chain(queries)
        .collect()
}

fn log_problem(log: &AccessLog, what: &str, key: &str, lost: &str) -> Option<Diagnostic> {
    let AccessLog::File(path) = log else {
        return None;
    };
    let opened = OpenOptions::new().append(true).create(true).open(path);
    let error = opened.err()?;
    let message = format!("the {what} {} cannot be opened: {error}", path.display());
    let code = match what {
        "access log" => "access-log",
        "flow log" => "flow-log",
        "connection log" => "connection-log",
        "health check log" => "health-log",
        _ => "query-log",
    };
    let help = format!("make its folder, let this user write there, or set {key} to another path");
    let problem = Diagnostic::error(code, None, message);
    Some(
        problem
            .consequence(format!("{lost} would go unrecorded"))
            .help(help),
    )
}

/// Warnings for settings that only a start applies.
pub(super) fn settings_that_wait(old: &Config, new: &Config) -> Vec<Diagnostic> {
    let mut waiting = Vec::new();
    let mut warn = |span, what: &str| {
        let message = format!("{what} changed, and takes effect at the next start");
        let warning = Diagnostic::warning("needs-restart", span, message);
        waiting.push(warning.help("restart pointsman when it suits; the rest is applied"));
    };
    if old.admin.bind.value != new.admin.bind.value {
        warn(Some(new.admin.bind.span), "admin.bind");
    }
    if old.admin.socket != new.admin.socket {
        warn(None, "admin.socket");
    }
    if old.runtime.workers != new.runtime.workers {
        warn(new.runtime.span, "runtime.workers");
    }
    if old.runtime.health_memory != new.runtime.health_memory {
        warn(new.runtime.span, "runtime.health-memory");
    }
    if old.state_dir != new.state_dir {
        warn(None, "state-dir");
    }
    waiting
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
    diagnostics.iter().any(is_error)
}
