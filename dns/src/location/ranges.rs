//! The whole address space of one family as ranges of one value each, neighbours always different.
//!
//! The building block of maps; knows no places. Pure.

/// An address of either family as a number.
pub(super) trait Address: Copy + Ord + std::fmt::Debug {
    /// The lowest.
    const ZERO: Self;
    /// Leading bits that two addresses have in common.
    fn common(self, other: Self) -> u8;
    /// The one below; the lowest has none, and is never asked for.
    fn below(self) -> Self;
    /// The first address after the block of `length` bits that begins here.
    fn after(self, length: u8) -> Option<Self>;
}

macro_rules! address {
    ($number:ty) => {
        impl Address for $number {
            const ZERO: Self = 0;

            fn common(self, other: Self) -> u8 {
                (self ^ other).leading_zeros() as u8
            }

            fn below(self) -> Self {
                self.wrapping_sub(1)
            }

            fn after(self, length: u8) -> Option<Self> {
                let rest = <$number>::BITS.checked_sub(u32::from(length))?;
                (1 as $number)
                    .checked_shl(rest)
                    .and_then(|size| self.checked_add(size))
            }
        }
    };
}

address!(u32);
address!(u128);

/// Starts between two landmarks. A look-up among hundreds of thousands of ranges first searches the
/// landmarks, which stay in the nearest cache, then this many starts beside each other.
const STRIDE: usize = 64;

/// Ranges of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranges<A> {
    /// Where each range begins; the first at zero.
    starts: Vec<A>,
    values: Vec<u32>,
    /// Every so many-th start, from the first on.
    landmarks: Vec<A>,
}

impl<A: Address> Ranges<A> {
    /// One value everywhere.
    pub(super) fn uniform(value: u32) -> Self {
        Self {
            starts: vec![A::ZERO],
            values: vec![value],
            landmarks: vec![A::ZERO],
        }
    }

    /// The longest block's value; `outside` where there is none. Blocks are (first address,
    /// length, value), in order of address and length, none twice.
    pub(super) fn of_blocks(blocks: impl Iterator<Item = (A, u8, u32)>, outside: u32) -> Self {
        let mut ranges = Self::uniform(outside);
        // Blocks that hold the place reached, each inside the one before: where it ends, and its
        // value.
        let mut open: Vec<(Option<A>, u32)> = Vec::new();
        let close = |open: &mut Vec<(Option<A>, u32)>, ranges: &mut Self, until: Option<A>| {
            while let Some(&(Some(end), _)) = open.last()
                && until.is_none_or(|until| end <= until)
            {
                open.pop();
                ranges.push(end, open.last().map_or(outside, |(_, value)| *value));
            }
        };
        for (start, length, value) in blocks {
            close(&mut open, &mut ranges, Some(start));
            ranges.push(start, value);
            open.push((start.after(length), value));
        }
        close(&mut open, &mut ranges, None);
        ranges.finished()
    }

    /// To be called when nothing more will be pushed.
    pub(super) fn finished(mut self) -> Self {
        self.landmarks = self.starts.iter().step_by(STRIDE).copied().collect();
        self.starts.shrink_to_fit();
        self.values.shrink_to_fit();
        self
    }

    /// Memory they hold, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let starts = self.starts.len() + self.landmarks.len();
        starts * size_of::<A>() + self.values.len() * size_of::<u32>()
    }

    /// From `start` on, which is not below any start so far, the value is this.
    pub(super) fn push(&mut self, start: A, value: u32) {
        if self.starts.last() == Some(&start) {
            self.starts.pop();
            self.values.pop();
        }
        if self.values.last() != Some(&value) {
            self.starts.push(start);
            self.values.push(value);
        }
    }

    /// The value at an address, and how many leading bits of the address decide it.
    pub(super) fn find(&self, address: A) -> (u32, u8) {
        let block = self.landmarks.partition_point(|start| *start <= address);
        let from = block.saturating_sub(1) * STRIDE;
        let until = self.starts.len().min(from + STRIDE);
        let near = self.starts.get(from..until).unwrap_or_default();
        let next = from + near.partition_point(|start| *start <= address);
        let at = next.saturating_sub(1);
        // The shortest prefix that holds neither the address below the range nor the one above it.
        let low = self.starts.get(at).filter(|_| at > 0);
        let low = low.map_or(0, |start| address.common(start.below()) + 1);
        let high = self.starts.get(next);
        let high = high.map_or(0, |start| address.common(*start) + 1);
        (self.values.get(at).copied().unwrap_or(0), low.max(high))
    }

    /// Both in one.
    pub(super) fn zip(&self, other: &Self, join: &mut dyn FnMut(u32, u32) -> u32) -> Self {
        let mut joined = Self {
            starts: Vec::new(),
            values: Vec::new(),
            landmarks: Vec::new(),
        };
        let (mut mine, mut theirs) = (self.each().peekable(), other.each().peekable());
        let (mut left, mut right) = (0, 0);
        while let Some(start) = [mine.peek(), theirs.peek()]
            .into_iter()
            .flatten()
            .map(|(start, _)| *start)
            .min()
        {
            if let Some((_, value)) = mine.next_if(|(at, _)| *at == start) {
                left = value;
            }
            if let Some((_, value)) = theirs.next_if(|(at, _)| *at == start) {
                right = value;
            }
            joined.push(start, join(left, right));
        }
        joined.finished()
    }

    /// Every range: its start and its value.
    pub(super) fn each(&self) -> impl Iterator<Item = (A, u32)> + '_ {
        self.starts.iter().copied().zip(self.values.iter().copied())
    }
}
