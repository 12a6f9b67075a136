//! DNS and the balancer agree: what a drain takes from one, it takes from the other.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use crate::harness::{PATIENCE, Process, Service, eventually, http_over};

/// Asks for A records; the addresses answered.
fn ask(server: SocketAddr, name: &str) -> Vec<Ipv4Addr> {
    let mut query = vec![0x12, 0x34, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    let (length, _) = socket.recv_from(&mut answer).unwrap();
    let answer = &answer[..length];
    assert_eq!(&answer[..2], [0x12, 0x34]);
    assert_eq!(answer[3] & 0x0f, 0, "rcode");
    let count = usize::from(answer[7]);
    // The answers follow the question: pointer, type, class, ttl, length and four bytes each.
    let records = &answer[query.len()..];
    let address = |record: &[u8]| <[u8; 4]>::try_from(&record[12..16]).unwrap().into();
    records.chunks(16).take(count).map(address).collect()
}

fn start(one: &Service) -> Process {
    let text = http_over(&[one]);
    Process::start(&format!(
        "runtime.shutdown-delay = \"600s\"\n{text}\
         [dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"example.test\"\n\
         [[zone.record]]\nname = \"app\"\ntype = \"A\"\nalias = {{ target-group = \"app\" }}\n\
         [[zone.record]]\nname = \"www\"\ntype = \"A\"\npolicy = \"failover\"\nsets = [\n\
         {{ id = \"a\", failover = \"primary\", alias = {{ listener = \"web\" }} }},\n\
         {{ id = \"b\", failover = \"secondary\", values = [\"192.0.2.2\"] }} ]\n"
    ))
}

#[test]
fn a_drained_target_has_left_dns_when_the_drain_returns() {
    let one = Service::start("one");
    let process = start(&one);
    process.wait_for_state("app", one.http, "healthy");
    let server = process.dns();
    let local = [Ipv4Addr::LOCALHOST];
    eventually("the target is answered", || {
        (ask(server, "app.example.test") == local).then_some(())
    });
    assert_eq!(ask(server, "www.example.test"), local);
    process.succeed(&["drain", "app", &one.http.to_string()]);
    assert_eq!(
        ask(server, "www.example.test"),
        [Ipv4Addr::new(192, 0, 2, 2)]
    );
    process.succeed(&["undrain", "app", &one.http.to_string()]);
    assert_eq!(ask(server, "app.example.test"), local);
}

#[test]
fn own_listeners_leave_dns_when_the_shutdown_begins() {
    let one = Service::start("one");
    let process = start(&one);
    process.wait_for_state("app", one.http, "healthy");
    let server = process.dns();
    eventually("the listener is answered", || {
        (ask(server, "www.example.test") == [Ipv4Addr::LOCALHOST]).then_some(())
    });
    process.signal(rustix::process::Signal::TERM);
    process.wait_for_log("still accepting");
    eventually("the listener has left", || {
        (ask(server, "www.example.test") == [Ipv4Addr::new(192, 0, 2, 2)]).then_some(())
    });
}
