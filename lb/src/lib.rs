//! Load balancing.

pub mod l7;
