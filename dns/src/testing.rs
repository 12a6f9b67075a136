//! What the crate's tests share: a scene made from configuration text, queries, answers as text.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use conf::RecordType;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsCode;
use hickory_proto::rr::{RData, Record};
use ipnet::IpNet;

use crate::{Name, Offline, Snapshot, Zones, load_zones};

/// A configuration without a process, and its zones.
pub(crate) struct Scene {
    pub(crate) zones: Zones,
    offline: Offline,
}

impl Deref for Scene {
    type Target = Offline;

    fn deref(&self) -> &Offline {
        &self.offline
    }
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
        Self {
            offline: Offline::new(Arc::new(loaded.config), &zones),
            zones,
        }
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

    /// Publishes health, as [`Offline::set`].
    pub(crate) fn set(&mut self, said: &[(&str, &str)]) {
        self.offline.set(said).unwrap();
    }

    /// The snapshot under the health last set.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.compiled.snapshot(&self.health, false)
    }
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

/// An MMDB file of networks and their countries.
pub(crate) fn mmdb(networks: &[(&str, &str)]) -> Vec<u8> {
    let record =
        |country: &str| [b"\xe1\x47country\xe1\x48iso_code\x42", country.as_bytes()].concat();
    mmdb_of(networks, record)
}

/// An MMDB file of networks and their autonomous systems.
pub(crate) fn asn_mmdb(networks: &[(&str, u32)]) -> Vec<u8> {
    let record = |asn: u32| {
        [
            b"\xe1\x58autonomous_system_number\xc4",
            &asn.to_be_bytes()[..],
        ]
        .concat()
    };
    mmdb_of(networks, record)
}

/// An MMDB file as a program of MaxMind's would lay it out: one IPv6 tree of 24-bit records, IPv4
/// below 96 zero bits.
fn mmdb_of<T: Copy>(networks: &[(&str, T)], record: impl Fn(T) -> Vec<u8>) -> Vec<u8> {
    let mut nodes: Vec<[Option<Leaf>; 2]> = vec![[None, None]];
    let mut data: Vec<u8> = Vec::new();
    for (network, what) in networks {
        let network: IpNet = network.parse().unwrap();
        let (bits, length) = match network {
            IpNet::V4(v4) => (u128::from(u32::from(v4.network())), v4.prefix_len() + 96),
            IpNet::V6(v6) => (u128::from(v6.network()), v6.prefix_len()),
        };
        let mut at = 0;
        for depth in 0..length - 1 {
            let side = (bits >> (127 - depth) & 1) as usize;
            at = match nodes[at][side] {
                Some(Leaf::Node(next)) => next,
                _ => {
                    nodes.push([None, None]);
                    let next = nodes.len() - 1;
                    nodes[at][side] = Some(Leaf::Node(next));
                    next
                }
            };
        }
        let side = (bits >> (128 - length) & 1) as usize;
        nodes[at][side] = Some(Leaf::Data(data.len()));
        data.extend(record(*what));
    }
    let count = nodes.len();
    let mut file = Vec::new();
    for leaf in nodes.iter().flatten() {
        let record = match leaf {
            None => count,
            Some(Leaf::Node(node)) => *node,
            Some(Leaf::Data(offset)) => count + 16 + offset,
        };
        file.extend(&(record as u32).to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com\xe5\x4anode_count\xc4");
    file.extend((count as u32).to_be_bytes());
    file.extend(b"\x4brecord_size\xa1\x18\x4aip_version\xa1\x06");
    file.extend(b"\x5bbinary_format_major_version\xa1\x02\x4bbuild_epoch\x04\x02");
    // 2026-01-01.
    file.extend(1_767_225_600_u32.to_be_bytes());
    file
}

/// Where a record of a tree leads.
#[derive(Clone, Copy)]
enum Leaf {
    Node(usize),
    Data(usize),
}
