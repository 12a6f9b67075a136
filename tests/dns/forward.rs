//! Forward rules, private zones and what falls through, seen from two networks.

use crate::harness::{Folder, eventually};
use crate::namespace::Namespace;

const CONFIG: &str = r#"
[admin]
bind = "127.0.0.1:9901"
[dns]
bind = "192.0.2.1:5300"
[[network]]
name = "office"
cidrs = ["10.1.0.0/16"]
country = "DE"
[[forward-rule]]
name = "corp"
domain = "corp.test"
servers = ["198.51.100.99:5300", "198.51.100.53:5300"]
networks = ["office"]
[[forward-rule]]
name = "deeper"
domain = "lab.corp.test"
servers = ["198.51.100.54:5300"]
networks = ["office"]
[[zone]]
name = "example.test"
[[zone.record]]
name = "www"
type = "A"
values = ["192.0.2.1"]
[[zone]]
id = "office"
name = "example.test"
networks = ["office"]
fallthrough = "public"
[[zone.record]]
name = "db"
type = "A"
values = ["10.1.0.5"]
[[zone]]
id = "within"
name = "own.corp.test"
networks = ["office"]
[[zone.record]]
name = "x"
type = "A"
values = ["10.1.0.6"]
[[zone]]
id = "same"
name = "corp.test"
networks = ["office"]
[[zone.record]]
name = "www"
type = "A"
values = ["10.1.0.7"]
"#;

/// Another server with one zone.
fn other(address: &str, admin: &str, zone: &str, value: &str) -> String {
    let many: String = (0..200).map(|n| format!("\"{value}{n}\",")).collect();
    format!(
        "[admin]\nbind = \"{admin}\"\nsocket = \"{zone}.sock\"\n[dns]\nbind = \"{address}:5300\"\n[[zone]]\nname = \"{zone}\"\n\
         [[zone.record]]\nname = \"www\"\ntype = \"A\"\nttl = 3600\nvalues = [\"{value}1\"]\n\
         [[zone.record]]\nname = \"many\"\ntype = \"A\"\nttl = 60\nvalues = [{many}]\n"
    )
}

#[test]
fn the_most_specific_wins_and_others_are_refused() {
    let addresses = [
        "192.0.2.1/32",
        "10.1.0.9/32",
        "198.51.100.7/32",
        "198.51.100.53/32",
        "198.51.100.54/32",
    ];
    let Some(namespace) = Namespace::new("forward", &addresses) else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let folder = Folder::new();
    let mut servers = Vec::new();
    let corp = other("198.51.100.53", "127.0.0.1:9902", "corp.test", "172.16.0.");
    let lab = other(
        "198.51.100.54",
        "127.0.0.1:9903",
        "lab.corp.test",
        "172.17.0.",
    );
    for (name, text) in [("main", CONFIG), ("corp", &corp), ("lab", &lab)] {
        std::fs::create_dir(folder.0.join(name)).unwrap();
        let file = folder.write(&format!("{name}/pointsman.toml"), text);
        servers.push(namespace.serve(&file));
    }
    let ask =
        |from: &str, question: &str| namespace.dig(from, &format!("+tries=1 +time=20 {question}"));
    let (inside, outside) = ("10.1.0.9", "198.51.100.7");
    eventually("all answer", || {
        let both = ask(inside, "a www.corp.test").contains("172.16.0.1\n")
            && ask(inside, "a www.lab.corp.test").contains("172.17.0.1\n");
        both.then_some(())
    });
    for (from, question, said) in [
        // The first server is not there: the second answers, without AA, with RA.
        (inside, "a www.corp.test", "flags: qr rd ra;"),
        (inside, "a WwW.cOrP.test", "WwW.cOrP.test."),
        // A rule and a private zone of one name: the rule, as in Route 53; a zone below it wins.
        (inside, "a www.corp.test", "172.16.0.1\n"),
        (inside, "a x.own.corp.test", "10.1.0.6\n"),
        (inside, "a nothing.corp.test", "NXDOMAIN"),
        (inside, "aaaa www.corp.test", "status: NOERROR"),
        // More than fits comes over TCP from there, and by TC to here.
        (inside, "a many.corp.test +ignore", "flags: qr tc rd ra;"),
        (inside, "a many.corp.test", "ANSWER: 200"),
        // Recursion that is not asked for is not done.
        (inside, "a www.lab.corp.test +norecurse", "NXDOMAIN"),
        // Everybody else.
        (outside, "a www.corp.test", "REFUSED"),
        (outside, "a www.lab.corp.test", "REFUSED"),
        (outside, "a www.example.test", "192.0.2.1\n"),
        (outside, "a db.example.test", "NXDOMAIN"),
        (inside, "a db.example.test", "10.1.0.5\n"),
        (inside, "a www.example.test", "A\t192.0.2.1\n"),
    ] {
        // Another server that stalls is asked again, and its silence told as SERVFAIL.
        let mut answer = String::new();
        eventually(&format!("{question} from {from}: {said}"), || {
            answer = ask(from, question);
            let stalled = answer.contains("SERVFAIL");
            assert!(
                stalled || answer.contains(said),
                "{question} from {from}: {said}: {answer}"
            );
            (!stalled).then_some(())
        });
    }
    // What was asked is remembered when its server is gone; what was not fails, and says so.
    servers.pop();
    let said = ask(inside, "a www.lab.corp.test");
    assert!(said.contains("172.17.0.1\n"), "{said}");
    let said = ask(inside, "a other.lab.corp.test");
    assert!(said.contains("SERVFAIL"), "{said}");
    let mut curl = namespace.command("curl");
    let output = curl
        .args(["-s", "http://127.0.0.1:9901/metrics"])
        .output()
        .unwrap();
    let metrics = String::from_utf8_lossy(&output.stdout);
    let line = "pointsman_dns_forwarded_total{result=\"failed\",rule=\"deeper\"} ";
    assert!(metrics.contains(line), "{metrics}");
}
