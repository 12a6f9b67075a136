//! The state of reading one zone: files, current origin and owner, TTLs, and what was found.
//!
//! Entries come from the scanner; directives and records are read in their own files. Bounded:
//! files, nesting, bytes and generated records per zone.

use std::path::{Path, PathBuf};

use conf::{Diagnostic, FileId, Sources, Span};

use super::problems::{self, NOT_LOADED, Problems};
use super::scanner::{Entry, Scanner};
use super::{ZoneText, input};
use crate::load::ParsedRecord;
use crate::name::Name;

/// `$INCLUDE` in `$INCLUDE`, at most.
const MAX_DEPTH: usize = 16;
/// Files of one zone, at most: a few that include each other twice would be thousands.
const MAX_FILES: usize = 1_000;
/// Bytes of all files of one zone, at most.
const MAX_BYTES: u64 = 2 * input::MAX_FILE;

/// What one file's entries are read against.
pub(super) struct Place {
    pub(super) file: FileId,
    /// Where relative names are.
    pub(super) origin: Name,
    /// The owner of entries that begin with a blank.
    pub(super) owner: CurrentOwner,
}

/// Whose records entries that begin with a blank are.
#[derive(Debug, Clone)]
pub(super) enum CurrentOwner {
    /// No entry had an owner yet.
    None,
    /// The last owner.
    Known(Name),
    /// The last owner could not be read: what follows it must not go to the one before.
    Unreadable,
}

impl Place {
    pub(super) fn span(&self, range: std::ops::Range<usize>) -> Span {
        Span::new(self.file, range)
    }
}

/// Reads one zone.
pub(super) struct Reader<'a> {
    sources: &'a mut Sources,
    pub(super) problems: &'a mut Problems,
    pub(super) records: Vec<ParsedRecord>,
    /// The last `$TTL`.
    pub(super) default_ttl: Option<u32>,
    /// The last TTL a record gave (RFC 1035 section 5.1).
    pub(super) last_ttl: Option<u32>,
    /// A missing TTL was warned of.
    pub(super) warned_of_ttl: bool,
    /// Records made by `$GENERATE` so far.
    pub(super) generated: usize,
    /// Files being read, the outermost first.
    stack: Vec<PathBuf>,
    files: usize,
    bytes: u64,
}

impl<'a> Reader<'a> {
    pub(super) fn new(sources: &'a mut Sources, problems: &'a mut Problems) -> Self {
        Self {
            sources,
            problems,
            records: Vec::new(),
            default_ttl: None,
            last_ttl: None,
            warned_of_ttl: false,
            generated: 0,
            stack: Vec::new(),
            files: 0,
            bytes: 0,
        }
    }

    pub(super) fn finish(self) -> ZoneText {
        ZoneText {
            records: self.records,
            default_ttl: self.default_ttl,
        }
    }

    /// Reads the zone's own file; false when it cannot be read.
    pub(super) fn read_root(&mut self, path: &Path, span: Span, origin: &Name) -> bool {
        self.read_file(path, span, origin, CurrentOwner::None)
    }

    /// Reads a file that `$INCLUDE` at `span` names, relative to the file that names it.
    pub(super) fn include(&mut self, path: &Path, span: Span, origin: &Name, owner: CurrentOwner) {
        let base = self.stack.last().and_then(|file| file.parent());
        let path = base.map_or_else(|| path.to_owned(), |base| base.join(path));
        let refuse =
            |message: String| Diagnostic::error("include", span, message).consequence(NOT_LOADED);
        // Two names of one file are one file.
        let real = path.canonicalize().unwrap_or_else(|_| path.clone());
        let is_open = |open: &PathBuf| open.canonicalize().is_ok_and(|open| open == real);
        if self.stack.iter().any(is_open) {
            let message = format!("{} includes itself", path.display());
            self.problems
                .push(refuse(message).help("take the line away"));
        } else if self.stack.len() >= MAX_DEPTH {
            let message = format!("$INCLUDE is nested more than {MAX_DEPTH} deep");
            self.problems.push(refuse(message));
        } else if self.files >= MAX_FILES {
            let message = format!("the zone includes more than {MAX_FILES} files");
            self.problems.push(refuse(message));
        } else {
            self.read_file(&path, span, origin, owner);
        }
    }

    fn read_file(&mut self, path: &Path, span: Span, origin: &Name, owner: CurrentOwner) -> bool {
        let unreadable = |why: String| {
            let message = format!("cannot read the zone file {}: {why}", path.display());
            Diagnostic::error("zone-file", span, message)
                .consequence(NOT_LOADED)
                .help("paths are relative to the folder of the file that names them")
        };
        let bytes = match input::read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.problems.push(unreadable(error.to_string()));
                return false;
            }
        };
        self.files += 1;
        self.bytes += bytes.len() as u64;
        if self.bytes > MAX_BYTES {
            let why = format!("the zone's files take more than {} MiB", MAX_BYTES >> 20);
            self.problems.push(unreadable(why));
            return false;
        }
        let mut place = Place {
            file: self.sources.add(path, input::as_text(&bytes)),
            origin: origin.clone(),
            owner,
        };
        self.stack.push(path.to_owned());
        self.read_text(&bytes, &mut place);
        self.stack.pop();
        true
    }

    /// Reads the entries of one file.
    pub(super) fn read_text(&mut self, text: &[u8], place: &mut Place) {
        let mut scanner = Scanner::new(text);
        let mut entry = Entry::default();
        while scanner.next_entry(&mut entry) {
            if let Some((fault, range)) = entry.fault.clone() {
                self.problems
                    .push(problems::of_fault(fault, place.file, range));
                continue;
            }
            if let Some((oddity, range)) = entry.oddity.clone() {
                self.problems
                    .push(problems::of_oddity(oddity, place.file, range));
            }
            let first = entry.tokens.first();
            let is_directive = first.is_some_and(|token| {
                !entry.leading_blank && !token.quoted && text.get(token.start) == Some(&b'$')
            });
            if is_directive {
                self.read_directive(text, &entry, place);
            } else {
                self.read_record(text, &entry, place);
            }
        }
    }
}
