//! The query log as a file, and dnstap read by its own tools.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::dig::dig;
use crate::harness::{Folder, Process, eventually};

fn zone() -> &'static str {
    "[[zone]]\nname = \"example.test\"\n[[zone.record]]\nname = \"www\"\ntype = \"A\"\nvalues = [\"192.0.2.1\"]\n"
}

#[test]
fn the_query_log_moves_reopens_and_ends_with_a_reload() {
    let folder = Folder::new();
    let at = |name: &str| folder.0.join(name);
    let with = |log: &str| {
        format!(
            "[dns]\nbind = \"127.0.0.1:0\"\nhostname = \"ber1\"\n{log}\n{}",
            zone()
        )
    };
    let process = Process::start(&with(&format!("query-log = {:?}", at("a.log"))));
    let read = |name: &str| std::fs::read_to_string(at(name)).unwrap_or_default();
    dig(process.dns(), "+subnet=192.0.2.0/24 a www.example.test");
    dig(process.dns(), "+tcp mx nothing.example.test");
    let lines = eventually("two lines", || {
        let text = read("a.log");
        (text.lines().count() == 2).then_some(text)
    });
    let (first, second) = lines.split_once('\n').unwrap();
    assert!(first.starts_with("1.0 2"), "{first}");
    assert!(
        first
            .ends_with("Z example.test www.example.test A NOERROR UDP ber1 127.0.0.1 192.0.2.0/24"),
        "{first}"
    );
    assert!(
        second
            .trim_end()
            .ends_with("nothing.example.test MX NXDOMAIN TCP ber1 127.0.0.1 -"),
        "{second}"
    );
    // Rotation.
    std::fs::rename(at("a.log"), at("a.log.1")).unwrap();
    process.signal(Signal::USR1);
    eventually("it is opened anew", || {
        dig(process.dns(), "a www.example.test");
        (read("a.log").lines().count() > 0).then_some(())
    });
    // Another place and format, then off.
    let json = format!(
        "query-log = {{ path = {:?}, format = \"json\" }}",
        at("b.log")
    );
    process.write(&with(&json));
    process.succeed(&["reload"]);
    let line = eventually("a line of JSON", || {
        dig(process.dns(), "a www.example.test");
        let text = read("b.log");
        text.lines()
            .next()
            .filter(|_| text.ends_with('\n'))
            .map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&line["name"], &line["rcode"]),
        (&"www.example.test".into(), &"NOERROR".into())
    );
    process.write(&with(""));
    process.succeed(&["reload"]);
    let before = read("b.log");
    dig(process.dns(), "a www.example.test");
    drop(process);
    assert_eq!(read("b.log"), before);
}

#[test]
fn transfers_and_codes_of_twelve_bits_are_logged_as_what_they_are() {
    let folder = Folder::new();
    let file = folder.0.join("query.log");
    let process = Process::start(&format!(
        "[dns]\nbind = \"127.0.0.1:0\"\nquery-log = {file:?}\nallow-transfer = \"127.0.0.1\"\n{}",
        zone()
    ));
    let server = process.dns();
    assert!(dig(server, "axfr example.test").contains("ns.example.test."));
    assert!(dig(server, "axfr www.example.test").contains("Transfer failed"));
    assert!(dig(server, "+edns=1 +noednsneg a www.example.test").contains("BADVERS"));
    let lines = eventually("three lines", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (text.lines().count() == 3).then_some(text)
    });
    for line in [
        "Z example.test example.test AXFR NOERROR TCP - 127.0.0.1 -",
        "Z example.test www.example.test AXFR REFUSED TCP - 127.0.0.1 -",
        "Z example.test www.example.test A BADVERS UDP - 127.0.0.1 -",
    ] {
        assert!(lines.contains(line), "{line}: {lines}");
    }
}

/// Carries out an update with nsupdate; what that says.
fn nsupdate(process: &Process, arguments: &[&str], change: &str) -> String {
    let server = process.dns();
    let mut child = Command::new("nsupdate")
        // Not sent again when the machine stalls: it would be logged twice.
        .args(["-t", "120", "-u", "60"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (ip, port) = (server.ip(), server.port());
    let commands = format!("server {ip} {port}\nzone example.test\n{change}\nsend\n");
    let mut input = child.stdin.take().unwrap();
    input.write_all(commands.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn updates_and_forwarded_questions_are_logged() {
    let folder = Folder::new();
    let file = folder.0.join("query.log");
    let process = Process::start(&format!(
        "[dns]\nbind = \"127.0.0.1:0\"\nquery-log = {file:?}\n\
         [[forward-rule]]\nname = \"other\"\ndomain = \"other.test\"\nservers = [\"127.0.0.1:9\"]\n\
         networks = [\"127.0.0.0/8\"]\n{}\n",
        zone().replace(
            "[[zone.record]]",
            "allow-update = \"127.0.0.1\"\n[[zone.record]]"
        )
    ));
    let add = "update add new.example.test 60 A 192.0.2.7";
    assert_eq!(nsupdate(&process, &[], add), "");
    assert_eq!(
        nsupdate(
            &process,
            &["-v"],
            &format!("{add}\nupdate delete www.example.test A")
        ),
        ""
    );
    let refused = nsupdate(
        &process,
        &[],
        "prereq nxdomain new.example.test\nupdate add x.example.test 60 A 192.0.2.8",
    );
    assert!(refused.contains("YXDOMAIN"), "{refused}");
    // Nobody is at that port.
    assert!(dig(process.dns(), "+time=10 a www.other.test").contains("SERVFAIL"));
    let wanted = [
        "Z example.test example.test UPDATE NOERROR UDP - 127.0.0.1 -",
        "Z example.test example.test UPDATE NOERROR TCP - 127.0.0.1 -",
        "Z example.test example.test UPDATE YXDOMAIN UDP - 127.0.0.1 -",
        "Z - www.other.test A SERVFAIL UDP - 127.0.0.1 -",
    ];
    eventually("a line for each", || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let found = |line: &&str| text.lines().any(|said| said.ends_with(line));
        wanted.iter().all(found).then_some(())
    });
}

/// A capture that is told to end, so that it writes what it has.
struct Capture(Child);

impl Capture {
    fn end(&mut self) {
        kill_process(Pid::from_child(&self.0), Signal::INT).unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn dnstap_is_read_by_its_own_tools() {
    let folder = Folder::new();
    let (socket, file) = (folder.0.join("tap.sock"), folder.0.join("tap.fstrm"));
    let mut process = Process::start(&format!(
        "[dns]\nbind = \"127.0.0.1:0\"\nnsid = \"ber1\"\ndnstap = {socket:?}\n{}",
        zone()
    ));
    // Nobody reads yet: answers come all the same.
    assert!(dig(process.dns(), "a www.example.test").contains("192.0.2.1"));
    let mut command = Command::new("fstrm_capture");
    command
        .args(["-t", "protobuf:dnstap.Dnstap", "-u"])
        .arg(&socket)
        .arg("-w")
        .arg(&file);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut capture = Capture(child);
    // It buffers what it writes after its own head: one question is not enough to be seen there.
    let many = "txt www.example.test ".repeat(20);
    eventually("frames come", || {
        dig(process.dns(), &format!("+tcp {many}"));
        let written = std::fs::metadata(&file).ok()?.len();
        (written > 4096).then_some(())
    });
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    capture.end();
    let output = Command::new("dnstap-read").arg(&file).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (kind, rest) in [("AQ", "txt"), ("AR", "txt")] {
        let rest = format!("www.example.test/IN/{}", rest.to_uppercase());
        let found = said.lines().any(|line| {
            line.contains(&format!(" {kind} "))
                && line.contains("127.0.0.1")
                && line.contains(" TCP ")
                && line.ends_with(&rest)
        });
        assert!(found, "{kind} {rest}: {said}");
    }
}
