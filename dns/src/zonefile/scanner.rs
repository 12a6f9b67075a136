//! Bytes into entries: lines, or what parentheses hold together, split into tokens with places.
//!
//! Called by the zone-file reader, and by `rdata::parse` for values of the config file. Knows
//! quotes, escapes, comments and parentheses, nothing of records. Linear in its input: text is
//! gone over at most three times whatever it holds, and every problem ends at a line's end.

use std::ops::Range;

use crate::rdata::RdataError;

/// One word or quoted string, as offsets of its bytes (quotes left out, escapes left in).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Written in quotes.
    pub(crate) quoted: bool,
    /// Nothing stands between it and the token before it.
    pub(crate) glued: bool,
}

/// What is wrong with the form of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `)` without `(`.
    ClosingParenthesis,
    /// A quoted string without its end.
    UnclosedQuote,
    /// `(` without `)`, with other entries behind it.
    UnclosedParenthesis,
}

/// What is odd in the form of an entry that is used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oddity {
    /// The last entry of the file lacks its `)`.
    OpenAtEnd,
    /// A quoted string goes over a line's end.
    QuoteOverLines,
}

/// One entry: a directive or a record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) tokens: Vec<Token>,
    /// The line begins with a blank: the owner is that of the record before.
    pub(crate) leading_blank: bool,
    /// Where the fault is; the tokens are then of no use.
    pub(crate) fault: Option<(Fault, Range<usize>)>,
    pub(crate) oddity: Option<(Oddity, Range<usize>)>,
}

impl Entry {
    /// From the first token to the end of the last one.
    pub(crate) fn range(&self) -> Range<usize> {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }
}

/// Where parentheses stand in the entry that is being read.
#[derive(Default)]
struct Nesting {
    depth: u32,
    /// The outermost `(`.
    opened: usize,
    /// A line inside began with something other than a blank, a comment or `)`.
    outdented: bool,
}

/// Walks over the text of one file.
pub(crate) struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    /// An unclosed parenthesis was reported: the next one ends the file.
    recovered: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let at = if text.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        Self {
            text,
            at,
            recovered: false,
        }
    }

    /// Reads the next entry that holds anything into `entry`; false at the end of the text.
    pub(crate) fn next_entry(&mut self, entry: &mut Entry) -> bool {
        loop {
            if self.at >= self.text.len() {
                return false;
            }
            entry.tokens.clear();
            entry.fault = None;
            entry.oddity = None;
            entry.leading_blank = self.peek().is_some_and(is_blank);
            self.read_entry(entry);
            if !entry.tokens.is_empty() || entry.fault.is_some() {
                return true;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Reads up to the line end that ends the entry.
    fn read_entry(&mut self, entry: &mut Entry) {
        let mut nesting = Nesting::default();
        while let Some(byte) = self.peek() {
            let here = self.at;
            match byte {
                b'\n' => {
                    self.at += 1;
                    if nesting.depth == 0 {
                        return;
                    }
                    nesting.outdented |= self.peek().is_some_and(starts_entry);
                }
                b';' => self.skip_line(),
                b'(' => {
                    if nesting.depth == 0 {
                        nesting.opened = here;
                    }
                    nesting.depth = nesting.depth.saturating_add(1);
                    self.at += 1;
                }
                b')' if nesting.depth == 0 => {
                    entry
                        .fault
                        .get_or_insert((Fault::ClosingParenthesis, here..here + 1));
                    self.skip_line();
                }
                b')' => {
                    nesting.depth -= 1;
                    self.at += 1;
                }
                b'"' => self.read_quoted(entry),
                _ if is_blank(byte) => self.at += 1,
                _ => self.read_word(entry),
            }
        }
        if nesting.depth > 0 {
            self.recover(entry, &nesting);
        }
    }

    /// At the end of the text inside parentheses: the entry is good if only its own continuation
    /// lines were swallowed; else reading goes on at the next line that looks like an entry.
    fn recover(&mut self, entry: &mut Entry, nesting: &Nesting) {
        let place = nesting.opened..nesting.opened + 1;
        if !nesting.outdented {
            entry.oddity = Some((Oddity::OpenAtEnd, place));
            return;
        }
        entry
            .fault
            .get_or_insert((Fault::UnclosedParenthesis, place));
        if self.recovered {
            return;
        }
        self.recovered = true;
        self.at = nesting.opened;
        self.skip_line();
        while self.peek().is_some() {
            self.at += 1;
            if self.peek().is_some_and(starts_entry) {
                return;
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    }

    fn push(&self, entry: &mut Entry, range: Range<usize>, quoted: bool) {
        let begin = range.start - usize::from(quoted);
        let glued = entry
            .tokens
            .last()
            .is_some_and(|last| last.end + usize::from(last.quoted) == begin);
        entry.tokens.push(Token {
            start: range.start,
            end: range.end,
            quoted,
            glued,
        });
    }

    fn read_word(&mut self, entry: &mut Entry) {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b'\\' => {
                    self.at += 1;
                    if self.peek().is_some_and(|next| next != b'\n') {
                        self.at += 1;
                    }
                }
                b'\n' | b';' | b'(' | b')' | b'"' => break,
                _ if is_blank(byte) => break,
                _ => self.at += 1,
            }
        }
        self.push(entry, start..self.at, false);
    }

    fn read_quoted(&mut self, entry: &mut Entry) {
        let start = self.at + 1;
        let (end, first_line_end) = self.find_quote(start);
        match (end, first_line_end) {
            (Some(end), None) => {
                self.at = end + 1;
                self.push(entry, start..end, true);
            }
            (Some(end), Some(_)) if self.text.get(end + 1).is_none_or(|&b| is_delimiter(b)) => {
                self.at = end + 1;
                entry.oddity = Some((Oddity::QuoteOverLines, start - 1..start));
                self.push(entry, start..end, true);
            }
            (_, line_end) => {
                entry
                    .fault
                    .get_or_insert((Fault::UnclosedQuote, start - 1..start));
                self.at = line_end.unwrap_or(self.text.len());
            }
        }
    }

    /// The closing quote, and the first line end before it (or before the end of the text).
    fn find_quote(&self, start: usize) -> (Option<usize>, Option<usize>) {
        let mut line_end = None;
        let mut at = start;
        while let Some(&byte) = self.text.get(at) {
            match byte {
                b'"' => return (Some(at), line_end),
                b'\\' if self.text.get(at + 1) != Some(&b'\n') => at += 2,
                b'\n' => {
                    line_end = line_end.or(Some(at));
                    at += 1;
                }
                _ => at += 1,
            }
            // A string this long has no end; looking further would make many of them quadratic.
            if line_end.is_some() && at - start > MAX_QUOTED {
                break;
            }
        }
        (None, line_end)
    }
}

/// Longest quoted string that may go over a line's end, in bytes: the longest RDATA, all escaped.
const MAX_QUOTED: usize = 4 * 65_535;

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

/// What may stand behind a closing quote.
fn is_delimiter(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'\n' | b';' | b')')
}

/// True for the first byte of a line that is an entry with an owner, or a directive.
fn starts_entry(byte: u8) -> bool {
    !is_blank(byte) && !matches!(byte, b'\n' | b';' | b')')
}

/// The tokens of one value of the config file. Comments are refused there: a `;` that swallows
/// the rest is never meant.
pub(crate) fn scan_value(text: &[u8]) -> Result<Vec<Token>, RdataError> {
    let mut scanner = Scanner {
        text,
        at: 0,
        recovered: true,
    };
    let mut entry = Entry::default();
    let mut tokens = Vec::new();
    while scanner.next_entry(&mut entry) {
        match &entry.fault {
            Some((fault, range)) => return Err(RdataError::new(range.clone(), fault.message())),
            None => tokens.append(&mut entry.tokens),
        }
    }
    let mut end = 0;
    let starts = tokens.iter().map(|token: &Token| (token.start, token.end));
    for (next, next_end) in starts.chain([(text.len(), text.len())]) {
        let gap = text.get(end..next).unwrap_or_default();
        if let Some(at) = memchr::memchr(b';', gap) {
            return Err(RdataError::new(
                end + at..text.len(),
                "`;` begins a comment, which would cut the value short",
            )
            .help("put the text into quotes: `values = ['\"a; b\"']`"));
        }
        end = next_end;
    }
    Ok(tokens)
}

impl Fault {
    /// What is wrong, one sentence.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::ClosingParenthesis => "this `)` closes nothing",
            Self::UnclosedQuote => "this quoted string does not end",
            Self::UnclosedParenthesis => "this `(` is never closed",
        }
    }
}
