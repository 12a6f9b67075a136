//! HTTPS records whose hints follow the health of a target group.

use crate::dig::dig;
use crate::harness::{Process, Service, eventually, http_over};

#[test]
fn https_records_name_the_targets_that_serve() {
    let service = Service::start("one");
    let target = service.http.to_string();
    // Nobody serves there.
    let dead = "127.0.0.2:1";
    let process = Process::start(&format!(
        "{}\n[dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"example.test\"\n\
         [[zone.record]]\nname = \"www\"\ntype = \"HTTPS\"\nttl = 5\n\
         values = [\"1 . alpn=h2 port=8443\", \"2 . ipv4hint=192.0.2.9\", \"0 other.example.test.\"]\n\
         hints = {{ target-group = \"app\" }}\n",
        http_over(&[&service]).replace(
            &format!("\"{target}\""),
            &format!("\"{target}\", \"{dead}\"")
        )
    ));
    let answers = || {
        let said = dig(process.dns(), "+short https www.example.test");
        let mut lines: Vec<String> = said.lines().map(|line| line.replace('"', "")).collect();
        lines.sort();
        lines
    };
    let expected = |hints: &str| {
        [
            "0 other.example.test.".to_owned(),
            format!("1 . alpn=h2 port=8443 ipv4hint={hints}"),
            "2 . ipv4hint=192.0.2.9".to_owned(),
        ]
    };
    let named = |hints: &str| eventually(hints, || (answers() == expected(hints)).then_some(()));
    named("127.0.0.1");
    // Without a healthy one all are named that may have new work, as A records do.
    process.succeed(&["drain", "app", &target]);
    named("127.0.0.2");
    process.succeed(&["undrain", "app", &target]);
    named("127.0.0.1");
    drop(service);
    named("127.0.0.1,127.0.0.2");
    let said = process.succeed(&["dns", "answer", "www.example.test", "HTTPS"]);
    assert!(
        said.contains("values with addresses of target group `app`"),
        "{said}"
    );
}
