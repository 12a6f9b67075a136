//! Requests that go to a target by what they hold.

use super::pointsman::{Pointsman, web};
use super::process::output_of;
use super::services::HttpService;

fn config(services: &[HttpService], hash_by: &str) -> String {
    let addresses = services.iter().map(|service| service.address);
    web(
        addresses,
        &format!("algorithm = \"request-hash\"\nhash-by = {hash_by}"),
    )
}

/// Who answers curl with these arguments.
fn answer(pointsman: &Pointsman, path: &str, field: &str) -> String {
    let url = format!("http://{}{path}", pointsman.listener("web"));
    output_of("curl", &["-sS", "-H", field, &url])
}

#[test]
fn a_part_of_requests_chooses_their_target() {
    let services: Vec<HttpService> = (11..14)
        .map(|host| HttpService::start(&format!("127.58.0.{host}"), 0))
        .collect();
    let pointsman = Pointsman::start(&config(&services, "{ header = \"X-User\" }"));
    let distinct = |request: &dyn Fn(u32) -> (String, String)| {
        let mut seen: Vec<String> = (0..24)
            .map(|n| {
                let (path, field) = request(n);
                let first = answer(&pointsman, &path, &field);
                assert_eq!(answer(&pointsman, &path, &field), first, "{path} {field}");
                first
            })
            .collect();
        seen.sort();
        seen.dedup();
        seen.len()
    };
    assert_eq!(distinct(&|n| ("/".into(), format!("x-user: {n}"))), 3);
    let follow = |hash_by: &str| {
        pointsman.write_config(&config(&services, hash_by));
        pointsman.post("/api/v1/reload", "{}");
    };
    follow("{ cookie = \"user\" }");
    assert_eq!(
        distinct(&|n| ("/".into(), format!("Cookie: a=1; user={n}"))),
        3
    );
    follow("{ query = \"user\" }");
    assert_eq!(distinct(&|n| (format!("/?a=1&user={n}"), "A: b".into())), 3);
    follow("\"path\"");
    let file = |n: u32| (format!("/index.html?{n}"), "A: b".to_owned());
    assert_eq!(distinct(&file), 1, "the query is no part of the path");
}
