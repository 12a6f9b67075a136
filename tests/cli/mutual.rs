//! Clients with certificates, from the outside: an authority made by openssl, curl and openssl as
//! clients, and a target that says what it was sent.
#![expect(
    clippy::disallowed_methods,
    reason = "a target of a test is another program's stand-in"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use serde_json::Value;

use crate::harness::{Folder, Process, Service, eventually, get};
use crate::tls::{certificate, entry, group, listener, run};

/// A target that answers every request with the head it was sent.
pub fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).is_ok_and(|n| n > 0) {
                head.extend(byte);
            }
            let length = head.len();
            let answer =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
            // A probe that only connects is gone by now.
            let _ = client.write_all(&[answer.as_bytes(), &head].concat());
        }
    });
    address
}

/// An authority of openssl's in a folder.
pub struct Authority {
    folder: Folder,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let folder = Folder::new();
        let path = |file: &str| folder.0.join(file).display().to_string();
        folder.write("index.txt", "");
        folder.write("crlnumber", "01\n");
        folder.write("serial", "1F00\n");
        let text = format!(
            "[ca]\ndefault_ca = own\n[own]\nnew_certs_dir = {0}\ndatabase = {0}/index.txt\n\
             serial = {0}/serial\ncrlnumber = {0}/crlnumber\ndefault_md = sha256\ndefault_crl_days = 30\n\
             policy = any\n[any]\ncommonName = supplied\norganizationName = optional\n\
             [client]\nextendedKeyUsage = clientAuth\n[server]\nextendedKeyUsage = serverAuth\n",
            folder.0.display()
        );
        folder.write("ca.cnf", &text);
        let subject = format!("/O=Test/CN={name}");
        let made = run(
            "openssl",
            &[
                "req",
                "-x509",
                "-nodes",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-days",
                "30",
                "-subj",
                &subject,
                "-keyout",
                &path("ca.key"),
                "-out",
                &path("ca.pem"),
            ],
        );
        assert!(made.status.success(), "{made:?}");
        Self { folder }
    }

    pub fn path(&self, file: &str) -> String {
        self.folder.0.join(file).display().to_string()
    }

    fn run(&self, arguments: &[&str]) {
        let output = run("openssl", arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }

    /// Signs `NAME.pem` and `NAME.key` for a time given in openssl's form.
    pub fn sign(&self, name: &str, section: &str, from: &str, to: &str) {
        let (key, request, pem) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
        );
        let subject = format!("/O=M\u{fc}ller, S\u{f6}hne/CN={name}");
        self.run(&[
            "req",
            "-new",
            "-nodes",
            "-utf8",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-subj",
            &subject,
            "-keyout",
            &self.path(&key),
            "-out",
            &self.path(&request),
        ]);
        self.run(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            &self.path("ca.cnf"),
            "-cert",
            &self.path("ca.pem"),
            "-keyfile",
            &self.path("ca.key"),
            "-extensions",
            section,
            "-startdate",
            from,
            "-enddate",
            to,
            "-in",
            &self.path(&request),
            "-out",
            &self.path(&pem),
        ]);
    }

    /// Puts a certificate on the list, if there is one, and writes that.
    fn revoke(&self, name: Option<&str>) {
        let (config, ca, key) = (
            self.path("ca.cnf"),
            self.path("ca.pem"),
            self.path("ca.key"),
        );
        let common = ["ca", "-config", &config, "-cert", &ca, "-keyfile", &key];
        if let Some(name) = name {
            let pem = self.path(&format!("{name}.pem"));
            self.run(&[&common[..], &["-revoke", &pem]].concat());
        }
        let list = self.path("ca.crl");
        let next = self.path("next.crl");
        self.run(&[&common[..], &["-gencrl", "-out", &next]].concat());
        std::fs::rename(next, list).unwrap();
    }
}

pub const LONG_AGO: &str = "20200101000000Z";
pub const YESTERYEAR: &str = "20210101000000Z";
pub const FAR: &str = "20491231235959Z";

/// What curl says with `name`'s certificate, or with none: its answer, or its exit code.
pub fn ask(
    address: SocketAddr,
    client: Option<(&Authority, &str)>,
    more: &[&str],
) -> Result<String, i32> {
    let url = format!("https://{address}/who");
    let mut arguments = vec!["-sS", "--insecure", "--max-time", "20"];
    let files = client.map(|(ca, name)| {
        [
            ca.path(&format!("{name}.pem")),
            ca.path(&format!("{name}.key")),
        ]
    });
    if let Some([cert, key]) = &files {
        arguments.extend(["--cert", cert, "--key", key]);
    }
    arguments.extend(more);
    arguments.push(&url);
    let output = run("curl", &arguments);
    match output.status.code() {
        Some(0) => Ok(String::from_utf8(output.stdout).unwrap()),
        code => Err(code.unwrap()),
    }
}

/// Failed handshakes so far, by reason.
fn refused(process: &Process, listener: &str, reason: &str) -> u64 {
    let metrics = get(process.admin_tcp(), "/metrics").body;
    let line = format!(
        "pointsman_tls_handshake_failures_total{{listener=\"{listener}\",reason=\"{reason}\"}} "
    );
    let value = metrics.lines().find_map(|found| found.strip_prefix(&line));
    value.map_or(0, |value| value.parse().unwrap())
}

#[test]
fn clients_are_verified_told_of_and_refused_with_a_reason() {
    let (target, folder, ca) = (echo(), Folder::new(), Authority::new("Clients CA"));
    let other = Authority::new("Another CA");
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    for name in ["alice", "mallory"] {
        ca.sign(name, "client", LONG_AGO, FAR);
    }
    ca.sign("late", "client", LONG_AGO, YESTERYEAR);
    ca.sign("early", "client", "20481231235959Z", FAR);
    ca.sign("server", "server", LONG_AGO, FAR);
    other.sign("stranger", "client", LONG_AGO, FAR);
    ca.revoke(Some("mallory"));
    let log = folder.0.join("access.log");
    let with = |rest: &str| {
        format!(
            "certificates = [{}]\nmutual-authentication = {{ mode = \"verify\", trust-store = \"{}\", crl = \"{}\"{rest} }}",
            entry(&folder, "site"),
            ca.path("ca.pem"),
            ca.path("ca.crl"),
        )
    };
    let process = Process::start(&format!(
        "[logs]\naccess = \"{}\"\n{}{}{}{}",
        log.display(),
        listener("a-strict", "https", "app", &with("")),
        listener(
            "b-lenient",
            "https",
            "app",
            &format!(
                "{}\n[listener.request-headers]\nx-amzn-mtls-clientcert-subject = \"X-Who\"",
                with(", ignore-expiry = true, advertise-ca-names = true")
            )
        ),
        group("app", "http", target),
        "[target-group.health-check]\nprotocol = \"tcp\"\n",
    ));
    process.wait_for_state("app", target, "healthy");
    let strict = process.listener(0);
    for version in ["--tlsv1.3", "--tls-max=1.2"] {
        let version: Vec<&str> = version.split('=').collect();
        let forged = [
            "-H",
            "X-Amzn-Mtls-Clientcert: forged",
            "-H",
            "x_amzn_mtls_clientcert_subject: forged",
        ];
        let more = [&version[..], &forged].concat();
        let head = ask(strict, Some((&ca, "alice")), &more).unwrap();
        let subject = run(
            "openssl",
            &[
                "x509",
                "-in",
                &ca.path("alice.pem"),
                "-noout",
                "-subject",
                "-nameopt",
                "RFC2253",
            ],
        );
        let subject = String::from_utf8(subject.stdout).unwrap();
        let subject = subject.trim().strip_prefix("subject=").unwrap();
        for line in [
            "X-Amzn-Mtls-Clientcert-Serial-Number: 1F00\r\n".to_owned(),
            "X-Amzn-Mtls-Clientcert-Issuer: CN=Clients CA,O=Test\r\n".to_owned(),
            format!("X-Amzn-Mtls-Clientcert-Subject: {subject}\r\n"),
            "X-Amzn-Mtls-Clientcert-Validity: NotBefore=2020-01-01T00:00:00Z;NotAfter=2049-12-31T23:59:59Z\r\n".to_owned(),
            "X-Amzn-Mtls-Clientcert-Leaf: -----BEGIN%20CERTIFICATE-----%0A".to_owned(),
        ] {
            assert!(head.contains(&line), "{line} is not in\n{head}");
        }
        assert!(!head.contains("forged"), "{head}");
        for name in ["mallory", "late", "early", "server"] {
            assert!(
                ask(strict, Some((&ca, name)), &version).is_err(),
                "{name} {version:?}"
            );
        }
        assert!(ask(strict, Some((&other, "stranger")), &version).is_err());
        assert!(ask(strict, None, &version).is_err());
    }
    for reason in [
        "revoked",
        "expired",
        "not-yet-valid",
        "purpose",
        "untrusted",
        "missing",
    ] {
        let reason = format!("client-certificate-{reason}");
        eventually(&reason, || {
            (refused(&process, "a-strict", &reason) == 2).then_some(())
        });
    }
    let lenient = process.listener(1);
    assert!(ask(lenient, Some((&ca, "late")), &[]).is_ok());
    assert!(ask(lenient, Some((&ca, "mallory")), &[]).is_err());
    let head = ask(lenient, Some((&ca, "alice")), &["-H", "X-Who: forged"]).unwrap();
    assert!(head.contains(",CN=alice\r\n"), "{head}");
    assert!(
        head.contains("X-Amzn-Mtls-Clientcert-Serial-Number: 1F00\r\n"),
        "{head}"
    );
    assert!(
        !head.contains("forged") && !head.contains("Subject"),
        "{head}"
    );
    let names = |address: SocketAddr| {
        let output = run("openssl", &["s_client", "-connect", &address.to_string()]);
        String::from_utf8_lossy(&output.stdout).contains("CN = Clients CA")
            || String::from_utf8_lossy(&output.stdout).contains("CN=Clients CA")
    };
    assert!(names(lenient) && !names(strict));
    let lines = eventually("lines of the refused", || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        let lines: Vec<Value> = lines.collect();
        let mut reasons = lines.iter().filter_map(|line| line["tls_reason"].as_str());
        reasons
            .any(|reason| reason == "client-certificate-revoked")
            .then_some(lines)
    });
    let served = lines.iter().find(|line| line["type"] == "http").unwrap();
    assert_eq!(served["tls_client_serial"], "1F00");
    let subject = served["tls_client_subject"].as_str().unwrap();
    assert!(subject.contains("CN=alice"), "{subject}");
}

#[test]
fn lists_and_stores_are_read_again_and_sessions_do_not_outlive_them() {
    let (target, folder, ca) = (echo(), Folder::new(), Authority::new("Clients CA"));
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    ca.sign("alice", "client", LONG_AGO, FAR);
    ca.revoke(None);
    let rest = format!(
        "certificates = [{}]\nmutual-authentication = {{ mode = \"verify\", trust-store = \"{}\", crl = [\"{}\"] }}",
        entry(&folder, "site"),
        ca.path("ca.pem"),
        ca.path("ca.crl"),
    );
    let process = Process::start(&format!(
        "{}{}{}",
        listener("web", "https", "app", &rest),
        group("app", "http", target),
        "[target-group.health-check]\nprotocol = \"tcp\"\n",
    ));
    process.wait_for_state("app", target, "healthy");
    let web = process.listener(0);
    let session = folder.0.join("session.pem").display().to_string();
    let (cert, key, address) = (ca.path("alice.pem"), ca.path("alice.key"), web.to_string());
    // TLS 1.2, whose tickets come with the handshake.
    let client = ["s_client", "-connect", &address, "-tls1_2"];
    let shown = |more: &[&str]| {
        let output = run("openssl", &[&client[..], more].concat());
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(shown(&["-cert", &cert, "-key", &key, "-sess_out", &session]).contains("\nNew, "));
    assert!(shown(&["-sess_in", &session]).contains("\nReused, "));
    // Cut short: nothing changes.
    let list = std::fs::read_to_string(ca.path("ca.crl")).unwrap();
    let draft = ca.folder.write("draft.crl", &list[..list.len() / 2]);
    std::fs::rename(&draft, ca.path("ca.crl")).unwrap();
    process.wait_for_log("changed trust store refused");
    let reasons = process.status()["listeners"][0]["reasons"].to_string();
    assert!(reasons.contains("ca.crl"), "{reasons}");
    assert!(ask(web, Some((&ca, "alice")), &[]).is_ok());
    ca.revoke(Some("alice"));
    process.wait_for_log("trust store read again");
    assert!(ask(web, Some((&ca, "alice")), &[]).is_err());
    assert!(!shown(&["-sess_in", &session]).contains("\nReused, "));
    let reasons = process.status()["listeners"][0]["reasons"].to_string();
    assert!(!reasons.contains("ca.crl"), "{reasons}");
}

#[test]
fn certificates_pass_through_to_targets_and_streams_are_verified() {
    let (target, service, folder) = (echo(), Service::start("one"), Folder::new());
    let (ca, other) = (Authority::new("Clients CA"), Authority::new("Another CA"));
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    ca.sign("alice", "client", LONG_AGO, FAR);
    other.sign("late", "client", LONG_AGO, YESTERYEAR);
    let certificates = format!("certificates = [{}]\n", entry(&folder, "site"));
    let passing = format!("{certificates}mutual-authentication = {{ mode = \"passthrough\" }}");
    let verified = format!(
        "{certificates}mutual-authentication = {{ mode = \"verify\", trust-store = \"{}\" }}",
        ca.path("ca.pem")
    );
    let process = Process::start(&format!(
        "{}{}{}{}{}",
        listener("a-web", "https", "app", &passing),
        listener("b-raw", "tls", "raw", &verified),
        group("app", "http", target),
        "[target-group.health-check]\nprotocol = \"tcp\"\n",
        group("raw", "tcp", service.http),
    ));
    process.wait_for_state("app", target, "healthy");
    process.wait_for_state("raw", service.http, "healthy");
    let (web, raw) = (process.listener(0), process.listener(1));
    // Nobody looks at it but the target.
    let head = ask(
        web,
        Some((&other, "late")),
        &["-H", "X-Amzn-Mtls-Clientcert-Leaf: forged"],
    )
    .unwrap();
    assert!(
        head.contains("X-Amzn-Mtls-Clientcert: -----BEGIN%20CERTIFICATE-----%0A"),
        "{head}"
    );
    assert!(
        !head.contains("forged") && !head.contains("Clientcert-Leaf"),
        "{head}"
    );
    let head = ask(web, None, &[]).unwrap();
    assert!(!head.to_ascii_lowercase().contains("x-amzn-mtls"), "{head}");
    assert!(ask(raw, Some((&ca, "alice")), &[]).unwrap().contains("one"));
    assert!(ask(raw, Some((&other, "late")), &[]).is_err());
    assert!(ask(raw, None, &[]).is_err());
    let listeners = process.status()["listeners"].clone();
    let shown = &listeners[0]["certificates"][0];
    assert_eq!(shown["names"][0], "app.test");
    assert!(
        (28..=30).contains(&shown["days-left"].as_i64().unwrap()),
        "{shown}"
    );
}

/// A target that answers each request with what came before it, in hexadecimal digits.
fn preface_echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let (mut came, mut byte) = (Vec::new(), [0]);
            let request = b"GET /who";
            while !came.ends_with(request) && client.read(&mut byte).is_ok_and(|n| n > 0) {
                came.extend(byte);
            }
            let preface = came.strip_suffix(request).unwrap_or_default();
            let digits: String = preface.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = write!(
                client,
                "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{digits}",
                digits.len()
            );
            // What is still to come would turn the close into a reset.
            let mut rest = [0; 4096];
            let _ = client.read(&mut rest);
        }
    });
    address
}

#[test]
fn proxy_headers_tell_of_tls_and_the_certificate() {
    let (target, folder, ca) = (preface_echo(), Folder::new(), Authority::new("Clients CA"));
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    ca.sign("alice", "client", LONG_AGO, FAR);
    let verified = format!(
        "certificates = [{}]\nalpn = \"http2-optional\"\nmutual-authentication = {{ mode = \"verify\", trust-store = \"{}\" }}",
        entry(&folder, "site"),
        ca.path("ca.pem")
    );
    let process = Process::start(&format!(
        "{}{}{}",
        listener("raw", "tls", "raw", &verified),
        group("raw", "tcp", target),
        "proxy-protocol-out = \"v2\"\nproxy-v2-options = [\"cert-cn\", \"ssl-cipher\"]\n\
         [target-group.health-check]\nprotocol = \"tcp\"\nproxy-protocol-out = \"off\"\n",
    ));
    process.wait_for_state("raw", target, "healthy");
    let alice = Some((&ca, "alice"));
    let told = ask(
        process.listener(0),
        alice,
        &["--tls-max", "1.2", "--http1.1"],
    )
    .unwrap();
    let text = |text: &str| -> String {
        let digits = text.bytes().map(|byte| format!("{byte:02x}"));
        digits.collect()
    };
    let tlv = |kind: &str, value: String| format!("{kind}{:04x}{value}", value.len() / 2);
    let ends = ["AES128-GCM-SHA256", "AES256-GCM-SHA384"].map(|cipher| {
        let parts = [
            // Over TLS, with a certificate on this connection, which was verified.
            "0700000000".to_owned(),
            tlv("21", text("TLSv1.2")),
            tlv("22", text("alice")),
            tlv("23", text(&format!("ECDHE-ECDSA-{cipher}"))),
        ];
        tlv("01", text("http/1.1")) + &tlv("20", parts.concat())
    });
    assert!(ends.iter().any(|end| told.ends_with(end)), "{told}");
}
