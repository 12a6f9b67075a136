//! The table against a plain model, over seeds of a simulated network: datagrams are lost, delayed
//! and overtake each other, targets die and come back, clients move between workers, limits bite.

use std::collections::BinaryHeap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::*;

const SEEDS: u64 = 256;
const STEPS: usize = 600;
const WORKERS: usize = 2;
const TARGETS: usize = 4;

/// What a flow is in the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sent {
    target: usize,
}

/// The same thing, as plainly as can be.
#[derive(Debug, Clone)]
struct ModelFlow {
    worker: usize,
    key: FlowKey,
    id: FlowId,
    target: usize,
    last: Instant,
    /// Grows with every datagram: the order among equal times.
    turn: u64,
    born: u64,
    responses: u32,
    replied: bool,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    /// A datagram of this client reaches the balancer.
    FromClient(usize),
    /// A datagram reaches a target, from the flow (worker, id).
    AtTarget(usize, u64, usize),
    /// A target's answer, or its host's ICMP error, reaches the flow.
    Answer(usize, u64),
    Refusal(usize, u64),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event(std::cmp::Reverse<(Instant, u64)>, Happens);

struct World {
    rng: SmallRng,
    now: Instant,
    tables: Vec<FlowTable<Sent>>,
    model: Vec<ModelFlow>,
    turns: u64,
    events: BinaryHeap<Event>,
    alive: [bool; TARGETS],
    /// Which worker the kernel gives each client to.
    worker_of: Vec<usize>,
    lifetimes: Lifetimes,
    limit: usize,
    limit_of_source: usize,
    seen: Seen,
}

/// That the seeds reach what they are for.
#[derive(Debug, Default)]
struct Seen {
    evictions: usize,
    evictions_of_source: usize,
    refusals: usize,
    expiries: usize,
    answered: usize,
    late: usize,
}

fn client(index: usize) -> SocketAddr {
    // Four ports for each address.
    let octet = (index / 4) as u8;
    SocketAddr::from(([10, 0, 0, octet], 1000 + (index % 4) as u16))
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let clients = rng.random_range(4..60);
        let lifetimes = Lifetimes {
            unreplied: Duration::from_millis(rng.random_range(100..4000)),
            replied: Duration::from_millis(rng.random_range(100..8000)),
            responses: rng.random_range(0..3),
        };
        Self {
            now: Instant::now(),
            tables: (0..WORKERS).map(|_| FlowTable::default()).collect(),
            model: Vec::new(),
            turns: 0,
            events: BinaryHeap::new(),
            alive: [true; TARGETS],
            worker_of: (0..clients).map(|_| rng.random_range(0..WORKERS)).collect(),
            lifetimes,
            limit: rng.random_range(2..40),
            limit_of_source: rng.random_range(1..5),
            seen: Seen::default(),
            rng,
        }
    }

    fn later(&mut self, happens: Happens) {
        if self.rng.random_bool(0.1) {
            return; // lost
        }
        let at = self.now + Duration::from_millis(self.rng.random_range(0..1500));
        self.turns += 1;
        self.events
            .push(Event(std::cmp::Reverse((at, self.turns)), happens));
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..2 => {
                let target = self.rng.random_range(0..TARGETS);
                self.alive[target] = !self.alive[target];
                if !self.alive[target] && self.rng.random_bool(0.5) {
                    self.end_flows_of(target);
                }
            }
            2..4 => {
                let client = self.rng.random_range(0..self.worker_of.len());
                self.worker_of[client] = self.rng.random_range(0..WORKERS);
            }
            4..5 => {
                self.lifetimes.replied = Duration::from_millis(self.rng.random_range(100..8000))
            }
            5..55 => {
                let client = self.rng.random_range(0..self.worker_of.len());
                self.later(Happens::FromClient(client));
            }
            _ => self.next_event(),
        }
        self.compare();
    }

    fn next_event(&mut self) {
        let Some(Event(std::cmp::Reverse((at, _)), happens)) = self.events.pop() else {
            self.now += Duration::from_millis(200);
            return self.expire();
        };
        self.now = at;
        self.expire();
        match happens {
            Happens::FromClient(client) => self.client_sent(client),
            Happens::AtTarget(worker, id, target) => {
                let answer = match self.alive[target] {
                    true => Happens::Answer(worker, id),
                    false => Happens::Refusal(worker, id),
                };
                self.later(answer);
            }
            Happens::Answer(worker, id) => self.answer(worker, FlowId::from_bits(id)),
            Happens::Refusal(worker, id) => {
                self.seen.refusals += 1;
                self.remove(worker, FlowId::from_bits(id));
            }
        }
    }

    fn client_sent(&mut self, index: usize) {
        let worker = self.worker_of[index];
        let key = FlowKey {
            client: client(index),
            own: None,
            lane: None,
        };
        let known = self.tables[worker].client_spoke(&key, self.now);
        self.turns += 1;
        let (now, turn) = (self.now, self.turns);
        let of_key = |flow: &&mut ModelFlow| (flow.worker, flow.key) == (worker, key);
        let expected = self.model.iter_mut().find(of_key).map(|flow| {
            (flow.last, flow.turn) = (now, turn);
            (flow.id, flow.target)
        });
        assert_eq!(known, expected.map(|(id, _)| id));
        let (id, target) = match expected {
            Some(found) => found,
            None => match self.open(worker, key) {
                Some(opened) => opened,
                None => return,
            },
        };
        assert_eq!(self.tables[worker].get_mut(id), Some(&mut Sent { target }));
        self.later(Happens::AtTarget(worker, id.to_bits(), target));
    }

    /// What `opening` does, with the limits counted by the model.
    fn open(&mut self, worker: usize, key: FlowKey) -> Option<(FlowId, usize)> {
        let target = (0..TARGETS).find(|target| self.alive[*target])?;
        let ip = source(&key);
        if self
            .model
            .iter()
            .filter(|flow| source(&flow.key) == ip)
            .count()
            >= self.limit_of_source
        {
            let victim = self.tables[worker].to_evict_of(ip, self.now);
            let unreplied = self.model.iter().filter(|flow| {
                (flow.worker, source(&flow.key), flow.replied) == (worker, ip, false)
            });
            let oldest = unreplied.min_by_key(|flow| flow.born);
            let hopeless = oldest.filter(|flow| flow.last + RESPITE <= self.now);
            assert_eq!(victim, hopeless.map(|flow| flow.id));
            self.remove(worker, victim?);
            self.seen.evictions_of_source += 1;
        }
        while self.model.len() >= self.limit {
            let victim = self.tables[worker].to_evict(self.now);
            assert_eq!(victim, self.victim(worker));
            self.remove(worker, victim?);
            self.seen.evictions += 1;
        }
        let id = self.tables[worker].insert(key, Sent { target }, true, self.now);
        self.turns += 1;
        self.model.push(ModelFlow {
            worker,
            key,
            id,
            target,
            last: self.now,
            turn: self.turns,
            born: self.turns,
            responses: 0,
            replied: false,
        });
        Some((id, target))
    }

    fn victim(&self, worker: usize) -> Option<FlowId> {
        let oldest = |replied| {
            let of_phase = self.model.iter();
            let of_phase = of_phase.filter(|f| (f.worker, f.replied) == (worker, replied));
            of_phase.min_by_key(|flow| (flow.last, flow.turn))
        };
        let count = |replied| {
            let of_phase = self.model.iter();
            let of_phase = of_phase.filter(|f| (f.worker, f.replied) == (worker, replied));
            of_phase.count()
        };
        let crowd = count(false) > count(true);
        let unreplied = oldest(false);
        let hopeless = unreplied.filter(|flow| crowd || flow.last + RESPITE <= self.now);
        hopeless.or(oldest(true)).or(unreplied).map(|flow| flow.id)
    }

    fn answer(&mut self, worker: usize, id: FlowId) {
        let done = self.tables[worker].target_spoke(id, 1, &self.lifetimes, self.now);
        self.turns += 1;
        let flow = self
            .model
            .iter_mut()
            .find(|f| (f.worker, f.id) == (worker, id));
        let Some(flow) = flow else {
            self.seen.late += 1;
            return assert!(!done);
        };
        flow.responses += 1;
        (flow.last, flow.turn, flow.replied) = (self.now, self.turns, true);
        let limit = self.lifetimes.responses;
        assert_eq!(done, limit > 0 && flow.responses >= limit);
        if done {
            self.seen.answered += 1;
            self.remove(worker, id);
        }
    }

    fn expire(&mut self) {
        for worker in 0..WORKERS {
            loop {
                let lifetime = |flow: &ModelFlow| match flow.replied {
                    true => self.lifetimes.replied,
                    false => self.lifetimes.unreplied,
                };
                let over: Vec<_> = self
                    .model
                    .iter()
                    .filter(|flow| flow.worker == worker && flow.last + lifetime(flow) <= self.now)
                    .map(|flow| (flow.id, flow.replied))
                    .collect();
                let found = self.tables[worker].expired(&self.lifetimes, self.now);
                let Some((id, expiry)) = found else {
                    assert!(over.is_empty());
                    break;
                };
                assert!(over.contains(&(id, expiry == Expiry::Idle)));
                self.remove(worker, id);
                self.seen.expiries += 1;
            }
            let next = self.model.iter().filter(|flow| flow.worker == worker);
            let next = next.map(|flow| match flow.replied {
                true => flow.last + self.lifetimes.replied,
                false => flow.last + self.lifetimes.unreplied,
            });
            assert_eq!(self.tables[worker].next_expiry(&self.lifetimes), next.min());
        }
    }

    fn end_flows_of(&mut self, target: usize) {
        for worker in 0..WORKERS {
            for id in self.tables[worker].ids(|flow| flow.target == target) {
                self.remove(worker, id);
            }
        }
        assert!(self.model.iter().all(|flow| flow.target != target));
    }

    fn remove(&mut self, worker: usize, id: FlowId) {
        let removed = self.tables[worker].remove(id);
        let place = self
            .model
            .iter()
            .position(|f| (f.worker, f.id) == (worker, id));
        let expected = place.map(|place| self.model.remove(place));
        assert_eq!(
            removed.map(|flow| flow.target),
            expected.map(|flow| flow.target)
        );
    }

    fn compare(&mut self) {
        for (worker, table) in self.tables.iter_mut().enumerate() {
            let of_worker = || self.model.iter().filter(|flow| flow.worker == worker);
            assert_eq!(table.len(), of_worker().count());
            assert_eq!(
                table.last_activity(),
                of_worker().map(|flow| flow.last).max()
            );
            for flow in of_worker() {
                assert_eq!(
                    table.get_mut(flow.id).map(|sent| sent.target),
                    Some(flow.target)
                );
            }
        }
        assert!(self.model.len() <= self.limit);
    }
}

#[test]
fn the_table_does_what_a_plain_model_does() {
    let mut all = Seen::default();
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        let seen = world.seen;
        all.evictions += seen.evictions;
        all.evictions_of_source += seen.evictions_of_source;
        all.refusals += seen.refusals;
        all.expiries += seen.expiries;
        all.answered += seen.answered;
        all.late += seen.late;
    }
    let least = [
        all.evictions,
        all.evictions_of_source,
        all.refusals,
        all.expiries,
        all.answered,
        all.late,
    ];
    assert!(least.iter().all(|seen| *seen > 100), "{all:?}");
}

#[test]
fn a_flood_of_forged_sources_leaves_answered_flows_nearly_half_of_the_room() {
    let mut table = FlowTable::default();
    let now = Instant::now();
    let lifetimes = Lifetimes {
        unreplied: Duration::from_secs(10),
        replied: Duration::from_secs(120),
        responses: 0,
    };
    let key = |n: u32| FlowKey {
        client: SocketAddr::from((std::net::Ipv4Addr::from_bits(n), 9)),
        own: None,
        lane: None,
    };
    for n in 0..100 {
        let id = table.insert(key(n), n, false, now);
        table.target_spoke(id, 1, &lifetimes, now);
    }
    for n in 1000..9000 {
        if table.len() == 100 {
            let victim = table.to_evict(now).unwrap();
            table.remove(victim);
        }
        table.insert(key(n), n, false, now);
    }
    let answered = (0..100).filter(|n| table.client_spoke(&key(*n), now).is_some());
    assert_eq!(answered.count(), 49);
}
