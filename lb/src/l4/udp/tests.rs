//! Flows over real loopback sockets, with health played.

mod introduced;
mod quic;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use conf::Config;
use healthcheck::{PassiveFailure, TargetState};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

use crate::testing::{Rig, health, load};

/// Longer than anything here takes; only a failure waits for it.
const DEADLINE: Duration = Duration::from_secs(60);

async fn bound(address: &str) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(address).await.unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A client of `listener`, on an address of its own.
async fn client(listener: SocketAddr) -> UdpSocket {
    let own = if listener.is_ipv4() {
        "127.0.0.1:0"
    } else {
        "[::1]:0"
    };
    let (socket, _) = bound(own).await;
    socket.connect(listener).await.unwrap();
    socket
}

fn config(bind: &str, targets: &[SocketAddr], listener: &str, group: &str) -> Arc<Config> {
    let targets: Vec<_> = targets
        .iter()
        .map(|target| format!("\"{target}\""))
        .collect();
    load(&format!(
        "[logs]\naccess = \"off\"\n\
         [[listener]]\nname = \"games\"\nbind = \"{bind}\"\nprotocol = \"udp\"\n\
         forward = \"app\"\n{listener}\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"udp\"\ntargets = [{}]\n{group}\n",
        targets.join(", ")
    ))
}

async fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let received = timeout(DEADLINE, socket.recv_from(&mut buffer)).await;
    let (len, from) = received.expect("a datagram within the deadline").unwrap();
    buffer.truncate(len);
    (buffer, from)
}

/// Sends a word, sees it arrive, sends one back: where the target saw it come from.
async fn exchange(client: &UdpSocket, target: &UdpSocket, word: &[u8]) -> SocketAddr {
    client.send(word).await.unwrap();
    let (heard, from) = receive(target).await;
    assert_eq!(heard, word);
    target.send_to(b"reply", from).await.unwrap();
    assert_eq!(receive(client).await.0, b"reply");
    from
}

/// The sum of a family's samples that have all of these label values.
fn metric(rig: &Rig, name: &str, labels: &[&str]) -> f64 {
    let families = rig.lb.collect();
    let family = families
        .iter()
        .find(|family| family.name() == name)
        .unwrap();
    let matching = family.get_metric().iter().filter(|metric| {
        let has = |wanted: &&str| metric.get_label().iter().any(|l| l.value() == *wanted);
        labels.iter().all(has)
    });
    let value =
        |m: &prometheus::proto::Metric| m.get_counter().get_value() + m.get_gauge().get_value();
    matching.map(value).sum()
}

fn ended(rig: &Rig, reason: &str) -> f64 {
    metric(rig, "pointsman_udp_flows_ended_total", &[reason])
}

fn active(rig: &Rig) -> f64 {
    metric(rig, "pointsman_udp_flows_active", &[])
}

async fn until(mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < deadline, "it never came true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn each_client_keeps_its_target_whatever_worker_it_is_on() {
    let (one, first) = bound("127.0.0.1:0").await;
    let (two, second) = bound("127.0.0.1:0").await;
    let rig = Rig::start(4, &config("127.0.0.1:0", &[first, second], "", "")).await;
    let mut clients = Vec::new();
    for turn in 0..40 {
        let client = client(rig.address(0)).await;
        let target = if turn % 2 == 0 { &one } else { &two };
        let seen = exchange(&client, target, b"hello").await;
        clients.push((client, target, seen));
    }
    for (client, target, seen) in &clients {
        assert_eq!(exchange(client, target, b"again").await, *seen);
    }
    assert_eq!(active(&rig), 40.0);
    assert_eq!(
        (rig.in_flight("app", first), rig.in_flight("app", second)),
        (20, 20)
    );
    assert_eq!(metric(&rig, "pointsman_udp_datagrams_total", &["in"]), 80.0);
    assert_eq!(
        metric(&rig, "pointsman_udp_datagrams_total", &["out"]),
        80.0
    );
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn datagrams_keep_their_order_and_length() {
    let (target, address) = bound("127.0.0.1:0").await;
    let rig = Rig::start(2, &config("127.0.0.1:0", &[address], "", "")).await;
    let client = client(rig.address(0)).await;
    for len in [0, 1, 1500, 9000, 65_507] {
        let word: Vec<u8> = (0..len).map(|n| n as u8).collect();
        exchange(&client, &target, &word).await;
        let (_, from) = {
            client.send(b"ask").await.unwrap();
            receive(&target).await
        };
        target.send_to(&word, from).await.unwrap();
        assert_eq!(receive(&client).await.0, word);
    }
    for n in 0..150u8 {
        client.send(&[n]).await.unwrap();
    }
    let mut from = address;
    for n in 0..150u8 {
        let heard = receive(&target).await;
        assert_eq!(heard.0, [n]);
        from = heard.1;
    }
    for n in 0..150u8 {
        target.send_to(&[n], from).await.unwrap();
    }
    for n in 0..150u8 {
        assert_eq!(receive(&client).await.0, [n]);
    }
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_dead_target_is_left_at_once_and_the_same_datagram_finds_another() {
    let (dying, first) = bound("127.0.0.1:0").await;
    let (living, second) = bound("127.0.0.1:0").await;
    let mut rig = Rig::start(1, &config("127.0.0.1:0", &[first, second], "", "")).await;
    let client = client(rig.address(0)).await;
    exchange(&client, &dying, b"hello").await;
    let other = self::client(rig.address(0)).await;
    exchange(&other, &living, b"mine").await;
    let bystander = self::client(rig.address(0)).await;
    exchange(&other, &living, b"still").await;
    drop(dying);
    // Lost, but its ICMP error ends the flow.
    client.send(b"lost").await.unwrap();
    let event = rig.board.event().await;
    assert_eq!(event.slot, rig.board.slot("app", first));
    assert_eq!(event.failure, PassiveFailure::Refused);
    until(|| ended(&rig, "target-unreachable") == 1.0).await;
    exchange(&client, &living, b"found").await;
    exchange(&bystander, &living, b"new").await;
    exchange(&other, &living, b"mine").await;
    assert_eq!(rig.in_flight("app", first), 0);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_of_a_suspect_target_move_before_they_lose_a_datagram() {
    let (dying, first) = bound("127.0.0.1:0").await;
    let (living, second) = bound("127.0.0.1:0").await;
    let mut rig = Rig::start(1, &config("127.0.0.1:0", &[first, second], "", "")).await;
    let mut of_dying = Vec::new();
    for turn in 0..8 {
        let client = client(rig.address(0)).await;
        let target = if turn % 2 == 0 { &dying } else { &living };
        exchange(&client, target, b"hello").await;
        if turn % 2 == 0 {
            of_dying.push(client);
        }
    }
    drop(dying);
    of_dying[0].send(b"lost").await.unwrap();
    rig.board.event().await;
    until(|| ended(&rig, "target-unreachable") == 1.0).await;
    for client in &of_dying {
        exchange(client, &living, b"moved").await;
    }
    assert_eq!(rig.in_flight("app", second), 8);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_end_unreplied_idle_or_answered() {
    let (target, address) = bound("127.0.0.1:0").await;
    let keys = "udp-unreplied-timeout = \"100ms\"";
    let mut rig = Rig::start(2, &config("127.0.0.1:0", &[address], keys, "")).await;
    let silent = client(rig.address(0)).await;
    silent.send(b"anybody?").await.unwrap();
    let (_, late) = receive(&target).await;
    until(|| ended(&rig, "unreplied") == 1.0).await;
    target.send_to(b"too late", late).await.unwrap();
    let keys = "udp-idle-timeout = \"100ms\"";
    rig.reload(&config("127.0.0.1:0", &[address], keys, ""))
        .await;
    let idle = client(rig.address(0)).await;
    let first = exchange(&idle, &target, b"hello").await;
    until(|| ended(&rig, "idle-timeout") == 1.0).await;
    assert_ne!(exchange(&idle, &target, b"hello").await, first);

    let keys = "udp-responses = 2";
    rig.reload(&config("127.0.0.1:0", &[address], keys, ""))
        .await;
    let counted = client(rig.address(0)).await;
    let first = exchange(&counted, &target, b"one").await;
    assert_eq!(exchange(&counted, &target, b"two").await, first);
    until(|| ended(&rig, "answered") == 1.0).await;
    assert_ne!(exchange(&counted, &target, b"three").await, first);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn answers_leave_from_the_address_the_client_used() {
    let (target, address) = bound("127.0.0.1:0").await;
    let rig = Rig::start(2, &config("0.0.0.0:0", &[address], "", "")).await;
    let port = rig.address(0).port();
    let (client, _) = bound("127.0.0.1:0").await;
    let mut flows = Vec::new();
    for host in ["127.0.0.1", "127.0.0.2", "127.4.5.6"] {
        let used: SocketAddr = format!("{host}:{port}").parse().unwrap();
        client.send_to(b"hello", used).await.unwrap();
        let (_, flow) = receive(&target).await;
        target.send_to(b"reply", flow).await.unwrap();
        assert_eq!(receive(&client).await, (b"reply".to_vec(), used));
        flows.push(flow);
    }
    flows.sort();
    flows.dedup();
    assert_eq!(flows.len(), 3, "each address it uses is a flow of its own");
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn ipv6_clients_reach_ipv4_targets_and_the_other_way_round() {
    let (target, address) = bound("127.0.0.1:0").await;
    let rig = Rig::start(1, &config("[::]:0", &[address], "", "")).await;
    let port = rig.address(0).port();
    let six = client(format!("[::1]:{port}").parse().unwrap()).await;
    exchange(&six, &target, b"hello").await;
    rig.finish(Duration::ZERO).await;
    let (target, address) = bound("[::1]:0").await;
    let rig = Rig::start(1, &config("127.0.0.1:0", &[address], "", "")).await;
    let four = client(rig.address(0)).await;
    exchange(&four, &target, b"hello").await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn datagrams_wait_for_a_target_and_arrive_in_order() {
    let (target, address) = bound("127.0.0.1:0").await;
    let rig = Rig::start(1, &config("127.0.0.1:0", &[address], "", "")).await;
    let drained = |registered| {
        let mut health = health(TargetState::Draining);
        health.registered = registered;
        vec![(address, health)]
    };
    rig.lb
        .applied(rig.board.publish("app", &drained(true)))
        .await;
    let client = client(rig.address(0)).await;
    for n in 0..20u8 {
        client.send(&[n]).await.unwrap();
    }
    rig.all("app", &[address], TargetState::Healthy).await;
    for n in 0..20u8 {
        assert_eq!(receive(&target).await.0, [n]);
    }
    exchange(&client, &target, b"and on").await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn held_datagrams_are_given_up_after_the_hold() {
    let (_target, address) = bound("127.0.0.1:0").await;
    let rig = Rig::start(
        1,
        &config("127.0.0.1:0", &[address], "", "hold = \"200ms\""),
    )
    .await;
    rig.all("app", &[address], TargetState::Draining).await;
    client(rig.address(0)).await.send(b"hello").await.unwrap();
    until(|| metric(&rig, "pointsman_rejected_total", &["hold-expired"]) == 1.0).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn probed_unhealthiness_ends_flows_as_configured() {
    let (one, first) = bound("127.0.0.1:0").await;
    let (two, second) = bound("127.0.0.1:0").await;
    for (key, moves) in [("", true), ("connection-termination = false", false)] {
        let rig = Rig::start(2, &config("127.0.0.1:0", &[first, second], "", key)).await;
        let client = client(rig.address(0)).await;
        exchange(&client, &one, b"hello").await;
        let states = [
            (first, health(TargetState::Unhealthy)),
            (second, health(TargetState::Healthy)),
        ];
        rig.lb.applied(rig.board.publish("app", &states)).await;
        let target = if moves { &two } else { &one };
        exchange(&client, target, b"hello").await;
        assert_eq!(ended(&rig, "target-unhealthy"), f64::from(u8::from(moves)));
        rig.finish(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_sticky_source_keeps_its_target_over_flows() {
    let (one, first) = bound("127.0.0.1:0").await;
    let (two, second) = bound("127.0.0.1:0").await;
    let key = "stickiness = { type = \"source-ip\" }";
    let rig = Rig::start(4, &config("127.0.0.1:0", &[first, second], "", key)).await;
    let mut used = [0; 2];
    for host in 1..20 {
        let mut seen = None;
        for _ in 0..4 {
            let (client, _) = bound(&format!("127.0.0.{host}:0")).await;
            client.send_to(b"hello", rig.address(0)).await.unwrap();
            let (mut heard, mut other) = ([0; 8], [0; 8]);
            let target = tokio::select! {
                _ = one.recv(&mut heard) => 0,
                _ = two.recv(&mut other) => 1,
            };
            assert_eq!(*seen.get_or_insert(target), target, "127.0.0.{host}");
            used[target] += 1;
        }
    }
    assert!(used.iter().all(|count| *count > 0), "{used:?}");
    rig.finish(Duration::ZERO).await;
}

/// A target on one port of both transports: one that UDP gave away may be another's over TCP.
async fn bound_both() -> (UdpSocket, SocketAddr, tokio::net::TcpListener) {
    for _ in 0..100 {
        let (target, address) = bound("127.0.0.1:0").await;
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => return (target, address, listener),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no port is free for both transports");
}

#[tokio::test]
async fn both_transports_share_a_port() {
    let (target, address, listener) = bound_both().await;
    let text = format!(
        "[logs]\naccess = \"off\"\n\
         [[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp-udp\"\n\
         forward = \"app\"\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"tcp-udp\"\ntargets = [\"{address}\"]\n"
    );
    let rig = Rig::start(2, &load(&text)).await;
    exchange(&client(rig.address(0)).await, &target, b"hello").await;
    let stream = tokio::net::TcpStream::connect(rig.address(0))
        .await
        .unwrap();
    timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
    drop(stream);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn limits_hold_and_the_least_useful_flow_makes_room() {
    let (target, address) = bound("127.0.0.1:0").await;
    let keys = "max-connections = 8";
    let rig = Rig::start(1, &config("127.0.0.1:0", &[address], keys, "")).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        let client = client(rig.address(0)).await;
        exchange(&client, &target, b"hello").await;
        clients.push(client);
    }
    assert_eq!((active(&rig), ended(&rig, "evicted")), (8.0, 12.0));
    exchange(clients.last().unwrap(), &target, b"still there").await;
    assert_eq!(ended(&rig, "evicted"), 12.0);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_source_over_its_limit_gets_no_further_flow() {
    let (target, address) = bound("127.0.0.1:0").await;
    let keys = "max-flows-per-source = 3";
    let rig = Rig::start(4, &config("127.0.0.1:0", &[address], keys, "")).await;
    for _ in 0..3 {
        exchange(&client(rig.address(0)).await, &target, b"hello").await;
    }
    client(rig.address(0)).await.send(b"no").await.unwrap();
    let reason = "max-flows-per-source";
    until(|| metric(&rig, "pointsman_rejected_total", &[reason]) == 1.0).await;
    let (other, _) = bound("127.0.0.2:0").await;
    other.connect(rig.address(0)).await.unwrap();
    exchange(&other, &target, b"hello").await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_survive_reloads_and_a_removed_address_is_free_at_once() {
    let (one, first) = bound("127.0.0.1:0").await;
    let (two, second) = bound("127.0.0.1:0").await;
    let mut rig = Rig::start(2, &config("127.0.0.1:0", &[first], "", "")).await;
    let bind = "127.0.0.1:0";
    let address = rig.address(0);
    let client = client(rig.address(0)).await;
    let seen = exchange(&client, &one, b"hello").await;
    for round in 0..20 {
        let keys = format!("max-connections = {}", 100 + round);
        rig.reload(&config(bind, &[first, second], &keys, "")).await;
        assert_eq!(exchange(&client, &one, b"hello").await, seen);
    }
    rig.all("app", &[first, second], TargetState::Healthy).await;
    rig.reload(&config("127.0.0.2:0", &[first, second], "", ""))
        .await;
    assert_eq!(ended(&rig, "listener-removed"), 1.0);
    let again = UdpSocket::bind(address).await;
    assert!(again.is_ok(), "{again:?}");
    drop(two);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn quiet_flows_do_not_hold_the_end_up_and_speaking_ones_go_on() {
    let (target, address) = bound("127.0.0.1:0").await;
    let rig = Rig::start(2, &config("127.0.0.1:0", &[address], "", "")).await;
    let client = client(rig.address(0)).await;
    exchange(&client, &target, b"hello").await;
    let newcomer = self::client(rig.address(0)).await;
    rig.lb.stop_accepting();
    exchange(&client, &target, b"going on").await;
    newcomer.send(b"too late").await.unwrap();
    until(|| metric(&rig, "pointsman_rejected_total", &["shutdown"]) == 1.0).await;
    timeout(DEADLINE, rig.finish(Duration::from_secs(3600)))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_filter_drops_whom_it_does_not_let_in_and_touches_no_flow() {
    let (target, address) = bound("127.0.0.1:0").await;
    let mut rig = Rig::start(1, &config("127.0.0.1:0", &[address], "", "")).await;
    let known = client(rig.address(0)).await;
    exchange(&known, &target, b"before").await;
    let stranger = client(rig.address(0)).await;
    let port = stranger.local_addr().unwrap().port();
    let filter = format!(
        "filter = [{{ number = 1, action = \"deny\", source-ports = {port} }}, \
         {{ number = 2, action = \"allow\", networks = \"127.0.0.1\" }}]"
    );
    rig.reload(&config("127.0.0.1:0", &[address], &filter, ""))
        .await;
    for _ in 0..3 {
        stranger.send(b"x").await.unwrap();
    }
    until(|| metric(&rig, "pointsman_rejected_total", &["filter"]) == 3.0).await;
    exchange(&known, &target, b"after").await;
    let welcome = client(rig.address(0)).await;
    exchange(&welcome, &target, b"new").await;
    assert_eq!(metric(&rig, "pointsman_udp_flows_total", &[]), 2.0);
    rig.finish(Duration::ZERO).await;
}

/// The kernel tells a socket's errors before its datagrams: what a target had said before it was gone was
/// thrown away with the flow.
#[tokio::test]
async fn what_a_target_said_before_it_was_gone_arrives() {
    let local = tokio::task::LocalSet::new();
    let test = local.run_until(async {
        let (target, address) = bound("127.0.0.1:0").await;
        let rig = Rig::start_here(&config("127.0.0.1:0", &[address], "", "")).await;
        let client = client(rig.address(0)).await;
        let from = exchange(&client, &target, b"hello").await;
        // From here on nothing is awaited before all has happened: answers, and an ICMP error behind them.
        for word in [&b"one"[..], b"", b"three"] {
            target.try_send_to(word, from).unwrap();
        }
        drop(target);
        client.try_send(b"more").unwrap();
        for word in [&b"one"[..], b"", b"three"] {
            assert_eq!(receive(&client).await.0, word);
        }
        until(|| ended(&rig, "target-unreachable") == 1.0).await;
        rig.finish(Duration::ZERO).await;
    });
    test.await;
}

/// The same for a flow that moves to another target because a third has found its own dead.
#[tokio::test]
async fn what_a_target_said_arrives_though_the_flow_moves() {
    let local = tokio::task::LocalSet::new();
    let test = local.run_until(async {
        let (dying, first) = bound("127.0.0.1:0").await;
        let (living, second) = bound("127.0.0.1:0").await;
        let rig = Rig::start_here(&config("127.0.0.1:0", &[first, second], "", "")).await;
        let mut clients = Vec::new();
        for turn in 0..4 {
            let client = client(rig.address(0)).await;
            let target = if turn % 2 == 0 { &dying } else { &living };
            let from = exchange(&client, target, b"hello").await;
            clients.push((client, from));
        }
        let [(moving, from), (other, _), (finder, _), _] = &clients[..] else {
            panic!("four clients");
        };
        dying.try_send_to(b"answer", *from).unwrap();
        drop(dying);
        // Another's between them, so that the second is sent by itself, and finds the target dead.
        finder.try_send(b"one").unwrap();
        other.try_send(b"other").unwrap();
        finder.try_send(b"two").unwrap();
        moving.try_send(b"more").unwrap();
        assert_eq!(receive(moving).await.0, b"answer");
        rig.finish(Duration::ZERO).await;
    });
    test.await;
}
