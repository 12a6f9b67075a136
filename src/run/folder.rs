//! A folder for a process that has no file of its own: `quick` and `demo`.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::cli::Failure;

/// A folder of this process, removed at its end.
#[derive(Debug)]
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    /// Makes it anew, for this user only: what another user put in its place is not used.
    pub(crate) fn make(purpose: &str) -> Result<Self, Failure> {
        let name = format!("pointsman-{purpose}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => Ok(Self(path)),
            Err(error) => {
                let doing = format!("cannot make the folder {}", path.display());
                Err(Failure::from_error(doing, &error))
            }
        }
    }

    /// Writes a file in it; its path.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        let file = self.0.join(name);
        match std::fs::write(&file, text) {
            Ok(()) => Ok(file),
            Err(error) => {
                let doing = format!("cannot write {}", file.display());
                Err(Failure::from_error(doing, &error))
            }
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What is left in the temporary folder does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
