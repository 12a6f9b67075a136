//! The plane as a whole, over real sockets on loopback.

use std::future::Future;

use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::LocalSet;

use super::*;
use crate::testing::{Scene, asn_mmdb, mmdb, query, text};

const SCENE: &str = r#"
[dns]
bind = ["127.0.0.1:0"]
[[target-group]]
name = "app"
protocol = "tcp"
targets = ["127.0.0.11:3001"]
[[listener]]
name = "web"
bind = "127.0.0.1:8080"
protocol = "tcp"
forward = "app"
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
ttl = 30
values = ["192.0.2.1"]
[[zone.record]]
name = "app"
type = "A"
alias = { listener = "web" }
"#;

struct Plane {
    dns: Dns,
    tables: watch::Sender<Arc<HealthTable>>,
    acknowledged: watch::Receiver<u64>,
}

/// Runs `test` beside a control task and one TCP worker.
async fn with_plane<F: Future<Output = ()>>(scene: &Scene, test: impl FnOnce(Plane) -> F) {
    let (tables, health) = watch::channel(scene.health.clone());
    let (tell, acknowledged) = watch::channel(0);
    let acknowledge = Box::new(move |generation| {
        tell.send_replace(generation);
    });
    let (dns, control, workers) = start_with(2, 1, health, acknowledge);
    let local = LocalSet::new();
    let ends: Vec<_> = workers
        .into_iter()
        .map(|worker| local.spawn_local(worker.run()))
        .collect();
    let control = local.spawn_local(control.run());
    let plane = Plane {
        dns: dns.clone(),
        tables,
        acknowledged,
    };
    local
        .run_until(async {
            test(plane).await;
            dns.stop().await;
            assert!(dns.bound().is_empty());
            control.await.unwrap();
            for worker in ends {
                worker.await.unwrap();
            }
        })
        .await;
}

fn prepare(dns: &Dns, scene: &Scene, generation: u64) -> Result<Prepared, Vec<Diagnostic>> {
    dns.prepare(&scene.config, scene.zones.clone(), generation, &scene.slots)
}

async fn ask_udp(server: SocketAddr, name: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(server).await.unwrap();
    socket.send(&query(name, "A")).await.unwrap();
    let mut response = [0; 1232];
    let len = socket.recv(&mut response).await.unwrap();
    text(&Message::from_vec(&response[..len]).unwrap())
}

const WWW: &str = "NOERROR aa | www.example.test. 30 IN A 192.0.2.1";

#[tokio::test]
async fn udp_and_tcp_answer_on_one_port_until_the_stop() {
    let scene = Scene::new(SCENE);
    with_plane(&scene, async |plane| {
        assert!(plane.dns.bound().is_empty());
        let prepared = prepare(&plane.dns, &scene, 3).unwrap();
        plane.dns.commit(prepared).await;
        assert_eq!(*plane.acknowledged.borrow(), 3);
        let server = plane.dns.bound()[0];
        assert_ne!(server.port(), 0);
        assert_eq!(ask_udp(server, "www.example.test.").await, WWW);

        let mut stream = TcpStream::connect(server).await.unwrap();
        let packet = query("www.example.test.", "A");
        stream.write_u16(packet.len() as u16).await.unwrap();
        stream.write_all(&packet).await.unwrap();
        let mut response = vec![0; stream.read_u16().await.unwrap().into()];
        stream.read_exact(&mut response).await.unwrap();
        assert_eq!(text(&Message::from_vec(&response).unwrap()), WWW);

        let zones = plane.dns.zones();
        assert_eq!(zones[0].id, "example.test");
        assert_eq!(zones[0].name, "example.test.");
        let metrics = plane.dns.collect();
        assert_eq!(metrics[0].get_metric().len(), 2, "{metrics:?}");
    })
    .await;
}

#[tokio::test]
async fn answers_follow_health_and_the_shutdown() {
    let mut scene = Scene::new(SCENE);
    let mut down = Scene::new(SCENE);
    scene.set(&[]);
    down.set(&[]);
    down.set(&[("app/127.0.0.11:3001", "unhealthy")]);
    with_plane(&scene, async |plane| {
        let prepared = prepare(&plane.dns, &scene, 1).unwrap();
        plane.dns.commit(prepared).await;
        let server = plane.dns.bound()[0];
        let app = "NOERROR aa | app.example.test. 10 IN A 127.0.0.1";
        assert_eq!(ask_udp(server, "app.example.test.").await, app);
        let generation = down.health.generation();
        plane.tables.send_replace(down.health.clone());
        plane.dns.applied(generation).await;
        // The only answer there is: given all the same.
        assert_eq!(ask_udp(server, "app.example.test.").await, app);
        plane.dns.withdraw_listeners();
        plane
            .tables
            .send_replace(Arc::new(HealthTable::clone(&down.health.next().publish())));
        plane.dns.applied(generation + 1).await;
        let empty = ask_udp(server, "app.example.test.").await;
        assert!(
            empty.starts_with("NOERROR aa | authority: example.test. "),
            "{empty}"
        );
    })
    .await;
}

#[tokio::test]
async fn reloads_keep_sockets_that_stay_and_close_those_that_go() {
    let scene = Scene::new(SCENE);
    let moved = Scene::new(&SCENE.replace("127.0.0.1:0", "127.0.0.2:0"));
    with_plane(&scene, async |plane| {
        plane
            .dns
            .commit(prepare(&plane.dns, &scene, 1).unwrap())
            .await;
        let first = plane.dns.bound();
        plane
            .dns
            .commit(prepare(&plane.dns, &scene, 2).unwrap())
            .await;
        assert_eq!(plane.dns.bound(), first);
        plane
            .dns
            .commit(prepare(&plane.dns, &moved, 3).unwrap())
            .await;
        let second = plane.dns.bound();
        assert_eq!(second[0].ip().to_string(), "127.0.0.2");
        assert_eq!(ask_udp(second[0], "www.example.test.").await, WWW);
        // The UDP socket is closed when `commit` returns.
        std::net::UdpSocket::bind(first[0]).unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_dropped_preparation_closes_its_sockets() {
    let scene = Scene::new(SCENE);
    with_plane(&scene, async |plane| {
        let prepared = prepare(&plane.dns, &scene, 1).unwrap();
        let address = prepared.sockets[0].1.address;
        assert!(std::net::UdpSocket::bind(address).is_err());
        drop(prepared);
        std::net::UdpSocket::bind(address).unwrap();
        let again = prepare(&plane.dns, &scene, 2).unwrap();
        assert!(again.sockets[0].1.address.port() > 0);
        assert!(plane.dns.bound().is_empty());
    })
    .await;
}

#[tokio::test]
async fn an_address_somebody_holds_is_a_diagnostic_that_names_them() {
    let holder = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap();
    let scene = Scene::new(&SCENE.replace("127.0.0.1:0", &address.to_string()));
    with_plane(&scene, async |plane| {
        let problems = prepare(&plane.dns, &scene, 1).unwrap_err();
        assert_eq!(problems[0].code, "dns-bind-failed");
        let bind = &scene.config.dns.as_ref().unwrap().binds[0];
        assert_eq!(problems[0].span, Some(bind.span));
        let help = problems[0].help.as_deref().unwrap();
        assert!(
            help.contains(&format!("pid {}", std::process::id())),
            "{help}"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_database_of_places_is_read_again_and_a_broken_one_changes_nothing() {
    let files = [
        mmdb(&[("127.0.0.0/8", "DE")]),
        mmdb(&[("127.0.0.0/8", "JP")]),
        mmdb(&[("127.0.0.0/9", "DE")]),
    ];
    let record = r#"policy = "geolocation"
sets = [
  { id = "de", location = { country = "DE" }, values = ["192.0.2.1"] },
  { id = "jp", location = { country = "JP" }, values = ["192.0.2.2"] },
]
"#;
    database_is_followed("geo-database", files, record).await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_database_of_autonomous_systems_is_read_again_as_well() {
    let files = [
        asn_mmdb(&[("127.0.0.0/8", 64500)]),
        asn_mmdb(&[("127.0.0.0/8", 64501)]),
        asn_mmdb(&[("127.0.0.0/9", 64500)]),
    ];
    let record = r#"policy = "latency"
sets = [
  { id = "eu", region = "eu-central-1", values = ["192.0.2.1"] },
  { id = "us", region = "us-east-1", values = ["192.0.2.2"] },
]
[[latency]]
asn = 64500
regions = { "eu-central-1" = 5, "us-east-1" = 90 }
[[latency]]
asn = 64501
regions = { "eu-central-1" = 90, "us-east-1" = 5 }
"#;
    database_is_followed("asn-database", files, record).await;
}

/// Serves `record` by each of the files in turn, which bring it to answer 192.0.2.1, 192.0.2.2 and
/// 192.0.2.1; `key` names the file.
async fn database_is_followed(key: &str, files: [Vec<u8>; 3], record: &str) {
    let folder = std::env::temp_dir().join(format!("dns-{key}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("table.mmdb");
    // As people replace files: written beside it, then renamed.
    let replace = |bytes: &[u8]| {
        let fresh = folder.join("fresh");
        std::fs::write(&fresh, bytes).unwrap();
        std::fs::rename(&fresh, &path).unwrap();
    };
    let [first, second, third] = files;
    replace(&first);
    let scene = Scene::new(&format!(
        r#"
[dns]
bind = ["127.0.0.1:0"]
{key} = {path:?}
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
{record}"#
    ));
    with_plane(&scene, async |plane| {
        let prepared = prepare(&plane.dns, &scene, 1).unwrap();
        plane.dns.commit(prepared).await;
        let server = plane.dns.bound()[0];
        let answered = async |address: &str| {
            let expected = format!("NOERROR aa | www.example.test. 10 IN A {address}");
            while ask_udp(server, "www.example.test.").await != expected {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        answered("192.0.2.1").await;
        let before = plane.dns.snapshot();
        replace(b"not finished");
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert!(Arc::ptr_eq(&before, &plane.dns.snapshot()));
        answered("192.0.2.1").await;
        replace(&second);
        answered("192.0.2.2").await;
        // Another generation is served: the file is still followed.
        let again = prepare(&plane.dns, &scene, 2).unwrap();
        plane.dns.commit(again).await;
        answered("192.0.2.2").await;
        replace(&third);
        answered("192.0.2.1").await;
    })
    .await;
    std::fs::remove_dir_all(&folder).unwrap();
}
