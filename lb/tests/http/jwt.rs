//! Tokens signed by openssl, keys in a file and from a server, and what who has none is told.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a server of keys, not the balancer"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use healthcheck::TargetState;

use crate::balancer::{Balancer, Options};
use crate::target::Target;

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

/// An RSA key that openssl made, in a folder of its own.
struct Issuer {
    folder: PathBuf,
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{arguments:?}");
    out.stdout
}

impl Issuer {
    fn new(name: &str) -> Self {
        let folder = format!("pointsman-jwt-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let issuer = Self { folder };
        issuer.rotate();
        issuer
    }

    fn key(&self) -> String {
        self.folder.join("key.pem").display().to_string()
    }

    /// Makes another key.
    fn rotate(&self) {
        openssl(&["genrsa", "-out", &self.key(), "2048"], b"");
    }

    /// The key set with the present key, by this id.
    fn set(&self, kid: &str) -> String {
        let shown = openssl(&["rsa", "-in", &self.key(), "-noout", "-modulus"], b"");
        let shown = String::from_utf8(shown).unwrap();
        let hex = shown.trim().strip_prefix("Modulus=").unwrap();
        let modulus = data_encoding::HEXUPPER.decode(hex.as_bytes()).unwrap();
        let n = encode(modulus);
        format!("{{\"keys\":[{{\"kty\":\"RSA\",\"kid\":\"{kid}\",\"n\":\"{n}\",\"e\":\"AQAB\"}}]}}")
    }

    fn write_set(&self, kid: &str) -> PathBuf {
        let path = self.folder.join("keys.json");
        std::fs::write(&path, self.set(kid)).unwrap();
        path
    }

    fn token(&self, kid: &str, claims: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let exp = now.as_secs() + 600;
        let header = format!("{{\"alg\":\"RS256\",\"kid\":\"{kid}\"}}");
        let claims = format!("{{\"iss\":\"me\",\"exp\":{exp}{claims}}}");
        let signed = format!("{}.{}", encode(header), encode(claims));
        let arguments = ["dgst", "-sha256", "-sign", &self.key()];
        let signature = openssl(&arguments, signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn start(app: &Target, jwks: &str) -> Balancer {
    let listener = format!(
        "jwt = {{ issuer = \"me\", jwks = \"{jwks}\", refresh = \"1s\" }}\n\
         [[listener.rule]]\npriority = 1\npath = \"/open\"\nforward = \"app\"\njwt = \"off\"\n\
         [[listener.rule]]\npriority = 2\npath = \"/admin\"\nfixed-response = {{ status = 204 }}\n"
    );
    let options = Options {
        listener: listener.leak(),
        ..Options::default()
    };
    let balancer = Balancer::start(&[app.address], &options);
    balancer.wait_for(1, TargetState::Healthy);
    balancer
}

fn ask(balancer: &Balancer, path: &str, token: &str) -> String {
    let mut client = balancer.connect();
    let fields = match token {
        "" => String::new(),
        token => format!("Authorization: Bearer {token}\r\n"),
    };
    client.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n"));
    client.read_response().0
}

fn file(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn only_good_tokens_reach_targets() {
    let (app, issuer) = (Target::echo(), Issuer::new("file"));
    let balancer = start(&app, &file(&issuer.write_set("a")));
    let good = issuer.token("a", "");
    for _ in 0..3 {
        assert!(ask(&balancer, "/", &good).starts_with("HTTP/1.1 200 "));
    }
    // The target gets the token as it came.
    let seen = app.seen.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(seen.contains(&good), "{seen}");
    let head = ask(&balancer, "/", "");
    assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{head}");
    assert!(head.contains("\r\nWWW-Authenticate: Bearer\r\n"), "{head}");
    let mut forged = issuer.token("a", ",\"sub\":\"root\"");
    let end = good.rfind('.').unwrap();
    forged.replace_range(forged.rfind('.').unwrap().., &good[end..]);
    let head = ask(&balancer, "/", &forged);
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert!(head.contains("error=\"invalid_token\""), "{head}");
    // Rules inherit the demand, whatever their action; one has opted out.
    assert!(ask(&balancer, "/admin", "").starts_with("HTTP/1.1 401 "));
    assert!(ask(&balancer, "/admin", &good).starts_with("HTTP/1.1 204 "));
    assert!(ask(&balancer, "/open", "").starts_with("HTTP/1.1 200 "));
    balancer.expect_metric("pointsman_rejected_total", "jwt", 3.0);
}

#[test]
fn keys_in_a_file_are_read_again_and_bad_ones_are_not_taken() {
    let (app, issuer) = (Target::echo(), Issuer::new("again"));
    let path = issuer.write_set("a");
    let balancer = start(&app, &file(&path));
    let old = issuer.token("a", "");
    assert!(ask(&balancer, "/", &old).starts_with("HTTP/1.1 200 "));
    std::fs::write(&path, "{\"keys\":[").unwrap();
    wait(|| balancer.metric("pointsman_jwks_reads_total", "error") > 0.0);
    assert!(ask(&balancer, "/", &old).starts_with("HTTP/1.1 200 "));
    issuer.rotate();
    issuer.write_set("b");
    let new = issuer.token("b", "");
    wait(|| ask(&balancer, "/", &new).starts_with("HTTP/1.1 200 "));
    assert!(ask(&balancer, "/", &old).starts_with("HTTP/1.1 401 "));
}

#[test]
fn keys_come_from_a_server_and_outlive_it() {
    let (app, issuer) = (Target::echo(), Issuer::new("url"));
    let set = Arc::new(Mutex::new(issuer.set("a")));
    let asked = Arc::new(AtomicUsize::new(0));
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let (served, count) = (set.clone(), asked.clone());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            let length = stream.read(&mut head).unwrap();
            assert!(head[..length].starts_with(b"GET /keys.json HTTP/1.1\r\n"));
            let body = served.lock().unwrap().clone();
            let status = if body.is_empty() {
                "503 Down"
            } else {
                "200 OK"
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len().max(1)
            );
            let _ = stream.write_all(answer.as_bytes());
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let balancer = start(&app, &format!("http://{address}/keys.json"));
    let good = issuer.token("a", "");
    wait(|| ask(&balancer, "/", &good).starts_with("HTTP/1.1 200 "));
    set.lock().unwrap().clear();
    let before = asked.load(Ordering::SeqCst);
    wait(|| asked.load(Ordering::SeqCst) > before + 1);
    assert!(ask(&balancer, "/", &good).starts_with("HTTP/1.1 200 "));
}

#[test]
fn without_keys_nobody_is_let_in() {
    let app = Target::echo();
    let (listener, issuer) = (
        TcpListener::bind("127.0.0.1:0").unwrap(),
        Issuer::new("none"),
    );
    let closed = listener.local_addr().unwrap();
    drop(listener);
    let balancer = start(&app, &format!("http://{closed}/keys.json"));
    let head = ask(&balancer, "/", &issuer.token("a", ""));
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert!(ask(&balancer, "/", "").starts_with("HTTP/1.1 401 "));
}

fn wait(mut is_so: impl FnMut() -> bool) {
    let give_up = SystemTime::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(SystemTime::now() < give_up, "it never came to be");
        std::thread::yield_now();
    }
}
