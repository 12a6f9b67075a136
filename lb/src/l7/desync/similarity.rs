//! How near a field name is to one of the length fields, as AWS measures it: by letters and digits.
//!
//! Deliberately the same measure, its oddities included: people compare our tiers with ELB's.

/// How near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Similarity {
    /// The same but for case.
    Identical,
    /// The same but for what is neither letter nor digit.
    SameLetters,
    /// Anything else.
    Distant,
}

/// How near `name` is to `known`, which is in small letters and hyphens.
pub(super) fn similarity(known: &[u8], name: &[u8]) -> Similarity {
    if name.len() < known.len() {
        return Similarity::Distant;
    }
    let mut at = skip(name, 0, |byte| !byte.is_ascii_alphanumeric());
    let mut identical = at == 0 && known.len() == name.len();
    for &wanted in known {
        if at == name.len() {
            return Similarity::Distant;
        }
        let width = match_width(wanted, name, at);
        identical &= width.is_some();
        let next = at + width.unwrap_or(1);
        at = match (wanted, width) {
            // Whatever one byte stands where the hyphen should is passed over.
            (b'-', _) => skip(name, next, |byte| !byte.is_ascii_alphanumeric()),
            (_, Some(_)) => skip(name, next, |byte| byte <= b' '),
            (_, None) => break,
        };
    }
    if at == name.len() && identical {
        Similarity::Identical
    } else if skip(name, at, |byte| !byte.is_ascii_alphanumeric()) == name.len() {
        Similarity::SameLetters
    } else {
        Similarity::Distant
    }
}

/// Where the first byte at or after `from` stands that `test` is false for.
fn skip(name: &[u8], from: usize, test: impl Fn(u8) -> bool) -> usize {
    let rest = name.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|&&byte| test(byte)).count()
}

/// How many bytes at `at` become `wanted` in some reader's idea of upper and lower case: two for
/// U+017F, the long s, and U+0131, the dotless i.
fn match_width(wanted: u8, name: &[u8], at: usize) -> Option<usize> {
    match (wanted, name.get(at..).unwrap_or_default()) {
        (_, [byte, ..]) if byte.to_ascii_lowercase() == wanted => Some(1),
        (b's', [0xc5, 0xbf, ..]) | (b'i', [0xc4, 0xb1, ..]) => Some(2),
        _ => None,
    }
}
