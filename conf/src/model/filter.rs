//! Filters: who may use a listener at all, as a network ACL says it.
//!
//! Numbered rules, the first that matches decides; what none matches is refused, once there is any.

use std::ops::RangeInclusive;

use ipnet::IpNet;

/// One rule of a listener's filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRule {
    /// 1-32766 (the range of network ACLs), unique in the listener; the lowest is looked at first.
    pub number: u16,
    /// What becomes of what it matches: let in, or refused.
    pub allow: bool,
    /// Addresses it matches; empty = every one.
    pub networks: Vec<IpNet>,
    /// Ports of the listener it matches; empty = every one.
    pub ports: Vec<RangeInclusive<u16>>,
    /// Ports of clients it matches; empty = every one.
    pub source_ports: Vec<RangeInclusive<u16>>,
}
