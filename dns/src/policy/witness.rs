//! Who is told of each choice while an answer is made.
//!
//! The servers' witness is `()`, which sees nothing and costs nothing; an explanation's remembers.
//! So there is one way to choose, whether anybody asks why or not.

use crate::zone::RoutedIdx;

/// Told of choices as they are made, in their order.
pub(crate) trait Witness {
    /// A routed record is being answered for a class of its clients; what follows is about it.
    fn decided(&mut self, record: RoutedIdx, class: u32);
    /// A draw by weight came to this point below the sum of the weights.
    fn drew(&mut self, point: u32);
    /// This set of the record answers.
    fn picked(&mut self, set: u16);
}

impl Witness for () {
    fn decided(&mut self, _record: RoutedIdx, _class: u32) {}
    fn drew(&mut self, _point: u32) {}
    fn picked(&mut self, _set: u16) {}
}
