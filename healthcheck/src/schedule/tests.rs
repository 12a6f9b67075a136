//! The grid, the spread, the cap, additional probes; and that probes of one key never overlap.

use proptest::prelude::*;

use super::*;

const INTERVAL: Duration = Duration::from_secs(5);
const LANE: Lane = Lane::Group(0);

fn key(n: u32) -> ProbeKey {
    ProbeKey::Target(SlotId(n))
}

/// Runs the schedule for `span`, each probe taking `takes`; the starts in order.
fn run(
    schedule: &mut Schedule,
    mut now: Instant,
    span: Duration,
    takes: Duration,
) -> Vec<(Instant, Start)> {
    let end = now + span;
    let mut starts = Vec::new();
    let mut running: Vec<(Instant, Start)> = Vec::new();
    while now <= end {
        while let Some(start) = schedule.take_due(now) {
            starts.push((now, start));
            running.push((now + takes, start));
        }
        let ends = running.iter().map(|&(at, _)| at).min();
        let next = [schedule.next_wake(), ends].into_iter().flatten().min();
        let Some(next) = next else { break };
        now = now.max(next);
        let ended = running.extract_if(.., |(at, _)| *at <= now);
        for (at, start) in ended.collect::<Vec<_>>() {
            assert!(schedule.ended(&start, at));
        }
    }
    starts
}

#[test]
fn probes_go_from_start_to_start_within_five_percent_and_keep_the_mean() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, 1);
    schedule.add(&[(key(0), LANE, INTERVAL)], now);
    let takes = Duration::from_millis(1700);
    let starts = run(&mut schedule, now, INTERVAL * 1000, takes);
    assert_eq!(starts[0].0, now, "the first at once");
    let gaps = starts.windows(2).map(|pair| pair[1].0 - pair[0].0);
    let (low, high) = (INTERVAL.mul_f64(0.95), INTERVAL.mul_f64(1.05));
    assert!(gaps.clone().all(|gap| low <= gap && gap <= high));
    assert!(gaps.max() != Some(INTERVAL), "some jitter");
    let mean = (starts[1000 - 1].0 - now) / 999;
    assert!(
        mean.abs_diff(INTERVAL) < Duration::from_millis(1),
        "{mean:?}"
    );
}

#[test]
fn first_probes_are_spread_over_a_tenth_of_the_interval_or_a_second() {
    let now = Instant::now();
    for (interval, spread) in [(5, 0.5), (30, 1.0)] {
        let interval = Duration::from_secs(interval);
        let mut schedule = Schedule::new(1000, 1);
        let batch: Vec<_> = (0..100).map(|n| (key(n), LANE, interval)).collect();
        schedule.add(&batch, now);
        let starts = run(&mut schedule, now, interval / 2, Duration::ZERO);
        assert_eq!(starts.len(), 100);
        let last = starts[99].0 - now;
        assert!(last.as_secs_f64() < spread && last.as_secs_f64() > spread * 0.9);
    }
}

#[test]
fn no_more_probes_than_the_cap_run_and_all_get_their_turn() {
    let now = Instant::now();
    let mut schedule = Schedule::new(3, 1);
    let batch: Vec<_> = (0..10).map(|n| (key(n), LANE, INTERVAL)).collect();
    schedule.add(&batch, now);
    let later = now + Duration::from_secs(1);
    let mut taken = Vec::new();
    while let Some(start) = schedule.take_due(later) {
        taken.push(start);
    }
    assert_eq!(taken.len(), 3);
    assert_eq!(schedule.next_wake(), None, "an end wakes, not the clock");
    for start in taken {
        schedule.ended(&start, later);
    }
    let more = run(
        &mut schedule,
        later,
        Duration::from_secs(1),
        Duration::from_millis(10),
    );
    assert_eq!(more.len(), 7);
}

/// A group of black holes, whose every probe takes two seconds, is more than the capacity holds.
#[test]
fn a_group_of_black_holes_delays_nobody_else() {
    const CAPACITY: usize = 64;
    let long = Duration::from_secs(2);
    let mut now = Instant::now();
    let end = now + INTERVAL * 20;
    let mut schedule = Schedule::new(CAPACITY, 1);
    let holes = (0..1000).map(|n| (key(n), Lane::Group(0), INTERVAL));
    let others = (1000..1050).map(|n| (key(n), Lane::Group(1), INTERVAL));
    schedule.add(&holes.chain(others).collect::<Vec<_>>(), now);
    let mut running: BinaryHeap<Reverse<(Instant, u64)>> = BinaryHeap::new();
    let mut starts: HashMap<u64, Start> = HashMap::new();
    let (mut most, mut counts) = (0, HashMap::<ProbeKey, u32>::new());
    while now < end {
        loop {
            let due: HashMap<_, _> = (1000..1050)
                .filter_map(|n| Some((key(n), schedule.next_start(key(n))?)))
                .collect();
            let Some(start) = schedule.take_due(now) else {
                break;
            };
            let is_hole = start.lane == Lane::Group(0);
            assert!(
                is_hole || now == due[&start.key],
                "{:?} late",
                now - due[&start.key]
            );
            let takes = if is_hole {
                long
            } else {
                Duration::from_millis(1)
            };
            running.push(Reverse((now + takes, start.serial)));
            starts.insert(start.serial, start);
            *counts.entry(start.key).or_default() += 1;
        }
        let slow = starts.values().filter(|start| start.lane == Lane::Group(0));
        most = most.max(slow.count());
        let ends = running.peek().map(|Reverse((at, _))| *at);
        now = [schedule.next_wake(), ends]
            .into_iter()
            .flatten()
            .min()
            .unwrap()
            .max(now);
        while let Some(&Reverse((at, serial))) = running.peek()
            && at <= now
        {
            running.pop();
            schedule.ended(&starts.remove(&serial).unwrap(), at);
        }
    }
    assert!((1000..1050).all(|n| counts[&key(n)] >= 19));
    let holes = counts.iter().filter(|(key, _)| **key < self::key(1000));
    let (probed, most_often) = holes.fold((0, 0), |(n, most), (_, &c)| (n + 1, c.max(most)));
    assert_eq!(probed, 1000, "they take turns among themselves");
    assert!(
        most_often <= 4,
        "a hundred seconds, 52 places, 1000 probes of 2 s"
    );
    assert_eq!(most, 52, "four fifths of the places");
}

#[test]
fn a_slow_probe_delays_its_own_next_one_only() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, 1);
    schedule.add(&[(key(0), LANE, INTERVAL)], now);
    let starts = run(&mut schedule, now, INTERVAL * 20, INTERVAL * 3 / 2);
    let gaps = starts.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.into_iter().all(|gap| gap >= INTERVAL * 3 / 2));
}

#[test]
fn additional_probes_start_at_once_slow_down_and_leave_the_grid_alone() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, 1);
    schedule.add(&[(key(0), LANE, INTERVAL)], now);
    run(&mut schedule, now, Duration::from_secs(1), Duration::ZERO);
    let marked = now + Duration::from_secs(1);
    schedule.hurry(key(0), marked);
    let starts = run(&mut schedule, marked, INTERVAL * 2, Duration::ZERO);
    let after = |at: Instant| (at - marked).as_millis();
    let additional = starts.iter().filter(|(_, start)| !start.regular);
    let additional: Vec<_> = additional.map(|&(at, _)| after(at)).take(6).collect();
    assert_eq!(additional, [0, 100, 300, 550, 800, 1050]);
    let regular: Vec<_> = starts.iter().filter(|(_, start)| start.regular).collect();
    assert_eq!(regular.len(), 2);
    assert!((3875..=4125).contains(&after(regular[0].0)));
    let calm = regular[1].0;
    schedule.calm(key(0), calm);
    let starts = run(&mut schedule, calm, INTERVAL * 2, Duration::ZERO);
    assert!(starts.iter().all(|(_, start)| start.regular));
}

#[test]
fn suspicion_by_turns_costs_one_probe_a_second_in_the_end() {
    let mut now = Instant::now();
    let mut schedule = Schedule::new(8, 1);
    schedule.add(&[(key(0), LANE, INTERVAL)], now);
    let mut starts = Vec::new();
    schedule.hurry(key(0), now);
    for _ in 0..10_000 {
        if let Some(start) = schedule.take_due(now) {
            starts.push(now);
            schedule.ended(&start, now);
            // It passed, and the next millisecond's traffic fails again.
            schedule.calm(key(0), now);
            schedule.hurry(key(0), now);
        }
        now += Duration::from_millis(1);
    }
    assert!(
        (10..=20).contains(&starts.len()),
        "{} in ten seconds",
        starts.len()
    );
    now += INTERVAL;
    while let Some(start) = schedule.take_due(now) {
        schedule.ended(&start, now);
    }
    now += Duration::from_secs(1);
    schedule.hurry(key(0), now);
    assert_eq!(
        schedule.next_wake(),
        Some(now - Duration::from_secs(1) + FIRST_GAP)
    );
}

#[test]
fn a_probe_running_when_its_key_was_removed_is_stale() {
    let now = Instant::now();
    let mut schedule = Schedule::new(1, 1);
    schedule.add(&[(key(0), LANE, INTERVAL)], now);
    let old = schedule.take_due(now).unwrap();
    schedule.remove(key(0));
    schedule.add(&[(key(0), LANE, INTERVAL)], now);
    assert!(
        schedule.take_due(now).is_none(),
        "it still counts against the cap"
    );
    assert!(!schedule.ended(&old, now));
    assert!(schedule.take_due(now).is_some());
}

#[test]
fn a_shorter_interval_holds_at_once() {
    let now = Instant::now();
    let mut schedule = Schedule::new(8, 1);
    schedule.add(&[(key(0), LANE, Duration::from_secs(300))], now);
    run(&mut schedule, now, Duration::from_secs(1), Duration::ZERO);
    schedule.set_interval(key(0), INTERVAL, now + Duration::from_secs(1));
    let next = schedule.next_start(key(0)).unwrap();
    assert_eq!(next, now + Duration::from_secs(6));
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Add(u32),
    Remove(u32),
    Hurry(u32),
    Calm(u32),
    End(usize),
    Pass(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        1 => (0..6u32).prop_map(Step::Add),
        1 => (0..6u32).prop_map(Step::Remove),
        1 => (0..6u32).prop_map(Step::Hurry),
        1 => (0..6u32).prop_map(Step::Calm),
        4 => (0..6usize).prop_map(Step::End),
        4 => (0..3000u64).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn probes_never_overlap_nor_exceed_the_cap_nor_get_lost(steps in steps(), seed in any::<u64>()) {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(4, seed);
        let mut running: Vec<Start> = Vec::new();
        // Probes of removed keys still run, but are no longer their key's.
        let mut stale: Vec<u64> = Vec::new();
        for step in steps {
            match step {
                Step::Add(n) if !schedule.contains(key(n)) => {
                    schedule.add(&[(key(n), Lane::Group(n % 2), INTERVAL)], now);
                }
                Step::Add(_) => {}
                Step::Remove(n) => {
                    schedule.remove(key(n));
                    let own = running.iter().filter(|start| start.key == key(n));
                    stale.extend(own.map(|start| start.serial));
                }
                Step::Hurry(n) => schedule.hurry(key(n), now),
                Step::Calm(n) => schedule.calm(key(n), now),
                Step::End(n) if n < running.len() => {
                    let start = running.remove(n);
                    let current = schedule.ended(&start, now);
                    prop_assert_eq!(current, !stale.contains(&start.serial));
                }
                Step::End(_) => {}
                Step::Pass(ms) => now += Duration::from_millis(ms),
            }
            while let Some(start) = schedule.take_due(now) {
                let own = |r: &&Start| r.key == start.key && !stale.contains(&r.serial);
                prop_assert!(running.iter().find(own).is_none(), "overlap");
                running.push(start);
            }
            prop_assert!(running.len() <= 4);
            for n in 0..6 {
                let idle = !running.iter().any(|r| r.key == key(n) && !stale.contains(&r.serial));
                if schedule.contains(key(n)) && idle && running.len() < 4 {
                    let due = schedule.next_start(key(n));
                    prop_assert!(due.is_some_and(|due| due > now && due <= now + INTERVAL * 2));
                    prop_assert!(schedule.next_wake() <= due, "lost");
                }
            }
        }
    }
}
