//! The admin surface's own descriptions: OpenAPI, metrics, the page.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Process, Service, get, http_over, names, post, send};

fn everything(one: &Service) -> Process {
    let process = Process::start(&format!(
        "{}[[routing-control]]\nname = \"main\"\n[[safety-rule]]\nname = \"rule\"\n\
         type = \"assertion\"\nasserted-controls = [\"main\"]\nthreshold = 1\ninverted = true\n\
         [[health-check]]\nname = \"up\"\ntype = \"tcp\"\naddress = \"{}\"\n\
         [dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"example.test\"\n\
         [[zone.record]]\nname = \"app\"\ntype = \"A\"\nalias = {{ target-group = \"app\" }}\n\
         [[zone.record]]\nname = \"api\"\ntype = \"A\"\npolicy = \"failover\"\nsets = [\n\
         {{ id = \"a\", failover = \"primary\", values = [\"192.0.2.1\"], health-check = \"up\" }},\n\
         {{ id = \"b\", failover = \"secondary\", values = [\"192.0.2.2\"] }} ]\n",
        http_over(&[one]),
        one.http,
    ));
    process.wait_for_state("app", one.http, "healthy");
    process.wait_until_ready();
    process
}

#[test]
fn every_path_of_the_description_answers_as_described() {
    let one = Service::start("one");
    let process = everything(&one);
    let admin = process.admin_tcp();
    let text = include_str!("../../docs/openapi.json");
    let description: Value = serde_json::from_str(text).unwrap();
    for (path, operations) in description["paths"].as_object().unwrap() {
        let name = match path.split('/').nth(3) {
            Some("listeners") => "web",
            Some("health-checks") => "up",
            Some("routing-controls") => "main",
            _ => "app",
        };
        let real = path
            .replace("{name}", name)
            .replace("{id}", "example.test")
            .replace("{address}", &one.http.to_string());
        let real = match path.as_str() {
            "/api/v1/dns/answer" => format!("{real}?name=example.test&type=SOA"),
            "/api/v1/why" => format!("{real}?url=http://app.test/&listener=web"),
            _ => real,
        };
        for (method, operation) in operations.as_object().unwrap() {
            let answer = match method.as_str() {
                "get" => get(admin, &real),
                // Of a target that is not registered, for others are asked about later.
                "delete" => send(
                    admin,
                    "DELETE",
                    &path
                        .replace("{name}", "app")
                        .replace("{address}", "127.0.0.9:9"),
                    "Content-Type: application/json\r\n",
                    REGISTRATION,
                ),
                _ => post(
                    admin,
                    &real,
                    "Content-Type: application/json\r\n",
                    body_for(path),
                ),
            };
            assert_eq!(answer.status, 200, "{method} {real}: {}", answer.body);
            let content = &operation["responses"]["200"]["content"];
            let Some(schema) = content.get("application/json").map(|json| &json["schema"]) else {
                continue;
            };
            let place = format!("{method} {real}");
            // Bodies are not chunked: lengths are known.
            assert_required(&description, schema, &answer.json(), &place);
        }
    }
}

const REGISTRATION: &str = "{\"targets\": [{\"address\": \"127.0.0.9:9\"}]}";

fn body_for(path: &str) -> &'static str {
    if path.ends_with("/weight") {
        "{\"weight\": 1}"
    } else if path.ends_with("/targets") {
        REGISTRATION
    } else if path.ends_with("/routing-controls") {
        "{\"states\": {\"main\": \"off\"}}"
    } else {
        "{}"
    }
}

/// Every property that the schema requires is there, in items of lists too.
fn assert_required(description: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let pointer = name.trim_start_matches('#');
        return assert_required(
            description,
            description.pointer(pointer).unwrap(),
            value,
            place,
        );
    }
    for key in schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let part = value
            .get(key)
            .unwrap_or_else(|| panic!("{place}: no {key} in {value}"));
        assert_required(description, &schema["properties"][key], part, place);
    }
    if schema["type"] == "array" && schema.get("items").is_some() {
        for item in value
            .as_array()
            .unwrap_or_else(|| panic!("{place}: no list: {value}"))
        {
            assert_required(description, &schema["items"], item, place);
        }
    }
}

#[test]
fn lists_are_cut_and_continued() {
    let (one, two) = (Service::start("one"), Service::start("two"));
    let process = Process::start(&http_over(&[&one, &two]));
    let admin = process.admin_tcp();
    let path = "/api/v1/target-groups/app/targets";
    let first = get(admin, &format!("{path}?limit=1")).json();
    let next = first["next"].as_str().unwrap();
    assert_eq!(first["items"][0]["address"], next);
    let rest = get(admin, &format!("{path}?limit=1&after={next}")).json();
    assert_eq!(rest["items"].as_array().unwrap().len(), 1);
    assert_eq!(rest["next"], Value::Null);
    let found = get(admin, &format!("{path}?q={}", two.http)).json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
}

#[test]
fn metrics_have_the_promised_names_and_pass_promtool() {
    let one = Service::start("one");
    let process = everything(&one);
    names(process.listener(0), 3);
    let answer = get(process.admin_tcp(), "/metrics");
    assert!(
        answer
            .head
            .to_ascii_lowercase()
            .contains("content-type: text/plain; version=0.0.4")
    );
    for name in [
        "pointsman_build_info",
        "pointsman_config_generation",
        "pointsman_config_reloads_total",
        "pointsman_requests_total",
        "pointsman_request_duration_seconds_bucket",
        "pointsman_connections_total",
        "pointsman_target_health",
        "pointsman_target_in_flight",
        "pointsman_target_selected_total",
        "pointsman_health_transitions_total",
        "process_resident_memory_bytes",
        "process_open_fds",
    ] {
        let prefix = format!("\n{name}");
        assert!(
            answer.body.contains(&prefix),
            "no {name} in {}",
            answer.body
        );
    }
    let Ok(mut promtool) = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
    else {
        println!("promtool is not installed: its check was skipped");
        return;
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(answer.body.as_bytes())
        .unwrap();
    let checked = promtool.wait_with_output().unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

#[test]
fn the_page_shows_it_all_and_runs_nothing() {
    let one = Service::start("one");
    let process = everything(&one);
    let page = get(process.admin_tcp(), "/");
    assert_eq!(page.status, 200);
    assert!(page.head.contains("default-src 'none'"), "{}", page.head);
    for part in [
        "web",
        "app",
        "healthy",
        &one.http.to_string(),
        "example.test",
        "http-equiv=\"refresh\"",
    ] {
        assert!(page.body.contains(part), "no {part} in {}", page.body);
    }
    assert!(!page.body.contains("<script") && !page.body.contains("src="));
}

#[test]
fn each_target_and_check_has_a_page_that_tells_what_would_change_it() {
    let one = Service::start("one");
    let process = everything(&one);
    let admin = process.admin_tcp();
    let overview = get(admin, "/").body;
    let target = format!("/target-groups/app/targets/{}", one.http);
    let check = "/health-checks/up";
    let probed = ["Last probes", "200 OK", "registered by"];
    let followed = ["tcp", "record/example.test/api", "looks at"];
    for (path, parts) in [(target.as_str(), probed), (check, followed)] {
        assert!(overview.contains(&format!("href=\"{path}\"")), "{overview}");
        let page = get(admin, path);
        assert_eq!(page.status, 200, "{path}");
        for part in ["healthy", "It becomes unhealthy after"]
            .iter()
            .chain(&parts)
        {
            assert!(page.body.contains(part), "no {part} in {}", page.body);
        }
    }
    assert_eq!(get(admin, "/health-checks/none").status, 404);
}
