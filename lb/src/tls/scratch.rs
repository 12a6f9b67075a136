//! The buffer a worker reads ciphertext into.
//!
//! Apart from the buffer for copying, which is borrowed while a stream is read. What does not go on
//! at once is kept by its stream. Cost: nothing but the borrow check.

use std::cell::RefCell;
use std::rc::Rc;

/// Size in bytes: four full records, as many as a busy socket hands over in one read.
const SIZE: usize = 64 * 1024 + 1024;

/// A worker's buffer for ciphertext. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scratch(Rc<RefCell<Box<[u8]>>>);

impl Default for Scratch {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(vec![0; SIZE].into_boxed_slice())))
    }
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl Scratch {
    /// Runs `read` on the buffer; what it holds is lost afterwards. `read` must not call `with`.
    pub(super) fn with<T>(&self, read: impl FnOnce(&mut [u8]) -> T) -> T {
        read(&mut self.0.borrow_mut())
    }
}
