//! Geolocation, latency and geoproximity: which sets are for clients who are somewhere, and which
//! of them first.
//!
//! Called when plans are made, for each place that clients are told apart by; never per query.

use conf::{Audience, Place, Whereabouts};

use crate::location::Latencies;
use crate::location::distance::{biased, point};

/// A set as far as its place counts.
#[derive(Debug)]
pub(super) struct Candidate<'s> {
    /// Decides between sets that are equally far.
    pub(super) id: &'s str,
    pub(super) audience: Audience,
}

/// The sets for clients of a place, the most exact first: state, country, continent, default.
pub(super) fn by_place(candidates: &[Candidate<'_>], whereabouts: &Whereabouts) -> Vec<usize> {
    let mut sets = Vec::new();
    let mut around = whereabouts.place;
    loop {
        let wanted = Audience::Place(around);
        sets.extend(
            candidates
                .iter()
                .position(|candidate| candidate.audience == wanted),
        );
        if around == Place::default() {
            return sets;
        }
        around = around.wider();
    }
}

/// All sets, the least latency first. Where nothing is known of the client the set ids decide.
pub(super) fn by_latency(
    candidates: &[Candidate<'_>],
    whereabouts: &Whereabouts,
    latencies: &Latencies,
) -> Vec<usize> {
    ranked(candidates, |audience| match audience {
        Audience::Region(region) => latencies.rtt(region, whereabouts).ms(),
        _ => f64::INFINITY,
    })
}

/// All sets, the nearest first as biases make it seem.
pub(super) fn by_distance(candidates: &[Candidate<'_>], whereabouts: &Whereabouts) -> Vec<usize> {
    ranked(candidates, |audience| distance_km(audience, whereabouts))
}

/// Kilometres between clients and a set as its bias makes them seem; infinite when not known.
pub(super) fn distance_km(audience: Audience, whereabouts: &Whereabouts) -> f64 {
    match audience {
        Audience::Near { coordinates, bias } => {
            let there = point(whereabouts);
            biased(
                there.map_or(f64::INFINITY, |there| there.distance_km(coordinates)),
                bias,
            )
        }
        _ => f64::INFINITY,
    }
}

fn ranked(candidates: &[Candidate<'_>], cost: impl Fn(Audience) -> f64) -> Vec<usize> {
    let costs: Vec<f64> = candidates
        .iter()
        .map(|candidate| cost(candidate.audience))
        .collect();
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|&a, &b| {
        let key = |at: usize| {
            let cost = costs.get(at).copied().unwrap_or(f64::INFINITY);
            let id = candidates.get(at).map_or("", |candidate| candidate.id);
            (cost, id)
        };
        let ((cost_a, id_a), (cost_b, id_b)) = (key(a), key(b));
        cost_a.total_cmp(&cost_b).then(id_a.cmp(id_b))
    });
    order
}

#[cfg(test)]
mod tests {
    use conf::Coordinates;

    use super::*;

    fn at(latitude: f64, longitude: f64) -> Coordinates {
        Coordinates::from_degrees(latitude, longitude).unwrap()
    }

    fn near(id: &str, longitude: f64, bias: i8) -> Candidate<'_> {
        let coordinates = at(0.0, longitude);
        Candidate {
            id,
            audience: Audience::Near { coordinates, bias },
        }
    }

    #[test]
    fn a_bias_can_make_the_farther_set_the_nearer() {
        let client = Whereabouts {
            coordinates: Some(at(0.0, 0.0)),
            ..Whereabouts::default()
        };
        let order = |sets: &[Candidate<'_>]| by_distance(sets, &client);
        assert_eq!(order(&[near("a", 1.5, 50), near("b", 1.0, 0)]), [0, 1]);
        assert_eq!(order(&[near("a", 1.5, 0), near("b", 1.0, 0)]), [1, 0]);
        assert_eq!(order(&[near("a", 1.5, 0), near("b", 1.0, -50)]), [0, 1]);
        // Equally far: by set id, whatever the order of the file.
        assert_eq!(order(&[near("b", 1.0, 0), near("a", -1.0, 0)]), [1, 0]);
        let unknown = Whereabouts::default();
        let sets = [near("b", 1.0, 0), near("a", 9.0, 0)];
        assert_eq!(by_distance(&sets, &unknown), [1, 0]);
    }
}
