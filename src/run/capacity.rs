//! What the machine gives: CPUs for workers. (File descriptors are the balancer's to split.)
//!
//! Asked once, at start, by the control thread.

/// Worker threads: as configured, else one per CPU that affinity and cgroup quotas (v2 and v1)
/// leave to this process.
pub(super) fn workers(configured: usize) -> usize {
    if configured > 0 {
        return configured;
    }
    std::thread::available_parallelism().map_or(1, usize::from)
}
