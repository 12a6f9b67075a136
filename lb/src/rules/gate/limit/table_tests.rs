//! The table against a model that forgets nothing, and its exactness over threads.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const SECOND: u64 = 1_000_000_000;

#[test]
fn it_decides_as_a_model_that_forgets_nothing() {
    for seed in 0..64 {
        let mut rng = StdRng::seed_from_u64(seed);
        let table = Table::with_buckets(256);
        let mut model: HashMap<u64, u64> = HashMap::new();
        let rate = Rate {
            interval: rng.random_range(1..SECOND),
            tolerance: rng.random_range(0..5 * SECOND),
        };
        let keys: Vec<u64> = (0..rng.random_range(1..40)).map(|_| rng.random()).collect();
        let mut now = rng.random_range(0..SECOND);
        for _ in 0..2000 {
            now += rng.random_range(0..rate.interval);
            let key = keys[rng.random_range(0..keys.len())];
            let wanted = rate.decide(model.get(&key).copied().unwrap_or(0), now);
            let wanted = wanted.map(|next| {
                model.insert(key, next);
            });
            assert_eq!(table.take(key, rate, now), wanted, "seed {seed}");
        }
        assert_eq!(table.evicted(), 0, "seed {seed}");
    }
}

#[test]
fn limits_are_exact_with_two_and_four_threads() {
    for threads in [2, 4] {
        // Few entries for the keys, so that they are entered at the same moments.
        let table = Table::with_buckets(16);
        let rate = Rate {
            interval: SECOND,
            tolerance: 24 * SECOND,
        };
        let mut rng = StdRng::seed_from_u64(threads);
        let keys: Vec<u64> = (0..10).map(|_| rng.random()).collect();
        let admitted: usize = std::thread::scope(|scope| {
            let run = || {
                let tries = (0..2000).map(|n| keys[n % keys.len()]);
                tries
                    .filter(|key| table.take(*key, rate, 7).is_ok())
                    .count()
            };
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            running.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!((admitted, table.evicted()), (250, 0), "{threads}");
    }
}

#[test]
fn threads_that_fight_for_entries_admit_no_more_than_evictions_allow() {
    let table = Table::with_buckets(1);
    let rate = Rate {
        interval: SECOND,
        tolerance: 0,
    };
    // Twice as many busy keys as there are entries.
    let keys: Vec<u64> = (1..=2 * WIDTH as u64).map(|n| n << 8).collect();
    let admitted: u64 = std::thread::scope(|scope| {
        let run = || {
            let tries = (0..5000).map(|n| keys[n % keys.len()]);
            tries
                .filter(|key| table.take(*key, rate, 7).is_ok())
                .count() as u64
        };
        let running = [scope.spawn(run), scope.spawn(run)];
        running.into_iter().map(|t| t.join().unwrap()).sum()
    });
    // Each is admitted once for being new, and once again for each time a busy key was forgotten.
    let most = WIDTH as u64 + table.evicted();
    assert!(admitted <= most + 2, "{admitted} of {most}");
    assert!(admitted >= keys.len() as u64);
}

#[test]
fn the_key_that_rests_longest_makes_room() {
    let table = Table::with_buckets(1);
    let rate = Rate {
        interval: 10,
        tolerance: 0,
    };
    for key in 1..=WIDTH as u64 {
        assert_eq!(table.take(key << 8, rate, key), Ok(()));
    }
    // The first one's time is over: nothing is lost with it.
    assert_eq!(table.take(99 << 8, rate, 11), Ok(()));
    assert_eq!(table.evicted(), 0);
    // All are busy: the one that would be free first goes.
    assert_eq!(table.take(98 << 8, rate, 11), Ok(()));
    assert_eq!(table.evicted(), 1);
    assert_eq!(table.take(3 << 8, rate, 11), Err(2));
    assert_eq!(table.take(2 << 8, rate, 11), Ok(()));
}
