//! Private zones, seen by dig from the inside and from the outside.

use crate::harness::{Folder, eventually};
use crate::namespace::Namespace;

const CONFIG: &str = r#"
[admin]
bind = "127.0.0.1:9901"
[dns]
bind = "0.0.0.0:5300"
[[network]]
name = "office"
cidrs = ["10.1.0.0/16"]
country = "DE"
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
id = "hidden"
name = "hidden.test"
networks = ["office"]
[[zone]]
name = "shared.test"
[[zone.record]]
name = "www"
type = "A"
values = ["192.0.2.3"]
[[zone]]
id = "around"
name = "shared.test"
networks = ["office"]
[[zone.record]]
name = "*"
type = "A"
values = ["10.1.0.30"]
[[zone]]
id = "within"
name = "within.shared.test"
networks = ["office"]
fallthrough = "parent"
[[zone.record]]
name = "own"
type = "A"
values = ["10.1.0.31"]
[[zone]]
id = "closed"
name = "closed.shared.test"
networks = ["office"]
[[zone.record]]
name = "own"
type = "A"
values = ["10.1.0.32"]
"#;

#[test]
fn inside_and_outside_see_their_own() {
    let addresses = ["192.0.2.1/32", "10.1.0.9/32", "198.51.100.7/32"];
    let Some(namespace) = Namespace::new("private", &addresses) else {
        eprintln!("skipped: no network namespace can be made here");
        return;
    };
    let folder = Folder::new();
    let file = folder.write("pointsman.toml", CONFIG);
    let _server = namespace.serve(&file);
    let ask = |from: &str, name: &str| namespace.dig(from, &format!("+tries=1 +time=20 a {name}"));
    let (inside, outside) = ("10.1.0.9", "198.51.100.7");
    eventually("it answers", || {
        ask(outside, "www.example.test")
            .contains("192.0.2.1\n")
            .then_some(())
    });
    for (from, name, said) in [
        (inside, "db.example.test", "10.1.0.5\n"),
        (outside, "db.example.test", "NXDOMAIN"),
        (inside, "www.example.test", "A\t192.0.2.1\n"),
        (inside, "x.hidden.test", "NXDOMAIN"),
        (outside, "x.hidden.test", "REFUSED"),
        // The most specific private zone is the only one asked, unless it says otherwise.
        (inside, "own.closed.shared.test", "10.1.0.32\n"),
        (inside, "x.closed.shared.test", "NXDOMAIN"),
        (inside, "own.within.shared.test", "10.1.0.31\n"),
        (inside, "x.within.shared.test", "10.1.0.30\n"),
        (inside, "www.shared.test", "10.1.0.30\n"),
        (outside, "www.shared.test", "192.0.2.3\n"),
        (outside, "own.closed.shared.test", "NXDOMAIN"),
    ] {
        let answer = ask(from, name);
        assert!(answer.contains(said), "{name} from {from}: {answer}");
    }
}
