//! Secondary zones: copied from primaries, kept fresh, served until they are too old.
//!
//! [`run`] is the task, on a thread of its own that exists once a configuration has such a zone: it
//! keeps each zone's [`machine`], fetches, and stores copies. What changed it tells the control
//! task, which has it compiled and published. No query waits for any of it.

pub(crate) mod copy;
pub(crate) mod fetch;
mod held;
pub(crate) mod incoming;
pub(crate) mod machine;
mod reading;
mod status;
pub(crate) mod store;
mod zone;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use conf::Peer;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::name::Name;
use crate::transfer::Outgoing;
use crate::transfer::content::is_newer;
use copy::ZoneCopy;
use fetch::{Fetched, Request, fetch};
pub(crate) use held::{Held, prepare};
use machine::Due;
pub use reading::read_transfer;
pub use status::SecondaryStatus;
pub(crate) use status::Statuses;
use zone::Zone;

/// Zones fetched at the same time at most.
const AT_ONCE: usize = 16;

/// A secondary zone, as a configuration has it.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) id: String,
    pub(crate) origin: Name,
    pub(crate) primaries: Vec<Peer>,
    /// Where its copy is kept.
    pub(crate) file: PathBuf,
    /// The copy it begins with, and when that was found good; for a zone that is new here.
    pub(crate) stored: Option<(Arc<ZoneCopy>, SystemTime)>,
}

/// What the task is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// These are the zones, and the keys, from now on.
    Configure(Vec<Settings>, Arc<Outgoing>),
}

/// Somebody who may says that a zone changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notified {
    pub(crate) id: String,
    /// The new serial, when it is said.
    pub(crate) serial: Option<u32>,
}

/// What the task tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// Serve this from now on.
    Copied(String, Arc<ZoneCopy>),
    /// Do not serve it any more.
    Expired(String),
}

/// What was wrong with each primary.
type Faults = Vec<(std::net::SocketAddr, incoming::Fault)>;

/// How a fetch of a zone ended. The origin tells whether it is still that zone.
type Ended = (String, Name, Result<Fetched, Faults>);

/// The state of [`run`].
struct Task {
    zones: HashMap<String, Zone>,
    keys: Arc<Outgoing>,
    fetching: JoinSet<Ended>,
    /// Zones whose check waits for one of [`AT_ONCE`] places.
    waiting: Vec<String>,
    events: mpsc::UnboundedSender<Event>,
    statuses: Arc<Statuses>,
}

/// Keeps secondary zones until the sender of commands is gone. Runs inside a `LocalSet`.
pub(crate) async fn run(
    mut commands: mpsc::UnboundedReceiver<Command>,
    mut notified: mpsc::Receiver<Notified>,
    events: mpsc::UnboundedSender<Event>,
    statuses: Arc<Statuses>,
) {
    let mut task = Task {
        zones: HashMap::new(),
        keys: Arc::default(),
        fetching: JoinSet::new(),
        waiting: Vec::new(),
        events,
        statuses,
    };
    loop {
        let wake = task
            .zones
            .values()
            .filter_map(|zone| zone.machine.wake())
            .min();
        let asleep = wake.unwrap_or_else(Instant::now);
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Configure(settings, keys)) => task.configure(settings, keys),
                None => return,
            },
            Some(notified) = notified.recv() => task.notified(&notified),
            Some(Ok(ended)) = task.fetching.join_next(), if !task.fetching.is_empty() => {
                task.ended(ended);
            }
            () = sleep_until(asleep), if wake.is_some() => {}
        }
        task.act();
    }
}

impl Task {
    fn configure(&mut self, settings: Vec<Settings>, keys: Arc<Outgoing>) {
        let now = Instant::now();
        self.keys = keys;
        let mut before = std::mem::take(&mut self.zones);
        for settings in settings {
            let kept = before.remove(&settings.id);
            let kept = kept.filter(|zone| zone.settings.origin == settings.origin);
            let zone = match kept {
                Some(mut zone) => {
                    if zone.settings.primaries != settings.primaries {
                        zone.machine.notified(now);
                    }
                    zone.settings = settings;
                    zone
                }
                None => Zone::new(settings, now),
            };
            self.zones.insert(zone.settings.id.clone(), zone);
        }
        self.waiting.retain(|id| self.zones.contains_key(id));
        self.statuses.keep(|id| self.zones.contains_key(id));
        for zone in self.zones.values() {
            zone.publish(&self.statuses);
        }
    }

    fn notified(&mut self, notified: &Notified) {
        let Some(zone) = self.zones.get_mut(&notified.id) else {
            return;
        };
        let ours = zone.copy.as_ref().map(|copy| copy.serial);
        let known = notified
            .serial
            .zip(ours)
            .is_some_and(|(new, ours)| !is_newer(new, ours));
        if !known || zone.machine.is_expired() {
            tracing::debug!(
                zone = notified.id,
                serial = notified.serial,
                "told of a change"
            );
            zone.machine.notified(Instant::now());
        }
    }

    /// Does everything that is due.
    fn act(&mut self) {
        let now = Instant::now();
        for zone in self.zones.values_mut() {
            while let Some(due) = zone.machine.due(now) {
                match due {
                    Due::Check => self.waiting.push(zone.settings.id.clone()),
                    Due::Expire => zone.expire(&self.events, &self.statuses),
                }
            }
        }
        while self.fetching.len() < AT_ONCE && !self.waiting.is_empty() {
            let id = self.waiting.remove(0);
            let Some(zone) = self.zones.get(&id) else {
                continue;
            };
            let request = Request {
                zone: zone.settings.origin.clone(),
                primaries: zone.settings.primaries.clone(),
                keys: self.keys.clone(),
                have: zone.copy.clone(),
            };
            self.fetching.spawn_local(async move {
                let result = fetch(&request).await;
                (id, request.zone, result)
            });
        }
    }

    fn ended(&mut self, (id, origin, result): Ended) {
        let Some(zone) = self.zones.get_mut(&id) else {
            return;
        };
        if zone.settings.origin == origin {
            zone.fetched(result, &self.events);
            zone.publish(&self.statuses);
        }
    }
}
