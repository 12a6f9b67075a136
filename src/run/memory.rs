//! Gives memory that loading took back to the system.
//!
//! Called on the control thread after a configuration was applied: what a large one took while it
//! was read is as much as what it serves from, and the allocator would keep it. Never on a worker.
#![expect(
    unsafe_code,
    reason = "the allocator's call for it has no safe wrapper; it takes a flag and touches no memory of ours"
)]

/// Returns free memory to the system: this thread's, and that of threads which have ended.
pub(super) fn give_back() {
    // SAFETY: mi_collect may be called at any time from any thread; it moves nothing that is
    // allocated.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
