//! Patterns: what a text may be, in the quickest form that says it.
//!
//! Cost: an exact, prefix or suffix pattern is one comparison; a general one searches the text once
//! for each part between two `*`; expressions take time linear in the text.

use conf::Regex;
use memchr::memmem::Finder;

/// A compiled pattern. In those that fold case, letters are lower case.
#[derive(Debug)]
pub(super) enum Pattern {
    /// `*`
    Any,
    Exact(Box<[u8]>),
    /// `text*`
    Prefix(Box<[u8]>),
    /// `*text`
    Suffix(Box<[u8]>),
    /// With `?`, or with `*` within.
    Wild(Wild),
    /// One for each worker.
    Regex(Box<[Regex]>),
}

/// A general pattern: what the text begins with, what stands in it in this order, what it ends
/// with.
#[derive(Debug)]
pub(super) struct Wild {
    start: Box<[Token]>,
    /// `None`: there is no `*`, so the start is all of it.
    rest: Option<Rest>,
}

/// What follows the first `*`.
#[derive(Debug)]
struct Rest {
    parts: Box<[Part]>,
    end: Box<[Token]>,
}

/// What stands between two `*`.
#[derive(Debug)]
enum Part {
    Literal(Box<Finder<'static>>),
    Tokens(Box<[Token]>),
}

/// A character of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Byte(u8),
    /// `?`
    One,
    /// `*`
    Many,
}

impl Pattern {
    /// A configured pattern.
    pub(super) fn new(pattern: &conf::Pattern, folds: bool, workers: usize) -> Self {
        match pattern {
            conf::Pattern::Wildcard(text) => Self::of(&tokens(text, folds, false), folds),
            conf::Pattern::Regex(regex) => Self::Regex(vec![regex.clone(); workers].into()),
        }
    }

    /// Text in which `\` takes the meaning from `*`, `?` and `\`; letters of either case.
    pub(super) fn escaped(text: &str) -> Self {
        Self::of(&tokens(text, true, true), true)
    }

    fn of(tokens: &[Token], folds: bool) -> Self {
        let simple = match tokens {
            [Token::Many] => Some(Self::Any),
            [Token::Many, rest @ ..] => literal(rest).map(Self::Suffix),
            [rest @ .., Token::Many] => literal(rest).map(Self::Prefix),
            all => literal(all).map(Self::Exact),
        };
        simple.unwrap_or_else(|| Self::Wild(Wild::new(tokens, folds)))
    }

    /// True when `text` is what the pattern says; `FOLD`: whatever the case of its letters.
    pub(super) fn is_match<const FOLD: bool>(&self, text: &[u8], worker: usize) -> bool {
        let same = |part: &[u8], wanted: &[u8]| match FOLD {
            true => part.eq_ignore_ascii_case(wanted),
            false => part == wanted,
        };
        match self {
            Self::Any => true,
            Self::Exact(wanted) => same(text, wanted),
            Self::Prefix(wanted) => text.get(..wanted.len()).is_some_and(|t| same(t, wanted)),
            Self::Suffix(wanted) => {
                let start = text.len().checked_sub(wanted.len());
                start
                    .and_then(|start| text.get(start..))
                    .is_some_and(|t| same(t, wanted))
            }
            Self::Wild(wild) => wild.is_match::<FOLD>(text),
            Self::Regex(regexes) => regexes.get(worker).is_some_and(|r| r.is_match(text)),
        }
    }

    /// How much longer it takes than comparing.
    pub(super) fn cost(&self) -> u32 {
        match self {
            Self::Any | Self::Exact(_) | Self::Prefix(_) | Self::Suffix(_) => 1,
            Self::Wild(_) => 4,
            Self::Regex(_) => 20,
        }
    }
}

/// What a text that a pattern matches begins and ends with.
pub(super) struct Edges {
    pub(super) start: Vec<u8>,
    pub(super) end: Vec<u8>,
    /// The text is this and no more.
    pub(super) whole: bool,
}

impl Pattern {
    /// What is known of every text it matches.
    pub(super) fn edges(&self) -> Edges {
        let (start, end) = match self {
            Self::Any | Self::Regex(_) => (Vec::new(), Vec::new()),
            Self::Exact(text) => (text.to_vec(), text.to_vec()),
            Self::Prefix(text) => (text.to_vec(), Vec::new()),
            Self::Suffix(text) => (Vec::new(), text.to_vec()),
            Self::Wild(wild) => wild.edges(),
        };
        let whole = matches!(self, Self::Exact(_));
        Edges { start, end, whole }
    }

    /// The text, when it matches no other.
    pub(super) fn only(&self) -> Option<&[u8]> {
        match self {
            Self::Exact(text) => Some(text),
            _ => None,
        }
    }
}

impl Wild {
    fn edges(&self) -> (Vec<u8>, Vec<u8>) {
        let byte = |token: &Token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::One | Token::Many => None,
        };
        let end = self.rest.as_ref().map_or(&self.start, |rest| &rest.end);
        let start = self.start.iter().map_while(byte).collect();
        let mut end: Vec<u8> = end.iter().rev().map_while(byte).collect();
        end.reverse();
        (start, end)
    }

    fn new(tokens: &[Token], folds: bool) -> Self {
        let mut parts: Vec<&[Token]> = tokens.split(|token| *token == Token::Many).collect();
        let start = parts.remove(0).into();
        let rest = parts.pop().map(|end| {
            let part = |tokens: &[Token]| match literal(tokens) {
                Some(bytes) if !folds => Part::Literal(Box::new(Finder::new(&bytes).into_owned())),
                _ => Part::Tokens(tokens.into()),
            };
            Rest {
                parts: parts.into_iter().map(part).collect(),
                end: end.into(),
            }
        });
        Self { start, rest }
    }

    /// The first place for each part is as good as any later one.
    fn is_match<const FOLD: bool>(&self, text: &[u8]) -> bool {
        let Some((start, text)) = text.split_at_checked(self.start.len()) else {
            return false;
        };
        let Some(Rest { parts, end }) = &self.rest else {
            return text.is_empty() && fit::<FOLD>(&self.start, start);
        };
        let middle = text.len().checked_sub(end.len());
        let Some((mut text, last)) = middle.and_then(|at| text.split_at_checked(at)) else {
            return false;
        };
        fit::<FOLD>(&self.start, start)
            && fit::<FOLD>(end, last)
            && parts.iter().all(|part| match part.find::<FOLD>(text) {
                Some(end) => {
                    text = text.get(end..).unwrap_or_default();
                    true
                }
                None => false,
            })
    }
}

impl Part {
    /// Where its first occurrence ends.
    fn find<const FOLD: bool>(&self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Literal(finder) => Some(finder.find(text)? + finder.needle().len()),
            Self::Tokens(tokens) => {
                let mut windows = text.windows(tokens.len());
                Some(windows.position(|window| fit::<FOLD>(tokens, window))? + tokens.len())
            }
        }
    }
}

/// True when `text`, which is as long, is what the tokens say.
fn fit<const FOLD: bool>(tokens: &[Token], text: &[u8]) -> bool {
    tokens.iter().zip(text).all(|(token, byte)| match token {
        Token::Byte(wanted) if FOLD => byte.to_ascii_lowercase() == *wanted,
        Token::Byte(wanted) => byte == wanted,
        Token::One => true,
        Token::Many => false,
    })
}

/// The bytes, when there is no wildcard among them.
fn literal(tokens: &[Token]) -> Option<Box<[u8]>> {
    let byte = |token: &Token| match token {
        Token::Byte(byte) => Some(*byte),
        Token::One | Token::Many => None,
    };
    tokens.iter().map(byte).collect()
}

fn tokens(text: &str, folds: bool, escapes: bool) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let byte = if folds {
            byte.to_ascii_lowercase()
        } else {
            byte
        };
        tokens.push(match byte {
            // A star after a star says nothing more.
            b'*' if tokens.last() == Some(&Token::Many) => continue,
            b'*' => Token::Many,
            b'?' => Token::One,
            b'\\' if escapes => Token::Byte(bytes.next().unwrap_or(byte)),
            _ => Token::Byte(byte),
        });
    }
    tokens
}
