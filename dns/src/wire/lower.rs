//! A name in lower case, the form names are looked up by, in a buffer its owner uses again and
//! again.
//!
//! Filled by the answer path once per query and once per CNAME followed.
//! Cost: eight bytes a step, no allocation.

use crate::name::MAX_NAME;

/// Room for a name, rounded up to whole words.
const CAPACITY: usize = 256;
const WORD: usize = 8;

/// A lower-case name in uncompressed wire form; the root until it is first filled.
#[derive(Debug, Clone)]
pub(crate) struct LowerName {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl LowerName {
    /// The root.
    pub(crate) fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            len: 1,
        }
    }

    /// Takes over `wire`, an uncompressed name; what is past [`MAX_NAME`] bytes is cut off.
    /// Length bytes are below every letter, so whole words are folded without looking at labels.
    pub(crate) fn fill(&mut self, wire: &[u8]) {
        self.len = wire.len().min(MAX_NAME);
        let (words, tail) = wire.as_chunks::<WORD>();
        let (places, _) = self.bytes.as_chunks_mut::<WORD>();
        for (place, word) in places.iter_mut().zip(words) {
            *place = to_lower(u64::from_ne_bytes(*word)).to_ne_bytes();
        }
        if let Some(place) = places.get_mut(words.len()) {
            // Byte by byte: a copy of unknown length is a call, and this is at most seven bytes.
            let mut last = [0; WORD];
            for (byte, from) in last.iter_mut().zip(tail) {
                *byte = *from;
            }
            *place = to_lower(u64::from_ne_bytes(last)).to_ne_bytes();
        }
    }

    /// The wire form.
    pub(crate) fn wire(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[0])
    }
}

/// Eight bytes with A-Z turned to a-z.
fn to_lower(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (0x7f * ONES);
    let from_a = low_bits + u64::from(0x80 - b'A') * ONES;
    let past_z = low_bits + u64::from(0x7f - b'Z') * ONES;
    let upper = !word & (from_a ^ past_z) & (0x80 * ONES);
    word | (upper >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_folds_as_ascii_does() {
        let wire: Vec<u8> = (0..=254).collect();
        let mut name = LowerName::new();
        name.fill(&wire);
        assert_eq!(name.wire(), wire.to_ascii_lowercase());
        name.fill(b"\x03WWW\0");
        assert_eq!(name.wire(), b"\x03www\0");
    }
}
