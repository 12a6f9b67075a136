//! PROXY headers with the programs that people put in front of and behind a balancer: HAProxy, nginx,
//! curl.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use super::pointsman::Pointsman;
use super::probed::free_port;
use super::process::{Folder, PATIENCE, Program, output_of};

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

/// What nginx is told by an http listener.
const FORWARDED: &str = r#"return 200 "$http_x_forwarded_for $http_x_forwarded_port\n";"#;

#[test]
fn proxies_in_front_pass_their_clients_on_and_health_checks_are_their_own() {
    let folder = Folder::new("fronted");
    let [http, behind, v1, v2, rich, chain, stream, authority] =
        std::array::from_fn(|_| free_port());
    // The proxies need an address that is known before they start.
    let [web, raw] = std::array::from_fn(|_| free_port());
    let _nginx = nginx(
        &folder,
        &format!("server {{ listen {IP}:{http}; location / {{ {FORWARDED} }} }}"),
        &format!("server {{ listen {IP}:{stream}; proxy_pass {IP}:{web}; proxy_protocol on; }}"),
    );
    let front = |name: &str, port: u16, to: u16, options: &str| {
        format!(
            "listen {name}\n bind {IP}:{port}\n unique-id-format id-of-%ci\n unique-id-header X-Id\n \
             server s {IP}:{to} check inter 100ms {options}\n"
        )
    };
    let _haproxy = haproxy(
        &folder,
        &[
            front("v1", v1, web, "send-proxy"),
            front("v2", v2, web, "send-proxy-v2"),
            front(
                "rich",
                rich,
                web,
                "send-proxy-v2-ssl proxy-v2-options ssl,unique-id,crc32c,authority",
            ),
            front(
                "chain",
                chain,
                raw,
                "send-proxy-v2 proxy-v2-options unique-id,crc32c",
            ),
            format!(
                "frontend named\n bind {IP}:{authority} accept-proxy\n {}\n",
                HAPROXY_SEES.replace("unique_id", "authority")
            ),
            format!("frontend behind\n bind {IP}:{behind} accept-proxy\n {HAPROXY_SEES}\n"),
        ]
        .concat(),
    );
    let listener = |name: &str, protocol: &str, port: u16| {
        let given = served(
            name,
            protocol,
            if protocol == "http" { http } else { behind },
            "",
        );
        let keys = format!(
            "proxy-protocol-in = \"required\"\ntrusted-proxies = [\"127.0.0.1\", \"{CLIENT}\"]\n[[target-group]]"
        );
        given
            .replace(&format!("{IP}:0"), &format!("{IP}:{port}"))
            .replace("[[target-group]]", &keys)
    };
    let config = [
        "[logs]\naccess = \"access.log\"\n".to_owned(),
        listener("web", "http", web),
        listener("raw", "tcp", raw),
        "proxy-protocol-out = \"v2\"\nproxy-v2-options = [\"unique-id\"]\n".to_owned(),
        format!(
            "[[listener]]\nname = \"secure\"\nbind = \"{IP}:0\"\nprotocol = \"https\"\nforward = \"web\"\n\
             certificates = [{{ cert = \"cert.pem\", key = \"key.pem\" }}]\nproxy-protocol-in = \"required\"\n\
             [[listener]]\nname = \"named\"\nbind = \"{IP}:0\"\nprotocol = \"tls\"\nforward = \"named\"\n\
             certificates = [{{ cert = \"cert.pem\", key = \"key.pem\" }}]\n\
             [[target-group]]\nname = \"named\"\nprotocol = \"tcp\"\ntargets = [\"{IP}:{authority}\"]\n\
             proxy-protocol-out = \"v2\"\nproxy-v2-options = [\"authority\", \"crc32c\"]\n"
        ),
    ];
    let home = Folder::new("acceptance");
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj /CN=a.test -keyout key.pem -out cert.pem";
    let made = Command::new("openssl")
        .args(request.split_whitespace())
        .current_dir(home.path())
        .output();
    assert!(made.expect("openssl runs").status.success());
    super::pointsman::write(&home, &config.concat());
    let pointsman = Pointsman::start_in(home, &[]);
    let ask = |port: u16, arguments: &[&str]| {
        let url = format!("http://{IP}:{port}/");
        let fixed = ["-sS", "--interface", CLIENT, "-w", "%{local_port}"];
        let text = output_of("curl", &[&fixed, arguments, &[&url]].concat());
        let (line, port) = text.rsplit_once('\n').unwrap_or(("", &text));
        (line.to_owned(), port.to_owned())
    };
    for port in [v1, v2, rich, stream] {
        super::process::eventually("the proxy finds the balancer up", || {
            ask(port, &[]).0.starts_with(CLIENT)
        });
        let (line, _) = ask(port, &[]);
        // HAProxy and nginx tell the address the client used with them.
        assert_eq!(line, format!("{CLIENT} {port}"));
    }
    let (line, _) = ask(web, &["--haproxy-protocol"]);
    assert_eq!(line, format!("{CLIENT} {web}"));
    // What was asked for by TLS is told behind.
    let named = pointsman.listener("named");
    let name = format!("a.test:{}", named.port());
    let to = format!("{name}:{IP}");
    let arguments = ["-ksS", "--http1.1", "--interface", CLIENT, "--resolve", &to];
    let url = format!("https://{name}/");
    let text = output_of("curl", &[&arguments[..], &[&url]].concat());
    assert!(text.ends_with(" id=a.test\n"), "{text}");
    // The header comes before TLS.
    let secure = pointsman.listener("secure").port();
    let arguments = ["-ksS", "--haproxy-protocol", "--interface", CLIENT];
    let url = format!("https://{IP}:{secure}/");
    let text = output_of("curl", &[&arguments[..], &[&url]].concat());
    assert_eq!(text, format!("{CLIENT} {secure}\n"));
    super::process::eventually("the chain is up", || ask(chain, &[]).0.starts_with(CLIENT));
    let (line, port) = ask(chain, &[]);
    assert_eq!(
        line,
        format!("{CLIENT} {port} {IP} {chain} id=id-of-{CLIENT}")
    );
    // Refused: not a single probe of HAProxy, whose headers are LOCAL.
    assert_eq!(pointsman.metric("pointsman_rejected_total"), 0.0);
    let folder = pointsman.stop();
    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    assert!(
        log.contains(&format!("\"client\":\"{CLIENT}:{port}\"")),
        "{log}"
    );
}

/// Sends `bytes` one by one, then reads to the end.
fn talk(to: SocketAddr, bytes: &[u8]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    for byte in bytes {
        stream.write_all(&[*byte])?;
        std::thread::yield_now();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Refusals of a listener for one reason.
fn refused(pointsman: &Pointsman, listener: &str, reason: &str) -> u64 {
    let (_, text) = pointsman.request("GET", "/metrics", "");
    let name = format!("pointsman_rejected_total{{listener=\"{listener}\",reason=\"{reason}\"}} ");
    let mut values = text.lines().filter_map(|line| line.strip_prefix(&name));
    values.next().map_or(0, |value| value.parse().unwrap())
}

#[test]
fn headers_come_in_any_pieces_and_bad_ones_are_refused_with_the_reason() {
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let folder = Folder::new("headers");
    let http = free_port();
    let _nginx = nginx(
        &folder,
        &format!("server {{ listen {IP}:{http}; location / {{ {FORWARDED} }} }}"),
        "",
    );
    let listener = |name: &str, keys: &str| {
        // Longer than any stall; only who is to be impatient is.
        let wait = if name == "impatient" { "300ms" } else { "2m" };
        let keys = format!("proxy-protocol-timeout = \"{wait}\"\n{keys}\n[[target-group]]");
        served(name, "http", http, "").replace("[[target-group]]", &keys)
    };
    let stranger = "trusted-proxies = \"192.0.2.0/24\"";
    let config = [
        "[logs]\naccess = \"access.log\"\n".to_owned(),
        listener("required", "proxy-protocol-in = \"required\""),
        listener("impatient", "proxy-protocol-in = \"required\""),
        listener("optional", "proxy-protocol-in = \"optional\""),
        listener(
            "strict",
            &format!("proxy-protocol-in = \"required\"\n{stranger}"),
        ),
        listener(
            "wary",
            &format!("proxy-protocol-in = \"optional\"\n{stranger}"),
        ),
    ];
    let pointsman = Pointsman::start(&config.concat());
    let ask = |name: &str, header: &[u8], request: &[u8]| {
        talk(pointsman.listener(name), &[header, request].concat())
    };
    let v1 = b"PROXY TCP4 198.51.100.9 203.0.113.1 4711 8443\r\n";
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc6\x33\x64\x09\xcb\0\x71\x01\x12\x67\x20\xfb";
    let sum = |crc: &[u8; 4]| {
        let mut header = v2.to_vec();
        header[15] += 7;
        [&header[..], b"\x03\0\x04", crc].concat()
    };
    for name in ["required", "optional"] {
        for header in [&v1[..], v2] {
            let answer = ask(name, header, REQUEST).unwrap();
            assert!(answer.ends_with("198.51.100.9 8443\n"), "{name}: {answer}");
        }
        for header in [&b"PROXY UNKNOWN\r\n"[..], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"] {
            let answer = ask(name, header, REQUEST).unwrap();
            assert!(answer.contains("\r\n127.0.0.1 "), "{name}: {answer}");
        }
    }
    for name in ["optional", "wary"] {
        for request in [
            REQUEST,
            b"PROPFIND / HTTP/1.0\r\n\r\n",
            b"\r\nGET / HTTP/1.0\r\n\r\n",
        ] {
            let answer = ask(name, b"", request).unwrap();
            assert!(answer.contains("\r\n127.0.0.1 "), "{name}: {answer}");
        }
    }
    let unsound: [(&str, &[u8], &str); 8] = [
        ("required", REQUEST, "proxy-header-missing"),
        (
            "required",
            b"PROXY TCP4 1.2.3 4.5.6.7 1 2\r\n",
            "proxy-header-malformed",
        ),
        (
            "optional",
            b"PROXY TCP5 ::1 ::1 1 2\r\n",
            "proxy-header-malformed",
        ),
        ("required", &sum(b"\0\0\0\0"), "proxy-header-checksum"),
        (
            "required",
            b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
            "proxy-header-too-large",
        ),
        ("impatient", &v2[..20], "proxy-header-timeout"),
        ("strict", b"", "proxy-header-untrusted"),
        ("wary", v1, "proxy-header-untrusted"),
    ];
    for (name, header, reason) in unsound {
        let before = refused(&pointsman, name, reason);
        let error = ask(name, header, b"").expect_err(reason);
        assert_eq!(
            error.kind(),
            std::io::ErrorKind::ConnectionReset,
            "{reason}"
        );
        assert_eq!(
            refused(&pointsman, name, reason),
            before + 1,
            "{name} {reason}"
        );
    }
    let folder = pointsman.stop();
    let log = std::fs::read_to_string(folder.path().join("access.log")).unwrap();
    for (name, _, reason) in unsound {
        let said = |line: &&str| line.contains(name) && line.contains(reason);
        assert!(
            log.lines().any(|line| said(&line)),
            "{name} {reason}: {log}"
        );
    }
}
