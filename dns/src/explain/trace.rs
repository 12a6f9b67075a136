//! The witness that remembers.

use crate::location::Found;
use crate::policy::Witness;
use crate::zone::RoutedIdx;

/// A routed record that was answered.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) record: RoutedIdx,
    pub(super) class: u32,
    /// The point drawn below the sum of the weights.
    pub(super) point: Option<u32>,
    /// Bits of the client's address that chose.
    pub(super) prefix_bits: Option<u8>,
    /// The sets that answered.
    pub(super) sets: Vec<u16>,
    /// Records that were being answered when this one was asked for: an alias led here.
    depth: usize,
}

/// Every choice, in order.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) taken: Vec<Taken>,
    /// Leading bits of the client's address that decided; `None` when nothing asked where it is.
    pub(super) scope: Option<u8>,
}

impl Witness for Trace {
    fn located(&mut self, found: Found) {
        self.scope = Some(self.scope.unwrap_or(0).max(found.scope));
    }

    fn decided(&mut self, record: RoutedIdx, class: u32, depth: usize) {
        self.taken.push(Taken {
            record,
            class,
            point: None,
            prefix_bits: None,
            sets: Vec::new(),
            depth,
        });
    }

    fn drew(&mut self, point: u32) {
        if let Some(taken) = self.taken.last_mut() {
            taken.point = Some(point);
        }
    }

    fn by_prefix(&mut self, bits: u8) {
        if let Some(taken) = self.taken.last_mut() {
            taken.prefix_bits = Some(bits);
        }
    }

    fn picked(&mut self, set: u16, depth: usize) {
        let mut taken = self.taken.iter_mut().rev();
        if let Some(taken) = taken.find(|taken| taken.depth == depth) {
            taken.sets.push(set);
        }
    }
}
