//! One thread's counters: arrays indexed by what a query was, written by that thread only.
//!
//! Counted into after every batch or query, read when metrics are collected.
//! Cost: a relaxed load and store per counter, no read-modify-write, no hashing, no allocation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use conf::{Policy, RecordType};

use super::labels::{PLACES, ZoneLabel};
use crate::answer::Answered;
use crate::policy::Reason;
use crate::wire::{Rcode, Transport};

/// Types with a label of their own; all others count as `other`.
const TYPES: [RecordType; 17] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::CNAME,
    RecordType::NS,
    RecordType::SOA,
    RecordType::PTR,
    RecordType::MX,
    RecordType::TXT,
    RecordType::SRV,
    RecordType::NAPTR,
    RecordType::DS,
    RecordType::DNSKEY,
    RecordType::TLSA,
    RecordType::SVCB,
    RecordType::HTTPS,
    RecordType::CAA,
    RecordType::ANY,
];
const TYPE_PLACES: usize = TYPES.len() + 1;
const POLICIES: [Policy; 8] = Policy::ALL;
/// Upper bounds of the duration's buckets in seconds.
pub(crate) const DURATION_BOUNDS: [f64; 10] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1,
];

/// A decision that was drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Decided {
    /// The record's zone.
    pub(crate) zone: ZoneLabel,
    /// The record's policy.
    pub(crate) policy: Policy,
    /// What the policy went by.
    pub(crate) reason: Reason,
}

/// What one thread counted.
#[derive(Debug)]
pub(crate) struct Counters {
    transport: Transport,
    queries: Box<[AtomicU64]>,
    decisions: Box<[AtomicU64]>,
    durations: [AtomicU64; DURATION_BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Counters {
    /// Zeroes.
    pub(crate) fn new(transport: Transport) -> Self {
        let zeroes = |count| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            transport,
            queries: zeroes(PLACES * TYPE_PLACES * Rcode::ALL.len()),
            decisions: zeroes(PLACES * POLICIES.len() * Reason::ALL.len()),
            durations: Default::default(),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// What the queries came by.
    pub(super) fn transport(&self) -> Transport {
        self.transport
    }

    /// Counts an answer.
    pub(crate) fn count(&self, answered: &Answered) {
        let place = usize::from(answered.zone.0) * TYPE_PLACES + type_place(answered.qtype);
        let place = place * Rcode::ALL.len() + answered.rcode as usize;
        add(self.queries.get(place), 1);
        if let Some(decided) = answered.decided {
            let policy = POLICIES.iter().position(|policy| *policy == decided.policy);
            let place = usize::from(decided.zone.0) * POLICIES.len() + policy.unwrap_or(0);
            let place = place * Reason::ALL.len() + decided.reason as usize;
            add(self.decisions.get(place), 1);
        }
    }

    /// Counts `queries` that took `elapsed` each.
    pub(crate) fn time(&self, elapsed: Duration, queries: usize) {
        let seconds = elapsed.as_secs_f64();
        let place = DURATION_BOUNDS.partition_point(|bound| *bound < seconds);
        add(self.durations.get(place), queries as u64);
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        add(
            Some(&self.nanoseconds),
            nanoseconds.saturating_mul(queries as u64),
        );
    }

    /// Every count of queries that is not zero: zone, type's place, code.
    pub(super) fn each_query(&self, mut visit: impl FnMut(ZoneLabel, usize, Rcode, u64)) {
        let codes = Rcode::ALL.len();
        each(&self.queries, |place, count| {
            let (rest, code) = (place / codes, place % codes);
            if let Some(&rcode) = Rcode::ALL.get(code) {
                let zone = ZoneLabel((rest / TYPE_PLACES) as u16);
                visit(zone, rest % TYPE_PLACES, rcode, count);
            }
        });
    }

    /// Every count of decisions that is not zero.
    pub(super) fn each_decision(&self, mut visit: impl FnMut(Decided, u64)) {
        let reasons = Reason::ALL.len();
        each(&self.decisions, |place, count| {
            let (rest, reason) = (place / reasons, place % reasons);
            let zone = ZoneLabel((rest / POLICIES.len()) as u16);
            let policy = POLICIES.get(rest % POLICIES.len());
            if let (Some(&policy), Some(&reason)) = (policy, Reason::ALL.get(reason)) {
                visit(
                    Decided {
                        zone,
                        policy,
                        reason,
                    },
                    count,
                );
            }
        });
    }

    /// Adds the duration's buckets to `buckets`; gives back the sum in seconds.
    pub(super) fn add_durations(&self, buckets: &mut [u64]) -> f64 {
        for (bucket, count) in buckets.iter_mut().zip(&self.durations) {
            *bucket += count.load(Ordering::Relaxed);
        }
        Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64()
    }
}

/// The label of a type's place.
pub(super) fn type_name(place: usize) -> &'static str {
    TYPES
        .get(place)
        .and_then(|rtype| rtype.mnemonic())
        .unwrap_or("other")
}

fn type_place(qtype: u16) -> usize {
    TYPES
        .iter()
        .position(|rtype| rtype.0 == qtype)
        .unwrap_or(TYPES.len())
}

fn each(counters: &[AtomicU64], mut visit: impl FnMut(usize, u64)) {
    for (place, counter) in counters.iter().enumerate() {
        match counter.load(Ordering::Relaxed) {
            0 => {}
            count => visit(place, count),
        }
    }
}

/// There is one writer, so that a load and a store do.
fn add(counter: Option<&AtomicU64>, more: u64) {
    if let Some(counter) = counter {
        let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
        counter.store(sum, Ordering::Relaxed);
    }
}
