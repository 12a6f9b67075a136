//! Are the demonstration's addresses free? If not: which, held by whom, and the flag that moves it.
//!
//! All at once, before anything starts. The real binds come later and have their own errors.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::Options;
use super::configuration::Layout;
use crate::cli::Failure;
use crate::run::holder::{Transport, describe};

/// One address the demonstration needs.
struct Need {
    address: SocketAddr,
    transport: Transport,
    what: &'static str,
    flag: &'static str,
}

/// Fails when an address is taken.
pub(super) fn check(options: &Options) -> Result<(), Failure> {
    let taken: Vec<String> = needs(options)
        .iter()
        .filter_map(|need| Some(complaint(need, &try_bind(need).err()?)))
        .collect();
    if taken.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "the demonstration cannot start:\n  {}",
        taken.join("\n  ")
    )))
}

fn needs(options: &Options) -> Vec<Need> {
    let local = |port, transport, what, flag| Need {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        transport,
        what,
        flag,
    };
    let mut needs = vec![
        local(
            options.http_port,
            Transport::Tcp,
            "the HTTP listener",
            "--http-port",
        ),
        local(
            options.tcp_port,
            Transport::Tcp,
            "the TCP listener",
            "--tcp-port",
        ),
        local(
            options.dns_port,
            Transport::Udp,
            "DNS over UDP",
            "--dns-port",
        ),
        local(
            options.dns_port,
            Transport::Tcp,
            "DNS over TCP",
            "--dns-port",
        ),
        local(
            options.admin_port,
            Transport::Tcp,
            "the admin page",
            "--admin-port",
        ),
    ];
    let layout = Layout::planned(options);
    needs.extend(
        layout
            .http
            .into_iter()
            .chain(layout.tcp)
            .map(|address| Need {
                address,
                transport: Transport::Tcp,
                what: "a sample service",
                flag: "--target-port",
            }),
    );
    needs
}

/// Binds and lets go. SO_REUSEADDR for TCP, so that connections of an earlier run that are still
/// in TIME_WAIT do not count as a holder.
fn try_bind(need: &Need) -> std::io::Result<()> {
    let domain = Domain::for_address(need.address);
    let socket = match need.transport {
        Transport::Tcp => Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?,
        Transport::Udp => Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?,
    };
    socket.set_reuse_address(need.transport == Transport::Tcp)?;
    socket.bind(&need.address.into())?;
    match need.transport {
        Transport::Tcp => socket.listen(1),
        Transport::Udp => Ok(()),
    }
}

fn complaint(need: &Need, error: &std::io::Error) -> String {
    let Need {
        address,
        transport,
        what,
        flag,
    } = need;
    let why = match error.kind() {
        std::io::ErrorKind::AddrInUse => format!("is taken by {}", describe(*transport, *address)),
        _ => format!("cannot be bound: {error}"),
    };
    format!("{address} ({what}) {why}; {flag} PORT moves it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_holder_and_its_flag() {
        let holder = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options {
            http_port: holder.local_addr().unwrap().port(),
            tcp_port: 0,
            dns_port: 0,
            admin_port: 0,
            target_port: 0,
            print_config: false,
        };
        let Err(Failure::Failed(text)) = check(&options) else {
            panic!("nothing was taken");
        };
        assert!(text.contains(&format!(
            "127.0.0.1:{} (the HTTP listener)",
            options.http_port
        )));
        assert!(
            text.contains(&format!("pid {}", std::process::id())),
            "{text}"
        );
        assert!(text.contains("--http-port PORT moves it"));
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
