//! Zone files from disk: bounded, as bytes, with a text of the same length for diagnostics.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Largest zone file in bytes; two million records or so.
pub(super) const MAX_FILE: u64 = 256 << 20;

/// The bytes of a regular file.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let message = format!("it is larger than {} MiB", MAX_FILE >> 20);
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

/// The bytes as text in which every offset stays what it was: bytes that are not UTF-8 (zone files
/// may hold any) become question marks.
pub(super) fn as_text(bytes: &[u8]) -> Arc<str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Arc::from(text),
        Err(_) => {
            let mut text = String::with_capacity(bytes.len());
            for chunk in bytes.utf8_chunks() {
                text.push_str(chunk.valid());
                text.extend(chunk.invalid().iter().map(|_| '?'));
            }
            Arc::from(text)
        }
    }
}

/// Text for messages.
pub(super) fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_survive_bytes_that_are_not_utf8() {
        let bytes = b"a\xff\xc3\xbc\xe2\x82b";
        let text = as_text(bytes);
        assert_eq!(&*text, "a?\u{fc}??b");
        assert_eq!(text.len(), bytes.len());
    }

    #[test]
    fn only_regular_files_are_read() {
        let error = read(Path::new("/dev/null")).unwrap_err();
        assert_eq!(error.to_string(), "it is not a regular file");
    }
}
