//! What a record may do that Route 53 does not.

/// What is answered when no set is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AllDown {
    /// As if every set were healthy (Route 53).
    #[default]
    FailOpen,
    /// Nothing: NOERROR without records.
    Nodata,
    /// The set that is marked `fallback`.
    Fallback,
    /// As if those sets were healthy that were so last.
    LastKnown,
}

/// Bounds in seconds of a TTL that follows from how long health has been as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TtlRange {
    /// Right after a change.
    pub min: u32,
    /// When nothing changed for as long.
    pub max: u32,
}

/// A record's keys beyond Route 53. The default is Route 53's behaviour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Beyond {
    /// What is answered when no set is healthy.
    pub all_down: AllDown,
    /// Below this percentage of healthy sets health is not believed: all sets take part (weighted
    /// and multivalue).
    pub panic_threshold: u8,
    /// Clients of one network prefix get the same set as long as it is healthy (weighted and
    /// multivalue).
    pub sticky: bool,
    /// Seconds in which a set that became healthy grows to its weight (weighted).
    pub slow_start: u32,
    /// A TTL by health, in place of the record's own.
    pub ttl: Option<TtlRange>,
}
