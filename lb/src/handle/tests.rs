//! Reload, limits, drain, binds and shutdown on real sockets, with 1, 2 and 4 workers.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use healthcheck::{TargetHealth, TargetState};
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

async fn flow(rig: &Rig, target: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(rig.address(0)).await.unwrap();
    let (server, _) = target.accept().await.unwrap();
    (client, server)
}

async fn say(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"word").await.unwrap();
    let mut heard = [0; 4];
    to.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"word");
}

async fn is_refused(address: SocketAddr) -> bool {
    let result = TcpStream::connect(address).await;
    result.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn round_robin_over_flows_is_exact_with_two_and_four_workers() {
    for workers in [2, 4] {
        let (targets, addresses): (Vec<_>, Vec<_>) =
            [listen().await, listen().await, listen().await]
                .into_iter()
                .unzip();
        let rig = Rig::start(workers, &app_config(&addresses, "", "")).await;
        let mut open = Vec::new();
        for _ in 0..24 {
            let client = TcpStream::connect(rig.address(0)).await.unwrap();
            let accepted = tokio::select! {
                a = targets[0].accept() => a,
                a = targets[1].accept() => a,
                a = targets[2].accept() => a,
            };
            open.push((client, accepted.unwrap()));
        }
        let in_flight: Vec<_> = addresses.iter().map(|a| rig.in_flight("app", *a)).collect();
        assert_eq!(in_flight, [8, 8, 8], "{workers} workers");
        rig.finish(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn max_connections_is_exact_with_two_and_four_workers() {
    for workers in [2, 4] {
        let (target, address) = listen().await;
        let rig = Rig::start(workers, &app_config(&[address], "max-connections = 6", "")).await;
        let mut open = Vec::new();
        for _ in 0..6 {
            open.push(flow(&rig, &target).await);
        }
        let seventh = TcpStream::connect(rig.address(0)).await;
        // The reset may come before the client has seen the connection.
        if let Ok(mut seventh) = seventh {
            assert!(seventh.read(&mut [0; 1]).await.is_err());
        }
        assert_eq!(rig.lb.listeners()[0].open_connections, 6);
        drop(open.pop());
        while rig.lb.listeners()[0].open_connections > 5 {
            tokio::task::yield_now().await;
        }
        open.push(flow(&rig, &target).await);
        rig.finish(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn reloads_keep_flows_and_sockets() {
    let (target, address) = listen().await;
    let (other, other_address) = listen().await;
    let mut rig = Rig::start(2, &app_config(&[address], "", "")).await;
    let before = rig.address(0);
    let (mut client, mut server) = flow(&rig, &target).await;
    let draining = TargetHealth {
        registered: false,
        ..health(TargetState::Draining)
    };
    rig.board.publish("app", &[(address, draining)]);
    // The listener changes, its target is replaced, and its socket stays.
    rig.reload(&app_config(&[other_address], "max-connections = 3", ""))
        .await;
    rig.all("app", &[other_address], TargetState::Healthy).await;
    assert_eq!(rig.address(0), before);
    say(&mut client, &mut server).await;
    let (mut new_client, mut new_server) = flow(&rig, &other).await;
    say(&mut new_client, &mut new_server).await;
    assert_eq!(rig.in_flight("app", address), 1);
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_deregistered_target_s_flows_end_with_its_delay() {
    let (target, address) = listen().await;
    let (_other, other_address) = listen().await;
    let mut rig = Rig::start(2, &app_config(&[address], "", "")).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    let leaving = |state| TargetHealth {
        registered: false,
        ..health(state)
    };
    rig.board
        .publish("app", &[(address, leaving(TargetState::Draining))]);
    rig.reload(&app_config(&[other_address], "", "")).await;
    say(&mut client, &mut server).await;
    let over = rig
        .board
        .publish("app", &[(address, leaving(TargetState::Unused))]);
    rig.lb.applied(over).await;
    assert!(client.read(&mut [0; 1]).await.is_err());
    assert!(rig.lb.target_status("app", address).is_none());
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn without_connection_termination_flows_outlive_the_delay() {
    let (target, address) = listen().await;
    let keep = "connection-termination = false";
    let mut rig = Rig::start(1, &app_config(&[address], "", keep)).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    rig.reload(&app_config(&[], "", keep)).await;
    let gone = TargetHealth {
        registered: false,
        ..health(TargetState::Unused)
    };
    rig.lb
        .applied(rig.board.publish("app", &[(address, gone)]))
        .await;
    say(&mut client, &mut server).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_drained_target_gets_no_new_flow_from_any_worker() {
    for workers in [2, 4] {
        let (drained, drained_address) = listen().await;
        let (_kept, kept_address) = listen().await;
        let addresses = [drained_address, kept_address];
        let rig = Rig::start(workers, &app_config(&addresses, "", "")).await;
        let generation = rig.board.publish(
            "app",
            &[
                (drained_address, health(TargetState::Draining)),
                (kept_address, health(TargetState::Healthy)),
            ],
        );
        rig.lb.applied(generation).await;
        let mut open = Vec::new();
        for _ in 0..16 {
            open.push(TcpStream::connect(rig.address(0)).await.unwrap());
        }
        while rig.in_flight("app", kept_address) < 16 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            rig.lb
                .target_status("app", drained_address)
                .unwrap()
                .selected,
            0
        );
        drop(drained);
        rig.finish(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn a_removed_listener_closes_its_socket_and_keeps_its_flows() {
    let (target, address) = listen().await;
    let mut rig = Rig::start(2, &app_config(&[address], "", "")).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    let removed = rig.address(0);
    let other = load(
        "[logs]\naccess = \"off\"\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"tcp\"\ntargets = []\n\
         [[listener]]\nname = \"in\"\nbind = \"[::1]:0\"\nprotocol = \"tcp\"\nforward = \"app\"\n",
    );
    let draining = TargetHealth {
        registered: false,
        ..health(TargetState::Draining)
    };
    rig.board.publish("app", &[(address, draining)]);
    rig.reload(&other).await;
    assert!(is_refused(removed).await);
    say(&mut client, &mut server).await;
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_taken_address_is_reported_with_its_holder() {
    let (_holder, taken) = listen().await;
    let text = format!(
        "[[target-group]]\nname = \"app\"\nprotocol = \"tcp\"\ntargets = []\n\
         [[listener]]\nname = \"in\"\nbind = \"{taken}\"\nprotocol = \"tcp\"\nforward = \"app\"\n"
    );
    let mut rig = Rig::start(2, &app_config(&[], "", "")).await;
    let config = load(&text);
    let slots = rig.board.slots(&config, 9);
    let problems = rig.lb.prepare(&config, 9, &slots).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, "address-in-use");
    assert_eq!(problems[0].span, Some(config.listeners[0].binds[0].span));
    let pid = format!("(pid {})", std::process::id());
    assert!(
        problems[0].message.contains(&pid),
        "{}",
        problems[0].message
    );
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_limit_that_cannot_fit_is_reported() {
    let mut rig = Rig::start(1, &app_config(&[], "", "")).await;
    let config = app_config(&[], "max-connections = 10000000", "");
    let slots = rig.board.slots(&config, 9);
    let problems = rig.lb.prepare(&config, 9, &slots).unwrap_err();
    assert_eq!(problems[0].code, "max-connections-too-high");
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn a_dropped_preparation_closes_what_it_opened() {
    let (free, address) = listen().await;
    drop(free);
    let text = format!(
        "[[target-group]]\nname = \"app\"\nprotocol = \"tcp\"\ntargets = []\n\
         [[listener]]\nname = \"in\"\nbind = \"{address}\"\nprotocol = \"tcp\"\nforward = \"app\"\n"
    );
    let mut rig = Rig::start(2, &app_config(&[], "", "")).await;
    let config = load(&text);
    let slots = rig.board.slots(&config, 9);
    let prepared = rig.lb.prepare(&config, 9, &slots).unwrap();
    assert!(
        is_refused(address).await,
        "a prepared socket must not listen"
    );
    let free = || TcpSocket::new_v4().unwrap().bind(address).is_ok();
    assert!(!free());
    drop(prepared);
    assert!(free());
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn finish_waits_for_flows_and_ends_them_after_the_grace() {
    let (target, address) = listen().await;
    let rig = Rig::start(2, &app_config(&[address], "", "")).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    let listener = rig.address(0);
    rig.lb.stop_accepting();
    say(&mut client, &mut server).await;
    let ended = tokio::join!(rig.lb.finish(Duration::from_secs(60)), async {
        say(&mut server, &mut client).await;
        drop((client, server));
    });
    assert_eq!(ended, ((), ()));
    assert!(is_refused(listener).await);
    rig.finish(Duration::ZERO).await;
    let rig = Rig::start(2, &app_config(&[address], "", "")).await;
    let (mut client, _server) = flow(&rig, &target).await;
    rig.finish(Duration::from_millis(50)).await;
    assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn old_snapshots_are_dropped_while_workers_are_idle() {
    let (_target, address) = listen().await;
    let rig = Rig::start(4, &app_config(&[address], "", "")).await;
    let old = Arc::downgrade(&rig.lb.shared.snapshot.load_full());
    rig.all("app", &[address], TargetState::Unhealthy).await;
    while old.upgrade().is_some() {
        tokio::task::yield_now().await;
    }
    rig.finish(Duration::ZERO).await;
}

#[tokio::test]
async fn flows_are_logged_and_counted() {
    let (target, address) = listen().await;
    let place = std::env::temp_dir().join(format!("pointsman-lb-{}.log", std::process::id()));
    let text = format!(
        "[logs]\naccess = {place:?}\n\
         [[target-group]]\nname = \"app\"\nprotocol = \"tcp\"\ntargets = [\"{address}\"]\n\
         [[listener]]\nname = \"in\"\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nforward = \"app\"\n"
    );
    let rig = Rig::start(1, &load(&text)).await;
    let (mut client, mut server) = flow(&rig, &target).await;
    say(&mut client, &mut server).await;
    drop(client);
    assert_eq!(server.read(&mut [0; 1]).await.unwrap(), 0);
    drop(server);
    rig.lb.finish(Duration::from_secs(60)).await;
    let line: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&place).unwrap()).unwrap();
    std::fs::remove_file(&place).unwrap();
    assert_eq!(line["termination"], "finished");
    assert_eq!(line["target"], address.to_string());
    assert_eq!(
        (&line["bytes_in"], &line["bytes_out"]),
        (&4.into(), &0.into())
    );
    let families = rig.lb.collect();
    let total = |name: &str| -> f64 {
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .unwrap();
        family
            .get_metric()
            .iter()
            .map(|m| m.get_counter().get_value())
            .sum()
    };
    assert_eq!(total("pointsman_connections_total"), 1.0);
    assert_eq!(total("pointsman_bytes_total"), 4.0);
    assert_eq!(total("pointsman_target_selected_total"), 1.0);
    rig.finish(Duration::ZERO).await;
}
