//! What tells most rules apart at first sight: one comparison of a word for each, with words that are
//! made of a request once.
//!
//! Built by [`Rules`](super::Rules) when rules are compiled and asked for every request, rule by
//! rule. A guard asks for something that a request must have for the rule's conditions to hold: one
//! that does not let it pass spares a look at them, one that does says nothing. Never decides that a
//! rule holds.
//!
//! Cost: three steps for each guard, over 32 bytes that stand side by side; rules with the same one
//! share it.

use std::collections::HashMap;

use super::condition::{Condition, Subject};
use super::pattern::{Edges, Pattern};

/// Words of a request; more than there are kinds, so that every number below it is good.
const WORDS: usize = 16;
/// Bytes of a word.
const WORD: usize = 8;

/// Nothing: for rules that no word is good for.
const NOTHING: u8 = 0;
/// How the host begins and ends.
const HOST_START: u8 = 1;
const HOST_END: u8 = 2;
/// How the path ends, and its first words.
const PATH_END: u8 = 3;
const PATH: [u8; 4] = [4, 5, 6, 7];
/// Bits of the names of its fields, of the keys of its parameters, of its method.
const FIELDS: u8 = 8;
const KEYS: u8 = 9;
const METHOD: u8 = 10;

/// What a guard looks at in a request.
pub(super) struct Signs([u64; WORDS]);

impl Signs {
    /// Those of a request, or of a connection.
    pub(super) fn of(subject: &Subject<'_>) -> Self {
        let mut words = [0; WORDS];
        let mut set = |place: u8, word: u64| {
            if let Some(to) = words.get_mut(usize::from(place)) {
                *to = word;
            }
        };
        set(HOST_START, first_word(subject.host));
        set(HOST_END, last_word(subject.host));
        set(PATH_END, last_word(subject.path));
        for (number, place) in PATH.into_iter().enumerate() {
            let rest = subject.path.get(number * WORD..);
            set(place, first_word(rest.unwrap_or_default()));
        }
        set(FIELDS, subject.field_names);
        set(KEYS, subject.parameters.key_bits());
        set(METHOD, name_bit(subject.method.as_bytes()));
        Self(words)
    }
}

/// What a request must have for a rule to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Guard {
    word: u8,
    /// The bits must not be `wanted`.
    differs: bool,
    mask: u64,
    wanted: u64,
}

impl Guard {
    /// Lets everything pass.
    const OPEN: Self = Self {
        word: NOTHING,
        differs: false,
        mask: 0,
        wanted: 0,
    };

    /// The best guard for each rule, given as its conditions: one that few others have too.
    fn all<'c>(rules: impl Iterator<Item = &'c [Condition]>) -> Vec<Self> {
        let possible: Vec<Vec<Self>> = rules
            .map(|conditions| conditions.iter().flat_map(Self::possible).collect())
            .collect();
        let mut counts: HashMap<Self, usize> = HashMap::new();
        for guard in possible.iter().flatten() {
            *counts.entry(*guard).or_default() += 1;
        }
        let worth = |guard: &&Self| {
            let shared = counts.get(*guard).copied().unwrap_or(1);
            guard.strength() * 1000 / shared
        };
        let best = |possible: &Vec<Self>| {
            let best = possible.iter().max_by_key(worth);
            best.copied().unwrap_or(Self::OPEN)
        };
        possible.iter().map(best).collect()
    }

    /// Guards that a condition has.
    fn possible(condition: &Condition) -> Vec<Self> {
        match condition {
            Condition::Host(values) => {
                let start = Self::shared(HOST_START, values, |edges| edges.first_word(0));
                let end = Self::shared(HOST_END, values, Edges::last_word);
                [start, end].into_iter().flatten().collect()
            }
            Condition::Path(values) => {
                let words = PATH.into_iter().enumerate();
                let starts = words.map(|(number, word)| {
                    Self::shared(word, values, |edges| edges.first_word(number * WORD))
                });
                let end = Self::shared(PATH_END, values, Edges::last_word);
                starts.chain([end]).flatten().collect()
            }
            Condition::Method(methods) => {
                let bits = methods.iter().map(|method| name_bit(method.as_bytes()));
                vec![Self::any(METHOD, bits)]
            }
            Condition::Header { name, .. } => {
                vec![Self::any(FIELDS, [name_bit(name.as_bytes())].into_iter())]
            }
            Condition::Query(parameters) => {
                let bits = parameters.iter().map(|parameter| parameter.key_bits());
                vec![Self::any(KEYS, bits)]
            }
            Condition::SourceIp(_) | Condition::Alpn(_) => Vec::new(),
        }
    }

    /// What all `values` want of a word: which bits, and what they are.
    fn shared(word: u8, values: &[Pattern], wants: impl Fn(&Edges) -> (u64, u64)) -> Option<Self> {
        let mut wants = values.iter().map(|value| wants(&value.edges()));
        let first = wants.next()?;
        let (mask, wanted) = wants.fold(first, |(mask, wanted), (other_mask, other)| {
            (mask & other_mask & !(wanted ^ other), wanted)
        });
        (mask != 0).then_some(Self {
            word,
            differs: false,
            mask,
            wanted: wanted & mask,
        })
    }

    /// One of these bits must be there.
    fn any(word: u8, bits: impl Iterator<Item = u64>) -> Self {
        Self {
            word,
            differs: true,
            mask: bits.fold(0, |all, bits| all | bits),
            wanted: 0,
        }
    }

    /// How much it is likely to hold back: bits that must be as wanted.
    fn strength(&self) -> usize {
        let bits = self.mask.count_ones() as usize;
        match self.differs {
            false => bits,
            // A name that is seldom there is worth half a word.
            true => 32 / bits.max(1),
        }
    }

    /// True when the rule is to be looked at.
    #[inline(always)]
    fn lets_pass(&self, signs: &Signs) -> bool {
        let word = signs.0[usize::from(self.word) % WORDS];
        (word & self.mask == self.wanted) != self.differs
    }
}

/// The guards of some rules that follow each other: every different one, with a bit for each rule
/// that it stands before.
#[derive(Debug)]
pub(super) struct Block(Box<[(Guard, u64)]>);

impl Block {
    /// How many rules it has; the last one may have fewer.
    pub(super) const RULES: usize = u64::BITS as usize;

    /// Those of all rules, given as their conditions.
    pub(super) fn all<'c>(rules: impl Iterator<Item = &'c [Condition]>) -> Box<[Self]> {
        let guards = Guard::all(rules);
        guards.chunks(Self::RULES).map(Self::new).collect()
    }

    fn new(guards: &[Guard]) -> Self {
        let mut different: Vec<(Guard, u64)> = Vec::new();
        for (place, guard) in guards.iter().enumerate() {
            let rule = 1 << place;
            match different.iter_mut().find(|(known, _)| known == guard) {
                Some((_, rules)) => *rules |= rule,
                None => different.push((*guard, rule)),
            }
        }
        Self(different.into())
    }

    /// The places of the rules to be looked at, in their order.
    pub(super) fn open(&self, signs: &Signs) -> impl Iterator<Item = usize> + use<> {
        let mut open = 0;
        for (guard, rules) in &self.0 {
            open |= match guard.lets_pass(signs) {
                true => *rules,
                false => 0,
            };
        }
        std::iter::from_fn(move || {
            let place = (open != 0).then_some(open.trailing_zeros() as usize);
            open &= open.wrapping_sub(1);
            place
        })
    }
}

/// The first bytes of a text, with zeros behind a short one.
fn first_word(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            let bytes = text.iter().rev();
            bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
        }
    }
}

/// The last bytes of a text, with zeros before a short one.
fn last_word(text: &[u8]) -> u64 {
    match text.last_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        // An empty one has nothing to move.
        None => first_word(text).checked_shl(unused_bits(text)).unwrap_or(0),
    }
}

/// Bits of a word that a text does not fill.
fn unused_bits(text: &[u8]) -> u32 {
    8 * WORD.saturating_sub(text.len()) as u32
}

impl Edges {
    /// What a text must have in the word from `start` on: which bits, and what they are.
    fn first_word(&self, start: usize) -> (u64, u64) {
        let text = self.start.get(start..).unwrap_or_default();
        let mask = match self.whole {
            true => u64::MAX,
            false => u64::MAX.checked_shr(unused_bits(text)).unwrap_or(0),
        };
        (mask, first_word(text) & mask)
    }

    /// The same for its last word.
    fn last_word(&self) -> (u64, u64) {
        let mask = match self.whole {
            true => u64::MAX,
            false => u64::MAX.checked_shl(unused_bits(&self.end)).unwrap_or(0),
        };
        (mask, last_word(&self.end) & mask)
    }
}

/// The bit of a name, whatever the case of its letters.
pub(super) fn name_bit(name: &[u8]) -> u64 {
    let letter = |byte: Option<&u8>| byte.map_or(0, |byte| usize::from(byte | 0x20));
    let (first, last) = (letter(name.first()), letter(name.last()));
    // Names that differ in one of the three seldom share a bit with it.
    1 << ((name.len() * 5 + first * 3 + last) % 64)
}
