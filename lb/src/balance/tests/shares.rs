//! Shares are the weights: exactly in turn, else by chi-squared.

use super::*;

/// Counts by port of `cycles` whole cycles taken by `threads` threads at once.
fn shared_walk(weights: &[u16], threads: usize, cycles: usize) -> HashMap<u16, usize> {
    let weighted = weights.iter().zip(1..);
    let members = weighted.map(|(&weight, port)| member(port, weight, Condition::Healthy));
    let group = Arc::new(round_robin(members.collect()));
    let cycle: usize = weights.iter().map(|&w| usize::from(w)).sum();
    let walk = |_| {
        let group = group.clone();
        std::thread::spawn(move || {
            (0..cycle * cycles / threads)
                .filter_map(|_| picked(&group))
                .collect::<Vec<_>>()
        })
    };
    let walkers: Vec<_> = (0..threads).map(walk).collect();
    let mut counts = HashMap::new();
    for port in walkers
        .into_iter()
        .flat_map(|walker| walker.join().unwrap())
    {
        *counts.entry(port).or_default() += 1;
    }
    counts
}

#[test]
fn round_robin_is_exact_with_two_and_four_threads() {
    for threads in [2, 4] {
        let counts = shared_walk(&[5, 2, 1], threads, 1000);
        assert_eq!(counts, HashMap::from([(1, 5000), (2, 2000), (3, 1000)]));
    }
}

/// Pearson's statistic of `counts` against weights.
fn chi_squared(counts: &HashMap<u16, usize>, weights: &[u16]) -> f64 {
    let drawn: usize = counts.values().sum();
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let term = |(&weight, port): (&u16, u16)| {
        let expected = drawn as f64 * f64::from(weight) / total;
        let seen = counts.get(&port).copied().unwrap_or_default() as f64;
        (seen - expected).powi(2) / expected
    };
    weights.iter().zip(1..).map(term).sum()
}

#[test]
fn random_and_hashed_shares_are_the_weights() {
    // 99.99 % of fair draws stay under it at 5 degrees of freedom.
    const LIMIT: f64 = 25.7;
    let weights = [5, 1, 2, 10, 7, 3];
    for algorithm in HASHING.into_iter().chain([Algorithm::WeightedRandom]) {
        let mut counts = HashMap::new();
        for port in mapping(&weighted(algorithm, &weights), 40_000) {
            *counts.entry(port).or_default() += 1;
        }
        let statistic = chi_squared(&counts, &weights);
        assert!(statistic < LIMIT, "{algorithm:?}: {statistic}");
    }
}

#[test]
fn weighted_random_among_few_usable_ones_keeps_their_weights() {
    let weights = [1000, 1000, 1000, 1000, 3, 1];
    let group = weighted(Algorithm::WeightedRandom, &weights);
    for member in &group.members[..4] {
        member.target.signal().mark();
    }
    let picks = mapping(&group, 20_000);
    let fives = picks.iter().filter(|port| **port == 5).count();
    assert!((fives as f64 / 20_000.0 - 0.75).abs() < 0.02, "{fives}");
    assert!(picks.iter().all(|port| [5, 6].contains(port)));
}
