//! When a secondary zone is checked, and when it is too old to be served: the timers of its SOA
//! (RFC 1034 section 4.3.5).
//!
//! Sans-io: told what happened and when, it says what is to be done and when. One for each zone,
//! owned by the task that fetches.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest refresh and retry that are heeded: a zone that asks for 0 must not keep two servers
/// busy.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest refresh and retry: four weeks, as BIND has it.
const LONGEST: Duration = Duration::from_secs(28 * 86_400);
/// Without a copy there is no SOA to say how often to try.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(300);
/// Refresh and retry come up to a tenth early, so that zones of one primary do not come at once.
const EARLY: f64 = 0.1;
/// Checks that notifications ask for are at least that far apart.
const NOTIFIED_GAP: Duration = Duration::from_secs(1);

/// The timers of an SOA record, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timers {
    pub(crate) refresh: u32,
    pub(crate) retry: u32,
    pub(crate) expire: u32,
}

impl Timers {
    /// Those of an SOA record's data.
    pub(crate) fn read(rdata: &[u8]) -> Option<Self> {
        let (words, _) = rdata.last_chunk::<20>()?.as_chunks::<4>();
        let [_, refresh, retry, expire, _] = words else {
            return None;
        };
        Some(Self {
            refresh: u32::from_be_bytes(*refresh),
            retry: u32::from_be_bytes(*retry),
            expire: u32::from_be_bytes(*expire),
        })
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checked {
    /// The copy is that of a primary, old or new, with these timers.
    Good(Timers),
    /// No primary gave an answer that can be used.
    Failed,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Ask the primaries; [`Machine::checked`] is waited for.
    Check,
    /// The copy is not to be served any more.
    Expire,
}

/// One zone's timers.
#[derive(Debug)]
pub(crate) struct Machine {
    timers: Option<Timers>,
    /// When it is checked next; while it is being checked it stays what it was.
    next: Instant,
    /// When the copy was found good last.
    good: Option<Instant>,
    checking: bool,
    expired: bool,
    /// A notification came while it was being checked: what it tells of may have been missed.
    again: bool,
    began: Option<Instant>,
    failures: u32,
}

impl Machine {
    /// A zone without a copy: checked at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            timers: None,
            next: now,
            good: None,
            checking: false,
            expired: false,
            again: false,
            began: None,
            failures: 0,
        }
    }

    /// A zone with a copy that was found good `age` ago: checked at once too, since nobody heard
    /// notifications meanwhile.
    pub(crate) fn resume(timers: Timers, age: Duration, now: Instant) -> Self {
        let mut machine = Self::new(now);
        machine.timers = Some(timers);
        machine.good = Some(now.checked_sub(age).unwrap_or(now));
        machine
    }

    /// When [`Machine::due`] has something to say.
    pub(crate) fn wake(&self) -> Option<Instant> {
        let check = (!self.checking).then_some(self.next);
        let expire = self.expires();
        match (check, expire) {
            (Some(check), Some(expire)) => Some(check.min(expire)),
            (check, expire) => check.or(expire),
        }
    }

    /// When it is checked next.
    pub(crate) fn next_check(&self) -> Instant {
        self.next
    }

    /// When the copy gets too old; `None` without one, or when it is.
    pub(crate) fn expires(&self) -> Option<Instant> {
        let (good, timers) = (self.good?, self.timers?);
        let expire = Duration::from_secs(timers.expire.into());
        (!self.expired).then_some(good + expire)
    }

    /// True when the copy is too old.
    pub(crate) fn is_expired(&self) -> bool {
        self.expired
    }

    /// What is to be done at `now`, one thing at a time.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        if self.expires().is_some_and(|expires| expires <= now) {
            self.expired = true;
            return Some(Due::Expire);
        }
        if !self.checking && self.next <= now {
            self.checking = true;
            self.again = false;
            self.began = Some(now);
            return Some(Due::Check);
        }
        None
    }

    /// Takes what a check came to. `draw` in 0..1 scatters the next one.
    pub(crate) fn checked(&mut self, outcome: Checked, now: Instant, draw: f64) {
        self.checking = false;
        let wait = match outcome {
            Checked::Good(timers) => {
                self.timers = Some(timers);
                self.good = Some(now);
                self.expired = false;
                self.failures = 0;
                seconds(timers.refresh)
            }
            Checked::Failed => {
                self.failures += 1;
                match self.timers {
                    Some(timers) => seconds(timers.retry),
                    None => FIRST_RETRY
                        .saturating_mul(1 << (self.failures - 1).min(16))
                        .min(LAST_RETRY),
                }
            }
        };
        self.next = now + wait.mul_f64(1.0 - EARLY * draw.clamp(0.0, 1.0));
        if self.again {
            self.ask(now);
        }
    }

    /// Somebody says that the zone changed.
    pub(crate) fn notified(&mut self, now: Instant) {
        if self.checking {
            self.again = true;
        } else {
            self.ask(now);
        }
    }

    fn ask(&mut self, now: Instant) {
        let soonest = self
            .began
            .map_or(now, |began| now.max(began + NOTIFIED_GAP));
        self.next = self.next.min(soonest);
    }
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into()).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMERS: Timers = Timers {
        refresh: 100,
        retry: 10,
        expire: 1000,
    };

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn refresh_retry_and_expire_follow_the_soa() {
        let start = Instant::now();
        let mut machine = Machine::new(start);
        assert_eq!(machine.due(start), Some(Due::Check));
        assert_eq!(machine.due(start), None, "one check at a time");
        machine.checked(Checked::Good(TIMERS), start, 0.0);
        assert_eq!(machine.wake(), Some(after(start, 100)));
        assert_eq!(machine.due(after(start, 99)), None);
        assert_eq!(machine.due(after(start, 100)), Some(Due::Check));
        machine.checked(Checked::Failed, after(start, 101), 0.0);
        assert_eq!(machine.wake(), Some(after(start, 111)));
        let mut now = after(start, 111);
        let mut checks = 0;
        while machine.due(now) == Some(Due::Check) {
            machine.checked(Checked::Failed, now, 0.0);
            checks += 1;
            now = machine.wake().unwrap();
        }
        assert_eq!(
            now,
            after(start, 1000),
            "expiry counts from the last good check"
        );
        assert_eq!(checks, 89);
        assert!(machine.is_expired());
        now = machine.wake().unwrap();
        assert_eq!(machine.due(now), Some(Due::Check), "it goes on trying");
        machine.checked(Checked::Good(TIMERS), now, 1.0);
        assert!(!machine.is_expired());
        assert_eq!(
            machine.wake(),
            Some(now + Duration::from_secs(90)),
            "up to a tenth early"
        );
    }

    #[test]
    fn a_zone_without_a_copy_is_tried_less_and_less_often() {
        let start = Instant::now();
        let mut machine = Machine::new(start);
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..12 {
            assert_eq!(machine.due(now), Some(Due::Check));
            machine.checked(Checked::Failed, now, 0.0);
            let next = machine.wake().unwrap();
            waits.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert!(!machine.is_expired(), "what never was cannot get too old");
    }

    #[test]
    fn a_notification_brings_a_check_forward_once() {
        let start = Instant::now();
        let mut machine = Machine::resume(TIMERS, Duration::from_secs(900), start);
        assert_eq!(machine.due(start), Some(Due::Check));
        machine.notified(start);
        machine.notified(start);
        machine.checked(Checked::Good(TIMERS), start, 0.0);
        let again = after(start, 1);
        assert_eq!(machine.wake(), Some(again), "no sooner than the gap");
        assert_eq!(machine.due(again), Some(Due::Check));
        machine.checked(Checked::Good(TIMERS), again, 0.0);
        assert_eq!(machine.wake(), Some(after(start, 101)));
        let later = after(start, 50);
        machine.notified(later);
        assert_eq!(machine.due(later), Some(Due::Check));
    }

    #[test]
    fn an_old_copy_expires_at_once() {
        let start = Instant::now() + Duration::from_secs(5000);
        let mut machine = Machine::resume(TIMERS, Duration::from_secs(2000), start);
        assert_eq!(machine.due(start), Some(Due::Expire));
        assert_eq!(machine.due(start), Some(Due::Check));
    }

    #[test]
    fn timers_of_nothing_do_not_make_a_busy_loop() {
        let start = Instant::now();
        let mut machine = Machine::new(start);
        assert_eq!(machine.due(start), Some(Due::Check));
        let timers = Timers {
            refresh: 0,
            retry: 0,
            expire: u32::MAX,
        };
        machine.checked(Checked::Good(timers), start, 1.0);
        assert!(machine.wake().unwrap() >= start + Duration::from_millis(900));
    }
}
