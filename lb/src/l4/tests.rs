//! Flows over real loopback sockets, with health played.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use healthcheck::{PassiveFailure, TargetState};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::testing::{Rig, app_config, health, load};

async fn listen() -> (TcpListener, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(64).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that refuses until its socket listens.
fn refusing() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// True when a new connection is reset, whether before or after it is seen as established.
async fn resets_at(address: SocketAddr) -> bool {
    match TcpStream::connect(address).await {
        Ok(mut stream) => is_reset(&mut stream).await,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// One target and a flow to it: client's end, target's end.
async fn flow(rig: &Rig, target: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(rig.address(0)).await.unwrap();
    let (server, _) = target.accept().await.unwrap();
    (client, server)
}

/// Sends a word and sees it arrive.
async fn say(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"word").await.unwrap();
    let mut heard = [0; 4];
    to.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"word");
}

async fn is_reset(stream: &mut TcpStream) -> bool {
    let result = stream.read(&mut [0; 16]).await;
    result.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn half_closes_pass_both_ways() {
    let (target, address) = listen().await;
    let rig = Rig::start(1, &app_config(&[address], "", "")).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = String::new();
    server.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "question");
    server.write_all(b"answer").await.unwrap();
    drop(server);
    heard.clear();
    client.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "answer");
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn resets_pass_both_ways() {
    let (target, address) = listen().await;
    let rig = Rig::start(1, &app_config(&[address], "", "")).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    say(&mut client, &mut server).await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert!(is_reset(&mut client).await);
    let (mut client, mut server) = flow(&rig, &target).await;
    say(&mut server, &mut client).await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert!(is_reset(&mut server).await);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_refused_flow_gets_the_next_target_and_the_first_is_suspect() {
    let (target, address) = listen().await;
    let (_socket, refusing) = refusing();
    let mut rig = Rig::start(2, &app_config(&[refusing, address], "", "")).await;
    for _ in 0..6 {
        let (mut client, mut server) = flow(&rig, &target).await;
        say(&mut client, &mut server).await;
    }
    let event = rig.board.event().await;
    assert_eq!(event.slot, rig.board.slot("app", refusing));
    assert_eq!(event.failure, PassiveFailure::Refused);
    let tried = rig.lb.target_status("app", refusing).unwrap();
    assert!(tried.suspect);
    assert_eq!((tried.selected, tried.in_flight), (1, 0));
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_flow_is_held_until_a_target_recovers() {
    let (socket, address) = refusing();
    let rig = Rig::start(2, &app_config(&[address], "", "hold = \"60s\"")).await;
    rig.all("app", &[address], TargetState::Initial).await;
    let mut client = TcpStream::connect(rig.address(0)).await.unwrap();
    client.write_all(b"early").await.unwrap();
    let target = socket.listen(16).unwrap();
    rig.all("app", &[address], TargetState::Healthy).await;
    let (mut server, _) = target.accept().await.unwrap();
    let mut heard = [0; 5];
    server.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"early");
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_refused_flow_is_held_and_served_when_the_mark_goes_without_a_transition() {
    let (socket, address) = refusing();
    let mut rig = Rig::start(1, &app_config(&[address], "", "hold = \"60s\"")).await;
    let mut client = TcpStream::connect(rig.address(0)).await.unwrap();
    rig.board.event().await;
    let target = socket.listen(16).unwrap();
    rig.board.signal("app", address).clear();
    let (mut server, _) = target.accept().await.unwrap();
    say(&mut client, &mut server).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_without_a_target_are_reset_at_once_or_after_the_hold() {
    let rig = Rig::start(1, &app_config(&[], "", "")).await;
    assert!(resets_at(rig.address(0)).await);
    rig.finish(Duration::ZERO).await;
    let (_socket, address) = refusing();
    let rig = Rig::start(1, &app_config(&[address], "", "hold = \"100ms\"")).await;
    assert!(resets_at(rig.address(0)).await);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn probed_unhealthiness_ends_flows_and_draining_does_not() {
    let (target, address) = listen().await;
    let (_other, other) = listen().await;
    let rig = Rig::start(1, &app_config(&[address, other], "", "")).await;
    rig.board.signal("app", other).mark();
    let (mut client, mut server) = flow(&rig, &target).await;
    say(&mut client, &mut server).await;
    let publish = |state| {
        let healthy = (other, health(TargetState::Healthy));
        rig.board
            .publish("app", &[(address, health(state)), healthy])
    };
    rig.lb.applied(publish(TargetState::Draining)).await;
    say(&mut client, &mut server).await;
    rig.lb.applied(publish(TargetState::Unhealthy)).await;
    assert!(is_reset(&mut client).await);
    assert!(is_reset(&mut server).await);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn unhealthy_flows_go_on_for_the_interval_or_for_good_as_a_reload_says() {
    let (target, address) = listen().await;
    let (other_target, other) = listen().await;
    let config = |more: &str| {
        let keep = format!("unhealthy-connection-termination = false\n{more}");
        app_config(&[address, other], "", &keep)
    };
    let interval = config("unhealthy-draining-interval = \"1h\"");
    let mut rig = Rig::start(2, &interval).await;
    let first = flow(&rig, &target).await;
    let (mut bystander, mut its_server) = flow(&rig, &other_target).await;
    let publish = |rig: &Rig, state| {
        let healthy = (other, health(TargetState::Healthy));
        rig.board
            .publish("app", &[(address, health(state)), healthy])
    };
    let (mut client, mut server) = first;
    let generation = publish(&rig, TargetState::UnhealthyDraining);
    rig.lb.applied(generation).await;
    say(&mut client, &mut server).await;
    for _ in 0..3 {
        let (mut new, mut new_server) = flow(&rig, &other_target).await;
        say(&mut new, &mut new_server).await;
    }
    rig.reload(&config("")).await;
    let generation = publish(&rig, TargetState::Unhealthy);
    rig.lb.applied(generation).await;
    say(&mut server, &mut client).await;
    rig.reload(&interval).await;
    assert!(is_reset(&mut client).await, "the interval has passed");
    assert!(is_reset(&mut server).await);
    say(&mut bystander, &mut its_server).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn bulk_arrives_whole_through_a_slow_reader_and_pipes() {
    const BYTES: usize = 24 << 20;
    let (target, address) = listen().await;
    let rig = Rig::start(1, &app_config(&[address], "", "")).await;
    let (client, server) = flow(&rig, &target).await;
    let pattern: Vec<u8> = (0..BYTES).map(|n| ((n * n) >> 7) as u8).collect();
    let (mut client_reads, mut client_writes) = client.into_split();
    let (mut server_reads, mut server_writes) = server.into_split();
    let up = async {
        client_writes.write_all(&pattern).await.unwrap();
        client_writes.shutdown().await.unwrap();
    };
    let down = async {
        server_writes.write_all(&pattern).await.unwrap();
        server_writes.shutdown().await.unwrap();
    };
    let (mut at_server, mut at_client) = (Vec::new(), Vec::new());
    let read_up = async { server_reads.read_to_end(&mut at_server).await.unwrap() };
    let read_down = async {
        // Small reads keep the send queue full, so that leftovers and full pipes happen.
        let mut piece = [0; 3001];
        loop {
            let count = client_reads.read(&mut piece).await.unwrap();
            if count == 0 {
                return;
            }
            at_client.extend_from_slice(&piece[..count]);
        }
    };
    tokio::join!(up, down, read_up, read_down);
    assert!(at_server == pattern && at_client == pattern);
    let pipes = rig
        .lb
        .shared_counters(|counters| counters.pipes_opened.value());
    assert!(pipes > 0, "nothing was spliced");
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn small_messages_after_bulk_are_copied_again() {
    let (target, address) = listen().await;
    let rig = Rig::start(1, &app_config(&[address], "", "")).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    let (sent, mut received) = (vec![7; 4 << 20], vec![0; 4 << 20]);
    let (write, read) = tokio::join!(client.write_all(&sent), server.read_exact(&mut received));
    write.unwrap();
    read.unwrap();
    assert!(sent == received);
    for _ in 0..50 {
        say(&mut client, &mut server).await;
        say(&mut server, &mut client).await;
    }
    drop(client);
    assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn silent_flows_end_and_busy_ones_do_not() {
    let (target, address) = listen().await;
    let rig = Rig::start(1, &app_config(&[address], "idle-timeout = \"400ms\"", "")).await;
    let (mut silent, _kept) = flow(&rig, &target).await;
    let (mut busy, mut server) = flow(&rig, &target).await;
    let mut beat = tokio::time::interval(Duration::from_millis(50));
    let silence_ends = async { is_reset(&mut silent).await };
    let talk = async {
        for _ in 0..20 {
            beat.tick().await;
            say(&mut busy, &mut server).await;
        }
    };
    let (reset, ()) = tokio::join!(silence_ends, talk);
    assert!(reset);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_take_turns_between_weighted_groups_as_each_reload_says() {
    let (a, a_address) = listen().await;
    let (b, b_address) = listen().await;
    let group = |name: &str, address: SocketAddr| {
        format!(
            "[[target-group]]\nname = \"{name}\"\nprotocol = \"tcp\"\ntargets = [\"{address}\"]\n"
        )
    };
    let config = |weights: (u16, u16)| {
        load(&format!(
            "[logs]\naccess = \"off\"\n[[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\n\
             protocol = \"tcp\"\nforward = {{ target-groups = [{{ name = \"a\", weight = {} }}, \
             {{ name = \"b\", weight = {} }}] }}\n{}{}",
            weights.0,
            weights.1,
            group("a", a_address),
            group("b", b_address)
        ))
    };
    let mut rig = Rig::start(2, &config((2, 1))).await;
    let mut flows = Vec::new();
    for target in [&a, &b, &a, &a, &b, &a] {
        flows.push(flow(&rig, target).await);
    }
    for (weights, target) in [((0, 999), &b), ((999, 0), &a)] {
        rig.reload(&config(weights)).await;
        for _ in 0..3 {
            flows.push(flow(&rig, target).await);
        }
        for (client, server) in &mut flows {
            say(client, server).await;
        }
    }
    rig.reload(&config((0, 0))).await;
    assert!(resets_at(rig.address(0)).await, "no group takes new flows");
    for (client, server) in &mut flows {
        say(client, server).await;
    }
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_filter_resets_whom_it_does_not_let_in_and_touches_no_flow() {
    let (target, address) = listen().await;
    let open = app_config(&[address], "", "");
    let filter = |rules| app_config(&[address], &format!("filter = [{rules}]"), "");
    let mut rig = Rig::start(2, &open).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    say(&mut client, &mut server).await;
    let others = "{ number = 2, action = \"allow\", networks = \"192.0.2.0/24\" }";
    rig.reload(&filter(others)).await;
    assert!(resets_at(rig.address(0)).await);
    say(&mut client, &mut server).await;
    let port = rig.address(0).port();
    let own = format!(
        "{{ number = 1, action = \"allow\", networks = \"127.0.0.0/8\", ports = {port} }}, {others}"
    );
    rig.reload(&filter(&own)).await;
    let (mut another, mut its_server) = flow(&rig, &target).await;
    say(&mut another, &mut its_server).await;
    let rejected = rig.lb.collect().into_iter().find(|family| {
        family.name() == "pointsman_rejected_total"
            && family.get_metric()[0]
                .get_label()
                .iter()
                .any(|l| l.value() == "filter")
    });
    assert_eq!(
        rejected.unwrap().get_metric()[0].get_counter().get_value(),
        1.0
    );
    rig.finish(Duration::ZERO).await;
}

/// Thousands of flows are idle at a time; an `async` block that holds its parts twice is easily made.
#[test]
fn an_idle_flow_s_future_is_small() {
    fn size<F, A, B, C>(_: fn(A, B, C) -> F) -> usize {
        size_of::<F>()
    }
    let size = size(super::serve);
    assert!(size <= 1024, "{size} bytes");
}

#[tokio::test]
async fn a_full_target_gets_no_more_and_who_waited_longest_goes_first() {
    for workers in [1, 2, 4] {
        let (target, address) = listen().await;
        let group = "max-in-flight = 3\nqueue-timeout = \"60s\"";
        let rig = Rig::start(workers, &app_config(&[address], "", group)).await;
        let mut clients = std::collections::VecDeque::new();
        let mut running = std::collections::VecDeque::new();
        for number in 0..10 {
            let mut client = TcpStream::connect(rig.address(0)).await.unwrap();
            client.write_all(&[number]).await.unwrap();
            clients.push_back(client);
            let waiting = u64::from(number).saturating_sub(2);
            while queued(&rig) != waiting
                || u64::from(rig.in_flight("app", address)) + waiting != u64::from(number) + 1
            {
                tokio::task::yield_now().await;
            }
        }
        for expected in 0..10 {
            if running.len() == 3 {
                drop((running.pop_front(), clients.pop_front()));
            }
            let (mut server, _) = target.accept().await.unwrap();
            let number = server.read_u8().await.unwrap();
            assert_eq!(number, expected, "{workers}");
            running.push_back(server);
            assert!(rig.in_flight("app", address) <= 3);
        }
        drop(clients);
        rig.finish(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn who_waits_for_a_place_in_vain_is_reset_and_a_raised_limit_frees_places() {
    let (target, address) = listen().await;
    let limited = |keys: &str| {
        let target = format!("{{ address = \"{address}\", max-in-flight = 1 }}");
        let text = format!(
            "[logs]\naccess = \"off\"\n[[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\n\
             protocol = \"tcp\"\nforward = \"app\"\n[[target-group]]\nname = \"app\"\n\
             protocol = \"tcp\"\n{keys}"
        );
        load(&text.replace("TARGET", &target))
    };
    let short = limited("targets = [TARGET]\nqueue-timeout = \"100ms\"");
    let mut rig = Rig::start(2, &short).await;
    let _first = flow(&rig, &target).await;
    assert!(resets_at(rig.address(0)).await);
    assert_eq!(rejected(&rig, "queue-timeout"), 1.0);
    let long = limited("targets = [TARGET]\nqueue-timeout = \"60s\"");
    rig.reload(&long).await;
    let mut waiting = TcpStream::connect(rig.address(0)).await.unwrap();
    while queued(&rig) != 1 {
        tokio::task::yield_now().await;
    }
    rig.reload(&app_config(&[address], "", "max-in-flight = 2"))
        .await;
    let (mut server, _) = target.accept().await.unwrap();
    say(&mut waiting, &mut server).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_client_address_has_no_more_connections_than_it_may() {
    for workers in [2, 4] {
        let (target, address) = listen().await;
        let keys = "max-connections-per-source = 5";
        let rig = Rig::start(workers, &app_config(&[address], keys, "")).await;
        let mut flows = Vec::new();
        for _ in 0..5 {
            flows.push(flow(&rig, &target).await);
        }
        for _ in 0..5 {
            assert!(resets_at(rig.address(0)).await);
        }
        assert_eq!(rejected(&rig, "max-connections-per-source"), 5.0);
        // Another address is another source.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.9:0".parse().unwrap()).unwrap();
        let mut other = socket.connect(rig.address(0)).await.unwrap();
        let (mut server, _) = target.accept().await.unwrap();
        say(&mut other, &mut server).await;
        drop(flows.pop());
        while rig.in_flight("app", address) > 5 {
            tokio::task::yield_now().await;
        }
        let (mut client, mut server) = flow(&rig, &target).await;
        say(&mut client, &mut server).await;
        rig.finish(Duration::ZERO).await;
    }
}

/// What a metric says, of the samples with this label.
fn value(rig: &Rig, name: &str, label: &str) -> f64 {
    let families = rig.lb.collect();
    let family = families.iter().find(|family| family.name() == name);
    let metrics = family.into_iter().flat_map(|family| family.get_metric());
    let labelled = metrics.filter(|metric| metric.get_label().iter().any(|l| l.value() == label));
    let value = |metric: &prometheus::proto::Metric| {
        metric.get_counter().get_value() + metric.get_gauge().get_value()
    };
    labelled.map(value).sum()
}

fn queued(rig: &Rig) -> u64 {
    value(rig, "pointsman_queued", "app") as u64
}

fn rejected(rig: &Rig, reason: &str) -> f64 {
    value(rig, "pointsman_rejected_total", reason)
}
