//! What a listener does about requests that two readers could take in two ways.

/// What is done with a request by its tier (ELB `routing.http.desync_mitigation_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DesyncMode {
    /// All are forwarded; what is odd is logged and counted.
    Monitor,
    /// Ambiguous ones end the connections on both sides, severe ones are refused.
    #[default]
    Defensive,
    /// Only compliant ones are forwarded.
    Strictest,
}

impl DesyncMode {
    /// Every one with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("monitor", Self::Monitor),
        ("defensive", Self::Defensive),
        ("strictest", Self::Strictest),
    ];
}

/// A listener's desync mitigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Desync {
    /// What is done by tier.
    pub mode: DesyncMode,
    /// What breaks HTTP's framing is refused whatever its tier. Otherwise the mode alone decides, and
    /// what is forwarded is written again in a way that all readers take alike.
    pub strict_framing: bool,
}

impl Default for Desync {
    fn default() -> Self {
        Self {
            mode: DesyncMode::Defensive,
            strict_framing: true,
        }
    }
}
