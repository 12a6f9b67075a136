//! `command`: the program that an exec probe runs.
//!
//! Found when the configuration is read, so that a slip in its name is an error of the file and
//! not a target that is never healthy. No shell is between: nothing in it is expanded.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::tree::Reader;
use crate::{Diagnostic, ExecCheck, Spanned};

const FORM: &str = "write a list: command = [\"/usr/local/bin/check\", \"--deep\"]";

/// Reads the key; `None` when there is no program that can be run.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<ExecCheck> {
    reader.missing("command", "there would be nothing to run", FORM);
    if reader.has("command") && reader.is_empty_or_absent("command") {
        let span = reader.key_span("command").unwrap_or(reader.span());
        reader.bad_value(span, "`command` is empty".to_owned(), FORM);
    }
    let mut words = reader.texts("command").into_iter();
    let program = words.next()?;
    Some(ExecCheck {
        program: find(reader, program)?,
        arguments: words.map(|word| word.value.to_owned()).collect(),
    })
}

fn find(reader: &Reader<'_>, program: Spanned<&str>) -> Option<PathBuf> {
    let found = if program.value.contains('/') {
        Some(reader.scope().path(program.value, program.span)).filter(|path| is_program(path))
    } else {
        let folders = std::env::var_os("PATH").unwrap_or_default();
        let mut all = std::env::split_paths(&folders).map(|folder| folder.join(program.value));
        all.find(|path| is_program(path))
    };
    if found.is_none() {
        let help = match program.value.contains(char::is_whitespace) {
            true => FORM,
            false => {
                "name a file that may be executed; without a `/` it is looked for in $PATH, else in this file's folder"
            }
        };
        let message = format!("`{}` is no program", program.value.escape_debug());
        reader.scope().report(
            Diagnostic::error("no-program", program.span, message)
                .consequence("every probe would fail")
                .help(help),
        );
    }
    found
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
