//! The one buffer a worker copies through.
//!
//! A read fills it, the write that follows empties it, all within one poll: no flow owns a buffer
//! while it is idle. Cost: nothing but the borrow check.

use std::cell::RefCell;

/// Size in bytes: what a loopback socket hands over in one read when a flow is busy.
const SIZE: usize = 64 * 1024;

/// A worker's copy buffer.
#[derive(Debug)]
pub struct CopyBuffer(RefCell<Box<[u8]>>);

impl Default for CopyBuffer {
    fn default() -> Self {
        Self(RefCell::new(vec![0; SIZE].into_boxed_slice()))
    }
}

impl CopyBuffer {
    /// Runs `copy` on the buffer. What it holds is lost afterwards; `copy` must not call `with`.
    pub fn with<T>(&self, copy: impl FnOnce(&mut [u8]) -> T) -> T {
        copy(&mut self.0.borrow_mut())
    }
}
