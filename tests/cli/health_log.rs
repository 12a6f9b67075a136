//! The health check log, and one check in detail, from the outside.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Folder, Process, Service, eventually, http_over};

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let parse = |line: &str| serde_json::from_str(line).unwrap();
    whole.lines().map(parse).collect()
}

#[test]
fn probes_and_changes_are_logged_and_files_may_be_renamed() {
    let mut one = Service::start("one");
    let folder = Folder::new();
    let (path, old) = (folder.0.join("health.log"), folder.0.join("old.log"));
    let health = format!("[logs]\nhealth = \"{}\"", path.display());
    let process = Process::start(&http_over(&[&one]).replace("[logs]", &health));
    let target = one.http.to_string();
    let about = |line: &Value, event: &str, state: &str| {
        line["event"] == event && line["state"] == state && line["target"] == *target
    };
    eventually("a passed probe and what it changed are logged", || {
        let lines = lines(&path);
        let probe = lines.iter().find(|line| about(line, "probe", "healthy"))?;
        assert_eq!(probe["target-group"], "app");
        assert!(probe["took-ms"].is_number(), "{probe}");
        let change = lines
            .iter()
            .find(|line| about(line, "transition", "healthy"))?;
        assert_eq!(change["from"], "initial");
        Some(())
    });
    std::fs::rename(&path, &old).unwrap();
    process.signal(Signal::USR1);
    eventually("the file is made anew", || path.exists().then_some(()));
    one.kill();
    eventually("the failure goes to the new file", || {
        let lines = lines(&path);
        let change = lines
            .iter()
            .find(|line| about(line, "transition", "unhealthy"))?;
        assert_eq!(change["reason"], "Target.FailedHealthChecks");
        Some(())
    });
}

#[test]
fn a_check_is_shown_with_its_last_probes_and_what_would_change_it() {
    let one = Service::start("one");
    let process = Process::start(&format!(
        "[[health-check]]\nname = \"up\"\ntype = \"http\"\naddress = \"{}\"\n{}",
        one.http,
        http_over(&[&one])
    ));
    let said = eventually("the first probe has ended", || {
        let said = process.succeed(&["status", "up"]);
        said.contains("LAST PROBES").then_some(said)
    });
    for part in [
        "health check up (http): healthy since",
        "HTTP/1.1 200 OK",
        "It becomes unhealthy after 2 failed probes in a row: 0 of 2 so far.",
        "next probe",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    assert!(
        process
            .succeed(&["status", "app"])
            .contains("target group app")
    );
}
