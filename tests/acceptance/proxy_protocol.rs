//! PROXY headers with the programs that people put in front of and behind a balancer: HAProxy, nginx,
//! curl.

use std::process::Command;

use super::pointsman::Pointsman;
use super::probed::free_port;
use super::process::{Folder, Program, output_of};

/// The addresses of these tests.
const IP: &str = "127.0.8.1";

/// A client's.
const CLIENT: &str = "127.0.8.77";

/// HAProxy with this configuration.
fn haproxy(folder: &Folder, config: &str) -> Program {
    let path = folder.path().join("haproxy.cfg");
    let defaults = "global\n maxconn 100\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n";
    std::fs::write(&path, format!("{defaults}{config}")).unwrap();
    Program::start(Command::new("haproxy").arg("-db").arg("-f").arg(path))
}

/// nginx with these servers, and streams.
fn nginx(folder: &Folder, http: &str, stream: &str) -> Program {
    let root = folder.path().display();
    let config = format!(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;
        daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;
        events {{}}
        http {{
            access_log off; client_body_temp_path {root}/1; proxy_temp_path {root}/2;
            fastcgi_temp_path {root}/3; uwsgi_temp_path {root}/4; scgi_temp_path {root}/5;
            default_type text/plain;
            {http}
        }}
        stream {{ {stream} }}"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).unwrap();
    Program::start(
        Command::new("nginx")
            .args(["-c", &format!("{root}/nginx.conf")])
            .args(["-p", &root.to_string()]),
    )
}

/// What nginx is told of a connection with a PROXY header.
const NGINX_SEES: &str = r#"return 200 "$proxy_protocol_addr $proxy_protocol_port $proxy_protocol_server_addr $proxy_protocol_server_port $connection/$connection_requests\n";"#;

/// The same in HAProxy.
const HAPROXY_SEES: &str = r#"http-request return status 200 content-type text/plain lf-string "%ci %cp %[dst] %[dst_port] id=%[fc_pp_unique_id]\n""#;

/// A listener and a group of one target, both named `name`.
fn served(name: &str, protocol: &str, target: u16, keys: &str) -> String {
    format!(
        "[[listener]]\nname = \"{name}\"\nbind = \"{IP}:0\"\nprotocol = \"{protocol}\"\nforward = \"{name}\"\n\
         [[target-group]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\ntargets = [\"{IP}:{target}\"]\n{keys}\n"
    )
}

/// What curl gets from the listener by one connection, and the port it used.
fn curl(pointsman: &Pointsman, listener: &str, arguments: &[&str]) -> (Vec<String>, String) {
    let url = format!("http://{}/", pointsman.listener(listener));
    let fixed = ["-sS", "--interface", CLIENT, "-w", "port %{local_port}\n"];
    let text = output_of("curl", &[&fixed, arguments, &[&url, &url]].concat());
    let (ports, lines): (Vec<_>, Vec<_>) = text.lines().partition(|l| l.starts_with("port "));
    let port = ports[0].trim_start_matches("port ").to_owned();
    (lines.into_iter().map(str::to_owned).collect(), port)
}

#[test]
fn targets_learn_the_client_from_either_version_and_probes_are_nobodys() {
    let folder = Folder::new("proxied");
    let (plain, checked) = (free_port(), free_port());
    let _nginx = nginx(
        &folder,
        &format!("server {{ listen {IP}:{plain} proxy_protocol; location / {{ {NGINX_SEES} }} }}"),
        "",
    );
    let config = format!("frontend f\n bind {IP}:{checked} accept-proxy\n {HAPROXY_SEES}\n");
    let _haproxy = haproxy(&folder, &config);
    let check = "[target-group.health-check]\nprotocol = \"http\"\npath = \"/\"";
    let v1 = format!("proxy-protocol-out = \"v1\"\n{check}");
    let v2 = format!("proxy-protocol-v2 = true\n{check}");
    let rich = format!(
        "proxy-protocol-out = \"v2\"\nproxy-v2-options = [\"unique-id\", \"crc32c\"]\n{check}"
    );
    let pointsman = Pointsman::start(
        &[
            served("nginx-tcp-1", "tcp", plain, &v1),
            served("nginx-tcp-2", "tcp", plain, &v2),
            served("nginx-http-1", "http", plain, &v1),
            served("nginx-http-2", "http", plain, &v2),
            served("haproxy-tcp-1", "tcp", checked, &v1),
            served("haproxy-http-2", "http", checked, &rich),
        ]
        .concat(),
    );
    for name in [
        "nginx-tcp-1",
        "nginx-tcp-2",
        "nginx-http-1",
        "nginx-http-2",
        "haproxy-tcp-1",
        "haproxy-http-2",
    ] {
        let target = if name.starts_with("nginx") {
            plain
        } else {
            checked
        };
        let target = format!("{IP}:{target}").parse().unwrap();
        super::process::eventually("the target is healthy", || {
            pointsman.state(name, target) == "healthy"
        });
        let (lines, port) = curl(&pointsman, name, &[]);
        let server = pointsman.listener(name);
        let seen = format!("{CLIENT} {port} {} {} ", server.ip(), server.port());
        assert!(
            lines.iter().all(|line| line.starts_with(&seen)),
            "{name}: {lines:?}, {seen}"
        );
        let own: Vec<_> = lines
            .iter()
            .map(|line| line.replacen(&seen, "", 1))
            .collect();
        match name {
            "haproxy-http-2" => assert_eq!(own[0].len(), "id=".len() + 32, "{own:?}"),
            "haproxy-tcp-1" => assert_eq!(own[0], "id=", "{own:?}"),
            // Both requests went over one connection to nginx, which no other client gets.
            _ => {
                let (connection, _) = own[0].split_once("/1").expect(&own[0]);
                assert_eq!(own[1], format!("{connection}/2"));
            }
        }
    }
}
