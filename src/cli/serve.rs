//! `pointsman run`: finds the configuration file and serves it until a signal ends it.

use std::path::{Path, PathBuf};

use super::outcome::Failure;

/// Where a configuration is looked for when none is named.
const PLACES: [&str; 2] = ["pointsman.toml", "/etc/pointsman/pointsman.toml"];

/// Serves a file.
pub(super) fn run(file: Option<PathBuf>) -> Result<(), Failure> {
    let path = locate(file)?;
    crate::run::logging::start();
    crate::run::serve(&path)
}

/// The configuration file: as named, else the first that exists of the usual places.
pub(super) fn locate(file: Option<PathBuf>) -> Result<PathBuf, Failure> {
    if let Some(file) = file {
        return Ok(file);
    }
    PLACES
        .iter()
        .map(Path::new)
        .find(|place| place.exists())
        .map(Path::to_owned)
        .ok_or_else(|| {
            Failure::Config(format!(
                "pointsman: no configuration: neither ./{} nor {} exists\n  \
                 help: `pointsman init` writes one to start from, -c names another, \
                 `pointsman demo` needs none",
                PLACES[0], PLACES[1]
            ))
        })
}
