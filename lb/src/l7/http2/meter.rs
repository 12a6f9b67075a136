//! What a peer may spend of an HTTP/2 connection on frames that carry nothing.
//!
//! Fed by [`Wire`](super::wire::Wire) with every byte that is read, before the h2 crate sees it; sees
//! frame headers only (RFC 9113 section 4.1). The crate bounds memory; this bounds work: pings,
//! settings, resets, empty data and the like cost, requests and data earn, time gives a little. Finds
//! frames of a wrong length too, which the crate has no name of its own for. Pure: the clock is asked
//! only once a budget is spent.
//!
//! Cost: one step per frame, nothing per byte.

use std::rc::Rc;

use tokio::time::Instant;

use super::ended::Ended;

/// Frames without use that may come in a row: more than clients send who measure bandwidth by pings.
const IDLE_FRAMES: u32 = 1000;
/// Given back a second: what a client may send forever without asking for anything.
const IDLE_FRAMES_A_SECOND: u64 = 50;
/// Bytes written to the peer that earn it one frame: it answers data with window updates.
const BYTES_PER_FRAME: u32 = 128;
/// Requests that may be taken back in a row: a browser leaves a page with so many.
const RESETS: u32 = 200;
/// Given back a second.
const RESETS_A_SECOND: u64 = 20;

/// A budget that was overdrawn, by the kind of frame that did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Streams taken back faster than they are answered (rapid reset).
    Resets,
    /// PING.
    Pings,
    /// SETTINGS.
    Settings,
    /// DATA without data that does not end its stream either.
    EmptyData,
    /// WINDOW_UPDATE.
    WindowUpdates,
    /// CONTINUATION.
    Continuations,
    /// PRIORITY, GOAWAY, frames of unknown type.
    Others,
}

/// Why nothing more of a peer is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It overdrew a budget.
    Excess(Excess),
    /// A frame is not as long as its type has it (FRAME_SIZE_ERROR).
    FrameSize,
    /// PUSH_PROMISE, which clients may not send, and targets were told not to (PROTOCOL_ERROR; RFC 9113
    /// section 8.4).
    Push,
}

/// What is left of one budget.
#[derive(Debug)]
struct Budget {
    left: u32,
    most: u32,
    a_second: u64,
    since: Option<Instant>,
}

impl Budget {
    fn new(most: u32, a_second: u64) -> Self {
        Self {
            left: most,
            most,
            a_second,
            since: None,
        }
    }

    fn earn(&mut self, count: u32) {
        self.left = self.left.saturating_add(count).min(self.most);
    }

    /// False when nothing is left, not even by the time that passed.
    fn spend(&mut self, clock: &mut impl FnMut() -> Instant) -> bool {
        if self.left == 0 {
            let now = clock();
            // What comes before the first look at the clock is the whole budget.
            let since = *self.since.get_or_insert(now);
            let given = u128::from(self.a_second) * now.duration_since(since).as_millis() / 1000;
            let given = u32::try_from(given).unwrap_or(u32::MAX);
            if given > 0 {
                self.since = Some(now);
                self.earn(given);
            }
        }
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => return false,
        }
        true
    }
}

/// Follows the frames that a peer sends.
#[derive(Debug)]
pub struct Meter {
    header: [u8; 9],
    /// Bytes of `header` that have come.
    have: usize,
    /// Bytes that belong to no header: the preface, and payloads.
    skip: usize,
    idle: Budget,
    resets: Budget,
    written: u32,
    /// How many frames began: none, the first, or more.
    begun: u8,
    /// The stream that the frame ends whose payload is coming; 0 = none.
    ending: u32,
    ended: Option<Rc<Ended>>,
}

impl Meter {
    /// At the start of a connection; a client's begins with `preface` bytes that are no frame.
    pub fn new(preface: usize) -> Self {
        Self {
            header: [0; 9],
            have: 0,
            skip: preface,
            idle: Budget::new(IDLE_FRAMES, IDLE_FRAMES_A_SECOND),
            resets: Budget::new(RESETS, RESETS_A_SECOND),
            written: 0,
            begun: 0,
            ending: 0,
            ended: None,
        }
    }

    /// Notes in `ended` which streams the peer ends.
    pub(super) fn note_ends(&mut self, ended: Rc<Ended>) {
        self.ended = Some(ended);
    }

    /// True once the first frame is whole: the peer's settings (RFC 9113 section 3.4).
    pub fn has_settings(&self) -> bool {
        self.begun > 1 || (self.begun == 1 && self.skip == 0)
    }

    /// Takes in what was read.
    ///
    /// # Errors
    /// A budget is overdrawn, and the peer is to be told to enhance its calm; or a frame has a wrong
    /// length.
    pub fn read(
        &mut self,
        mut bytes: &[u8],
        mut clock: impl FnMut() -> Instant,
    ) -> Result<(), Fault> {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            self.end_stream();
            let wanted = self.header.len() - self.have;
            let (start, rest) = bytes.split_at(wanted.min(bytes.len()));
            if let Some(room) = self.header.get_mut(self.have..self.have + start.len()) {
                room.copy_from_slice(start);
            }
            self.have += start.len();
            bytes = rest;
            if self.have == self.header.len() {
                self.have = 0;
                self.frame(&mut clock)?;
                self.end_stream();
            }
        }
        Ok(())
    }

    /// Takes in how much was written to the peer.
    pub fn wrote(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.written = self.written.saturating_add(bytes);
        self.idle.earn(self.written / BYTES_PER_FRAME);
        self.written %= BYTES_PER_FRAME;
    }

    /// A stream was answered to its end.
    pub fn answered(&mut self) {
        self.resets.earn(1);
    }

    /// Notes the end of a stream once the frame that tells it is whole.
    fn end_stream(&mut self) {
        if self.ending == 0 || self.skip > 0 {
            return;
        }
        let stream = std::mem::take(&mut self.ending);
        if let Some(ended) = &self.ended {
            ended.add(stream);
        }
    }

    fn frame(&mut self, clock: &mut impl FnMut() -> Instant) -> Result<(), Fault> {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        self.begun = self.begun.saturating_add(1);
        self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if !has_its_length(kind, flags, self.skip) {
            return Err(Fault::FrameSize);
        }
        let ends_stream = flags & 1 != 0;
        // A block that goes on in CONTINUATION ends it later.
        if ends_stream && (kind == 0 || (kind == 1 && flags & 4 != 0)) {
            // The first bit is reserved (RFC 9113 section 4.1).
            self.ending = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        }
        let excess = match kind {
            0 if self.skip > 0 || ends_stream => {
                self.idle.earn(1);
                return Ok(());
            }
            1 => {
                self.idle.earn(1);
                return Ok(());
            }
            3 if !self.resets.spend(clock) => return Err(Fault::Excess(Excess::Resets)),
            3 => return Ok(()),
            5 => return Err(Fault::Push),
            0 => Excess::EmptyData,
            4 => Excess::Settings,
            6 => Excess::Pings,
            8 => Excess::WindowUpdates,
            9 => Excess::Continuations,
            _ => Excess::Others,
        };
        match self.idle.spend(clock) {
            true => Ok(()),
            false => Err(Fault::Excess(excess)),
        }
    }
}

/// False for a frame that is not as long as its type has it (RFC 9113 sections 6.3 to 6.9).
fn has_its_length(kind: u8, flags: u8, length: usize) -> bool {
    match kind {
        2 => length == 5,
        3 | 8 => length == 4,
        4 if flags & 1 != 0 => length == 0,
        4 => length.is_multiple_of(6),
        6 => length == 8,
        _ => true,
    }
}

impl Excess {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Resets,
        Self::Pings,
        Self::Settings,
        Self::EmptyData,
        Self::WindowUpdates,
        Self::Continuations,
        Self::Others,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::Pings => "pings",
            Self::Settings => "settings",
            Self::EmptyData => "empty-data",
            Self::WindowUpdates => "window-updates",
            Self::Continuations => "continuations",
            Self::Others => "other-frames",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags, 0, 0, 0, 1]);
        bytes.resize(9 + payload, 0xff);
        bytes
    }

    /// How many of `bytes`, sent again and again, it takes to be refused.
    fn endures(meter: &mut Meter, bytes: &[u8], now: Instant) -> (u32, Excess) {
        for count in 1..10_000 {
            if let Err(Fault::Excess(excess)) = meter.read(bytes, || now) {
                // The rest of the frame, which was not looked at.
                meter.skip = 0;
                return (count, excess);
            }
        }
        panic!("never refused");
    }

    #[test]
    fn every_frame_without_use_has_a_budget() {
        let now = Instant::now();
        for (kind, flags, payload, expected) in [
            (6, 0, 8, Excess::Pings),
            (4, 0, 0, Excess::Settings),
            (4, 1, 0, Excess::Settings),
            (0, 0, 0, Excess::EmptyData),
            (8, 0, 4, Excess::WindowUpdates),
            (9, 0, 10, Excess::Continuations),
            (2, 0, 5, Excess::Others),
            (0x42, 0, 100, Excess::Others),
        ] {
            let mut meter = Meter::new(0);
            let refused = endures(&mut meter, &frame(kind, flags, payload), now);
            assert_eq!(refused, (IDLE_FRAMES + 1, expected));
        }
        let refused = endures(&mut Meter::new(0), &frame(3, 0, 4), now);
        assert_eq!(refused, (RESETS + 1, Excess::Resets));
    }

    #[test]
    fn use_and_time_give_back() {
        let now = Instant::now();
        let mut meter = Meter::new(0);
        let mut busy = frame(1, 4, 20);
        busy.extend(frame(6, 0, 8));
        busy.extend(frame(0, 0, 10));
        busy.extend(frame(8, 0, 4));
        for _ in 0..5 * IDLE_FRAMES {
            meter.read(&busy, || now).unwrap();
        }
        endures(&mut meter, &frame(6, 0, 8), now);
        let later = now + Duration::from_secs(2);
        let more = u32::try_from(2 * IDLE_FRAMES_A_SECOND).unwrap();
        let refused = endures(&mut meter, &frame(6, 0, 8), later);
        assert_eq!(refused.0, more + 1);
        meter.wrote(usize::try_from(BYTES_PER_FRAME * 10 + 1).unwrap());
        assert_eq!(endures(&mut meter, &frame(8, 0, 4), later).0, 11);
        endures(&mut meter, &frame(3, 0, 4), later);
        meter.answered();
        assert_eq!(endures(&mut meter, &frame(3, 0, 4), later).0, 2);
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let mut bytes = vec![b'P'; 24];
        for payload in [0, 8, 300, 70_000] {
            bytes.extend(frame(0x42, 0, payload));
        }
        for size in [1, 2, 7, 9, 10, 4096] {
            let mut meter = Meter::new(24);
            for part in bytes.chunks(size) {
                meter.read(part, Instant::now).unwrap();
            }
            assert_eq!(meter.idle.left, IDLE_FRAMES - 4, "{size}");
            assert_eq!((meter.have, meter.skip), (0, 0));
            assert!(meter.has_settings());
        }
    }

    #[test]
    fn frames_of_a_wrong_length_and_pushes_are_faults() {
        for (kind, flags, right, wrong) in [
            (2, 0, 5, 4),
            (3, 0, 4, 5),
            (4, 0, 12, 11),
            (4, 1, 0, 6),
            (6, 0, 8, 0),
            (8, 0, 4, 3),
        ] {
            let read = |length| Meter::new(0).read(&frame(kind, flags, length), Instant::now);
            assert_eq!(read(right), Ok(()), "{kind}");
            assert_eq!(read(wrong), Err(Fault::FrameSize), "{kind}");
        }
        let push = Meter::new(0).read(&frame(5, 4, 20), Instant::now);
        assert_eq!(push, Err(Fault::Push));
    }

    #[test]
    fn settings_are_there_once_they_are_whole() {
        let mut meter = Meter::new(0);
        for byte in frame(4, 0, 6) {
            assert!(!meter.has_settings());
            meter.read(&[byte], Instant::now).unwrap();
        }
        assert!(meter.has_settings());
        meter.read(&frame(6, 0, 8)[..12], Instant::now).unwrap();
        assert!(meter.has_settings());
    }
}
