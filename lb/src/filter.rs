//! A listener's filter compiled: from a client's address and two ports to yes or no.
//!
//! Asked by the worker for every connection it accepts and by the UDP shell for every new flow, of
//! listeners that have one; made with the plan. The addresses of each family are cut into ranges in
//! which the same rules matter, so that no rule is looked at that does not name the client.
//!
//! Cost: one binary search; then as many rules as ask for ports, usually none. Without a filter one
//! look at an option.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use conf::FilterRule;
use ipnet::IpNet;

/// Who may use a listener.
#[derive(Debug)]
pub(crate) struct Filter {
    /// By number.
    rules: Box<[Rule]>,
    v4: Ranges,
    v6: Ranges,
}

#[derive(Debug)]
struct Rule {
    allow: bool,
    /// Empty = every one.
    ports: Box<[RangeInclusive<u16>]>,
    source_ports: Box<[RangeInclusive<u16>]>,
}

/// The addresses of a family: each range goes from its start to before the next one's.
#[derive(Debug, Default)]
struct Ranges {
    starts: Vec<u128>,
    /// Rules that may match in a range, by number, up to the first that always does.
    rules: Vec<Box<[u16]>>,
}

impl Filter {
    /// The filter of these rules, in the order of their numbers; `None` when there are none.
    pub(crate) fn new(rules: &[FilterRule]) -> Option<Self> {
        if rules.is_empty() {
            return None;
        }
        Some(Self {
            v4: Ranges::new(rules, 32),
            v6: Ranges::new(rules, 128),
            rules: rules.iter().map(Rule::new).collect(),
        })
    }

    /// True when `client` may use the listener at this port of it, which is asked for only when a
    /// rule wants to know. What no rule matches may not.
    pub(crate) fn allows(&self, client: SocketAddr, port: impl Fn() -> u16) -> bool {
        let at = match client.ip().to_canonical() {
            IpAddr::V4(ip) => self.v4.at(u128::from(ip.to_bits())),
            IpAddr::V6(ip) => self.v6.at(ip.to_bits()),
        };
        let mut rules = at.iter().filter_map(|at| self.rules.get(usize::from(*at)));
        let first = rules.find(|rule| rule.matches(client.port(), &port));
        first.is_some_and(|rule| rule.allow)
    }
}

impl Rule {
    fn new(rule: &FilterRule) -> Self {
        Self {
            allow: rule.allow,
            ports: rule.ports.clone().into(),
            source_ports: rule.source_ports.clone().into(),
        }
    }

    fn matches(&self, source_port: u16, port: &impl Fn() -> u16) -> bool {
        let within = |ranges: &[RangeInclusive<u16>], port: u16| {
            ranges.iter().any(|range| range.contains(&port))
        };
        (self.ports.is_empty() || within(&self.ports, port()))
            && (self.source_ports.is_empty() || within(&self.source_ports, source_port))
    }
}

impl Ranges {
    /// Sweeps over the rules' networks of the family with addresses of so many bits.
    fn new(rules: &[FilterRule], bits: u8) -> Self {
        let all = u128::MAX >> (128 - u32::from(bits));
        let mut edges: BTreeMap<u128, Vec<(u16, bool)>> = BTreeMap::new();
        edges.insert(0, Vec::new());
        for (place, rule) in rules.iter().enumerate() {
            let place = place as u16;
            let of_family = rule.networks.iter().filter(|n| n.max_prefix_len() == bits);
            let spans = of_family.map(span);
            let spans = spans.chain(rule.networks.is_empty().then_some((0, all)));
            for (first, last) in spans {
                edges.entry(first).or_default().push((place, true));
                if last < all {
                    edges.entry(last + 1).or_default().push((place, false));
                }
            }
        }
        let mut ranges = Self::default();
        // Networks of a rule that cover the place of the sweep.
        let mut open: BTreeMap<u16, usize> = BTreeMap::new();
        for (start, changes) in edges {
            for (place, opens) in changes {
                let count = open.entry(place).or_default();
                *count = if opens {
                    *count + 1
                } else {
                    count.saturating_sub(1)
                };
            }
            open.retain(|_, count| *count > 0);
            let always = |place: &u16| {
                let rule = rules.get(usize::from(*place));
                rule.is_some_and(|r| r.ports.is_empty() && r.source_ports.is_empty())
            };
            let end = open.keys().position(always).map_or(open.len(), |at| at + 1);
            let list: Box<[u16]> = open.keys().take(end).copied().collect();
            if ranges.rules.last() != Some(&list) {
                ranges.starts.push(start);
                ranges.rules.push(list);
            }
        }
        ranges
    }

    fn at(&self, address: u128) -> &[u16] {
        let after = self.starts.partition_point(|start| *start <= address);
        let range = after.checked_sub(1).and_then(|at| self.rules.get(at));
        range.map_or(&[], AsRef::as_ref)
    }
}

/// First and last address.
fn span(network: &IpNet) -> (u128, u128) {
    match network {
        IpNet::V4(network) => (
            u128::from(network.network().to_bits()),
            u128::from(network.broadcast().to_bits()),
        ),
        IpNet::V6(network) => (network.network().to_bits(), network.broadcast().to_bits()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(number: u16, allow: bool, networks: &[&str]) -> FilterRule {
        FilterRule {
            number,
            allow,
            networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
            ports: Vec::new(),
            source_ports: Vec::new(),
        }
    }

    fn allows(rules: &[FilterRule], client: &str, port: u16) -> bool {
        let filter = Filter::new(rules).unwrap();
        filter.allows(client.parse().unwrap(), || port)
    }

    #[test]
    fn no_rules_are_no_filter_and_any_rule_ends_in_deny() {
        assert!(Filter::new(&[]).is_none());
        let only = [rule(1, true, &["10.0.0.0/8"])];
        assert!(allows(&only, "10.255.255.255:1", 80));
        assert!(!allows(&only, "11.0.0.0:1", 80));
        assert!(!allows(&only, "[2001:db8::1]:1", 80));
    }

    #[test]
    fn first_match_by_number_decides() {
        let rules = [
            rule(1, false, &["10.1.0.0/16", "2001:db8:1::/48"]),
            rule(2, true, &["10.0.0.0/8", "2001:db8::/32"]),
            rule(3, false, &["10.2.0.0/16"]),
        ];
        assert!(!allows(&rules, "10.1.2.3:1", 80));
        assert!(allows(&rules, "10.2.2.3:1", 80));
        assert!(!allows(&rules, "[2001:db8:1::1]:1", 80));
        assert!(allows(&rules, "[2001:db8:2::1]:1", 80));
        assert!(
            allows(&rules, "[::ffff:10.2.0.1]:1", 80),
            "a mapped address is IPv4"
        );
    }

    #[test]
    fn ports_are_part_of_the_match() {
        let mut reflected = rule(1, false, &[]);
        reflected.source_ports = vec![0..=1023];
        let mut own = rule(2, true, &["192.0.2.0/24"]);
        own.ports = vec![53..=53, 8000..=8999];
        let rules = [reflected, own];
        assert!(allows(&rules, "192.0.2.1:4000", 53));
        assert!(allows(&rules, "192.0.2.1:4000", 8999));
        assert!(!allows(&rules, "192.0.2.1:4000", 80));
        assert!(!allows(&rules, "192.0.2.1:53", 53));
    }

    fn any_rule() -> impl Strategy<Value = FilterRule> {
        // Few bits, so that networks nest and meet.
        let network = (any::<bool>(), 0u32..256, 24u8..=32).prop_map(|(v6, low, length)| {
            let net = match v6 {
                false => IpNet::new(std::net::Ipv4Addr::from_bits(low).into(), length),
                true => IpNet::new(
                    std::net::Ipv6Addr::from_bits(low.into()).into(),
                    length + 96,
                ),
            };
            net.unwrap().trunc()
        });
        let ports = || prop::collection::vec((0u16..4, 0u16..3), 0..2);
        let ranges = |ports: Vec<(u16, u16)>| ports.into_iter().map(|(a, n)| a..=a + n).collect();
        let networks = prop::collection::vec(network, 0..4);
        (any::<bool>(), networks, ports(), ports()).prop_map(move |(allow, networks, a, b)| {
            FilterRule {
                number: 0,
                allow,
                networks,
                ports: ranges(a),
                source_ports: ranges(b),
            }
        })
    }

    proptest! {
        /// The compiled filter says what going through the rules one by one says.
        #[test]
        fn compiled_is_the_list(rules in prop::collection::vec(any_rule(), 1..8)) {
            let filter = Filter::new(&rules).unwrap();
            for low in 0..256u32 {
                for (source, port) in [(0, 0), (2, 1), (5, 3)] {
                    let v4 = std::net::Ipv4Addr::from_bits(low);
                    let v6 = std::net::Ipv6Addr::from_bits(low.into());
                    for ip in [IpAddr::from(v4), IpAddr::from(v6)] {
                        let matches = |rule: &&FilterRule| {
                            let any = |ranges: &[RangeInclusive<u16>], port| {
                                ranges.is_empty() || ranges.iter().any(|r| r.contains(&port))
                            };
                            (rule.networks.is_empty() || rule.networks.iter().any(|n| n.contains(&ip)))
                                && any(&rule.ports, port) && any(&rule.source_ports, source)
                        };
                        let expected = rules.iter().find(matches).is_some_and(|rule| rule.allow);
                        prop_assert_eq!(filter.allows(SocketAddr::new(ip, source), || port), expected);
                    }
                }
            }
        }
    }
}
