//! Who is told of each choice while an answer is made.
//!
//! The servers' witness is `()`, which sees nothing and costs nothing; an explanation's remembers.
//! So there is one way to choose, whether anybody asks why or not.

use crate::location::Found;
use crate::zone::RoutedIdx;

/// Told of choices as they are made, in their order.
pub(crate) trait Witness {
    /// A record that tells clients apart found this one's class.
    fn located(&mut self, found: Found);
    /// A routed record is being answered for a class of its clients; what follows is about it.
    /// `depth` aliases to records led to it.
    fn decided(&mut self, record: RoutedIdx, class: u32, depth: usize);
    /// A draw by weight came to this point below the sum of the weights.
    fn drew(&mut self, point: u32);
    /// So many bits of the client's address chose.
    fn by_prefix(&mut self, bits: u8);
    /// This set answers, of the record decided last at this depth.
    fn picked(&mut self, set: u16, depth: usize);
}

impl Witness for () {
    fn located(&mut self, _found: Found) {}
    fn decided(&mut self, _record: RoutedIdx, _class: u32, _depth: usize) {}
    fn drew(&mut self, _point: u32) {}
    fn by_prefix(&mut self, _bits: u8) {}
    fn picked(&mut self, _set: u16, _depth: usize) {}
}
