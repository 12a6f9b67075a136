//! TLS from the outside: curl, openssl and sslscan against the real binary.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{Folder, Process, Service, connect, eventually, exchange, get};

const DEFAULT: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";
const TLS13: [&str; 3] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
];
const GCM: [&str; 4] = [
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
];

/// Runs a program to its end, with nothing to read.
pub fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes `NAME.pem` and `NAME.key`: a self-signed certificate for `names`.
pub fn certificate(folder: &Folder, name: &str, kind: &str, names: &[&str]) {
    let path = |end: &str| folder.0.join(format!("{name}.{end}")).display().to_string();
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let names = format!("subjectAltName={}", names.join(","));
    let mut arguments = vec!["req", "-x509", "-nodes", "-days", "30", "-subj", "/CN=test"];
    arguments.extend(["-addext", &names]);
    arguments.extend(match kind {
        "ecdsa" => ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"].as_slice(),
        _ => ["-newkey", "rsa:2048"].as_slice(),
    });
    let (cert, key) = (path("pem"), path("key"));
    arguments.extend(["-out", &cert, "-keyout", &key]);
    let output = run("openssl", &arguments);
    assert!(output.status.success(), "{output:?}");
}

/// A folder with an ECDSA and an RSA certificate for `app.test` and below, and a default one.
fn certificates() -> Folder {
    let folder = Folder::new();
    certificate(&folder, "default", "rsa", &["default.test"]);
    certificate(&folder, "ecdsa", "ecdsa", &["app.test", "*.app.test"]);
    certificate(&folder, "rsa", "rsa", &["app.test", "*.app.test"]);
    folder
}

/// An entry of `certificates`.
pub fn entry(folder: &Folder, name: &str) -> String {
    let path = folder.0.join(name);
    format!(
        "{{ cert = \"{0}.pem\", key = \"{0}.key\" }}",
        path.display()
    )
}

pub fn group(name: &str, protocol: &str, address: SocketAddr) -> String {
    format!(
        "[[target-group]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\ntargets = [\"{address}\"]\n"
    )
}

pub fn listener(name: &str, protocol: &str, forward: &str, rest: &str) -> String {
    format!(
        "[[listener]]\nname = \"{name}\"\nprotocol = \"{protocol}\"\nbind = \"127.0.0.1:0\"\n\
         forward = \"{forward}\"\n{rest}\n"
    )
}

/// curl's output for a URL of `app.test`, verified by `ca`.
fn curl(address: SocketAddr, ca: &str, path: &str, more: &[&str]) -> Output {
    let resolve = format!("app.test:{}:127.0.0.1", address.port());
    let url = format!("https://app.test:{}{path}", address.port());
    let mut arguments = vec!["--silent", "--show-error", "--max-time", "20"];
    arguments.extend(["--resolve", &resolve, "--cacert", ca]);
    arguments.extend(more);
    arguments.push(&url);
    run("curl", &arguments)
}

/// The subject key type of what is shown for a name: `openssl s_client` with these arguments.
fn shown(address: SocketAddr, arguments: &[&str]) -> String {
    let address = address.to_string();
    let mut all = vec!["s_client", "-connect", &address];
    all.extend(arguments);
    let output = text(&run("openssl", &all));
    let line = output
        .lines()
        .find(|line| line.contains("v:NotBefore") || line.contains("a:PKEY"));
    line.unwrap_or(&output).trim().to_owned()
}

#[test]
fn curl_is_served_over_tls_and_logs_and_metrics_tell_of_it() {
    let (service, folder) = (Service::start("one"), certificates());
    let log = folder.0.join("access.log");
    let certificates = format!(
        "certificates = [{}, {}, {}]",
        entry(&folder, "default"),
        entry(&folder, "ecdsa"),
        entry(&folder, "rsa")
    );
    let process = Process::start(&format!(
        "[logs]\naccess = \"{}\"\n{}{}{}{}",
        log.display(),
        listener("web", "https", "app", &certificates),
        listener("raw", "tls", "tcp", &certificates),
        group("app", "http", service.http),
        group("tcp", "tcp", service.tcp),
    ));
    process.wait_for_state("app", service.http, "healthy");
    // In the order of their names.
    let web = process.listener(1);
    let ca = folder.0.join("ecdsa.pem").display().to_string();
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let more: Vec<&str> = version.split('=').collect();
        let output = curl(web, &ca, "/who", &more);
        assert!(text(&output).contains("one"), "{version}: {output:?}");
    }
    // RSA for who can verify nothing else, ECDSA for who can; the default for unknown names.
    let rsa_only = ["-servername", "x.app.test", "-sigalgs", "RSA-PSS+SHA256"];
    assert!(shown(web, &rsa_only).contains("rsaEncryption"));
    assert!(shown(web, &["-servername", "x.app.test"]).contains("id-ecPublicKey"));
    let other_curve = ["-servername", "x.app.test", "-tls1_2", "-curves", "P-384"];
    assert!(shown(web, &other_curve).contains("rsaEncryption"));
    assert!(shown(web, &["-servername", "unknown.test"]).contains("rsaEncryption"));
    let plain = exchange(connect(web), "GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
    assert_eq!(plain.status, 400);
    assert!(plain.body.contains("https://"), "{}", plain.body);
    let old = run(
        "openssl",
        &[
            "s_client",
            "-connect",
            &web.to_string(),
            "-tls1_1",
            "-cipher",
            "ALL:@SECLEVEL=0",
        ],
    );
    assert!(!old.status.success());
    let lines = eventually("five lines", || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines: Vec<Value> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let handshakes = lines
            .iter()
            .filter(|line| line["termination"] == "tls-handshake")
            .count();
        (handshakes >= 2).then_some(lines)
    });
    let first = lines.iter().find(|line| line["type"] == "http").unwrap();
    assert_eq!(first["tls_version"], "tlsv13");
    assert_eq!(first["tls_cipher"], TLS13[0]);
    assert_eq!(first["server_name"], "app.test");
    assert_eq!(first["alpn"], "h2");
    assert_eq!(first["protocol"], "h2");
    let reasons: Vec<_> = lines
        .iter()
        .filter(|line| line["termination"] == "tls-handshake")
        .map(|line| line["tls_reason"].clone())
        .collect();
    assert_eq!(reasons, ["not-tls", "protocol-version"]);
    let metrics = get(process.admin_tcp(), "/metrics").body;
    for line in [
        "pointsman_tls_handshakes_total{listener=\"web\",protocol=\"TLSv1.2\",session=\"full\"} 2",
        "pointsman_tls_handshake_failures_total{listener=\"web\",reason=\"not-tls\"} 1",
        "pointsman_tls_certificate_expiry_timestamp_seconds{listener=\"raw\",certificate=",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

/// Protocols and suites that sslscan finds.
fn scan(address: SocketAddr) -> (BTreeSet<String>, BTreeSet<String>) {
    let output = text(&run(
        "sslscan",
        &[
            "--xml=-",
            "--no-fallback",
            "--no-heartbleed",
            "--no-groups",
            // How long it waits for an answer: three seconds by itself.
            "--timeout=60",
            &address.to_string(),
        ],
    ));
    let value = |line: &str, name: &str| {
        let rest = line.split_once(&format!("{name}=\""))?.1;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let protocols = output
        .lines()
        .filter(|line| line.contains("<protocol ") && line.contains("enabled=\"1\""));
    let protocols = protocols.filter_map(|line| {
        Some(format!(
            "{} {}",
            value(line, "type")?,
            value(line, "version")?
        ))
    });
    let suites = output.lines().filter(|line| line.contains("<cipher "));
    let suites = suites.filter_map(|line| value(line, " cipher"));
    (protocols.collect(), suites.collect())
}

#[test]
fn sslscan_finds_exactly_what_the_policy_names() {
    let (service, folder) = (Service::start("one"), certificates());
    let certificates = format!(
        "certificates = [{}, {}]",
        entry(&folder, "ecdsa"),
        entry(&folder, "rsa")
    );
    let all = || TLS13.into_iter().chain(GCM);
    let cases: [(&str, &[&str], BTreeSet<&str>); 4] = [
        (DEFAULT, &["tls 1.2", "tls 1.3"], all().collect()),
        (
            "ELBSecurityPolicy-TLS13-1-3-2021-06",
            &["tls 1.3"],
            TLS13.into(),
        ),
        (
            "ELBSecurityPolicy-FS-1-2-Res-2020-10",
            &["tls 1.2"],
            GCM.into(),
        ),
        // Its suites with CBC are not served, as `check` says.
        (
            "ELBSecurityPolicy-TLS13-1-2-2021-06",
            &["tls 1.2", "tls 1.3"],
            all().collect(),
        ),
    ];
    let listeners = cases.iter().enumerate().map(|(number, (policy, ..))| {
        let rest = format!("tls-policy = \"{policy}\"\n{certificates}");
        listener(&format!("listener-{number}"), "https", "app", &rest)
    });
    let listeners: String = listeners.collect();
    let process = Process::start(&format!(
        "{listeners}{}",
        group("app", "http", service.http)
    ));
    for (index, (policy, protocols, suites)) in cases.iter().enumerate() {
        let (found_protocols, found_suites) = scan(process.listener(index));
        let wanted: BTreeSet<String> = protocols.iter().map(|p| (*p).to_owned()).collect();
        assert_eq!(found_protocols, wanted, "{policy}");
        let found: BTreeSet<&str> = found_suites.iter().map(String::as_str).collect();
        assert_eq!(found, *suites, "{policy}");
    }
}

/// The fingerprint of the certificate that a client is shown.
fn fingerprint(address: SocketAddr, folder: &Folder) -> String {
    let address = address.to_string();
    let shown = run("openssl", &["s_client", "-connect", &address]);
    let file = folder.write("shown.pem", &text(&shown));
    let arguments = ["x509", "-in", &file, "-noout", "-fingerprint", "-sha256"];
    let output = run("openssl", &arguments);
    assert!(output.status.success(), "{output:?}");
    text(&output)
}

#[test]
fn changed_files_are_read_again_and_bad_ones_refused() {
    let (service, folder) = (Service::start("one"), Folder::new());
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    certificate(&folder, "next", "rsa", &["app.test"]);
    let rest = format!("certificates = [{}]", entry(&folder, "site"));
    let process = Process::start(&format!(
        "{}{}",
        listener("web", "https", "app", &rest),
        group("app", "http", service.http)
    ));
    let web = process.listener(0);
    let first = fingerprint(web, &folder);
    let moved = |from: &str, to: &str| {
        std::fs::rename(folder.0.join(from), folder.0.join(to)).unwrap();
    };
    // One after the other: in between the two do not belong together, and nothing changes.
    moved("next.pem", "site.pem");
    process.wait_for_log("changed certificate refused");
    assert_eq!(fingerprint(web, &folder), first);
    let status = process.status();
    let reasons = status["listeners"][0]["reasons"].to_string();
    assert!(reasons.contains("was refused"), "{reasons}");
    moved("next.key", "site.key");
    process.wait_for_log("certificate read again");
    let second = fingerprint(web, &folder);
    assert_ne!(second, first);
    // Moved there whole: an empty file in between would be refused, too, and counted.
    folder.write("bad.pem", "no certificate at all");
    moved("bad.pem", "site.pem");
    process.wait_for_log("changed certificate refused");
    assert_eq!(fingerprint(web, &folder), second);
    let metrics = get(process.admin_tcp(), "/metrics").body;
    for line in [
        "pointsman_tls_certificate_reloads_total{result=\"ok\"} 1",
        "pointsman_tls_certificate_reloads_total{result=\"refused\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn the_local_ca_signs_for_the_names_of_a_listener() {
    let service = Service::start("one");
    let rest = "certificates = \"local-ca\"\n\
                rule = [{ priority = 1, host = \"*.app.test\", forward = \"app\" }]";
    let process = Process::start(&format!(
        "{}{}{}",
        listener("web", "https", "app", rest),
        group("app", "http", service.http),
        "[dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"app.test\"\n[[zone.record]]\nname = \"@\"\ntype = \"A\"\n\
         alias = { listener = \"web\" }\n",
    ));
    process.wait_for_state("app", service.http, "healthy");
    let web = process.listener(0);
    let output = crate::harness::output(&["trust", "-c", &process.file, "--json"]);
    let trust: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ca = trust["certificate"].as_str().unwrap();
    let output = crate::harness::stdout(&crate::harness::output(&["trust", "-c", &process.file]));
    assert!(
        output.contains(trust["sha256"].as_str().unwrap()),
        "{output}"
    );
    assert!(
        output.contains("it signs for the listeners web"),
        "{output}"
    );
    for host in ["app.test", "x.app.test", "localhost"] {
        let connect = format!("{host}:{}:127.0.0.1", web.port());
        let url = format!("https://{host}:{}/", web.port());
        let output = run(
            "curl",
            &["-sS", "--cacert", ca, "--resolve", &connect, &url],
        );
        assert!(output.status.success(), "{host}: {output:?}");
    }
    let url = format!("https://{web}/");
    assert!(run("curl", &["-sS", "--cacert", ca, &url]).status.success());
    let other = format!("https://other.test:{}/", web.port());
    let connect = format!("other.test:{}:127.0.0.1", web.port());
    let output = run(
        "curl",
        &["-sS", "--cacert", ca, "--resolve", &connect, &other],
    );
    assert_eq!(output.status.code(), Some(60), "{output:?}");
}

#[test]
fn targets_over_tls_are_verified_and_their_connections_kept() {
    let service = Service::start("one");
    let rest = "certificates = \"local-ca\"\n\
                rule = [{ priority = 1, host = \"app.test\", forward = \"app\" }]";
    let inner = Process::start(&format!(
        "{}{}",
        listener("inner", "https", "app", rest),
        group("app", "http", service.http)
    ));
    inner.wait_for_state("app", service.http, "healthy");
    let target = inner.listener(0);
    let tls_group = |name: &str, protocol: &str, rest: &str| {
        // Handshakes have that time, too: none is to be cut off by a machine that stalls.
        let patient = "connect-timeout = \"2m\"";
        format!("{}{patient}\n{rest}\n", group(name, protocol, target))
    };
    let ca = inner.folder.0.join("state/local-ca/local-ca.pem");
    let ca = format!("ca = \"{}\"\n", ca.display());
    let named = |name: &str| format!("{ca}server-name = \"{name}\"");
    let outer = Process::start(&format!(
        "[runtime]\nworkers = 1\n{}{}{}{}{}{}{}{}",
        listener("1", "http", "named", ""),
        listener("2", "http", "other", ""),
        listener("3", "http", "anyone", ""),
        listener("4", "tcp", "stream", ""),
        tls_group("named", "https", &named("app.test")),
        tls_group("other", "https", &named("other.test")),
        tls_group("anyone", "https", "insecure = true"),
        tls_group("stream", "tls", &named("app.test")),
    ));
    for name in ["named", "other", "anyone", "stream"] {
        outer.wait_for_state(name, target, "healthy");
    }
    for _ in 0..20 {
        assert!(get(outer.listener(0), "/who").body.contains("one"));
    }
    assert!(get(outer.listener(2), "/who").body.contains("one"));
    for _ in 0..2 {
        assert!(get(outer.listener(3), "/who").body.contains("one"));
    }
    let metrics = get(inner.admin_tcp(), "/metrics").body;
    let handshakes = metrics
        .lines()
        .filter(|line| line.starts_with("pointsman_tls_handshakes_total{"))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u32>().ok());
    // One for each `https` group, whose connections are kept, and one for each of two flows.
    assert_eq!(handshakes.sum::<u32>(), 4, "{metrics}");
    let resumed = "pointsman_tls_handshakes_total{listener=\"inner\",protocol=\"TLSv1.3\",session=\"resumed\"}";
    assert!(metrics.contains(resumed), "{metrics}");
    let refused = get(outer.listener(1), "/who");
    assert_eq!(refused.status, 502);
    assert!(
        refused.body.contains("target-tls-failed"),
        "{}",
        refused.body
    );
    let told = outer.wait_for_log("no TLS with target group=\"other\"");
    assert!(told.contains("set `server-name`"), "{told}");
}

#[test]
fn tls_passes_through_to_whom_the_name_and_the_protocol_lead() {
    let service = Service::start("one");
    let ended = |name: &str| {
        let rest = format!(
            "certificates = \"local-ca\"\n\
             rule = [{{ priority = 1, host = \"{name}\", fixed-response = {{ status = 200, body = \"{name}\" }} }}]"
        );
        Process::start(&format!(
            "{}{}",
            listener("end", "https", "app", &rest),
            group("app", "http", service.http)
        ))
    };
    let (a, b) = (ended("a.test"), ended("b.test"));
    let front = Process::start(&format!(
        "[runtime]\nworkers = 1\n{}{}{}",
        listener(
            "front",
            "tls-passthrough",
            "a",
            "rule = [{ priority = 1, sni = \"*.b.test\", forward = \"a\" }, \
             { priority = 2, sni = \"B.test\", alpn = [\"http/1.1\"], forward = \"b\" }]",
        ),
        group("a", "tcp", a.listener(0)),
        group("b", "tcp", b.listener(0)),
    ));
    for (name, process) in [("a", &a), ("b", &b)] {
        front.wait_for_state(name, process.listener(0), "healthy");
    }
    let address = front.listener(0);
    for (name, process, more) in [("a.test", &a, "--alpn"), ("b.test", &b, "--alpn")] {
        let ca = process.folder.0.join("state/local-ca/local-ca.pem");
        let connect = format!("{name}:{}:127.0.0.1", address.port());
        let url = format!("https://{name}:{}/", address.port());
        let ca = ca.display().to_string();
        let mut arguments = vec!["-sS", "--cacert", &ca, "--resolve", &connect, &url];
        let output = run("curl", &arguments);
        assert_eq!(text(&output), name, "{output:?}");
        // Without ALPN the second rule does not hold, and another certificate is shown.
        arguments.push(more.replace("--alpn", "--no-alpn").leak());
        let output = run("curl", &arguments);
        assert_eq!(output.status.success(), name == "a.test", "{output:?}");
    }
    let mut plain = connect(address);
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut end = [0];
    assert!(
        std::io::Read::read(&mut plain, &mut end).is_err(),
        "no reset"
    );
    let metrics = get(front.admin_tcp(), "/metrics").body;
    let failed = "pointsman_tls_handshake_failures_total{listener=\"front\",reason=\"not-tls\"} 1";
    assert!(metrics.contains(failed), "{metrics}");
}

#[test]
fn connections_refused_before_their_handshake_are_tls_flows() {
    let (service, folder) = (Service::start("one"), certificates());
    let log = folder.0.join("flow.log");
    let rest = format!(
        "certificates = [{}]\nfilter = [{{ number = 1, action = \"deny\", networks = \"127.0.0.1\" }}]",
        entry(&folder, "ecdsa")
    );
    let process = Process::start(&format!(
        "[logs]\naccess = \"off\"\nflow = \"{}\"\n{}{}",
        log.display(),
        listener("web", "https", "app", &rest),
        group("app", "http", service.http)
    ));
    let url = format!("https://{}/", process.listener(0));
    assert!(!run("curl", &["-sS", "--insecure", &url]).status.success());
    let line = eventually("its line in the flow log", || {
        let text = std::fs::read_to_string(&log).ok()?;
        serde_json::from_str::<Value>(text.lines().next()?).ok()
    });
    assert_eq!(
        (&line["type"], &line["listener"]),
        (&"tls".into(), &"web".into())
    );
    let metrics = get(process.admin_tcp(), "/metrics").body;
    let mut lines = metrics.lines();
    let refused = lines.any(|line| {
        line.starts_with("pointsman_flows_rejected_total{")
            && line.contains("\"web\"")
            && line.contains("\"tls\"")
            && line.ends_with(" 1")
    });
    assert!(refused, "{metrics}");
}
