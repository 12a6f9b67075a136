//! Rewrites: what a forwarded request's host and URL are turned into (ELB's rule transforms).
//!
//! Part of a rule, and of a listener for its own action. Expressions are compiled and replacements
//! taken apart here, because bad ones are errors of the file; the data path only applies them and
//! judges what comes out.

use std::fmt;

use super::Regex;

/// What a request's host and URL are turned into once its action is chosen.
#[derive(Debug, Clone, Default)]
pub struct Rewrites {
    /// Of the host without its port.
    pub host: Option<Rewrite>,
    /// Of the path with its query.
    pub url: Option<Rewrite>,
}

impl Rewrites {
    /// True when requests stay as they are.
    pub fn is_empty(&self) -> bool {
        self.host.is_none() && self.url.is_none()
    }
}

/// A regular expression and what is put where it matches first.
#[derive(Debug, Clone)]
pub struct Rewrite {
    regex: Regex,
    replace: Vec<RewritePiece>,
}

/// A piece of a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RewritePiece {
    /// Text as it stands.
    Text(String),
    /// What this group of the expression matched; 0 is all of it.
    Group(usize),
}

impl Rewrite {
    /// The expression with its replacement.
    pub(crate) fn new(regex: Regex, replace: Vec<RewritePiece>) -> Self {
        Self { regex, replace }
    }

    /// Appends `text` with its first match replaced; false, and nothing is appended, when there is
    /// none. Takes time linear in the text.
    pub fn apply(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(found) = self.regex.captures(text) else {
            return false;
        };
        let group = |number| found.get(number).map_or(&[][..], |group| group.as_bytes());
        let range = found.get(0).map_or(0..0, |whole| whole.range());
        out.extend_from_slice(text.get(..range.start).unwrap_or_default());
        for piece in &self.replace {
            match piece {
                RewritePiece::Text(text) => out.extend_from_slice(text.as_bytes()),
                RewritePiece::Group(number) => out.extend_from_slice(group(*number)),
            }
        }
        out.extend_from_slice(text.get(range.end..).unwrap_or_default());
        true
    }

    /// Reads a replacement: `$1` to `$9` are groups, `$0` is all of the match, `$$` a dollar. `Err`
    /// holds a dollar with what follows it when it is none of these.
    pub(crate) fn parse(text: &str) -> Result<Vec<RewritePiece>, String> {
        let mut pieces = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '$' {
                push(&mut pieces, character);
                continue;
            }
            match characters.next() {
                Some('$') => push(&mut pieces, '$'),
                Some(digit @ '0'..='9') => {
                    pieces.push(RewritePiece::Group(digit as usize - '0' as usize));
                }
                other => return Err(['$'].into_iter().chain(other).collect()),
            }
        }
        Ok(pieces)
    }
}

fn push(pieces: &mut Vec<RewritePiece>, character: char) {
    match pieces.last_mut() {
        Some(RewritePiece::Text(text)) => text.push(character),
        _ => pieces.push(RewritePiece::Text(character.into())),
    }
}

impl fmt::Display for Rewrite {
    /// For people: `^/old/(.*) to /new/$1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to ", self.regex.as_str())?;
        self.replace.iter().try_for_each(|piece| match piece {
            RewritePiece::Text(text) => f.write_str(text),
            RewritePiece::Group(number) => write!(f, "${number}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(regex: &str, replace: &str, text: &str) -> Option<String> {
        let rewrite = Rewrite::new(
            Regex::new(regex, false).ok()?,
            Rewrite::parse(replace).ok()?,
        );
        let mut out = Vec::new();
        let is_match = rewrite.apply(text.as_bytes(), &mut out);
        is_match.then(|| String::from_utf8(out).ok())?
    }

    #[test]
    fn the_first_match_is_replaced() {
        let cases = [
            ("^/old/(.*)$", "/new/$1", "/old/a?b", Some("/new/a?b")),
            ("/api", "", "/api/api", Some("/api")),
            ("^/(a)(b)?", "/$2-$10", "/ac", Some("/-a0c")),
            ("b+", "$$$0", "abbc", Some("a$bbc")),
            ("^/x", "/y", "/z", None),
        ];
        for (regex, replace, text, wanted) in cases {
            assert_eq!(applied(regex, replace, text).as_deref(), wanted, "{regex}");
        }
    }

    #[test]
    fn what_a_dollar_can_stand_before() {
        let bad = [("$", "$"), ("a$b", "$b"), ("$-1", "$-")];
        for (text, shown) in bad {
            assert_eq!(Rewrite::parse(text), Err(shown.to_owned()), "{text}");
        }
    }
}
