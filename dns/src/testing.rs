//! What the crate's tests share: a scene made from configuration text, queries, answers as text.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use conf::{Config, RecordType};
use healthcheck::{
    CheckHealth, CheckId, GroupHealth, GroupId, HealthTable, OperatorState, Signal, SlotId,
    SlotMap, Source, TargetHealth, TargetState,
};
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{RData, Record};
use ipnet::IpNet;

use crate::{Compiled, Name, Snapshot, Zones, load_zones};

/// A configuration, its zones, its slots and the health of all of them.
pub(crate) struct Scene {
    pub(crate) config: Arc<Config>,
    pub(crate) zones: Zones,
    pub(crate) slots: Arc<SlotMap>,
    pub(crate) compiled: Compiled,
    pub(crate) health: Arc<HealthTable>,
}

impl Scene {
    /// From the text of a configuration file without errors; everything in it is healthy.
    pub(crate) fn new(text: &str) -> Self {
        let mut loaded = conf::load_text(Path::new("scene.toml"), text);
        assert!(!loaded.has_errors(), "{:?}", loaded.diagnostics);
        let (zones, problems) = load_zones(&loaded.config, &mut loaded.sources);
        let errors: Vec<_> = problems
            .iter()
            .filter(|problem| problem.severity == conf::Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        let slots = slots_of(&loaded.config);
        let compiled = Compiled::new(&loaded.config, &zones, 1, &slots);
        let mut scene = Self {
            config: Arc::new(loaded.config),
            zones,
            slots: Arc::new(slots),
            compiled,
            health: Arc::default(),
        };
        scene.set(&[]);
        scene
    }

    /// Zones from zone-file text, nothing else.
    pub(crate) fn of_zones(zones: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("dns-scene-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut text = String::new();
        for (index, (origin, zone)) in zones.iter().enumerate() {
            let path = folder.join(format!("{index}.zone"));
            std::fs::write(&path, zone).unwrap();
            text.push_str(&format!("[[zone]]\nname = {origin:?}\nfile = {path:?}\n"));
        }
        let scene = Self::new(&text);
        std::fs::remove_dir_all(&folder).unwrap();
        scene
    }

    /// Publishes health: what is named is as said, everything else is healthy. Names are checks
    /// (`up`, `down`), and targets as `group/address` (`healthy`, `unhealthy`, `draining`,
    /// `initial`, `weight-0`). Groups follow from their targets.
    pub(crate) fn set(&mut self, said: &[(&str, &str)]) {
        let mut next = self.health.next();
        let word = |name: &str| said.iter().find(|(n, _)| *n == name).map(|(_, word)| *word);
        for check in &self.config.health_checks {
            let id = self.slots.check(&check.name).unwrap();
            let health = CheckHealth {
                healthy: word(&check.name) != Some("down"),
                description: Arc::from(""),
                since: SystemTime::UNIX_EPOCH,
            };
            next.check(id, Some(health));
        }
        for group in &self.config.target_groups {
            let mut rollup = GroupHealth::default();
            for target in &group.targets {
                let (slot, _) = self.slots.target(&group.name, target.address).unwrap();
                let health = target_health(word(&format!("{}/{}", group.name, target.address)));
                rollup.registered += 1;
                rollup.healthy += u32::from(health.state == TargetState::Healthy);
                rollup.initial += u32::from(health.state == TargetState::Initial);
                next.target(slot, Some(health));
            }
            let count = |n: u32| n as usize;
            let met = |floor: conf::MinimumHealthy| {
                floor.is_met(count(rollup.healthy), count(rollup.registered))
            };
            rollup.fail_open = !met(group.unhealthy_state_routing);
            rollup.dns_healthy = met(group.dns_failover) && rollup.registered > 0;
            let id = self.slots.group(&group.name).unwrap();
            next.group(id, Some(rollup));
        }
        self.health = next.publish();
    }

    /// The snapshot under the health last set.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.compiled.snapshot(&self.health, false)
    }
}

fn target_health(word: Option<&str>) -> TargetHealth {
    let state = match word {
        None | Some("healthy" | "weight-0") => TargetState::Healthy,
        Some("unhealthy") => TargetState::Unhealthy,
        Some("draining") => TargetState::Draining,
        Some("initial") => TargetState::Initial,
        Some(other) => panic!("{other:?} is no state of a target"),
    };
    TargetHealth {
        state,
        reason: None,
        source: Source::Probe,
        operator: OperatorState::Ready,
        weight: if word == Some("weight-0") { 0 } else { 1 },
        registered: true,
        probed_unhealthy: state == TargetState::Unhealthy,
        deadline: None,
        description: Arc::from(""),
        since: SystemTime::UNIX_EPOCH,
    }
}

fn slots_of(config: &Config) -> SlotMap {
    let mut slots = SlotMap::new(1);
    let mut next = 0..;
    for (index, group) in (0..).zip(&config.target_groups) {
        slots.insert_group(&group.name, GroupId(index));
        for target in &group.targets {
            let slot = SlotId(next.next().unwrap());
            let signal = Arc::new(Signal::default());
            slots.insert_target(&group.name, target.address, slot, signal);
        }
    }
    for (index, check) in (0..).zip(&config.health_checks) {
        slots.insert_check(&check.name, CheckId(index));
    }
    slots
}

/// A query packet without EDNS.
pub(crate) fn query(name: &str, rtype: &str) -> Vec<u8> {
    let name = Name::parse(name, None).unwrap();
    let rtype = RecordType::parse(rtype).unwrap();
    let mut packet = vec![0x12, 0x34, 0x01, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    packet.extend(name.as_wire());
    packet.extend(rtype.0.to_be_bytes());
    packet.extend([0, 1]);
    packet
}

/// A query packet with an OPT record that offers `udp_size` bytes.
pub(crate) fn query_edns(name: &str, rtype: &str, udp_size: u16) -> Vec<u8> {
    let mut packet = query(name, rtype);
    packet[11] = 1;
    packet.extend([0, 0, 41]);
    packet.extend(udp_size.to_be_bytes());
    packet.extend([0; 6]);
    packet
}

/// A query packet with an OPT record that holds a client subnet option with these data.
pub(crate) fn query_subnet(name: &str, rtype: &str, data: &[u8]) -> Vec<u8> {
    let mut packet = query_edns(name, rtype, 1232);
    let end = packet.len() - 2;
    packet.truncate(end);
    packet.extend((data.len() as u16 + 4).to_be_bytes());
    packet.extend([0, 8]);
    packet.extend((data.len() as u16).to_be_bytes());
    packet.extend(data);
    packet
}

/// The data of a client subnet option that names a network.
pub(crate) fn subnet(network: IpNet) -> Vec<u8> {
    let (family, octets) = match network.network() {
        IpAddr::V4(v4) => (1, v4.octets().to_vec()),
        IpAddr::V6(v6) => (2, v6.octets().to_vec()),
    };
    let length = network.prefix_len();
    let mut data = vec![0, family, length, 0];
    data.extend(&octets[..usize::from(length).div_ceil(8)]);
    data
}

/// The client subnet option of a response, which has no other option: its data.
pub(crate) fn subnet_of(response: &[u8]) -> Option<&[u8]> {
    let message = Message::from_vec(response).unwrap();
    // The options that the library does not show as they came: found by their bytes.
    let edns = message.edns?;
    edns.option(EdnsCode::Subnet)?;
    let at = response
        .windows(3)
        .rposition(|bytes| bytes == [0, 8, 0])
        .unwrap();
    let length = usize::from(response[at + 3]);
    assert_eq!(at + 4 + length, response.len());
    Some(&response[at + 4..])
}

/// Where queries of tests come from: a place that nothing knows.
pub(crate) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A response in one line: code, flags that are set, sections in order.
pub(crate) fn text(message: &Message) -> String {
    let meta = &message.metadata;
    let mut line = format!("{:?}", meta.response_code).to_uppercase();
    for (set, flag) in [(meta.authoritative, " aa"), (meta.truncation, " tc")] {
        line.push_str(if set { flag } else { "" });
    }
    let sections = [
        ("", &message.answers),
        ("authority: ", &message.authorities),
        ("additional: ", &message.additionals),
    ];
    for (label, records) in sections {
        if !records.is_empty() {
            let records = lines(records);
            line.push_str(&format!(" | {label}{}", records.join(", ")));
        }
    }
    line
}

/// Records as text; those of one RRset, which come in any order, are sorted.
fn lines(records: &[Record]) -> Vec<String> {
    let of_one_set =
        |a: &Record, b: &Record| a.name == b.name && a.record_type() == b.record_type();
    let sets = records.chunk_by(of_one_set).map(|set| {
        let mut lines: Vec<String> = set.iter().map(presentation).collect();
        lines.sort();
        lines
    });
    sets.flatten().collect()
}

/// The record as text; the parser leaves DNAME and types without a name opaque.
fn presentation(record: &Record) -> String {
    let RData::Unknown { code, rdata } = &record.data else {
        return record.to_string();
    };
    let rtype = RecordType(u16::from(*code));
    let rdata = match rtype {
        RecordType::DNAME => Name::from_wire(&rdata.anything).unwrap().to_string(),
        _ => {
            let hex = rdata.anything.iter().map(|byte| format!("{byte:02x}"));
            format!("\\# {} {}", rdata.anything.len(), hex.collect::<String>())
        }
    };
    format!("{} {} IN {rtype} {rdata}", record.name, record.ttl)
}
