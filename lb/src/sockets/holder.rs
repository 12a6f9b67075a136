//! Who listens on an address, from /proc: the kernel's socket table names an inode, and some
//! process has a descriptor of that inode.
//!
//! Only called when a bind has failed. Finds nothing when /proc is hidden or the process is
//! another user's; then the diagnostic does without.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::Transport;

/// The state word of a listening socket in /proc/net/tcp.
const LISTENING: &str = "0A";

/// The state word of a socket that is not connected in /proc/net/udp (TCP's CLOSE).
const UNCONNECTED: &str = "07";

/// A process that listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) pid: u32,
    /// The command's name.
    pub(super) name: String,
}

/// The process whose listening socket keeps `address` from being bound.
pub(super) fn holder_of(transport: Transport, address: SocketAddr) -> Option<Holder> {
    let (tables, state) = match transport {
        Transport::Tcp => (["/proc/net/tcp", "/proc/net/tcp6"], LISTENING),
        Transport::Udp => (["/proc/net/udp", "/proc/net/udp6"], UNCONNECTED),
    };
    let texts = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok());
    texts
        .flat_map(|text| listening_inodes(&text, state, address))
        .find_map(process_with_inode)
}

/// Inodes of listening sockets in `table` that overlap `address`.
fn listening_inodes(table: &str, wanted: &str, address: SocketAddr) -> Vec<u64> {
    let overlaps = |local: SocketAddr| {
        local.port() == address.port()
            && (local.ip() == address.ip()
                || local.ip().is_unspecified()
                || address.ip().is_unspecified())
    };
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        if *state != wanted || !overlaps(parse_address(local)?) {
            return None;
        }
        inode.parse().ok()
    };
    table.lines().skip(1).filter_map(inode).collect()
}

/// `0100007F:1F90`: the address as 32-bit words in host byte order, then the port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |place: usize| {
        let digits = host.get(place * 8..place * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip: IpAddr = if host.len() == 8 {
        Ipv4Addr::from(word(0)?).into()
    } else {
        let words = [word(0)?, word(1)?, word(2)?, word(3)?];
        let mut octets = [0; 16];
        for (place, byte) in octets.iter_mut().zip(words.as_flattened()) {
            *place = *byte;
        }
        Ipv6Addr::from(octets).into()
    };
    Some(SocketAddr::new(ip, port))
}

fn process_with_inode(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes {
        let Some(pid) = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        if has_descriptor(&process.path(), &wanted) {
            let name = name_of(pid);
            return Some(Holder { pid, name });
        }
    }
    None
}

/// The command's name of a process.
pub(super) fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

fn has_descriptor(process: &Path, wanted: &str) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    let mut links = descriptors
        .flatten()
        .filter_map(|fd| fs::read_link(fd.path()).ok());
    links.any(|link| link.as_os_str() == wanted)
}
