//! Who holds an address: looked up in /proc for the message about a failed bind.
//!
//! Called when a bind failed, never otherwise. Reads files only; whatever cannot be read (another
//! user's process) is passed over.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// `pid 123 (name)` of a process with a socket on `address`, as far as that can be seen.
pub(super) fn of(address: SocketAddr, tcp: bool) -> Option<String> {
    let tables: &[&str] = if tcp {
        &["tcp", "tcp6"]
    } else {
        &["udp", "udp6"]
    };
    let inode = tables.iter().find_map(|table| {
        let text = fs::read_to_string(Path::new("/proc/net").join(table)).ok()?;
        text.lines()
            .skip(1)
            .find_map(|line| inode_of(line, address, tcp))
    })?;
    let pid = process_with(&format!("socket:[{inode}]"))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Some(format!("pid {pid} ({})", name.trim()))
}

/// The inode of a line of /proc/net/tcp and its kin, when it holds `address`.
fn inode_of(line: &str, address: SocketAddr, tcp: bool) -> Option<String> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    let (ip, port) = local.split_once(':')?;
    // 0A is LISTEN: connections from or to the port do not hold it.
    let holds = !tcp || state == "0A";
    if !holds || u16::from_str_radix(port, 16).ok()? != address.port() {
        return None;
    }
    let wildcard = ip.bytes().all(|digit| digit == b'0');
    if wildcard || address.ip().is_unspecified() || ip == kernel_hex(address.ip()) {
        return fields.nth(5).map(str::to_owned);
    }
    None
}

/// An address as the kernel prints it: words of four bytes, each in host order.
fn kernel_hex(ip: IpAddr) -> String {
    let words = |bytes: &[u8]| {
        let (words, _) = bytes.as_chunks::<4>();
        words
            .iter()
            .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)))
            .collect()
    };
    match ip {
        IpAddr::V4(ip) => words(&ip.octets()),
        IpAddr::V6(ip) => words(&ip.octets()),
    }
}

fn process_with(link: &str) -> Option<u32> {
    let processes = fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|s| s.parse().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        let holds = files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link));
        if holds {
            return Some(pid);
        }
    }
    None
}
