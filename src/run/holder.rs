//! Who holds an address that cannot be bound, read from /proc.
//!
//! Used for messages only. Processes of other users stay unknown unless we may read theirs.

use std::fs;
use std::net::SocketAddr;

/// The transport of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A listening TCP socket.
    Tcp,
    /// A bound UDP socket.
    Udp,
}

/// `pid 4242 (nginx)`, or `another process` when /proc does not tell.
pub(crate) fn describe(transport: Transport, address: SocketAddr) -> String {
    let inodes = inodes_on_port(transport, address.port());
    match find_process(&inodes) {
        Some((pid, name)) => format!("pid {pid} ({name})"),
        None => "another process".to_owned(),
    }
}

/// Inodes of sockets bound to a port, of either address family.
fn inodes_on_port(transport: Transport, port: u16) -> Vec<String> {
    let tables = match transport {
        Transport::Tcp => ["/proc/net/tcp", "/proc/net/tcp6"],
        Transport::Udp => ["/proc/net/udp", "/proc/net/udp6"],
    };
    let texts = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok());
    texts
        .flat_map(|text| parse_table(&text, transport, port))
        .collect()
}

/// Reads proc(5) `/proc/net/tcp`: `sl local remote st … inode`; state 0A is LISTEN.
fn parse_table(text: &str, transport: Transport, port: u16) -> Vec<String> {
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let holds = u16::from_str_radix(local_port, 16).ok()? == port
            && (transport == Transport::Udp || *fields.get(3)? == "0A");
        holds.then(|| fields.get(9).map(|inode| (*inode).to_owned()))?
    };
    text.lines().skip(1).filter_map(inode).collect()
}

/// The first process that has one of the sockets open, and its command.
fn find_process(inodes: &[String]) -> Option<(u32, String)> {
    let links: Vec<String> = inodes
        .iter()
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(entry.path().join("fd")) else {
            continue;
        };
        let mut opened = descriptors
            .flatten()
            .filter_map(|fd| fs::read_link(fd.path()).ok());
        if opened.any(|link| {
            links
                .iter()
                .any(|wanted| link.as_os_str() == wanted.as_str())
        }) {
            let command = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((pid, command.trim_end().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listeners_of_the_port_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 777 1\n   \
            1: 0100007F:1F90 0100007F:AAAA 01 00000000:00000000 00:00000000 00000000     0        0 778 1\n   \
            2: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 779 1\n   \
            3: broken\n";
        assert_eq!(parse_table(table, Transport::Tcp, 8080), ["777"]);
        assert_eq!(parse_table(table, Transport::Udp, 8080), ["777", "778"]);
    }

    #[tokio::test]
    async fn this_process_is_found_as_the_holder_of_its_own_socket() {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let found = describe(Transport::Udp, socket.local_addr().unwrap());
        assert!(
            found.starts_with(&format!("pid {} (", std::process::id())),
            "{found}"
        );
    }
}
