//! Rules from the outside: curl against the real binary, and what status and the API say of them.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Process, Service, get};

/// What curl prints for a format and arguments.
fn curl(format: &str, arguments: &[&str]) -> String {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--write-out", format])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn configuration(blue: &Service, green: &Service) -> String {
    let group = |name: &str, service: &Service| {
        format!(
            "[[target-group]]\nname = \"{name}\"\nprotocol = \"http\"\ntargets = [\"{}\"]\n",
            service.http
        )
    };
    format!(
        r##"
[logs]
access = "off"
[[listener]]
name = "web"
bind = "127.0.0.1:0"
protocol = "http"
forward = {{ target-groups = [{{ name = "blue", weight = 3 }}, {{ name = "green", weight = 1 }}] }}
[[listener.rule]]
priority = 10
host = "*.api.test"
path = "/v1/*"
forward = "green"
[[listener.rule]]
priority = 20
path-regex = '^/old/'
redirect = {{ host = "www.#{{host}}", port = 80, path = "/new/#{{path}}", status = 301 }}
[[listener.rule]]
priority = 30
query = [{{ key = "teapot", value = "*" }}]
fixed-response = {{ status = 418, content-type = "text/plain", body = "short and stout" }}
{}{}"##,
        group("blue", blue),
        group("green", green)
    )
}

#[test]
fn curl_gets_what_the_rules_say_and_status_shows_them() {
    let (blue, green) = (Service::start("blue"), Service::start("green"));
    let process = Process::start(&configuration(&blue, &green));
    process.wait_for_state("blue", blue.http, "healthy");
    process.wait_for_state("green", green.http, "healthy");
    let url = format!("http://{}", process.listener(0));
    let answers: Vec<String> = (0..8).map(|_| curl("", &[&url])).collect();
    let of = |name: &str| answers.iter().filter(|body| body.contains(name)).count();
    assert_eq!((of("blue"), of("green")), (6, 2), "{answers:?}");
    let api = ["--header", "Host: x.API.test", &format!("{url}/v1/a")];
    assert!((0..4).all(|_| curl("", &api).contains("green")));
    let redirect = curl(
        "%{http_code} %{redirect_url}",
        &["--header", "Host: a.test", &format!("{url}/old/x?y=z")],
    );
    assert_eq!(redirect, "301 http://www.a.test/new/old/x?y=z");
    let both = [&format!("{url}/?teapot")[..], &format!("{url}/?TEAPOT=1")];
    assert_eq!(
        curl(" %{http_code} %{num_connects}\n", &both),
        "short and stout 418 1\nshort and stout 418 0\n"
    );

    let text = process.succeed(&["status"]);
    for part in [
        "forward to blue (3), green (1)",
        "host *.api.test, path /v1/*",
        "redirect 301 to #{protocol}://www.#{host}:80/new/#{path}?#{query}",
        "query teapot=*",
        "answer 418",
    ] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    let admin = process.admin_tcp();
    let listener = get(admin, "/api/v1/listeners/web").json();
    let priorities: Vec<_> = listener["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| &rule["priority"])
        .collect();
    assert_eq!(
        priorities,
        [&Value::from(10), &Value::from(20), &Value::from(30)]
    );
    let group = get(admin, "/api/v1/target-groups/green").json();
    assert_eq!(group["used-by"], serde_json::json!(["listener/web"]));
    let page = get(admin, "/").body;
    assert!(
        page.contains("Rules of web") && page.contains("path ~^/old/"),
        "{page}"
    );
    let metrics = get(admin, "/metrics").body;
    for counted in [
        "pointsman_requests_total{listener=\"web\",target_group=\"\",code_class=\"4xx\"} 2",
        "pointsman_target_responses_total{listener=\"web\",target_group=\"green\",code_class=\"2xx\"} 6",
        "pointsman_generated_responses_total{listener=\"web\",code=\"301\"} 1",
        "pointsman_generated_responses_total{listener=\"web\",code=\"other\"} 2",
        "pointsman_redirects_total{listener=\"web\"} 1",
        "pointsman_fixed_responses_total{listener=\"web\"} 2",
        // Eight requests that no rule claims, four of the first, one of the second, two of the third.
        "pointsman_rules_evaluated_total{listener=\"web\"} 36",
    ] {
        assert!(metrics.contains(counted), "no {counted} in {metrics}");
    }
}
