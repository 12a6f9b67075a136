//! The table under scripts of connections.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn client(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// As many connections from one address.
fn connect(table: &mut Table, from: &str, time: Duration, count: usize, now: Instant) {
    for _ in 0..count {
        table.take(client(from), time, now);
    }
}

fn told(table: &Table) -> Vec<String> {
    let line = |one: &MeasuredRtt| format!("{} {:.0} {}", one.network, one.ms, one.samples);
    table.used().iter().map(line).collect()
}

#[test]
fn networks_count_with_enough_connections_of_any_of_their_addresses() {
    let (mut table, now) = (Table::new(5), Instant::now());
    for last in 1..5 {
        table.take(client(&format!("203.0.113.{last}")), ms(80), now);
    }
    connect(&mut table, "2001:db8:7:1::1", ms(30), 5, now);
    connect(&mut table, "::ffff:198.51.100.9", ms(10), 6, now);
    assert!(table.settle(now));
    assert_eq!(
        told(&table),
        ["198.51.100.0/24 10 6", "2001:db8:7::/48 30 5"]
    );
    connect(&mut table, "203.0.113.200", ms(80), 1, now);
    assert!(table.settle(now));
    assert_eq!(told(&table)[1], "203.0.113.0/24 80 5");
    assert!(!table.settle(now), "nothing new");
}

#[test]
fn what_is_told_moves_by_steps_and_not_by_one_slow_connection() {
    let (mut table, now) = (Table::new(1), Instant::now());
    let from = "203.0.113.1";
    connect(&mut table, from, ms(50), 200, now);
    assert!(table.settle(now));
    // One connection that took 90 ms moves the average by 5 ms.
    connect(&mut table, from, ms(90), 1, now);
    assert!(!table.settle(now));
    assert_eq!(told(&table), ["203.0.113.0/24 50 200"]);
    // The path got longer: they all say so now.
    let mut steps = 0;
    for _ in 0..60 {
        connect(&mut table, from, ms(90), 1, now);
        steps += usize::from(table.settle(now));
    }
    assert_eq!(steps, 3, "50 to 90 ms in steps of 10 at least");
    let last = table.used()[0].ms;
    assert!((79.0..=90.0).contains(&last), "{last}");
    // Far away a tenth is more than 10 ms.
    connect(&mut table, "198.51.100.1", ms(300), 200, now);
    table.settle(now);
    connect(&mut table, "198.51.100.1", ms(325), 100, now);
    assert!(!table.settle(now));
}

#[test]
fn twice_as_many_connections_are_news_because_they_weigh_more() {
    let (mut table, now) = (Table::new(5), Instant::now());
    let mut news = 0;
    for _ in 0..1000 {
        connect(&mut table, "203.0.113.1", ms(50), 1, now);
        news += usize::from(table.settle(now));
    }
    // 5, 10, 20, 40, 80, 160; never more than 200 count.
    assert_eq!(news, 6);
    assert_eq!(table.networks().next().unwrap().samples, 200);
}

#[test]
fn networks_that_are_not_seen_for_a_week_are_forgotten() {
    let (mut table, start) = (Table::new(1), Instant::now());
    connect(&mut table, "203.0.113.1", ms(50), 1, start);
    connect(&mut table, "198.51.100.1", ms(50), 1, start);
    assert!(table.settle(start));
    connect(&mut table, "198.51.100.1", ms(50), 1, start + 100 * HOUR);
    // It stands on two connections now.
    assert!(table.settle(start + 7 * 24 * HOUR - ms(1)));
    assert_eq!(table.used().len(), 2);
    assert!(table.settle(start + 7 * 24 * HOUR));
    assert_eq!(told(&table), ["198.51.100.0/24 50 2"]);
}

#[test]
fn a_flood_of_networks_makes_room_among_those_that_do_not_count() {
    let (mut table, now) = (Table::new(2), Instant::now());
    connect(&mut table, "203.0.113.1", ms(50), 2, now);
    table.settle(now);
    for number in 0..10_000_u32 {
        let from = IpAddr::from((0x0b00_0000 + number * 256).to_be_bytes());
        table.take(from, ms(1), now + ms(1 + u64::from(number)));
        assert!(table.networks.len() <= NETWORKS);
    }
    assert_eq!(told(&table), ["203.0.113.0/24 50 2"]);
    let newest = network_of(IpAddr::from((0x0b00_0000 + 9_999_u32 * 256).to_be_bytes()));
    assert!(table.networks.contains_key(&newest));
}
