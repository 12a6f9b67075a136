//! A load balancer under way: workers on threads of their own, played health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use conf::Config;
use healthcheck::TargetState;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::board::{PlayedBoard, health};
use crate::round_trips::RoundTrips;
use crate::start::start_with;
use crate::{Control, Lb};

/// A running load balancer. Ends its workers when dropped.
pub(crate) struct Rig {
    pub(crate) lb: Lb,
    pub(crate) board: PlayedBoard,
    generation: u64,
    threads: Vec<JoinHandle<()>>,
}

impl Rig {
    /// Serves `config` with every target healthy.
    pub(crate) async fn start(workers: usize, config: &Arc<Config>) -> Self {
        let board = PlayedBoard::new();
        let (lb, control, workers) = start_with(
            workers,
            &config.logs.access,
            board.feed(),
            &RoundTrips::new().0,
        )
        .unwrap();
        let threads = workers.into_iter().map(|worker| {
            std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                LocalSet::new().block_on(&runtime, worker.run());
            })
        });
        Self::with(lb, control, board, threads.collect(), config).await
    }

    /// The same with one worker, on the caller's own thread: while a test does not wait, nothing happens but
    /// what it does. To be called within a `LocalSet`.
    pub(crate) async fn start_here(config: &Arc<Config>) -> Self {
        let board = PlayedBoard::new();
        let (lb, control, workers) =
            start_with(1, &config.logs.access, board.feed(), &RoundTrips::new().0).unwrap();
        for worker in workers {
            tokio::task::spawn_local(worker.run());
        }
        Self::with(lb, control, board, Vec::new(), config).await
    }

    async fn with(
        lb: Lb,
        control: Control,
        board: PlayedBoard,
        mut threads: Vec<JoinHandle<()>>,
        config: &Arc<Config>,
    ) -> Self {
        threads.push(std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(control.run());
        }));
        let mut rig = Self {
            lb,
            board,
            generation: 0,
            threads,
        };
        rig.reload(config).await;
        for group in &config.target_groups {
            let targets: Vec<_> = group.targets.iter().map(|target| target.address).collect();
            rig.all(&group.name, &targets, TargetState::Healthy).await;
        }
        rig
    }

    /// Serves another configuration.
    pub(crate) async fn reload(&mut self, config: &Arc<Config>) {
        self.generation += 1;
        let slots = self.board.slots(config, self.generation);
        let prepared = self.lb.prepare(config, self.generation, &slots).unwrap();
        self.lb.commit(prepared).await;
    }

    /// Puts all of a group's targets into one state, and waits until workers know.
    pub(crate) async fn all<A: Copy + Into<conf::Address>>(
        &self,
        group: &str,
        targets: &[A],
        state: TargetState,
    ) {
        let targets: Vec<_> = targets
            .iter()
            .map(|target| (*target, health(state)))
            .collect();
        self.lb.applied(self.board.publish(group, &targets)).await;
    }

    /// The address of the listener at `place`.
    pub(crate) fn address(&self, place: usize) -> SocketAddr {
        self.lb.listeners()[place].bound[0].socket_addr().unwrap()
    }

    /// Work in flight on a target.
    pub(crate) fn in_flight(&self, group: &str, target: SocketAddr) -> u32 {
        self.lb
            .target_status(group, target)
            .map_or(0, |status| status.in_flight)
    }

    /// Ends the workers and waits for the threads.
    pub(crate) async fn finish(self, grace: Duration) {
        self.lb.finish(grace).await;
        drop(self.lb);
        let ended = tokio::task::spawn_blocking(move || {
            self.threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        });
        ended.await.unwrap();
    }
}
