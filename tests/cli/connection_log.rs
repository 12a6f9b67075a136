//! The connection log and the access log's way to it, from the outside: curl and openssl as clients.

use crate::harness::{Folder, Process, Service, connect, eventually, exchange, get};
use crate::mutual::{Authority, FAR, LONG_AGO, YESTERYEAR, ask, echo};
use crate::tls::{certificate, entry, group, listener, run};

/// A file's lines once there are `count`.
fn lines(folder: &Folder, name: &str, count: usize) -> Vec<Vec<String>> {
    eventually(&format!("{count} lines of {name}"), || {
        let text = std::fs::read_to_string(folder.0.join(name)).ok()?;
        let lines: Vec<_> = text.lines().map(fields).collect();
        (lines.len() >= count).then_some(lines)
    })
}

/// A line's fields: by blanks, but for those in quotes.
fn fields(line: &str) -> Vec<String> {
    let mut quoted = false;
    let split = line.split(|c| {
        quoted ^= c == '"';
        c == ' ' && !quoted
    });
    split
        .map(|field| field.trim_matches('"').to_owned())
        .collect()
}

#[test]
fn every_connection_has_a_line_and_its_exchanges_lead_there() {
    let (folder, ca, service) = (
        Folder::new(),
        Authority::new("Clients CA"),
        Service::start("a"),
    );
    certificate(&folder, "site", "ecdsa", &["app.test"]);
    ca.sign("alice", "client", LONG_AGO, FAR);
    ca.sign("late", "client", LONG_AGO, YESTERYEAR);
    let verify = format!(
        "certificates = [{}]\nmutual-authentication = {{ mode = \"verify\", trust-store = \"{}\" }}",
        entry(&folder, "site"),
        ca.path("ca.pem"),
    );
    let path = |name: &str| folder.0.join(name).display().to_string();
    let process = Process::start(&format!(
        "[logs]\naccess = \"{}\"\nformat = \"aws\"\nconnection = \"{}\"\nflow = \"off\"\n\
         [runtime]\nworkers = 1\n{}{}{}",
        path("access.log"),
        path("connections.log"),
        listener("a-clear", "http", "app", ""),
        listener("b-secret", "https", "app", &verify),
        group("app", "http", service.http),
    ));
    process.wait_for_state("app", service.http, "healthy");
    let (clear, secret) = (process.listener(0), process.listener(1));

    let two = "GET / HTTP/1.1\r\nHost: app.test\r\nX-Amzn-Trace-Id: Root=1-2-3\r\n\r\n\
        GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(connect(clear), two).status, 200);
    let h2 = [
        "--http2-prior-knowledge",
        "-sS",
        &format!("http://{clear}/"),
    ];
    let output = run("curl", &h2);
    assert!(output.status.success(), "{output:?}");
    let again = format!("https://{secret}/again");
    ask(secret, Some((&ca, "alice")), &[&again]).unwrap();
    ask(secret, Some((&ca, "late")), &["--tls-max", "1.2"]).unwrap_err();
    ask(secret, None, &["--tls-max", "1.2"]).unwrap_err();

    let connections = lines(&folder, "connections.log", 5);
    assert!(
        connections.iter().all(|line| line.len() == 15),
        "{connections:?}"
    );
    let outcome: Vec<[&str; 3]> = connections
        .iter()
        .map(|line| [line[4].as_str(), &line[9], &line[10]])
        .collect();
    let expected = [
        ["-", "-", "-"],
        ["-", "-", "-"],
        ["TLSv1.3", "1F00", "Success"],
        ["-", "1F01", "Failed:ClientCertExpired"],
        ["-", "-", "Failed:UnmappedConnectionError"],
    ];
    assert_eq!(outcome, expected);
    let [kept, h2, alice, late, _] = &connections[..] else {
        panic!("{connections:?}");
    };
    assert_eq!(kept[3], clear.port().to_string());
    assert!(
        alice[7].contains("CN=alice") && late[7].contains("CN=late"),
        "{alice:?} {late:?}"
    );
    assert_eq!(
        alice[8],
        "NotBefore=2020-01-01T00:00:00Z;NotAfter=2049-12-31T23:59:59Z"
    );
    assert_eq!([&alice[13], &alice[14]], ["b-secret", "127.0.0.1"]);
    assert!(
        alice[6].parse::<f64>().is_ok() && alice[12].len() > 3,
        "{alice:?}"
    );

    let exchanges = lines(&folder, "access.log", 5);
    assert!(
        exchanges.iter().all(|line| line.len() == 33),
        "{exchanges:?}"
    );
    let known: Vec<&str> = exchanges.iter().map(|line| line[29].as_str()).collect();
    let (kept, h2, alice) = (kept[11].as_str(), h2[11].as_str(), alice[11].as_str());
    assert_eq!(known, [kept, kept, h2, alice, alice]);
    assert!(kept.len() == 36 && kept != h2 && h2 != alice, "{known:?}");
    assert_eq!(exchanges[0][17], "Root=1-2-3");
    // One made for the log: ELB's form.
    let made = exchanges[2][17].strip_prefix("Root=1-").unwrap();
    assert!(made.len() == 33 && made != exchanges[3][17].trim_start_matches("Root=1-"));
    let kinds = exchanges.iter().map(|line| line[0].as_str());
    assert_eq!(
        kinds.collect::<Vec<_>>(),
        ["http", "http", "h2", "h2", "h2"]
    );
    assert_eq!(exchanges[4][19], "site.pem");
}

#[test]
fn a_made_trace_id_is_the_one_that_targets_get() {
    let folder = Folder::new();
    let target = echo();
    let process = Process::start(&format!(
        "[logs]\naccess = \"{}\"\nformat = \"aws\"\n{}{}",
        folder.0.join("access.log").display(),
        listener("web", "http", "app", "trace = \"amzn\""),
        group("app", "http", target),
    ));
    process.wait_for_state("app", target, "healthy");
    let shown = get(process.listener(0), "/headers").body;
    let line = lines(&folder, "access.log", 1).remove(0);
    let got = shown.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("x-amzn-trace-id")
            .then_some(value)
    });
    assert_eq!(got, Some(line[17].as_str()), "{shown}");
}
