//! Real services for the acceptance tests, each on an address of its own and a port of its choice.

use std::net::SocketAddr;
use std::process::Command;

use super::process::{Folder, Program};

/// `python3 -m http.server`, but for its answers, which are one write each: whoever kills it cuts none
/// in two.
const SERVER: &str = r#"
import functools, http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    wbufsize = 1 << 16
    def log_message(self, *_):
        pass
handler = functools.partial(Handler, directory=sys.argv[3])
server = http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), handler)
print("port", server.server_address[1])
server.serve_forever()
"#;

/// A service of Python's.
pub struct HttpService {
    program: Program,
    /// Where it listens.
    pub address: SocketAddr,
    folder: Folder,
}

impl HttpService {
    /// Starts one on `ip`, on `port` (0 = any), that serves one small file.
    pub fn start(ip: &str, port: u16) -> Self {
        let folder = Folder::new("service");
        std::fs::write(folder.path().join("index.html"), format!("from {ip}\n")).unwrap();
        let (program, address) = serve(ip, port, &folder);
        Self {
            program,
            address,
            folder,
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        self.program.signal("KILL");
        super::process::eventually("the service is gone", || !self.program.is_running());
    }

    /// [`HttpService::kill`] without waiting for it.
    pub fn strike(&mut self) {
        self.program.signal("KILL");
    }

    /// Starts it anew on its old address.
    pub fn restart(&mut self) {
        let ip = self.address.ip().to_string();
        let (program, _) = serve(&ip, self.address.port(), &self.folder);
        self.program = program;
    }
}

fn serve(ip: &str, port: u16, folder: &Folder) -> (Program, SocketAddr) {
    let mut program = Program::start(
        Command::new("python3")
            .args(["-u", "-c", SERVER, ip, &port.to_string()])
            .arg(folder.path()),
    );
    let line = program.wait_for_line("its port", |line| line.starts_with("port "));
    let port = line.trim_start_matches("port ").parse().expect("a port");
    (program, SocketAddr::new(ip.parse().unwrap(), port))
}
