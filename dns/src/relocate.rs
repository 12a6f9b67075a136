//! Where clients are, followed while a configuration serves: the database of places is read again
//! when its file changed, and measured round-trip times are taken in.
//!
//! A task beside the control task, which tells it of every configuration it serves and takes the
//! routes made here. Looks at the file once a second, reads and compiles on the blocking pool. A
//! file that cannot be used is told of once and changes nothing. Never publishes anything itself.

use std::path::Path;
use std::time::Duration;

use conf::GeoDatabase;
use tokio::sync::mpsc;

use crate::compile::{Compiled, Relocated};
use crate::location::{Located, Measured, Stamp};

/// How often the file is looked at. One that changed is read when it stayed the same for as long,
/// so that one being written is left to be finished.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the control task tells.
pub(crate) enum Told {
    /// This is served now.
    Serves(Compiled),
    /// Clients are as far away as this says.
    Measured(Measured),
}

/// Follows the file of each configuration it is told of, and clients' times; ends when nobody tells
/// any more.
pub(crate) async fn run(
    mut told: mpsc::UnboundedReceiver<Told>,
    give: mpsc::UnboundedSender<Relocated>,
) {
    let mut watch: Option<Watch> = None;
    let mut times = Times::default();
    loop {
        let found = tokio::select! {
            told = told.recv() => {
                match told {
                    Some(Told::Serves(compiled)) => {
                        times.serves(&compiled);
                        let seen = watch.take().and_then(|watch| watch.refused);
                        watch = Watch::new(compiled, seen);
                    }
                    Some(Told::Measured(measured)) => times.measured = Some(measured),
                    None => return,
                }
                aside(times.clone(), |times| times.take()).await.and_then(|(_, found)| found)
            }
            () = tokio::time::sleep(INTERVAL), if watch.is_some() => {
                let Some(looking) = watch.take() else { continue };
                let Some((looked, found)) = aside(looking, |watch| watch.look()).await else {
                    tracing::error!("reading the database of places failed; it is not watched any more");
                    continue;
                };
                watch = Some(looked);
                found
            }
        };
        if let Some(relocated) = found
            && give.send(relocated).is_err()
        {
            return;
        }
    }
}

/// Works on something on the blocking pool; `None` when that failed.
async fn aside<W: Send + 'static>(
    mut on: W,
    work: impl FnOnce(&mut W) -> Option<Relocated> + Send + 'static,
) -> Option<(W, Option<Relocated>)> {
    let task = tokio::task::spawn_blocking(move || {
        let found = work(&mut on);
        (on, found)
    });
    task.await.ok()
}

/// Measured times and what is to go by them.
#[derive(Clone, Default)]
struct Times {
    /// What serves, if it is to go by measured times: nothing else is held on to.
    serving: Option<Compiled>,
    measured: Option<Measured>,
}

impl Times {
    fn serves(&mut self, compiled: &Compiled) {
        let settings = compiled
            .config
            .as_ref()
            .and_then(|config| config.dns.as_ref());
        let measures = settings.is_some_and(|dns| dns.service.measured_latency.is_some());
        self.serving = measures.then(|| compiled.clone());
    }

    /// What serves with the times that came, unless it goes by them already.
    fn take(&mut self) -> Option<Relocated> {
        let (serving, measured) = (self.serving.as_ref()?, self.measured.as_ref()?);
        match serving.routes.measured == *measured {
            true => None,
            false => serving.remeasured(measured.clone()),
        }
    }
}

/// A configuration's file and what is known of it.
struct Watch {
    compiled: Compiled,
    /// As it was when last looked at, if that is not what serves.
    changed: Option<Stamp>,
    /// As it was when it could not be used.
    refused: Option<Stamp>,
}

impl Watch {
    /// `None` when the configuration names no file.
    fn new(compiled: Compiled, refused: Option<Stamp>) -> Option<Self> {
        path(&compiled)?;
        Some(Self {
            compiled,
            changed: None,
            refused,
        })
    }

    /// Looks at the file, and reads it when it is another one that stayed the same since last time.
    fn look(&mut self) -> Option<Relocated> {
        let path = path(&self.compiled)?;
        // One that is away for a moment is being replaced; what serves goes on serving.
        let stamp = Stamp::of(path).ok()?;
        let serving = self.compiled.located.as_ref().and_then(|now| now.stamp);
        let is_known = Some(stamp) == serving || Some(stamp) == self.refused;
        if is_known || self.changed != Some(stamp) {
            self.changed = Some(stamp);
            return None;
        }
        match Located::from_file(path) {
            Ok(located) => {
                let (file, places) = (&located.source, located.whereabouts.len() - 1);
                tracing::info!(%file, places, "the database of places was read again");
                // That file is read with the configuration only.
                let asns = self
                    .compiled
                    .located
                    .as_ref()
                    .and_then(|now| now.asns.clone());
                self.compiled.relocated(Located { asns, ..located })
            }
            Err(why) => {
                let file = path.display();
                tracing::warn!(%file, %why, "the changed database of places cannot be used: the one read before stays");
                self.refused = Some(stamp);
                None
            }
        }
    }
}

fn path(compiled: &Compiled) -> Option<&Path> {
    let dns = compiled.config.as_ref()?.dns.as_ref()?;
    match &dns.geo_database {
        GeoDatabase::File(path) => Some(path),
        GeoDatabase::BuiltIn | GeoDatabase::Off => None,
    }
}
