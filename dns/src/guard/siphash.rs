//! SipHash-2-4 (Aumasson and Bernstein, 2012), which RFC 9018 makes server cookies with. The
//! standard library's is another variant (1-3), and its hasher does not promise to stay.
//! Cost: a few nanoseconds for a cookie; no allocation.

/// The hash of `data` under `key`.
pub(super) fn siphash24(key: &[u8; 16], data: &[u8]) -> u64 {
    let [k0, k1] = [0, 8].map(|at| word(key.get(at..at + 8).unwrap_or_default()));
    let mut state = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let (words, tail) = data.as_chunks::<8>();
    for bytes in words {
        absorb(&mut state, u64::from_le_bytes(*bytes));
    }
    absorb(&mut state, word(tail) | (data.len() as u64) << 56);
    let [_, _, third, _] = &mut state;
    *third ^= 0xff;
    for _ in 0..4 {
        round(&mut state);
    }
    state.iter().fold(0, |sum, part| sum ^ part)
}

/// Up to eight bytes, the rest zero.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (place, byte) in word.iter_mut().zip(bytes) {
        *place = *byte;
    }
    u64::from_le_bytes(word)
}

fn absorb(state: &mut [u64; 4], word: u64) {
    let [.., last] = state;
    *last ^= word;
    round(state);
    round(state);
    let [first, ..] = state;
    *first ^= word;
}

fn round(state: &mut [u64; 4]) {
    let [mut a, mut b, mut c, mut d] = *state;
    a = a.wrapping_add(b);
    b = b.rotate_left(13) ^ a;
    a = a.rotate_left(32);
    c = c.wrapping_add(d);
    d = d.rotate_left(16) ^ c;
    a = a.wrapping_add(d);
    d = d.rotate_left(21) ^ a;
    c = c.wrapping_add(b);
    b = b.rotate_left(17) ^ c;
    c = c.rotate_left(32);
    *state = [a, b, c, d];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of the authors' reference code.
    #[test]
    fn hashes_as_the_reference_does() {
        let key: [u8; 16] = std::array::from_fn(|at| at as u8);
        let data: Vec<u8> = (0..15).collect();
        assert_eq!(siphash24(&key, &[]), 0x726f_db47_dd0e_0e31);
        assert_eq!(siphash24(&key, &data[..1]), 0x74f8_39c5_93dc_67fd);
        assert_eq!(siphash24(&key, &data[..8]), 0x93f5_f579_9a93_2462);
        assert_eq!(siphash24(&key, &data), 0xa129_ca61_49be_45e5);
    }
}
