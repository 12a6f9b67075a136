//! Real services for the acceptance tests, each on an address of its own and a port of its choice.

use std::net::SocketAddr;
use std::process::Command;

use super::process::{Folder, Program};

/// A `python3 -m http.server`.
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
            .args([
                "-u",
                "-m",
                "http.server",
                &port.to_string(),
                "--bind",
                ip,
                "--directory",
            ])
            .arg(folder.path()),
    );
    let line = program.wait_for_line("its port", |l| l.starts_with("Serving HTTP on"));
    let port = line
        .split_whitespace()
        .nth(5)
        .and_then(|w| w.parse().ok())
        .expect("a port");
    (program, SocketAddr::new(ip.parse().unwrap(), port))
}
