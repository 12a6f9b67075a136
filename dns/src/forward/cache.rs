//! Answers of other servers, remembered for as long as they say.
//!
//! Owned by the task of forwarding. Bounded in entries and in bytes: what was asked for first goes first.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use super::message::{Asked, lifetime};

/// Entries at most.
const ENTRIES: usize = 20_000;
/// Bytes of answers at most.
const BYTES: usize = 32 << 20;
/// Seconds that anything is remembered at most; resolvers rarely go further than a day.
const LONGEST: u32 = 86_400;

/// Rule, question in lower case, whether signatures are wanted.
type Key = (Box<str>, Box<[u8]>, bool);

#[derive(Debug)]
struct Entry {
    answer: Box<[u8]>,
    since: Instant,
    until: Instant,
    /// The entry's number in the queue.
    number: u64,
}

/// Remembered answers.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    /// Keys in the order they came, with their numbers.
    order: VecDeque<(u64, Key)>,
    bytes: usize,
    next: u64,
}

fn key(rule: &str, asked: &Asked) -> Key {
    let question = asked.question.to_ascii_lowercase();
    (rule.into(), question.into(), asked.dnssec_ok())
}

impl Cache {
    /// The answer to a question, and its age in seconds.
    pub(super) fn find(&self, rule: &str, asked: &Asked, now: Instant) -> Option<(&[u8], u32)> {
        let entry = self.entries.get(&key(rule, asked))?;
        let age = now.saturating_duration_since(entry.since).as_secs();
        (now < entry.until).then(|| (&*entry.answer, u32::try_from(age).unwrap_or(u32::MAX)))
    }

    /// Remembers a good answer for as long as it says.
    pub(super) fn keep(&mut self, rule: &str, asked: &Asked, answer: &[u8], now: Instant) {
        let seconds = lifetime(answer, LONGEST);
        if seconds == 0 {
            return;
        }
        self.next += 1;
        let key = key(rule, asked);
        let entry = Entry {
            answer: answer.into(),
            since: now,
            until: now + Duration::from_secs(seconds.into()),
            number: self.next,
        };
        self.bytes += answer.len();
        if let Some(old) = self.entries.insert(key.clone(), entry) {
            self.bytes -= old.answer.len();
        }
        self.order.push_back((self.next, key));
        while self.entries.len() > ENTRIES || self.bytes > BYTES || self.order.len() > 2 * ENTRIES {
            let Some((number, key)) = self.order.pop_front() else {
                break;
            };
            // One that was asked for again since has another number.
            if self
                .entries
                .get(&key)
                .is_some_and(|entry| entry.number == number)
                && let Some(old) = self.entries.remove(&key)
            {
                self.bytes -= old.answer.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(name: u32) -> Asked {
        let label = format!("n{name}");
        let mut question = vec![label.len() as u8];
        question.extend(label.bytes());
        question.extend(b"\x04test\0\0\x01\0\x01");
        Asked {
            id: 1,
            flags: 0,
            question: question.into(),
            edns: None,
        }
    }

    /// An answer with one address of this TTL.
    fn answer(asked: &Asked, ttl: u32) -> Vec<u8> {
        let mut message = vec![0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0];
        message.extend(&*asked.question);
        message.extend(b"\xc0\x0c\0\x01\0\x01");
        message.extend(ttl.to_be_bytes());
        message.extend(b"\0\x04\xc0\0\x02\x01");
        message
    }

    #[test]
    fn answers_are_kept_for_their_ttl_and_no_more_than_fit() {
        let start = Instant::now();
        let mut cache = Cache::default();
        let question = asked(0);
        cache.keep("r", &question, &answer(&question, 10), start);
        let later = |seconds| start + Duration::from_secs(seconds);
        let age = |cache: &Cache, seconds| {
            let found = cache.find("r", &question, later(seconds));
            found.map(|(_, age)| age)
        };
        assert_eq!(age(&cache, 0), Some(0));
        assert_eq!(age(&cache, 9), Some(9));
        assert_eq!(age(&cache, 10), None);
        assert!(cache.find("other", &question, start).is_none());
        cache.keep("r", &asked(1), &answer(&asked(1), 0), start);
        assert!(cache.find("r", &asked(1), start).is_none());
        for number in 0..30_000 {
            let question = asked(number);
            cache.keep("r", &question, &answer(&question, 10), start);
        }
        assert_eq!(cache.entries.len(), ENTRIES);
        let bytes: usize = cache.entries.values().map(|entry| entry.answer.len()).sum();
        assert_eq!(cache.bytes, bytes);
        assert_eq!(age(&cache, 0), None, "the first one went first");
        assert!(cache.find("r", &asked(29_999), start).is_some());
    }
}
