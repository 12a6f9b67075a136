//! A real name server (Knot DNS) with one zone whose records a test changes while it answers.

use std::net::SocketAddr;
use std::process::Command;

use super::ports::free_port;
use super::process::{Folder, Program, eventually, output_of};

/// A `knotd` for the zone `names.test`.
pub struct NameServer {
    folder: Folder,
    program: Option<Program>,
    /// Where it answers.
    pub address: SocketAddr,
    serial: u32,
}

impl NameServer {
    /// Starts one on `ip` with these records.
    pub fn start(ip: &str, records: &[&str]) -> Self {
        let port = free_port(ip);
        let mut server = Self {
            folder: Folder::new("knot"),
            program: None,
            address: SocketAddr::new(ip.parse().unwrap(), port),
            serial: 0,
        };
        server.write(records);
        let folder = server.folder.path().display();
        let text = format!(
            "server:\n    rundir: \"{folder}\"\n    listen: {ip}@{port}\n    udp-workers: 1\n    \
             tcp-workers: 1\n    background-workers: 1\n\
             log:\n  - target: stderr\n    any: info\n\
             database:\n    storage: \"{folder}\"\n\
             zone:\n  - domain: names.test\n    file: \"{folder}/zone\"\n    \
             zonefile-load: whole\n    journal-content: none\n"
        );
        std::fs::write(server.folder.path().join("knot.conf"), text).unwrap();
        server.resume();
        server
    }

    /// Starts it again.
    pub fn resume(&mut self) {
        let config = self.folder.path().join("knot.conf");
        let program = Program::start(Command::new("knotd").arg("-c").arg(config));
        self.program = Some(program);
        self.await_serial();
    }

    /// Ends it; nobody answers then.
    pub fn stop(&mut self) {
        let mut program = self.program.take().expect("it runs");
        program.signal("KILL");
        eventually("the name server is gone", || !program.is_running());
    }

    /// Replaces the zone's records; returns when it answers with the new ones.
    pub fn set(&mut self, records: &[&str]) {
        self.write(records);
        let program = self.program.as_ref().expect("it runs");
        program.signal("HUP");
        self.await_serial();
    }

    fn write(&mut self, records: &[&str]) {
        self.serial += 1;
        let mut text = format!(
            "$ORIGIN names.test.\n$TTL 1\n@ SOA ns {} {} 60 60 600 1\n@ NS ns\n\
             ns A {}\n",
            std::process::id(),
            self.serial,
            self.address.ip()
        );
        for record in records {
            text.push_str(record);
            text.push('\n');
        }
        std::fs::write(self.folder.path().join("zone"), text).unwrap();
    }

    fn await_serial(&mut self) {
        // Knots of other test runs have other names in theirs.
        let wanted = format!(" {}.names.test. {} 60 ", std::process::id(), self.serial);
        let server = format!("@{}", self.address.ip());
        let port = self.address.port().to_string();
        eventually("the name server has the new zone", || {
            let program = self.program.as_mut().expect("it runs");
            assert!(program.is_running(), "{}", program.output().join("\n"));
            let ask = [
                "+short",
                "+tries=1",
                "+time=10",
                "-p",
                &port,
                &server,
                "names.test",
                "SOA",
            ];
            output_of("dig", &ask).contains(&wanted)
        });
    }
}
