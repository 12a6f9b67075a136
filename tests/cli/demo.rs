//! The demonstration: starts with nothing, survives a kill, ends clean.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::mpsc::Receiver;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::{PATIENCE, eventually, get, lines, pointsman};

struct Demo {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Demo {
    fn start() -> Self {
        let arguments = [
            "demo",
            "--http-port",
            "0",
            "--tcp-port",
            "0",
            "--dns-port",
            "0",
            "--admin-port",
            "0",
            "--target-port",
            "0",
        ];
        let mut child = pointsman(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let mut demo = Self {
            child,
            lines,
            said: Vec::new(),
        };
        demo.wait_for("The configuration:");
        demo
    }

    fn wait_for(&mut self, text: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|_| panic!("no {text:?} in {:?}", self.said));
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    fn pids(&self) -> Vec<Pid> {
        let pid = |line: &String| line.split_once(" pid ")?.1.trim().parse().ok();
        let raw = self
            .said
            .iter()
            .filter(|line| line.contains(" http "))
            .filter_map(pid);
        raw.map(|pid: i32| Pid::from_raw(pid).unwrap()).collect()
    }

    /// The address after `prefix` on the line of what to try.
    fn address(&self, prefix: &str) -> SocketAddr {
        let found = self
            .said
            .iter()
            .find_map(|line| line.trim_start().strip_prefix(prefix));
        let found = found.unwrap_or_else(|| panic!("no {prefix:?} in {:?}", self.said));
        found.split('/').next().unwrap().parse().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

#[test]
fn a_killed_service_costs_no_request_and_ctrl_c_leaves_nothing_behind() {
    let mut demo = Demo::start();
    let web = demo.address("curl http://");
    let pids = demo.pids();
    assert_eq!(pids.len(), 3);
    assert_eq!(get(web, "/").status, 200);
    kill_process(pids[0], Signal::KILL).unwrap();
    demo.wait_for("has ended");
    demo.wait_for("demo-service one");
    for _ in 0..12 {
        let answer = get(web, "/");
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("from one "), "{}", answer.body);
    }
    kill_process(Pid::from_child(&demo.child), Signal::INT).unwrap();
    let status = eventually("the demonstration ends", || demo.child.try_wait().unwrap());
    assert!(status.success(), "{status}");
    for pid in pids {
        eventually("a service ends", || {
            test_kill_process(pid).is_err().then_some(())
        });
    }
    let folder = std::env::temp_dir().join(format!("pointsman-demo-{}", demo.child.id()));
    assert!(!folder.exists());
}

#[test]
fn the_services_die_with_a_demonstration_that_is_killed() {
    let mut demo = Demo::start();
    let pids = demo.pids();
    demo.child.kill().unwrap();
    demo.child.wait().unwrap();
    for pid in pids {
        eventually("a service ends", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
            stat.map_or(true, |stat| stat.contains(") Z "))
                .then_some(())
        });
    }
    let folder = std::env::temp_dir().join(format!("pointsman-demo-{}", demo.child.id()));
    std::fs::remove_dir_all(folder).unwrap();
}
