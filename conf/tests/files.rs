//! Files that cannot be read, and problems that other parts add.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use conf::{Diagnostic, Loaded, load, load_text, render_human, render_json};

/// A folder of this test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The only problem of a file that cannot be read.
fn only(loaded: &Loaded) -> &Diagnostic {
    let shown = render_human(&loaded.diagnostics, &loaded.sources, false);
    assert_eq!(loaded.diagnostics.len(), 1, "{shown}");
    assert!(loaded.has_errors());
    let problem = &loaded.diagnostics[0];
    assert_eq!((problem.code, problem.span), ("unreadable-file", None));
    assert!(problem.consequence.is_some() && problem.help.is_some());
    problem
}

#[test]
fn a_file_that_is_not_there() {
    let loaded = load(Path::new("no/such/file.toml"));
    assert_eq!(
        only(&loaded).message,
        "there is no file `no/such/file.toml`"
    );
    let json = render_json(&loaded.diagnostics, &loaded.sources);
    assert!(json[0]["file"].is_null() && json[0]["severity"] == "error");
}

#[test]
fn a_folder() {
    let folder = Folder::new("a-folder");
    let loaded = load(&folder.0);
    assert!(only(&loaded).message.ends_with("is a folder, not a file"));
}

#[test]
fn a_file_that_is_not_text() {
    let folder = Folder::new("not-text");
    let loaded = load(&folder.file("a.toml", b"# one\n# two\nstate-dir = \"\xff\"\n"));
    let message = &only(&loaded).message;
    assert!(
        message.ends_with("the first byte that is not text is in line 3"),
        "{message}"
    );
}

#[test]
fn a_file_that_is_too_large() {
    let folder = Folder::new("too-large");
    let text = "#".repeat((16 << 20) + 1);
    let path = folder.file("a.toml", text.as_bytes());
    assert!(
        only(&load(&path))
            .message
            .ends_with("is larger than 16 MiB")
    );
    assert!(
        only(&load_text(&path, &text))
            .message
            .ends_with("is larger than 16 MiB")
    );
}

#[test]
fn includes_of_a_text_are_looked_for_beside_its_name() {
    let folder = Folder::new("beside");
    folder.file(
        "zones.toml",
        b"[[zone]]\nname = \"example.test\"\nfile = \"a.zone\"\n",
    );
    let loaded = load_text(&folder.0.join("main.toml"), "include = [\"*.toml\"]\n");
    let shown = render_human(&loaded.diagnostics, &loaded.sources, false);
    assert!(loaded.diagnostics.is_empty(), "{shown}");
    let zones = &loaded.config.dns.as_ref().unwrap().zones;
    assert_eq!(
        zones[0].file.as_ref().unwrap().value,
        folder.0.join("a.zone")
    );
    assert_eq!(loaded.config.state_dir, folder.0.join("state"));
}

#[test]
fn what_other_parts_find_is_added_once_and_in_order() {
    let mut loaded = load_text(Path::new("a.toml"), "one = 1\ntwo = 2\n");
    let codes =
        |loaded: &Loaded| -> Vec<&str> { loaded.diagnostics.iter().map(|d| d.code).collect() };
    assert_eq!(
        codes(&loaded),
        ["nothing-to-serve", "unknown-key", "unknown-key"]
    );
    let first = loaded.diagnostics[1].span.unwrap();
    loaded.add(vec![
        Diagnostic::error("bind-failed", None, "no place"),
        Diagnostic::error("seen-elsewhere", first, "the same mistake"),
        Diagnostic::warning("remark", first, "another matter"),
    ]);
    let expected = [
        "bind-failed",
        "nothing-to-serve",
        "unknown-key",
        "remark",
        "unknown-key",
    ];
    assert_eq!(codes(&loaded), expected);
}

/// More files than may be included: a part of them was taken in silence once.
#[test]
fn every_zone_file_of_a_pattern_is_a_zone() {
    let folder = Folder::new("many-zones");
    for number in 0..1001 {
        folder.file(&format!("{number}.zone"), b"");
    }
    let path = folder.file("a.toml", b"[dns]\nzone-files = [\"*.zone\"]\n");
    let loaded = load(&path);
    assert!(!loaded.has_errors());
    assert_eq!(loaded.config.dns.unwrap().zones.len(), 1001);
}
