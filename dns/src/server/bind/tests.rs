//! One port for both protocols, held against everybody else.

use super::*;

fn at(address: &str) -> Spanned<SocketAddr> {
    let mut sources = conf::Sources::default();
    let file = sources.add("test.toml", "bind");
    Spanned::new(address.parse().unwrap(), conf::Span::new(file, 0..4))
}

#[test]
fn every_thread_has_a_socket_on_one_port() {
    for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
        let sockets = match bind(&at(address), 3, 2) {
            Ok(sockets) => sockets,
            Err(problem) if problem.message.contains("os error 99") => {
                eprintln!("skipped: no {address} here");
                continue;
            }
            Err(problem) => panic!("{problem:?}"),
        };
        assert_eq!((sockets.udp.len(), sockets.tcp.len()), (3, 2));
        assert_ne!(sockets.address.port(), 0);
        for socket in &sockets.udp {
            assert_eq!(socket.local_addr().unwrap(), sockets.address);
        }
        for socket in &sockets.tcp {
            assert_eq!(socket.local_addr().unwrap(), sockets.address);
        }
    }
}

#[test]
fn what_is_bound_cannot_be_bound_again() {
    let sockets = bind(&at("127.0.0.1:0"), 2, 2).unwrap();
    let again = bind(&at(&sockets.address.to_string()), 2, 2).unwrap_err();
    assert!(again.message.starts_with("cannot bind UDP"), "{again:?}");
    let Sockets { address, udp, tcp } = sockets;
    drop(udp);
    let again = bind(&at(&address.to_string()), 2, 2).unwrap_err();
    assert!(again.message.starts_with("cannot bind TCP"), "{again:?}");
    let help = again.help.unwrap();
    let pid = format!("pid {}", std::process::id());
    assert!(help.contains(&pid), "{help}");
    drop(tcp);
    bind(&at(&address.to_string()), 2, 2).unwrap();
}

#[test]
fn an_address_of_another_machine_says_so() {
    let problem = bind(&at("192.0.2.1:0"), 1, 1).unwrap_err();
    assert_eq!(problem.code, "dns-bind-failed");
    assert!(problem.span.is_some());
    assert!(problem.help.unwrap().contains("does not have the address"));
}
