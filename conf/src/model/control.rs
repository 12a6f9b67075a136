//! Routing controls, switches that a person turns, and the safety rules that guard them.

use std::time::Duration;

use crate::Span;

/// Index of a control in [`Config::routing_controls`](crate::Config::routing_controls).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ControlIdx(pub usize);

/// A named switch (Route 53 ARC's routing control).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutingControl {
    /// Unique among routing controls.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// As it is when nothing was saved of it.
    pub initially_on: bool,
}

/// What a change of routing controls must meet (ARC's `AssertionRule`, `GatingRule`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SafetyRule {
    /// Unique among safety rules.
    pub name: String,
    /// Where `name` stands.
    pub span: Span,
    /// Which controls it guards, and how.
    pub kind: SafetyRuleKind,
    /// The controls that are counted: some, none twice.
    pub counted: Vec<ControlIdx>,
    /// Met with at least this many of `counted` on (ARC `ATLEAST`).
    pub threshold: usize,
    /// Met when it would not be, and the other way round (ARC `Inverted`).
    pub inverted: bool,
    /// The controls it guards are not changed again this soon after a change (ARC `WaitPeriodMs`).
    pub wait_period: Duration,
}

/// The two kinds of safety rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SafetyRuleKind {
    /// Guards the controls that it counts: they must meet it once they are changed.
    Assertion,
    /// Guards these controls: they are changed only while the counted ones meet it.
    Gating(Vec<ControlIdx>),
}

impl SafetyRule {
    /// The controls whose change it guards.
    pub fn guarded(&self) -> &[ControlIdx] {
        match &self.kind {
            SafetyRuleKind::Assertion => &self.counted,
            SafetyRuleKind::Gating(targets) => targets,
        }
    }

    /// True when it is met with `on` of the counted controls on.
    pub fn is_met(&self, on: usize) -> bool {
        (on >= self.threshold) != self.inverted
    }
}

impl SafetyRuleKind {
    /// The kind's name in config and API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Assertion => "assertion",
            Self::Gating(_) => "gating",
        }
    }
}
