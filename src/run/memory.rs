//! Gives memory that loading took back to the system.
//!
//! Called on the control thread after a configuration was applied: what a large one took while it
//! was read is as much as what it serves from, and the allocator would keep it. Never on a worker.
#![expect(
    unsafe_code,
    reason = "the C library's call for it has no safe wrapper; it takes a number and touches no memory of ours"
)]

/// Returns free memory to the system, where the C library can.
pub(super) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim may be called at any time from any thread; it moves nothing that is
    // allocated.
    unsafe {
        libc::malloc_trim(0);
    }
}
