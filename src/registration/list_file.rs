//! A group's `targets-file`: looked at once a second, read when it changed.
//!
//! Owned by the [`Registry`](super::Registry). A file that cannot be read or holds a mistake changes
//! nothing: the last good list stays. Polling, not inotify: a file that is renamed into its place, on
//! whatever file system, is seen all the same, and one `stat` a second costs nothing.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use conf::TargetList;

/// How often a file is looked at.
pub(super) const POLL: Duration = Duration::from_secs(1);
/// 10,000 targets in JSON take some 2 MiB.
const MAX_BYTES: u64 = 16 << 20;

/// What tells one version of a file from another.
type Stamp = (u64, u64, u64, i64, i64);

/// One file.
#[derive(Debug)]
pub(super) struct ListFile {
    path: PathBuf,
    /// Of the version that was read; `None` when the file was not there.
    stamp: Option<Option<Stamp>>,
    /// The last good list.
    pub(super) list: Arc<TargetList>,
    /// What is wrong with the file.
    pub(super) fault: Option<String>,
}

impl ListFile {
    /// A file that has not been read.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            stamp: None,
            list: Arc::default(),
            fault: None,
        }
    }

    /// Reads the file if it changed; true when it was read.
    pub(super) fn poll(&mut self) -> bool {
        let stamp = std::fs::metadata(&self.path)
            .ok()
            .map(|found| stamp(&found));
        if self.stamp == Some(stamp) {
            return false;
        }
        self.stamp = Some(stamp);
        match read(&self.path) {
            Ok(list) => {
                self.list = Arc::new(list);
                self.fault = None;
            }
            Err(error) => self.fault = Some(error),
        }
        true
    }
}

fn stamp(found: &Metadata) -> Stamp {
    (
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
    )
}

/// Reads a list of targets.
///
/// # Errors
/// Why it cannot be used, for people.
pub(super) fn read(path: &Path) -> Result<TargetList, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_BYTES {
        return Err("it is larger than 16 MiB".to_owned());
    }
    TargetList::parse(&text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_when_it_changed_and_a_bad_one_changes_nothing() {
        let folder = std::env::temp_dir().join(format!("pointsman-list-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("targets");
        let mut file = ListFile::new(path.clone());
        assert!(file.poll() && file.fault.is_some() && !file.poll());
        let put = |text: &str| {
            let new = folder.join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(&new, &path).unwrap();
        };
        put("127.0.0.1:80\n127.0.0.2:80\n");
        assert!(file.poll() && file.fault.is_none() && !file.poll());
        assert_eq!(file.list.targets.len(), 2);
        put("127.0.0.1:80\noops\n");
        assert!(file.poll() && file.list.targets.len() == 2);
        assert!(file.fault.as_ref().unwrap().starts_with("line 2"));
        std::fs::remove_file(&path).unwrap();
        assert!(file.poll() && file.list.targets.len() == 2);
        put("");
        assert!(file.poll() && file.fault.is_none() && file.list.targets.is_empty());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
