//! Source files and places in them: what every diagnostic points at.
//!
//! Filled by the loader and by the zone-file scanner; read when a diagnostic is rendered. Holds
//! text only, never parses it.

use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file in [`Sources`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId(u32);

/// A byte range in one source file. The default is the start of the first file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// A span over `range` of `file`. Offsets past 4 GiB saturate.
    pub fn new(file: FileId, range: Range<usize>) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            file,
            start: clamp(range.start),
            end: clamp(range.end),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value`, written at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A place for people: path, line and column (both from 1; columns count characters).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as it was named.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The whole line, without its line end.
    pub text: String,
}

#[derive(Debug, Clone)]
struct SourceFile {
    path: PathBuf,
    text: Arc<str>,
    /// Where each line but the first begins. A report may ask for thousands of places.
    line_starts: Arc<[usize]>,
}

/// Every file read for one configuration.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
}

impl Sources {
    /// Adds a file's text under the path it was named by.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<Arc<str>>) -> FileId {
        let id = FileId(u32::try_from(self.files.len()).unwrap_or(u32::MAX));
        let text = text.into();
        self.files.push(SourceFile {
            path: path.into(),
            line_starts: text.match_indices('\n').map(|(at, _)| at + 1).collect(),
            text,
        });
        id
    }

    /// The text of a file; empty for an id of another `Sources`.
    pub fn text(&self, file: FileId) -> Arc<str> {
        self.file(file)
            .map_or_else(|| Arc::from(""), |f| f.text.clone())
    }

    /// The path of a file, as it was named; empty for an id of another `Sources`.
    pub fn path(&self, file: FileId) -> &Path {
        self.file(file).map_or(Path::new(""), |f| &f.path)
    }

    /// Line, column and text of the start of `span`. For an id of another `Sources` the first
    /// line of nothing.
    pub fn location(&self, span: Span) -> Location {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let Some(file) = self.file(span.file) else {
            return Location {
                path: PathBuf::new(),
                line: 1,
                column: 1,
                text: String::new(),
            };
        };
        let text = &file.text;
        let mut at = (span.start as usize).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let lines_before = file.line_starts.partition_point(|&start| start <= at);
        let starts = lines_before
            .checked_sub(1)
            .and_then(|i| file.line_starts.get(i));
        let line_start = starts.copied().unwrap_or(0);
        let line_end = text[at..].find('\n').map_or(text.len(), |i| at + i);
        Location {
            path: file.path.clone(),
            line: count(lines_before + 1),
            column: count(text[line_start..at].chars().count() + 1),
            text: text[line_start..line_end].trim_end_matches('\r').to_owned(),
        }
    }

    fn file(&self, id: FileId) -> Option<&SourceFile> {
        self.files.get(id.0 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn location_counts_characters_and_lines() {
        let mut sources = Sources::default();
        let file = sources.add("a.toml", "one\nzwö = 3\nlast");
        let at = sources.location(Span::new(file, 9..10));
        assert_eq!((at.line, at.column, at.text.as_str()), (2, 5, "zwö = 3"));
        let end = sources.location(Span::new(file, 99..99));
        assert_eq!((end.line, end.text.as_str()), (3, "last"));
    }
}
