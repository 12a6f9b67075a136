//! The file-descriptor budget: what the process may open and who may use how many.
//!
//! Computed once at start, printed by the root package, asked by `prepare`. A client connection
//! needs two descriptors: its own and the one to its target.

use conf::{Config, Diagnostic};
use rustix::process::{Resource, getrlimit, setrlimit};

use super::{Bind, Transport, binds};
use crate::l4::MAX_PIPES;

/// Descriptors for everything that is not counted apart: standard streams, logs, event queues,
/// the admin surface, zone files.
const FIXED: usize = 64;

/// Event queue, waker and timer of each worker, with room.
const PER_WORKER: usize = 8;

/// How many descriptors there are and how they are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descriptors {
    /// What the process may open (`RLIMIT_NOFILE`, raised to its hard limit).
    pub limit: usize,
    /// Kept for logs, event queues and the admin surface.
    pub process: usize,
    /// Kept for listening sockets, probes and DNS.
    pub sockets: usize,
    /// Kept for the pipes of bulk flows; at most 128 per worker.
    pub pipes: usize,
    /// Client connections that fit in what is left, at two descriptors each.
    pub connections: usize,
}

impl Descriptors {
    /// Raises the soft limit to the hard one and splits it for `workers` workers.
    pub(crate) fn raise(workers: usize) -> Self {
        let mut limits = getrlimit(Resource::Nofile);
        let soft = limits.current;
        limits.current = limits.maximum;
        let granted = match setrlimit(Resource::Nofile, limits) {
            Ok(()) => limits.maximum,
            Err(error) => {
                tracing::warn!(%error, "the limit of open files stays at its soft value");
                soft
            }
        };
        // No limit at all means the kernel's own, fs.nr_open, whose default this is.
        Self::split(
            granted.map_or(1 << 20, |n| usize::try_from(n).unwrap_or(1 << 20)),
            workers,
        )
    }

    /// The split of `limit` descriptors.
    fn split(limit: usize, workers: usize) -> Self {
        let process = FIXED + PER_WORKER * workers;
        let sockets = (limit / 8).min(8192);
        let pipes = (MAX_PIPES * 2 * workers).min(limit / 8);
        let left = limit.saturating_sub(process + sockets + pipes);
        Self {
            limit,
            process,
            sockets,
            pipes,
            connections: left / 2,
        }
    }

    /// Problems of a configuration whose limits or sockets cannot fit.
    pub(crate) fn check(&self, config: &Config, workers: usize) -> Vec<Diagnostic> {
        let mut problems = Vec::new();
        let mut promised = 0usize;
        for listener in &config.listeners {
            promised = promised.saturating_add(listener.max_connections);
            if listener.max_connections == 0 || promised <= self.connections {
                continue;
            }
            let message = format!(
                "listener `{}` may have {} connections open, {promised} with those before it, \
                 but file descriptors suffice for {}",
                listener.name, listener.max_connections, self.connections
            );
            let problem = Diagnostic::error("max-connections-too-high", listener.span, message);
            let consequence = "connections within the limit would be kept waiting";
            let help = format!(
                "lower `max-connections`, or raise the hard limit of open files (now {})",
                self.limit
            );
            problems.push(problem.consequence(consequence).help(help));
        }
        problems.extend(self.check_sockets(config, workers));
        problems
    }

    fn check_sockets(&self, config: &Config, workers: usize) -> Option<Diagnostic> {
        let binds = binds(config);
        // Each socket for datagrams has an event queue for its flows beside it.
        let one = |bind: &Bind<'_>| match bind.key.transport {
            Transport::Tcp => 1,
            Transport::Udp => 2,
        };
        let sockets: usize = binds.iter().map(one).sum();
        let targets: usize = config.target_groups.iter().map(|g| g.targets.len()).sum();
        // Each target's probe has one connection at a time.
        let probes = targets.min(config.runtime.max_probes);
        let needed = sockets * workers + probes;
        if needed <= self.sockets {
            return None;
        }
        let message = format!(
            "{sockets} sockets on {workers} workers and {probes} probes at once need {needed} file \
             descriptors, but {} are set aside",
            self.sockets
        );
        let help = format!(
            "lower `max-probes` of `[runtime]`, or raise the hard limit of open files (now {})",
            self.limit
        );
        let consequence = "listening sockets or probes would fail to open";
        let problem = Diagnostic::error("too-few-descriptors", None, message);
        Some(problem.consequence(consequence).help(help))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_exceed_the_limit() {
        for limit in [64, 1024, 20_000, 1 << 20] {
            let split = Descriptors::split(limit, 4);
            let used = split.process + split.sockets + split.pipes + 2 * split.connections;
            assert!(used <= limit || split.connections == 0, "{split:?}");
        }
        assert_eq!(
            Descriptors::split(20_000, 2).connections,
            (20_000 - 80 - 2500 - 256) / 2
        );
    }
}
