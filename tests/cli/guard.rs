//! Who may ask the admin surface, and how it answers those who may not.

use std::os::unix::fs::PermissionsExt;

use crate::harness::{Process, connect, connect_unix, exchange, get, output, post, stderr};

const EMPTY: &str = "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\nforward = \"app\"\n\
                     [[target-group]]\nname = \"app\"\nprotocol = \"http\"\ntargets = [\"127.0.0.1:9\"]\n";
const JSON: &str = "Content-Type: application/json\r\n";

#[test]
fn foreign_hosts_origins_and_content_types_are_refused() {
    let process = Process::start(EMPTY);
    let admin = process.admin_tcp();
    let with_host = |host: &str| {
        let request =
            format!("GET /api/v1/generation HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        exchange(connect(admin), &request)
    };
    assert_eq!(with_host("localhost").status, 200);
    assert_eq!(with_host("[::1]:1").status, 200);
    let refused = with_host("evil.test");
    assert_eq!(refused.status, 421);
    assert!(
        refused.json()["help"]
            .as_str()
            .unwrap()
            .contains("admin.hosts")
    );

    let path = "/api/v1/reload";
    assert_eq!(post(admin, path, "", "{}").status, 415);
    let text = "Content-Type: text/plain\r\n";
    assert_eq!(post(admin, path, text, "{}").status, 415);
    let foreign = format!("{JSON}Origin: http://evil.test\r\n");
    assert_eq!(post(admin, path, &foreign, "{}").status, 403);
    let same = format!("{JSON}Origin: http://{admin}\r\n");
    assert_eq!(post(admin, path, &same, "{}").status, 200);
}

#[test]
fn the_unix_socket_takes_any_host_and_belongs_to_its_user_alone() {
    let process = Process::start(EMPTY);
    let socket = process.folder.0.join("state/admin.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let request = "GET /healthz HTTP/1.1\r\nHost: anything.test\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(connect_unix(&socket), request).status, 200);
    let request = "POST /api/v1/reload HTTP/1.1\r\nHost: anything.test\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(exchange(connect_unix(&socket), request).status, 415);
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let process = Process::start(EMPTY);
    let second = output(&["run", "-c", &process.file]);
    assert_eq!(second.status.code(), Some(1));
    let said = stderr(&second);
    assert!(said.contains("another pointsman answers"), "{said}");
}

#[test]
fn errors_are_json_with_help() {
    let process = Process::start(EMPTY);
    let admin = process.admin_tcp();
    let body = |path: &str, body: &str| post(admin, path, JSON, body);
    let target = "/api/v1/target-groups/app/targets/127.0.0.1:9";
    for (answer, status) in [
        (get(admin, "/nowhere"), 404),
        (get(admin, "/api/v1/listeners/nope"), 404),
        (get(admin, "/api/v1/listeners?limit=x"), 400),
        (
            get(admin, "/api/v1/target-groups/app/targets/nonsense"),
            400,
        ),
        (get(admin, "/api/v1/reload"), 405),
        (body(&format!("{target}/weight"), "{}"), 422),
        (body(&format!("{target}/weight"), "{\"weight\": 1001}"), 400),
        (body(&format!("{target}/weight"), "nonsense"), 400),
        (body(&format!("{target}/weight"), &" ".repeat(100_000)), 413),
        (
            body("/api/v1/target-groups/app/targets/127.0.0.1:1/drain", "{}"),
            404,
        ),
    ] {
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["error"].is_string(), "{answer:?}");
    }
}
