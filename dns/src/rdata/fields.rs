//! The tokens of one record's data, handed to field readers one by one, and what can be wrong.
//!
//! Made by [`super::parse`] and by the zone-file reader. Ranges are byte offsets in the text the
//! tokens were scanned from, so that a diagnostic can point at the very token.

use std::borrow::Cow;
use std::ops::Range;

use conf::RecordType;

use crate::name::{Name, unescape};
use crate::zonefile::scanner::Token;

/// Why a record's data cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdataError {
    /// The bytes of the text it is about.
    pub range: Range<usize>,
    /// What was found and what was expected.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// True when some other server loads a zone with it: the record is then left out of a zone
    /// file with a warning.
    pub tolerated: bool,
}

impl RdataError {
    pub(crate) fn new(range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            range,
            message: message.into(),
            help: None,
            tolerated: false,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn tolerated(mut self) -> Self {
        self.tolerated = true;
        self
    }
}

/// Something odd in data that is used all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The bytes of the text it is about.
    pub range: Range<usize>,
    /// What is odd.
    pub message: String,
}

/// One token with its text.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a> {
    pub(crate) raw: &'a [u8],
    pub(crate) token: &'a Token,
}

impl Word<'_> {
    pub(crate) fn range(&self) -> Range<usize> {
        self.token.start..self.token.end
    }

    /// The token as text for messages, shortened to what fits in one.
    pub(crate) fn display(&self) -> String {
        let text = String::from_utf8_lossy(self.raw);
        match text.char_indices().nth(40) {
            Some((cut, _)) => format!("`{}…`", &text[..cut]),
            None => format!("`{text}`"),
        }
    }

    /// An error at this token: "`x` is not …".
    pub(crate) fn not(&self, expected: &str) -> RdataError {
        RdataError::new(
            self.range(),
            format!("{} is not {expected}", self.display()),
        )
    }

    /// The bytes with escapes resolved.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, RdataError> {
        let mut out = Vec::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some((&byte, after)) = rest.split_first() {
            let (byte, after) = match byte {
                b'\\' => unescape(after).ok_or_else(|| {
                    self.not("valid text: a backslash must be followed by one character or by three digits up to 255").tolerated()
                })?,
                _ => (byte, after),
            };
            out.push(byte);
            rest = after;
        }
        Ok(out)
    }

    /// The token as text, for tokens that are plain ASCII when right.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.raw)
    }
}

/// Tokens of one record's data, not yet read ones last.
pub(crate) struct Fields<'a> {
    text: &'a [u8],
    tokens: &'a [Token],
    next: usize,
    whole: Range<usize>,
    origin: &'a Name,
    notes: Vec<Note>,
}

impl<'a> Fields<'a> {
    /// `tokens` of `text`; `whole` is what to point at when something is missing.
    pub(crate) fn new(
        text: &'a [u8],
        tokens: &'a [Token],
        whole: Range<usize>,
        origin: &'a Name,
    ) -> Self {
        Self {
            text,
            tokens,
            next: 0,
            whole,
            origin,
            notes: Vec::new(),
        }
    }

    pub(crate) fn origin(&self) -> &'a Name {
        self.origin
    }

    pub(crate) fn whole(&self) -> Range<usize> {
        self.whole.clone()
    }

    /// The next token, left where it is.
    pub(crate) fn peek(&self) -> Option<Word<'a>> {
        let token = self.tokens.get(self.next)?;
        let raw = self.text.get(token.start..token.end)?;
        Some(Word { raw, token })
    }

    /// The next token, if there is one.
    pub(crate) fn take(&mut self) -> Option<Word<'a>> {
        let word = self.peek()?;
        self.next += 1;
        Some(word)
    }

    /// The next token; an error that says what is missing if there is none.
    pub(crate) fn expect(&mut self, expected: &str) -> Result<Word<'a>, RdataError> {
        self.take().ok_or_else(|| {
            RdataError::new(
                self.whole(),
                format!("the data ends early: {expected} is missing"),
            )
        })
    }

    /// Says that something is odd but used.
    pub(crate) fn note(&mut self, range: Range<usize>, message: impl Into<String>) {
        self.notes.push(Note {
            range,
            message: message.into(),
        });
    }

    /// An error if tokens are left over.
    pub(crate) fn finish(&self, rtype: RecordType) -> Result<(), RdataError> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(RdataError::new(
                word.range(),
                format!("{} is more than {rtype} data has", word.display()),
            )),
        }
    }

    pub(crate) fn into_notes(self) -> Vec<Note> {
        self.notes
    }
}
