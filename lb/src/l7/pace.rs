//! Time limits of exchanges beyond silence: how slowly a client may send or take, and how long the whole
//! may last.
//!
//! Asked by the exchange at every poll that ends in waiting, where its listener has such limits. Sans-io:
//! `now` and what was moved are passed in. Only what waits for the client counts: a target may be slow.
//!
//! A window begins when the client is waited for, and anew when it moved enough in one; one in which it
//! moved less ends the exchange. So what moves above the rate lives for ever, however slowly.

use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;

/// A listener's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes that must move within `window`; 0 = any number.
    bytes: u64,
    window: Duration,
    /// From the first byte to the end of the answer; zero = any time.
    whole: Duration,
}

impl Limits {
    /// What a listener says; `None` when it limits nothing.
    pub(crate) fn new(listener: &conf::Listener) -> Option<Self> {
        let (rate, window) = (listener.min_rate, listener.min_rate_window);
        let millis = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let limits = Self {
            bytes: rate.saturating_mul(millis).div_ceil(1000),
            window,
            whole: listener.request_timeout,
        };
        (limits.bytes > 0 || !limits.whole.is_zero()).then_some(limits)
    }

    /// When an exchange that began at `started` has lasted too long.
    pub(super) fn until(&self, started: Instant) -> Option<Instant> {
        (!self.whole.is_zero()).then(|| started + self.whole)
    }
}

/// What the client is waited for to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// To send more of the request's body.
    In,
    /// To take more of the response.
    Out,
}

/// An exchange's pace.
#[derive(Debug)]
pub(super) struct Pace {
    limits: Limits,
    until: Option<Instant>,
    /// What is waited for, since when, and what had moved then.
    window: Option<(Way, Instant, u64)>,
}

impl Pace {
    /// That of an exchange that began at `started`.
    pub(super) fn new(limits: Limits, started: Instant) -> Self {
        Self {
            limits,
            until: limits.until(started),
            window: None,
        }
    }

    /// When to look again. `waits` says what the client is waited for and how many bytes it has moved in
    /// all; `None` = it is not waited for.
    pub(super) fn look(
        &mut self,
        now: Instant,
        waits: Option<(Way, u64)>,
    ) -> Result<Option<Instant>, Failure> {
        if self.until.is_some_and(|until| now >= until) {
            let of_client = waits.is_some();
            return Err(Failure::RequestTimeout { of_client });
        }
        let window = match waits {
            Some((way, moved)) if self.limits.bytes > 0 => Some(self.window(now, way, moved)?),
            _ => None,
        };
        self.window = window;
        let ends = window.map(|(_, since, _)| since + self.limits.window);
        Ok(match (ends, self.until) {
            (Some(ends), Some(until)) => Some(ends.min(until)),
            (ends, until) => ends.or(until),
        })
    }

    /// The window that `now` is in.
    fn window(&self, now: Instant, way: Way, moved: u64) -> Result<(Way, Instant, u64), Failure> {
        match self.window {
            Some((was, since, from)) if was == way => {
                if now < since + self.limits.window {
                    return Ok((way, since, from));
                }
                match moved.saturating_sub(from) < self.limits.bytes {
                    true => Err(match way {
                        Way::In => Failure::SlowBody,
                        Way::Out => Failure::SlowClient,
                    }),
                    false => Ok((way, now, moved)),
                }
            }
            _ => Ok((way, now, moved)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pace(bytes: u64, whole: Duration) -> (Pace, Instant) {
        let limits = Limits {
            bytes,
            window: 10 * SECOND,
            whole,
        };
        let start = Instant::now();
        (Pace::new(limits, start), start)
    }

    /// Moves so many bytes each second; when it was ended, in seconds.
    fn ends(pace: &mut Pace, start: Instant, mut step: impl FnMut(u32) -> u64) -> Option<u32> {
        let mut moved = 0;
        (0..600).find(|second| {
            moved += step(*second);
            pace.look(start + SECOND * *second, Some((Way::In, moved)))
                .is_err()
        })
    }

    #[test]
    fn what_moves_above_the_rate_lives_and_what_does_not_ends_with_its_window() {
        let (mut steady, start) = pace(1000, Duration::ZERO);
        assert_eq!(ends(&mut steady, start, |_| 100), None);
        let (mut slow, start) = pace(1000, Duration::ZERO);
        assert_eq!(ends(&mut slow, start, |_| 99), Some(10));
        let (mut stalled, start) = pace(1000, Duration::ZERO);
        let stalls = |second| if second < 35 { 5000 } else { 0 };
        assert_eq!(ends(&mut stalled, start, stalls), Some(50));
        // Bursts of any size, with pauses shorter than half a window.
        for seed in 0..64 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let mut pause = 0;
            let (mut bursts, start) = pace(1000, Duration::ZERO);
            let step = |_| {
                pause = if pause == 0 {
                    rng.random_range(0..5)
                } else {
                    pause - 1
                };
                if pause == 0 {
                    rng.random_range(1000..9000)
                } else {
                    0
                }
            };
            assert_eq!(ends(&mut bursts, start, step), None, "{seed}");
        }
    }

    #[test]
    fn only_the_time_in_which_the_client_is_waited_for_counts() {
        let (mut pace, start) = pace(1000, Duration::ZERO);
        let at = |seconds| start + SECOND * seconds;
        assert_eq!(pace.look(at(0), Some((Way::In, 0))), Ok(Some(at(10))));
        // The target is waited for; then the client again, from the start.
        assert_eq!(pace.look(at(9), None), Ok(None));
        assert_eq!(pace.look(at(30), Some((Way::In, 0))), Ok(Some(at(40))));
        // The other way has a window of its own.
        assert_eq!(pace.look(at(39), Some((Way::Out, 0))), Ok(Some(at(49))));
        let ended = pace.look(at(49), Some((Way::Out, 999)));
        assert_eq!(ended, Err(Failure::SlowClient));
    }

    #[test]
    fn the_whole_has_its_time_whoever_is_waited_for() {
        let (mut pace, start) = pace(0, 5 * SECOND);
        let at = |seconds| start + SECOND * seconds;
        assert_eq!(pace.look(at(4), Some((Way::In, 0))), Ok(Some(at(5))));
        let of_client = |of_client| Err(Failure::RequestTimeout { of_client });
        assert_eq!(pace.look(at(5), Some((Way::In, 9))), of_client(true));
        assert_eq!(pace.look(at(5), None), of_client(false));
    }
}
