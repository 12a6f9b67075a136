//! Reload: all or nothing, by command and by SIGHUP.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Process, Service, eventually, get, http_over, names, stdout};

#[test]
fn a_good_file_is_applied_and_a_bad_one_changes_nothing() {
    let (one, two) = (Service::start("one"), Service::start("two"));
    let process = Process::start(&http_over(&[&one]));
    let listener = process.listener(0);
    assert_eq!(names(listener, 2), ["one", "one"]);

    process.write(&http_over(&[&two]));
    let said = process.succeed(&["reload"]);
    assert!(said.contains("generation 2 serves"), "{said}");
    assert_eq!(
        process.listener(0),
        listener,
        "the listener's socket did not stay"
    );
    assert_eq!(names(listener, 2), ["two", "two"]);

    let bad = http_over(&[&one]).replace("forward = \"app\"", "forward = \"apq\"");
    process.write(&bad);
    let refused = process.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(78));
    let said = stdout(&refused);
    assert!(
        said.contains("did you mean `app`") && said.contains("generation 2 goes on"),
        "{said}"
    );
    assert_eq!(names(listener, 2), ["two", "two"]);
    let status = process.status();
    assert_eq!(status["generation"]["generation"], 2);
    let json = process.command(&["reload", "--json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["result"], "failure");
    let line = bad.lines().position(|line| line.contains("apq")).unwrap() + 1;
    assert_eq!(json["diagnostics"][0]["line"], line);

    let metrics = get(process.admin_tcp(), "/metrics").body;
    assert!(
        metrics.contains("pointsman_config_generation 2\n"),
        "{metrics}"
    );
    assert!(metrics.contains("pointsman_config_reloads_total{result=\"success\"} 1\n"));
    assert!(metrics.contains("pointsman_config_reloads_total{result=\"failure\"} 2\n"));
}

#[test]
fn an_address_that_is_taken_refuses_the_whole_reload() {
    let one = Service::start("one");
    let process = Process::start(&http_over(&[&one]));
    let listener = process.listener(0);
    let taken = format!(
        "{}[[listener]]\nname = \"free\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\nforward = \"app\"\n\
         [[listener]]\nname = \"taken\"\nbind = \"{}\"\nprotocol = \"http\"\nforward = \"app\"\n",
        http_over(&[&one]),
        one.http
    );
    process.write(&taken);
    let refused = process.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(78));
    let said = stdout(&refused);
    assert!(said.contains(&one.http.to_string()), "{said}");
    let status = process.status();
    assert_eq!(status["listeners"].as_array().unwrap().len(), 1, "{status}");
    assert_eq!(names(listener, 1), ["one"]);
}

#[test]
fn a_missing_file_is_reported_and_nothing_stops() {
    let one = Service::start("one");
    let process = Process::start(&http_over(&[&one]));
    std::fs::remove_file(&process.file).unwrap();
    assert_eq!(process.command(&["reload"]).status.code(), Some(78));
    assert_eq!(names(process.listener(0), 1), ["one"]);
}

#[test]
fn sighup_reloads_and_settings_that_wait_for_a_restart_are_named() {
    let one = Service::start("one");
    let process = Process::start(&http_over(&[&one]));
    process.write(&format!("runtime.workers = 1\n{}", http_over(&[&one])));
    process.signal(Signal::HUP);
    let warning = process.wait_for_log("runtime.workers changed");
    assert!(warning.contains("next start"), "{warning}");
    process.wait_for_log("generation 2 of");
}

#[test]
fn a_target_that_a_reload_removes_is_shown_until_its_delay_ends() {
    let (one, two) = (Service::start("one"), Service::start("two"));
    let process = Process::start(&http_over(&[&one, &two]));
    process.wait_for_state("app", one.http, "healthy");
    process.write(&http_over(&[&two]));
    process.succeed(&["reload"]);
    process.wait_for_state("app", one.http, "draining");
}

#[test]
fn an_access_log_that_cannot_be_opened_refuses_the_reload() {
    let one = Service::start("one");
    let process = Process::start(&http_over(&[&one]));
    let text = http_over(&[&one]);
    process.write(&text.replace("access = \"off\"", "access = \"missing/access.log\""));
    let refused = process.command(&["reload"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(
        stdout(&refused).contains("missing/access.log"),
        "{}",
        stdout(&refused)
    );
    assert_eq!(process.status()["generation"]["generation"], 1);
}

/// Threads inherit niceness: those that answered DNS after a reload once had the control thread's.
#[test]
fn dns_threads_that_a_reload_starts_are_not_nice() {
    let one = Service::start("one");
    let process = Process::start(&http_over(&[&one]));
    let zone = "[dns]\nbind = \"127.0.0.1:0\"\n[[zone]]\nname = \"example.test\"\n";
    process.write(&format!("{}{zone}", http_over(&[&one])));
    process.succeed(&["reload"]);
    let of = |name: &str| -> Vec<i64> {
        process
            .threads()
            .into_iter()
            .filter(|(n, _)| n.starts_with(name))
            .map(|t| t.1)
            .collect()
    };
    // The process may have been started nice itself: the main thread says how nice.
    let [main] = of("pointsman")[..] else {
        panic!("one main thread: {:?}", process.threads());
    };
    assert_eq!(of("control"), [(main + 10).min(19)]);
    // A thread has its name and its niceness a moment after it was made.
    eventually("threads that answer DNS, as nice as the process", || {
        let dns = of("dns-udp");
        let settled = !dns.is_empty() && dns.iter().all(|nice| *nice == main);
        settled.then_some(())
    });
}
