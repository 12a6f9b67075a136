//! A small set of field names, asked for every field of a head.
//!
//! Cost: one bit test for a name of a length that none in the set has; else a comparison with each.

/// Field names, without regard to case.
#[derive(Debug)]
pub(super) struct Names {
    names: Box<[Box<str>]>,
    /// Bit `n` is set when a name has `n` bytes; longer ones share the last.
    lengths: u64,
}

impl Names {
    /// The set of these names.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let names: Box<[Box<str>]> = names.map(Into::into).collect();
        let lengths = names.iter().fold(0, |bits, name| bits | bit(name));
        Self { names, lengths }
    }

    /// True when `name` is in the set.
    pub(super) fn contain(&self, name: &str) -> bool {
        self.lengths & bit(name) != 0
            && self
                .names
                .iter()
                .any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn bit(name: &str) -> u64 {
    1 << name.len().min(63)
}
