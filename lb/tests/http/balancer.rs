//! A balancer with one `http` listener, on threads of its own, as the root package runs it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use conf::AccessLog;
use healthcheck::{BoardHandle, BoardSettings, HealthTable, SlotId, TargetState};
use lb::{Lb, Settings};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use crate::client::{Client, PATIENCE};

/// A running balancer; ends when dropped.
pub struct Balancer {
    pub address: SocketAddr,
    pub lb: Lb,
    pub board: BoardHandle,
    generation: u64,
    threads: Vec<JoinHandle<()>>,
    runtime: tokio::runtime::Runtime,
}

/// Options of the listener and of the group `app`, as TOML lines.
#[derive(Default)]
pub struct Options {
    pub listener: &'static str,
    pub group: &'static str,
    /// What targets speak; `http` unless given.
    pub protocol: Option<&'static str>,
    pub access_log: Option<std::path::PathBuf>,
}

fn on_thread<F: Future<Output = ()>>(make: impl FnOnce() -> F + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async { make().await });
    })
}

fn config(bind: &str, targets: &[SocketAddr], options: &Options) -> Arc<conf::Config> {
    let targets: Vec<String> = targets.iter().map(|t| format!("\"{t}\"")).collect();
    let access = options.access_log.as_ref();
    let access = access.map_or("off".to_owned(), |path| path.display().to_string());
    let text = format!(
        "[logs]\naccess = \"{access}\"\n\
         [[listener]]\nname = \"web\"\nprotocol = \"http\"\nbind = \"{bind}\"\nforward = \"app\"\n{}\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"{}\"\ntargets = [{}]\n{}\n",
        options.listener,
        options.protocol.unwrap_or("http"),
        targets.join(", "),
        options.group,
    );
    let loaded = conf::load_text(Path::new("/tmp/pointsman.toml"), &text);
    assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
    Arc::new(loaded.config)
}

impl Balancer {
    /// One in front of `targets`, its first configuration committed.
    pub fn start(targets: &[SocketAddr], options: &Options) -> Self {
        Self::with_workers(1, targets, options)
    }

    /// The same with several workers.
    pub fn with_workers(workers: usize, targets: &[SocketAddr], options: &Options) -> Self {
        let (board, handle) = healthcheck::start(BoardSettings::default());
        let settings = Settings {
            workers,
            board: handle.clone(),
            access_log: AccessLog::Off,
            round_trips: lb::RoundTrips::new().0,
        };
        let (lb, control, ready) = lb::start(settings).unwrap();
        let mut threads = vec![on_thread(|| board.run()), on_thread(|| control.run())];
        threads.extend(ready.into_iter().map(|worker| on_thread(|| worker.run())));
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let mut balancer = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            lb,
            board: handle,
            generation: 0,
            threads,
            runtime,
        };
        balancer.configure(config("127.0.0.1:0", targets, options));
        balancer.address = balancer.lb.listeners()[0].bound[0].socket_addr().unwrap();
        balancer
    }

    /// Reloads with other targets.
    pub fn reload(&mut self, targets: &[SocketAddr], options: &Options) {
        self.configure(config("127.0.0.1:0", targets, options));
    }

    fn configure(&mut self, config: Arc<conf::Config>) {
        self.generation += 1;
        let generation = self.generation;
        self.runtime.block_on(async {
            let slots = self.board.prepare(&config, generation).await;
            let prepared = self.lb.prepare(&config, generation, slots.slots()).unwrap();
            self.board.commit(slots).await;
            self.lb.commit(prepared).await;
        });
    }

    /// Waits until so many targets are in `state` and every worker knows.
    pub fn wait_for(&self, count: usize, state: TargetState) {
        self.runtime.block_on(async {
            let mut tables = self.board.subscribe();
            let is_there = |table: &Arc<HealthTable>| {
                let targets = (0..8).filter_map(|n| table.target(SlotId(n)));
                targets.filter(|target| target.state == state).count() == count
            };
            let generation = tables.wait_for(is_there).await.unwrap().generation();
            self.lb.applied(generation).await;
        });
    }

    /// A new client connection.
    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends `request` on a new connection and reads until the balancer closes.
    pub fn ask(&self, request: &str) -> String {
        let mut client = self.connect();
        client.send(request);
        client.read_to_end()
    }

    /// Waits for a counter to show `value`: an exchange is counted just after its answer.
    pub fn expect_metric(&self, name: &str, label: &str, value: f64) {
        let give_up = std::time::SystemTime::now() + PATIENCE;
        loop {
            let now = self.metric(name, label);
            if now == value {
                return;
            }
            assert!(
                std::time::SystemTime::now() < give_up,
                "{name} {label}: {now}, not {value}"
            );
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// The sum of a counter family over the labels that contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.lb.collect();
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        let with_label = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        let value = |metric: &prometheus::proto::Metric| {
            metric.get_counter().get_value() + metric.get_gauge().get_value()
        };
        family
            .get_metric()
            .iter()
            .filter(with_label)
            .map(value)
            .sum()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.runtime.block_on(async {
            self.lb.stop_accepting();
            self.lb.finish(Duration::ZERO).await;
            self.board.shutdown().await;
        });
        // The control future ends when the last handle is gone, which is after this.
        for thread in self.threads.drain(..) {
            if !thread.is_finished() {
                drop(thread);
            }
        }
    }
}
