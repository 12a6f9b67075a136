//! The pure state machines: a target's, and a standalone check's.
//!
//! Called by the board only, with `now` and observations passed in. They never read a clock, never
//! do I/O, never log: the board compares what they show before and after.

mod check;
mod target;

pub(crate) use check::CheckMachine;
pub(crate) use target::{Machine, MarkChange, Recollection, Thresholds};

#[cfg(test)]
mod tests;
