//! Long transfers: slow ones that go on moving, large ones byte by byte, in bounded memory.
//!
//! `POINTSMAN_TRANSFER_MIB=2048` makes the large ones as large as that; 96 MiB otherwise.

use std::process::Command;

use super::pointsman::Pointsman;
use super::probed::script;
use super::process::{Folder, Program, output_of};

/// Answers a PUT with the SHA-256 of its body, and GET /N with N MiB of known bytes.
const SERVER: &str = r#"
import hashlib, http.server, sys
BLOCK = bytes(range(256)) * 4096
class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        while left:
            data = self.rfile.read(min(left, 1 << 16))
            digest.update(data)
            left -= len(data)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        count = int(self.path[1:])
        self.send_response(200)
        self.send_header("Content-Length", str(count << 20))
        self.end_headers()
        for _ in range(count):
            self.wfile.write(BLOCK)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer((sys.argv[1], 0), App)
print("port", server.server_address[1])
server.serve_forever()
"#;

fn start(folder: &Folder, listener: &str, group: &str) -> (Program, Pointsman) {
    let (server, port) = script(SERVER, folder.path());
    let pointsman = Pointsman::start(&format!(
        r#"
        [[listener]]
        name = "web"
        bind = "127.0.0.1:0"
        protocol = "http"
        forward = "app"
        {listener}
        [[target-group]]
        name = "app"
        protocol = "http"
        targets = ["127.36.0.1:{port}"]
        {group}
        "#
    ));
    (server, pointsman)
}

/// The largest resident size the process ever had, in KiB.
fn peak(pointsman: &Pointsman) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pointsman.program.pid()));
    let status = status.unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let words = line.unwrap().split_whitespace().nth(1);
    words.unwrap().parse().unwrap()
}

/// The SHA-256 of what a shell command writes.
fn digest(command: &str) -> String {
    let text = output_of("sh", &["-c", &format!("{command} | sha256sum")]);
    text.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_slow_upload_that_goes_on_moving_is_not_cut() {
    let folder = Folder::new("slow");
    // The body takes longer than each of them, and no stall of the machine does.
    let listener = "idle-timeout = \"5s\"\nheader-timeout = \"5s\"";
    let (_server, pointsman) = start(&folder, listener, "response-timeout = \"5s\"");
    let file = folder.path().join("body");
    std::fs::write(&file, vec![b'x'; 8 << 20]).unwrap();
    let url = format!("http://{}/", pointsman.listener("web"));
    let file = file.display().to_string();
    let sent = output_of("curl", &["-sS", "--limit-rate", "1M", "-T", &file, &url]);
    assert_eq!(sent, digest(&format!("cat {file}")));
}

#[test]
fn large_transfers_arrive_byte_by_byte_in_bounded_memory() {
    let asked = std::env::var("POINTSMAN_TRANSFER_MIB").ok();
    let mib: u64 = asked.map_or(96, |mib| mib.parse().expect("a number of MiB"));
    let folder = Folder::new("large");
    let (_server, pointsman) = start(&folder, "", "");
    let url = format!("http://{}/", pointsman.listener("web"));
    let before = peak(&pointsman);
    let file = folder.path().join("body");
    let shown = file.display();
    let made = Command::new("sh")
        .arg("-c")
        .arg(format!("head -c {} /dev/urandom > {shown}", mib << 20))
        .status();
    assert!(made.unwrap().success());
    let sent = output_of("curl", &["-sS", "-T", &shown.to_string(), &url]);
    assert_eq!(sent, digest(&format!("cat {shown}")));
    std::fs::remove_file(&file).unwrap();
    let got = digest(&format!("curl -sS {url}{mib}"));
    let block = "import sys\\nb=bytes(range(256))*4096\\nfor _ in range(int(sys.argv[1])): sys.stdout.buffer.write(b)";
    let wanted = digest(&format!(
        "printf '{block}' > {shown}; python3 {shown} {mib}"
    ));
    assert_eq!(got, wanted);
    let grown = peak(&pointsman) - before;
    assert!(grown < 32 * 1024, "{grown} KiB for {mib} MiB each way");
}
