//! SRV records as targets (RFC 2782). Pure.
//!
//! The hosts of the lowest priority are the targets, all others are backups. A record's weight is its
//! host's share: it is divided by among the host's addresses no further, since clients of SRV records
//! connect to any one of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use conf::{NamedTarget, Resolver, Target};

use super::{Kind, Question};

/// The largest weight of a target.
const MAX_WEIGHT: u32 = 1000;

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Service {
    /// Lower ones first.
    pub(crate) priority: u16,
    /// Share among those of one priority.
    pub(crate) weight: u16,
    /// Where it listens.
    pub(crate) port: u16,
    /// Whose addresses; empty for the root.
    pub(crate) host: Arc<str>,
}

impl Service {
    /// The question for its host's addresses.
    pub(super) fn question(&self, resolver: &Resolver) -> Question {
        Question {
            resolver: resolver.clone(),
            name: self.host.clone(),
            kind: Kind::Addresses,
        }
    }
}

/// The targets of a service: first those of the lowest priority that has addresses.
pub(super) fn targets(named: &NamedTarget, services: Vec<(Service, Vec<IpAddr>)>) -> Vec<Target> {
    let priority = |(service, _): &(Service, Vec<IpAddr>)| service.priority;
    let with_addresses = services
        .iter()
        .filter(|(_, addresses)| !addresses.is_empty());
    let first = with_addresses.map(priority).min();
    let mut targets = Vec::new();
    for (service, addresses) in &services {
        let rank = services
            .iter()
            .filter(|(other, _)| other.priority == service.priority);
        let weights: Vec<u16> = rank.map(|(other, _)| other.weight).collect();
        for address in addresses {
            targets.push(Target {
                weight: scaled(service.weight, &weights),
                backup: named.backup || Some(service.priority) != first,
                ..named.at(SocketAddr::new(*address, service.port))
            });
        }
    }
    targets
}

/// A weight among `all` as a target's, 1 to 1000: as it is if they all fit, else in proportion. A
/// weight of 0 has "a very small chance" beside others, and an equal one among its like.
fn scaled(weight: u16, all: &[u16]) -> u16 {
    let largest = u32::from(all.iter().copied().max().unwrap_or(0));
    let has_zero = all.contains(&0);
    let scaled = match u32::from(weight) {
        0 => 1,
        weight if largest > MAX_WEIGHT || has_zero => weight * MAX_WEIGHT / largest,
        weight => weight,
    };
    u16::try_from(scaled.max(1)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_keep_their_proportions_within_what_targets_have() {
        for (all, expected) in [
            (&[1, 2, 3][..], &[1, 2, 3][..]),
            (&[0, 0], &[1, 1]),
            (&[0, 1, 2], &[1, 500, 1000]),
            (&[60_000, 30_000, 1], &[1000, 500, 1]),
            (&[1000], &[1000]),
        ] {
            let scaled: Vec<u16> = all.iter().map(|weight| scaled(*weight, all)).collect();
            assert_eq!(scaled, expected);
        }
    }

    #[test]
    fn the_lowest_priority_that_has_addresses_serves_and_the_others_are_backups() {
        let named = NamedTarget {
            name: conf::TargetName::parse_service("_a._tcp.b").unwrap(),
            span: conf::Span::default(),
            weight: 1,
            availability_zone: "z".to_owned(),
            backup: false,
            max_in_flight: 0,
        };
        let service = |priority, weight, port| Service {
            priority,
            weight,
            port,
            host: "h".into(),
        };
        let address = |last| IpAddr::from([127, 0, 0, last]);
        let services = vec![
            (service(1, 5, 80), vec![]),
            (service(2, 3, 81), vec![address(1), address(2)]),
            (service(2, 1, 82), vec![address(1)]),
            (service(9, 0, 83), vec![address(9)]),
        ];
        let show = |t: &Target| {
            format!(
                "{} {} {} {}",
                t.address, t.weight, t.backup, t.availability_zone
            )
        };
        let found: Vec<String> = targets(&named, services).iter().map(show).collect();
        assert_eq!(
            found,
            [
                "127.0.0.1:81 3 false z",
                "127.0.0.2:81 3 false z",
                "127.0.0.1:82 1 false z",
                "127.0.0.9:83 1 true z"
            ]
        );
    }
}
