//! Where clients are, followed while a configuration serves: the databases of places and of
//! autonomous systems are read again when their files changed, and measured round-trip times are
//! taken in.
//!
//! A task beside the control task, which tells it of every configuration it serves and takes the
//! routes made here. Looks at the files once a second, reads and compiles on the blocking pool. A
//! file that cannot be used is told of once and changes nothing. Never publishes anything itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use conf::GeoDatabase;
use tokio::sync::mpsc;

use crate::compile::{Compiled, Relocated};
use crate::location::{Located, Measured, Stamp};

/// How often the files are looked at. One that changed is read when it stayed the same for as long,
/// so that one being written is left to be finished.
const INTERVAL: Duration = Duration::from_secs(1);

/// What the control task tells.
pub(crate) enum Told {
    /// This is served now.
    Serves(Compiled),
    /// Clients are as far away as this says.
    Measured(Measured),
}

/// Follows the files of each configuration it is told of, and clients' times; ends when nobody tells
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
                        watch = Watch::new(compiled, watch.take());
                    }
                    Some(Told::Measured(measured)) => times.measured = Some(measured),
                    None => return,
                }
                aside(times.clone(), |times| times.take()).await.and_then(|(_, found)| found)
            }
            () = tokio::time::sleep(INTERVAL), if watch.is_some() => {
                let Some(looking) = watch.take() else { continue };
                let Some((looked, found)) = aside(looking, |watch| watch.look()).await else {
                    tracing::error!("reading a changed database failed; none is watched any more");
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

/// A configuration's files and what is known of them.
struct Watch {
    compiled: Compiled,
    files: Vec<Watched>,
}

/// One of the files.
struct Watched {
    tells: Tells,
    path: PathBuf,
    /// As it was when last looked at, if that is not what serves.
    changed: Option<Stamp>,
    /// As it was when it could not be used.
    refused: Option<Stamp>,
}

/// What a file tells of addresses.
#[derive(Clone, Copy, PartialEq)]
enum Tells {
    Places,
    Asns,
}

impl Watch {
    /// `None` when the configuration names no file. What `before` could not use is not tried again.
    fn new(compiled: Compiled, before: Option<Self>) -> Option<Self> {
        let before = before.map_or_else(Vec::new, |before| before.files);
        let refused = |tells| {
            let same = before.iter().find(|file: &&Watched| file.tells == tells);
            same.and_then(|file| file.refused)
        };
        let dns = compiled.config.as_ref()?.dns.as_ref()?;
        let places = match &dns.geo_database {
            GeoDatabase::File(path) => Some(path),
            GeoDatabase::BuiltIn | GeoDatabase::Off => None,
        };
        let places = places.map(|path| (Tells::Places, path));
        let asns = dns.asn_database.iter().map(|path| (Tells::Asns, path));
        let files = places.into_iter().chain(asns);
        let files: Vec<Watched> = files
            .map(|(tells, path)| Watched {
                tells,
                path: path.value.clone(),
                changed: None,
                refused: refused(tells),
            })
            .collect();
        (!files.is_empty()).then_some(Self { compiled, files })
    }

    /// Looks at the files, and reads those that are others and stayed the same since last time.
    fn look(&mut self) -> Option<Relocated> {
        let mut located = self.compiled.located.clone()?;
        let mut is_new = false;
        for file in &mut self.files {
            is_new |= file.look(&mut located);
        }
        is_new.then(|| self.compiled.relocated(located)).flatten()
    }
}

impl Watched {
    /// Takes the file into `located` if it changed, can be used and seems finished; true when it did.
    fn look(&mut self, located: &mut Located) -> bool {
        // One that is away for a moment is being replaced; what serves goes on serving.
        let Ok(stamp) = Stamp::of(&self.path) else {
            return false;
        };
        let stamp = Some(stamp);
        let is_known = stamp == self.tells.stamp(located) || stamp == self.refused;
        if is_known || self.changed != stamp {
            self.changed = stamp;
            return false;
        }
        let (file, what) = (self.path.display(), self.tells.as_str());
        match self.tells.read(&self.path, located) {
            Ok((source, read)) => {
                tracing::info!(file = %source, "the database of {what} was read again");
                *located = read;
                true
            }
            Err(why) => {
                tracing::warn!(%file, %why, "the changed database of {what} cannot be used: the one read before stays");
                self.refused = stamp;
                false
            }
        }
    }
}

impl Tells {
    fn as_str(self) -> &'static str {
        match self {
            Self::Places => "places",
            Self::Asns => "autonomous systems",
        }
    }

    /// The file that what serves was made from, as it was.
    fn stamp(self, located: &Located) -> Option<Stamp> {
        match self {
            Self::Places => located.stamp,
            Self::Asns => located.asns.as_ref().map(|asns| asns.stamp),
        }
    }

    /// What people are told that the file is, and `located` with what it says.
    fn read(self, path: &Path, located: &Located) -> Result<(Arc<str>, Located), String> {
        let asns = located.asns.clone();
        let read = match self {
            Self::Places => Located::from_file(path).map(|read| Located { asns, ..read })?,
            Self::Asns => located.clone().with_asns(path)?,
        };
        let source = match (self, &read.asns) {
            (Self::Asns, Some(asns)) => asns.source.clone(),
            _ => read.source.clone(),
        };
        Ok((source, read))
    }
}
