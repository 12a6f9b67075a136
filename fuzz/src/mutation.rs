//! Mutation: one input of a corpus, damaged once or a few times.
//!
//! Called by the runner for every input. Knows nothing of formats but the words a body names.

use rand::Rng;
use rand::rngs::SmallRng;

/// Longest input made.
const MAX_INPUT: usize = 8 * 1024;

/// Bytes that parsers treat in ways of their own.
const EDGES: &[u8] = b"\0\x01\t\n\r \"#%'()*+,-./09:;=?@AZ[\\]_az{|}~\x7f\x80\xbf\xc0\xff";

/// A damaged copy of some input of `corpus`.
pub(crate) fn mutated(corpus: &[Vec<u8>], words: &[&[u8]], random: &mut SmallRng) -> Vec<u8> {
    let mut input = pick(corpus, random).cloned().unwrap_or_default();
    for _ in 0..random.random_range(1..=5) {
        damage(&mut input, corpus, words, random);
    }
    input.truncate(MAX_INPUT);
    input
}

fn pick<'a, T>(from: &'a [T], random: &mut SmallRng) -> Option<&'a T> {
    match from.len() {
        0 => None,
        count => from.get(random.random_range(0..count)),
    }
}

fn damage(input: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&[u8]], random: &mut SmallRng) {
    let at = random.random_range(0..=input.len());
    let end = random.random_range(at..=input.len().min(at + 64));
    match random.random_range(0..9) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        1 => {
            if let (Some(byte), Some(edge)) = (input.get_mut(at), pick(EDGES, random)) {
                *byte = *edge;
            }
        }
        2 => input.insert(at, random.random()),
        3 => input.extend(pick(EDGES, random)),
        4 => drop(input.drain(at..end)),
        5 => {
            let copy = input[at..end].to_vec();
            let place = random.random_range(0..=input.len());
            input.splice(place..place, copy);
        }
        6 => input.truncate(at),
        7 => {
            let word = pick(words, random).copied().unwrap_or_default();
            input.splice(at..at, word.iter().copied());
        }
        _ => {
            let other = pick(corpus, random).map_or(&[][..], Vec::as_slice);
            let from = random.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
}
