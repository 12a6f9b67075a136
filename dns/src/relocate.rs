//! The database of places read again when its file changed, without a reload of the configuration.
//!
//! A task beside the control task, which tells it of every configuration it serves and takes the
//! routes made here. Looks at the file once a second, reads and compiles on the blocking pool. A
//! file that cannot be used is told of once and changes nothing. Never publishes anything itself.

use std::path::Path;
use std::time::Duration;

use conf::GeoDatabase;
use tokio::sync::mpsc;

use crate::compile::{Compiled, Relocated};
use crate::location::{Located, Stamp};

/// How often the file is looked at. One that changed is read when it stayed the same for as long,
/// so that one being written is left to be finished.
const INTERVAL: Duration = Duration::from_secs(1);

/// Follows the file of each configuration it is told of; ends when nobody tells any more.
pub(crate) async fn run(
    mut told: mpsc::UnboundedReceiver<Compiled>,
    give: mpsc::UnboundedSender<Relocated>,
) {
    let mut watch: Option<Watch> = None;
    loop {
        tokio::select! {
            compiled = told.recv() => match compiled {
                Some(compiled) => {
                    let seen = watch.take().and_then(|watch| watch.refused);
                    watch = Watch::new(compiled, seen);
                }
                None => return,
            },
            () = tokio::time::sleep(INTERVAL), if watch.is_some() => {
                let Some(mut looking) = watch.take() else { continue };
                let looked = tokio::task::spawn_blocking(move || {
                    let found = looking.look();
                    (looking, found)
                });
                let Ok((looked, found)) = looked.await else {
                    tracing::error!("reading the database of places failed; it is not watched any more");
                    continue;
                };
                watch = Some(looked);
                if let Some(relocated) = found && give.send(relocated).is_err() {
                    return;
                }
            }
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
                self.compiled.relocated(located)
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
