//! A network namespace, where a test may use any address.

use std::process::{Child, Command, Stdio};

/// Removed at the end.
pub struct Namespace(String);

impl Namespace {
    /// One with these addresses, or nothing where none can be made.
    pub fn new(name: &str, addresses: &[&str]) -> Option<Self> {
        let namespace = Self(format!("pointsman-{name}-{}", std::process::id()));
        let ip = |words: &[&str]| {
            let mut ip = Command::new("ip");
            ip.args(words).stderr(Stdio::null()).status()
        };
        let name = namespace.0.as_str();
        let made = ip(&["netns", "add", name]).is_ok_and(|status| status.success());
        if !made {
            std::mem::forget(namespace);
            return None;
        }
        for address in addresses {
            ip(&["-n", name, "address", "add", address, "dev", "lo"]).unwrap();
        }
        ip(&["-n", name, "link", "set", "lo", "up"]).unwrap();
        Some(namespace)
    }

    /// A program to be run in it.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0, program]);
        command
    }

    /// Pointsman in it, on the configuration of a file.
    pub fn serve(&self, file: &str) -> Running {
        let mut command = self.command(env!("CARGO_BIN_EXE_pointsman"));
        let command = command.args(["run", "-c", file]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Running(child.unwrap())
    }

    /// What dig says when 192.0.2.1 is asked from an address of it, on port 5300; options and the
    /// question as on a command line.
    pub fn dig(&self, from: &str, question: &str) -> String {
        let mut dig = self.command("dig");
        dig.args(["-b", from, "@192.0.2.1", "-p", "5300"]);
        let output = dig.args(question.split(' ')).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let mut delete = Command::new("ip");
        let deleted = delete.args(["netns", "delete", &self.0]).status();
        assert!(deleted.unwrap().success());
    }
}

/// A program that ends with the test.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
