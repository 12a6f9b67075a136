//! Files that outlive the process: read whole, replaced whole.
//!
//! Used by the board through a [`Writer`], so that its own thread never waits for a disk, and by the
//! root package and `dns` for what else is kept. A file is written beside its place, synced and renamed:
//! whoever reads it finds the old or the new one.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking, spawn_local};

/// Reads a file of at most `limit` bytes; `None` when there is none.
///
/// # Errors
/// It is larger, or cannot be read.
pub fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::other("too large")),
        false => Ok(Some(bytes)),
    }
}

/// Replaces a file, its folder made when missing, for this user only. Blocks until it is on the disk.
///
/// # Errors
/// It cannot be written; the old one is as it was.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    if !folder.as_os_str().is_empty() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut open = OpenOptions::new();
    let open = open.write(true).create(true).truncate(true).mode(0o600);
    let mut file = open.open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

/// Writes one file, one version after the other, away from the board's thread.
#[derive(Debug)]
pub(crate) struct Writer {
    versions: mpsc::Sender<Vec<u8>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// A writer of `file`. Must be made inside a `LocalSet`.
    pub(crate) fn start(file: PathBuf) -> Self {
        let (versions, mut received) = mpsc::channel::<Vec<u8>>(1);
        let task = spawn_local(async move {
            let mut failing = false;
            while let Some(bytes) = received.recv().await {
                let path = file.clone();
                let written = spawn_blocking(move || replace(&path, &bytes)).await;
                let fault = match written {
                    Ok(Ok(())) => None,
                    Ok(Err(error)) => Some(error.to_string()),
                    Err(error) => Some(error.to_string()),
                };
                if let Some(error) = fault.as_ref().filter(|_| !failing) {
                    let file = file.display();
                    tracing::warn!(target: "health", %file, %error, "state cannot be saved");
                }
                failing = fault.is_some();
            }
        });
        Self { versions, task }
    }

    /// Hands a version over; false when one still waits to be written.
    pub(crate) fn offer(&self, bytes: Vec<u8>) -> bool {
        self.versions.try_send(bytes).is_ok()
    }

    /// Writes a last version and ends.
    pub(crate) async fn finish(self, bytes: Vec<u8>) {
        // Fails when the task has ended, and then there is nobody left to write it.
        let _unwritten = self.versions.send(bytes).await;
        drop(self.versions);
        let _ended = self.task.await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::LocalSet;

    use super::*;

    #[tokio::test]
    async fn the_last_version_is_in_the_file_when_finish_returns() {
        let folder = std::env::temp_dir().join(format!("pointsman-store-{}", std::process::id()));
        let file = folder.join("deep").join("state.json");
        assert!(read(&file, 10).unwrap().is_none());
        let write = async {
            let writer = Writer::start(file.clone());
            assert!(writer.offer(b"first".to_vec()));
            writer.finish(b"last".to_vec()).await;
        };
        LocalSet::new().run_until(write).await;
        assert_eq!(read(&file, 10).unwrap().unwrap(), b"last");
        assert!(read(&file, 3).is_err());
        let left: Vec<_> = std::fs::read_dir(folder.join("deep")).unwrap().collect();
        assert_eq!(left.len(), 1, "nothing stays beside it");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
