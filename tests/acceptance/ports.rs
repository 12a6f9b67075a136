//! Ports for programs that cannot choose one and say so, and for those that are killed: used by the
//! acceptance tests, and by those of DNS and of the command line.

/// A port of `ip` for a program that cannot choose one and say so: free for TCP and UDP just now.
///
/// Ports below those the kernel gives out by itself (32768 and above, as Linux comes) are taken by
/// nobody by chance, and each is offered once; where they start depends on the process, so that test
/// runs side by side do not meet.
pub fn free_port(ip: &str) -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static OFFERED: AtomicU32 = AtomicU32::new(0);
    let (first, count) = (12_000, 20_000);
    for _ in 0..count {
        // A prime apart: neighbours in time are not neighbours in port.
        let number = std::process::id() * 131 + OFFERED.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(first + number % count).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "finds a port for another program"
        )]
        let tcp = std::net::TcpListener::bind((ip, port));
        if tcp.is_ok() && std::net::UdpSocket::bind((ip, port)).is_ok() {
            return port;
        }
    }
    panic!("no port of {ip} is free");
}
