//! Commands that need no running process: check, init, version, quick; and exit codes.

use serde_json::Value;

use crate::harness::{Folder, output, pointsman, stderr, stdout};

#[test]
fn every_example_and_what_the_binary_writes_itself_passes_check() {
    let folder = Folder::new();
    let starter = folder.0.join("starter.toml");
    assert!(
        output(&["init", starter.to_str().unwrap()])
            .status
            .success()
    );
    let mut files = vec![starter];
    for (name, arguments) in [
        ("demo.toml", &["demo", "--print-config"][..]),
        (
            "quick.toml",
            &[
                "quick",
                "8080=3001,3002",
                "--dns",
                "app.test",
                "--print-config",
            ],
        ),
    ] {
        let printed = output(arguments);
        assert!(printed.status.success());
        files.push(folder.write(name, &stdout(&printed)).into());
    }
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    let paths = examples.map(|entry| entry.unwrap().path());
    files.extend(paths.filter(|path| path.extension().is_some_and(|e| e == "toml")));
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let checked = output(&["check", "-c", file.to_str().unwrap()]);
        let said = stdout(&checked);
        assert!(checked.status.success(), "{}: {said}", file.display());
        assert!(
            said.contains(": fine: "),
            "warnings in {}: {said}",
            file.display()
        );
    }
}

#[test]
fn check_finds_all_problems_at_once_and_says_them_in_json_too() {
    let folder = Folder::new();
    let text = "[[listener]]\nname = \"web\"\nbind = \"127.0.0.1:0\"\nprotocol = \"http\"\nforward = \"nowhere\"\nfrob = 1\n\
                [[zone]]\nname = \"example.test\"\n[[zone.record]]\nname = \"x\"\ntype = \"A\"\nvalues = [\"not an address\"]\n";
    let file = folder.write("bad.toml", text);
    let human = output(&["check", "-c", &file]);
    assert_eq!(human.status.code(), Some(78));
    let said = stdout(&human);
    for part in [
        "bad.toml:5:",
        "bad.toml:6:",
        "bad.toml:12:",
        "nowhere",
        "frob",
        "not an address",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let json = output(&["check", "-c", &file, "--json"]);
    assert_eq!(json.status.code(), Some(78));
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ok"], false);
    assert!(json["errors"].as_u64().unwrap() >= 3, "{json}");
    let lines: Vec<u64> = json["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|d| d["line"].as_u64())
        .collect();
    assert!(
        [5, 6, 12].iter().all(|line| lines.contains(line)),
        "{lines:?}"
    );
}

#[test]
fn init_never_overwrites() {
    let folder = Folder::new();
    let file = folder.write("mine.toml", "mine");
    let refused = output(&["init", &file]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("left as it is"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn exit_codes_tell_usage_from_configuration_from_failure() {
    let folder = Folder::new();
    let in_folder = |arguments: &[&str]| {
        let output = pointsman(arguments)
            .current_dir(&folder.0)
            .output()
            .unwrap();
        (output.status.code(), stderr(&output))
    };
    assert_eq!(in_folder(&["frob"]).0, Some(64));
    assert_eq!(in_folder(&["drain", "app"]).0, Some(64));
    assert_eq!(in_folder(&["status", "--admin", "https://x"]).0, Some(64));
    assert_eq!(in_folder(&["run", "-c", "missing.toml"]).0, Some(78));
    let (code, said) = in_folder(&["status", "--admin", "unix:missing.sock"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("no running pointsman answers") && said.contains("missing.sock"),
        "{said}"
    );
}

#[test]
fn version_is_the_package_s_in_both_forms() {
    let version = env!("CARGO_PKG_VERSION");
    let said = stdout(&output(&["version"]));
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some(format!("pointsman {version}").as_str()));
    let date = lines
        .next()
        .and_then(|line| line.strip_prefix("country table of 20"));
    assert_eq!(date.map(str::len), Some(8), "{said}");
    let json: Value = serde_json::from_slice(&output(&["version", "--json"]).stdout).unwrap();
    assert_eq!(json["version"], version);
}
