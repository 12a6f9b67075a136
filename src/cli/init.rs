//! `pointsman init`: a commented configuration to start from.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::outcome::{Failure, print};

/// What is written; an integration test holds it to `check`.
const STARTER: &str = include_str!("starter.toml");

/// Writes the starter file unless something is there already.
pub(super) fn run(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(file)
        .and_then(|mut out| out.write_all(STARTER.as_bytes()));
    match written {
        Ok(()) => print(&format!(
            "wrote {shown}\nnext: edit its targets, `pointsman check -c {shown}`, `pointsman run -c {shown}`\n"
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Failure::Failed(format!(
            "{shown} exists and was left as it is; name another file: pointsman init FILE"
        ))),
        Err(error) => Err(Failure::from_error(format!("cannot write {shown}"), &error)),
    }
}
