//! The file that keeps routing controls as they were turned.
//!
//! Written by the board at each change, whose caller hears whether it is on the disk; read once, at
//! the start. Unlike health it never grows old: a switch stays as it was left. One that nobody has
//! turned yet is not in it, so that its `initial` still holds. A damaged file counts as absent, and
//! the log says so.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking, spawn_local};

use crate::control::Switch;
use crate::store;

/// Changes that may wait for the disk.
const WAITING: usize = 16;
/// Larger files were not written here: 1000 controls take some 100 KiB.
const MAX_BYTES: u64 = 1 << 20;

/// A version of the file, and who waits for it.
type Version = (Vec<u8>, oneshot::Sender<bool>);
/// A place in the queue.
pub(crate) type Place<'a> = mpsc::Permit<'a, Version>;

/// Keeps one file.
#[derive(Debug)]
pub(crate) struct ControlStore {
    versions: mpsc::Sender<Version>,
    task: JoinHandle<()>,
}

impl ControlStore {
    /// Reads what was saved and begins to write. Must be made inside a `LocalSet`.
    pub(crate) fn start(file: PathBuf) -> (Self, HashMap<String, Switch>) {
        let recalled = recall(&file);
        let (versions, received) = mpsc::channel(WAITING);
        let task = spawn_local(write(file, received));
        (Self { versions, task }, recalled)
    }

    /// A place for one version; `None` while too many wait.
    pub(crate) fn place(&self) -> Option<Place<'_>> {
        self.versions.try_reserve().ok()
    }

    /// Ends when everything is written.
    pub(crate) async fn finish(self) {
        drop(self.versions);
        let _ended = self.task.await;
    }
}

async fn write(file: PathBuf, mut versions: mpsc::Receiver<Version>) {
    let mut batch = Vec::with_capacity(WAITING);
    while versions.recv_many(&mut batch, WAITING).await > 0 {
        // The last version holds the changes of all before it.
        let (mut replies, mut last) = (Vec::new(), Vec::new());
        for (bytes, reply) in batch.drain(..) {
            replies.push(reply);
            last = bytes;
        }
        let path = file.clone();
        let written = spawn_blocking(move || store::replace(&path, &last)).await;
        let fault = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(error) = &fault {
            let file = file.display();
            tracing::error!(target: "health", %file, %error, "routing controls cannot be saved: a restart would forget the change");
        }
        for reply in replies {
            let _unheard = reply.send(fault.is_none());
        }
    }
}

fn recall(file: &Path) -> HashMap<String, Switch> {
    let found = match store::read(file, MAX_BYTES) {
        Ok(None) => return HashMap::new(),
        Ok(Some(bytes)) => from_bytes(&bytes),
        Err(error) => Err(error.to_string()),
    };
    found.unwrap_or_else(|error| {
        let file = file.display();
        tracing::error!(target: "health", %file, %error, "saved routing controls cannot be read: they begin as configured");
        HashMap::new()
    })
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Text {
    routing_controls: BTreeMap<String, SwitchText>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct SwitchText {
    state: StateText,
    since_unix_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StateText {
    On,
    Off,
}

/// The file's bytes.
pub(crate) fn to_bytes(switches: &BTreeMap<Arc<str>, Switch>) -> Vec<u8> {
    let text = |(name, switch): (&Arc<str>, &Switch)| {
        let since = switch.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = SwitchText {
            state: match switch.on {
                true => StateText::On,
                false => StateText::Off,
            },
            since_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        };
        (name.to_string(), text)
    };
    let text = Text {
        routing_controls: (switches.iter())
            .filter(|(_, switch)| switch.by_hand)
            .map(text)
            .collect(),
    };
    // Strings and numbers always have a form in JSON.
    serde_json::to_vec_pretty(&text).unwrap_or_default()
}

/// Reads them.
fn from_bytes(bytes: &[u8]) -> Result<HashMap<String, Switch>, String> {
    let text: Text = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let switch = |(name, text): (String, SwitchText)| {
        let since = Duration::from_millis(text.since_unix_ms);
        let since = SystemTime::UNIX_EPOCH.checked_add(since);
        let on = matches!(text.state, StateText::On);
        (name, Switch::left(on, since.unwrap_or(UNIX_EPOCH)))
    };
    Ok(text.routing_controls.into_iter().map(switch).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_read_back_and_damage_is_told() {
        let since = UNIX_EPOCH + Duration::from_millis(1_234_567);
        let switches = BTreeMap::from([
            ("a".into(), Switch::left(true, since)),
            ("b".into(), Switch::left(false, since)),
        ]);
        let bytes = to_bytes(&switches);
        let found = from_bytes(&bytes).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found["a"], switches["a"]);
        assert_eq!(found["b"], switches["b"]);
        for cut in 0..bytes.len() {
            assert!(from_bytes(&bytes[..cut]).is_err(), "{cut}");
        }
        let odd = String::from_utf8(bytes)
            .unwrap()
            .replace("\"on\"", "\"up\"");
        assert!(from_bytes(odd.as_bytes()).is_err());
    }
}
