//! Files: the one named, those it includes, and their merge into one tree.
//!
//! The entrance of the crate. Lists of tables (`[[listener]]` …) of several files follow each other
//! in the order of inclusion; everything else may be set in one file only. Paths and globs are
//! relative to the file that names them. Reads files, touches nothing else.

use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::document::{self, Kind, Table, Value};
use crate::resolve::resolve;
use crate::tree::Scope;
use crate::{Diagnostic, Loaded, Severity, Sources, Span};

/// Larger files are refused: spans are 32 bits wide and no one writes such a file by hand.
const FILE_BYTES: u64 = 16 << 20;
/// Files of one configuration, at most.
const FILES: usize = 1000;
/// Includes within includes, at most.
const DEPTH: usize = 16;

/// What is missing when the tree has holes: not worth reporting before the syntax is mended.
const FOLLOWS_FROM_HOLES: &[&str] = &[
    "alias-target",
    "alias-target-missing",
    "failover-roles",
    "failover-without-health-check",
    "missing-key",
    "no-advertised-address",
    "no-targets",
    "no-zones",
    "nothing-to-serve",
    "set-data",
    "sets-without-policy",
    "unknown-reference",
];

/// Reads the configuration at `path` and everything it includes.
pub fn load(path: &Path) -> Loaded {
    let mut files = Files::default();
    match read(path) {
        Ok(text) => files.add(path, text, None),
        Err(fault) => files.unreadable(path, &fault),
    }
    files.finish()
}

/// Reads the configuration in `text`, as if it stood in a file called `name`: what it includes and
/// names is looked for in `name`'s folder.
pub fn load_text(name: &Path, text: &str) -> Loaded {
    let mut files = Files::default();
    if text.len() as u64 > FILE_BYTES {
        files.unreadable(name, &Fault::TooLarge);
    } else {
        files.add(name, text.to_owned(), None);
    }
    files.finish()
}

/// Why a file could not be read.
enum Fault {
    Io(std::io::Error),
    Folder,
    TooLarge,
    NotUtf8 { line: usize },
}

impl Fault {
    fn diagnostic(&self, path: &Path, named: Option<Span>, consequence: &str) -> Diagnostic {
        let shown = path.display();
        let (message, help) = match self {
            Self::Io(error) if error.kind() == std::io::ErrorKind::NotFound => (
                format!("there is no file `{shown}`"),
                "check the path; it is relative to the folder of the file that names it, or to the working directory on the command line".to_owned(),
            ),
            Self::Io(error) => (
                format!("`{shown}` cannot be read: {error}"),
                "check who may read the file".to_owned(),
            ),
            Self::Folder => (
                format!("`{shown}` is a folder, not a file"),
                format!("name a file in it; `include = [\"{shown}/*.toml\"]` takes them all"),
            ),
            Self::TooLarge => (
                format!("`{shown}` is larger than 16 MiB"),
                "split it with `include`".to_owned(),
            ),
            Self::NotUtf8 { line } => (
                format!("`{shown}` is not UTF-8: the first byte that is not text is in line {line}"),
                "save the file as UTF-8".to_owned(),
            ),
        };
        Diagnostic::error("unreadable-file", named, message)
            .consequence(consequence)
            .help(help)
    }
}

fn read(path: &Path) -> Result<String, Fault> {
    let file = File::open(path).map_err(Fault::Io)?;
    if file.metadata().map_err(Fault::Io)?.is_dir() {
        return Err(Fault::Folder);
    }
    let mut bytes = Vec::new();
    file.take(FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(Fault::Io)?;
    if bytes.len() as u64 > FILE_BYTES {
        return Err(Fault::TooLarge);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let before = error.as_bytes().iter().take(good);
        Fault::NotUtf8 {
            line: before.filter(|byte| **byte == b'\n').count() + 1,
        }
    })
}

/// The files read so far.
#[derive(Default)]
struct Files {
    sources: Sources,
    diagnostics: Vec<Diagnostic>,
    tables: Vec<Table>,
    /// Files being read, outermost first, as (canonical path, path as named).
    open: Vec<(PathBuf, PathBuf)>,
    /// Canonical paths of all files read.
    seen: Vec<PathBuf>,
    has_holes: bool,
}

impl Files {
    fn add(&mut self, path: &Path, text: String, named: Option<Span>) {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if let Some(at) = self.open.iter().position(|(open, _)| *open == canonical) {
            self.cycle(at, path, named);
            return;
        }
        if self.seen.contains(&canonical) {
            return;
        }
        self.seen.push(canonical.clone());
        let file = self.sources.add(path, text);
        let text = self.sources.text(file);
        let environment = |name: &str| std::env::var_os(name);
        let (mut table, holes) = document::parse(file, &text, &environment, &mut self.diagnostics);
        self.has_holes |= holes;
        let included = take_includes(&mut table, &mut self.diagnostics);
        self.tables.push(table);
        self.open.push((canonical, path.to_owned()));
        for (pattern, span) in included {
            self.include(path, &pattern, span);
        }
        self.open.pop();
    }

    /// Notes that the first file could not be read. An empty one stands in for it.
    fn unreadable(&mut self, path: &Path, fault: &Fault) {
        let problem = fault.diagnostic(path, None, "nothing would be served");
        self.diagnostics.push(problem);
        let file = self.sources.add(path, "");
        self.tables.push(Table {
            entries: Vec::new(),
            span: Span::new(file, 0..0),
        });
        self.has_holes = true;
    }

    fn cycle(&mut self, at: usize, path: &Path, named: Option<Span>) {
        let chain: Vec<String> = self
            .open
            .iter()
            .skip(at)
            .map(|(_, path)| path)
            .chain([&path.to_owned()])
            .map(|path| format!("`{}`", path.display()))
            .collect();
        self.diagnostics.push(
            Diagnostic::error(
                "include-cycle",
                named,
                format!("includes go round in a circle: {}", chain.join(" -> ")),
            )
            .consequence("reading the files would never end")
            .help("remove one of the includes; a glob must not match the file it stands in"),
        );
    }

    fn include(&mut self, from: &Path, pattern: &str, span: Span) {
        if self.open.len() > DEPTH || self.seen.len() >= FILES {
            self.diagnostics.push(
                Diagnostic::error("include-limit", span, "too many includes")
                    .consequence("reading the files would take too long to be meant")
                    .help(format!("keep to {DEPTH} levels and {FILES} files")),
            );
            return;
        }
        let folder = from.parent().unwrap_or(Path::new(""));
        match matches(folder, pattern, FILES) {
            Ok(paths) if paths.is_empty() => self.diagnostics.push(no_match(pattern, span)),
            Ok(paths) => {
                for path in paths {
                    match read(&path) {
                        Ok(text) => self.add(&path, text, Some(span)),
                        Err(fault) => self.diagnostics.push(fault.diagnostic(
                            &path,
                            Some(span),
                            "what it defines would be missing",
                        )),
                    }
                }
            }
            Err(fault) => self.diagnostics.push(fault.at(pattern, span)),
        }
    }

    fn finish(mut self) -> Loaded {
        let root = merge(std::mem::take(&mut self.tables), &mut self.diagnostics);
        let scope = Scope::new(&self.sources, self.has_holes);
        let config = resolve(&root, &scope);
        let mut found = scope.into_problems();
        if self.has_holes {
            self.drop_what_follows_from_holes(&mut found);
        }
        let mut diagnostics = self.diagnostics;
        diagnostics.append(&mut found);
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            // What was to use it may be what could not be read.
            diagnostics.retain(|d| d.code != "unused");
        }
        crate::sort(&mut diagnostics);
        diagnostics.dedup();
        Loaded {
            config,
            sources: self.sources,
            diagnostics,
        }
    }
}

impl Files {
    fn drop_what_follows_from_holes(&self, found: &mut Vec<Diagnostic>) {
        let line = |span: Span| (span.file, self.sources.location(span).line);
        let broken: HashSet<_> = self
            .diagnostics
            .iter()
            .filter(|d| d.code == "toml-syntax")
            .filter_map(|d| d.span.map(line))
            .collect();
        found.retain(|d| {
            let on_broken_line = d.span.is_some_and(|span| broken.contains(&line(span)));
            !FOLLOWS_FROM_HOLES.contains(&d.code) && !on_broken_line
        });
    }
}

fn no_match(pattern: &str, span: Span) -> Diagnostic {
    let is_glob = pattern.contains(['*', '?', '[']);
    let mut problem = Diagnostic::error(
        "include-not-found",
        span,
        format!("`{pattern}` matches no file"),
    )
    .consequence("what it should define would be missing")
    .help("check the path; it is relative to this file's folder");
    if is_glob {
        // An empty conf.d is ordinary; a named file that is not there is a mistake.
        problem.severity = Severity::Warning;
    }
    problem
}

/// A glob that cannot be used.
pub(crate) struct GlobFault {
    text: String,
}

impl GlobFault {
    /// The diagnostic for the glob at `span`.
    pub(crate) fn at(&self, pattern: &str, span: Span) -> Diagnostic {
        Diagnostic::error(
            "bad-glob",
            span,
            format!("`{pattern}` cannot be searched: {}", self.text),
        )
        .consequence("the files it stands for would not be read")
        .help("`*` and `?` stand for parts of a name, `**` for folders, `[ab]` for one of several characters")
    }
}

/// Files that match `pattern` in `folder`, in the order of their paths; a fault when there are more
/// than `most`, for a part of them is never what was meant.
pub(crate) fn matches(
    folder: &Path,
    pattern: &str,
    most: usize,
) -> Result<Vec<PathBuf>, GlobFault> {
    let folder = glob::Pattern::escape(&folder.to_string_lossy());
    let whole = Path::new(&folder).join(pattern);
    let fault = |text: String| GlobFault { text };
    let paths = glob::glob(&whole.to_string_lossy()).map_err(|e| fault(e.msg.to_owned()))?;
    let found: Vec<PathBuf> = paths
        .take(most + 1)
        .collect::<Result<_, _>>()
        .map_err(|e| fault(e.error().to_string()))?;
    if found.len() > most {
        return Err(fault(format!("it matches more than {most} files")));
    }
    Ok(found)
}

/// Takes `include` out of a file's tree.
fn take_includes(table: &mut Table, diagnostics: &mut Vec<Diagnostic>) -> Vec<(String, Span)> {
    let Some(at) = table
        .entries
        .iter()
        .position(|entry| entry.key == "include")
    else {
        return Vec::new();
    };
    let value = table.entries.remove(at).value;
    let items = match value.kind {
        Kind::Array(items) => items,
        _ => vec![value],
    };
    let mut found = Vec::new();
    for item in items {
        match item.kind {
            Kind::String(pattern) => found.push((pattern, item.span)),
            Kind::Broken => {}
            other => diagnostics.push(
                Diagnostic::error(
                    "wrong-type",
                    item.span,
                    format!("`include` must be strings, not {}", other.word()),
                )
                .consequence("nothing would be included")
                .help("write `include = [\"conf.d/*.toml\"]` above the first table"),
            ),
        }
    }
    found
}

/// One tree of all files. The first file's is always there.
fn merge(tables: Vec<Table>, diagnostics: &mut Vec<Diagnostic>) -> Table {
    let mut root = Table {
        entries: Vec::new(),
        span: tables.first().map_or(Span::default(), |table| table.span),
    };
    for table in tables {
        for entry in table.entries {
            let same = root.entries.iter_mut().find(|kept| kept.key == entry.key);
            match same.map(|kept| (kept.key_span, &mut kept.value.kind)) {
                None => root.entries.push(entry),
                Some((_, Kind::Array(kept))) if is_tables(&entry.value) => {
                    if let Kind::Array(items) = entry.value.kind {
                        kept.extend(items);
                    }
                }
                Some((first, _)) => diagnostics.push(
                    Diagnostic::error(
                        "set-in-two-files",
                        entry.key_span,
                        format!("`{}` is set in two files", entry.key),
                    )
                    .consequence("one of the two would be ignored")
                    .help("keep it in one file; only `[[tables]]` add up across files")
                    .related(first, "set here first"),
                ),
            }
        }
    }
    root
}

fn is_tables(value: &Value) -> bool {
    matches!(&value.kind, Kind::Array(items)
        if items.iter().all(|item| matches!(item.kind, Kind::Table(_))))
}
