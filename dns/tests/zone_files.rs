//! Table cases: every file of `tests/cases/zonefile` says in its comments what loading it gives.
//!
//! `; expect SEVERITY LINE CODE` lists every diagnostic, `; record OWNER TTL TYPE DATA` records
//! that must be there, `; records N` how many there are. `; laxer WHY` marks a file that BIND, NSD
//! and Knot all refuse and that is loaded here on purpose, `; stricter WHY` one that is refused here
//! although one of them loads it. Where the three programs are installed, every other file refused
//! here must be refused by all of them, and records must be those that BIND reads; `; differs WHY`
//! marks a file where they are not.

#![expect(
    clippy::unwrap_used,
    reason = "a test whose input is broken has failed"
)]

mod loading;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use conf::{Severity, Sources};
use loading::{is_refused, load, zone_of_file};

const ORIGIN: &str = "example.test";
/// Where programs for administrators are, too.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The case files, by name.
fn case_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/zonefile");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "zone")
        })
        .collect();
    files.sort();
    files
}

/// Arguments of the `; WORD …` comment lines of a case file.
fn notes(path: &Path, word: &str) -> Vec<String> {
    let bytes = std::fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let prefix = format!("; {word} ");
    text.lines()
        .filter_map(|line| line.trim_start_matches('\u{feff}').strip_prefix(&prefix))
        .map(|rest| rest.trim().to_owned())
        .collect()
}

fn described(diagnostics: &[conf::Diagnostic], sources: &Sources) -> Vec<String> {
    let mut lines: Vec<String> = diagnostics
        .iter()
        .map(|diagnostic| {
            let severity = match diagnostic.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let span = diagnostic.span.unwrap();
            let line = sources.location(span).line;
            let place = sources.path(span.file).file_name().unwrap();
            let place = match place.to_str().unwrap() {
                "pointsman.toml" => "config:".to_owned(),
                name if name.ends_with(".zone") => String::new(),
                included => format!("{included}:"),
            };
            format!("{severity} {place}{line} {}", diagnostic.code)
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn every_case_gives_what_it_says() {
    let mut failures = Vec::new();
    for path in case_files() {
        let (zones, diagnostics, sources) = load(|span| vec![zone_of_file(ORIGIN, &path, span)]);
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut expected = notes(&path, "expect");
        expected.sort();
        let found = described(&diagnostics, &sources);
        if found != expected {
            failures.push(format!("{name}: expected {expected:#?}, found {found:#?}"));
        }
        let records: Vec<String> = zones
            .zones
            .iter()
            .flat_map(|zone| &zone.records)
            .map(|record| {
                let data = dns::rdata::show(record.rtype, &record.rdata);
                format!("{} {} {} {data}", record.owner, record.ttl, record.rtype)
            })
            .collect();
        for record in notes(&path, "record") {
            if !records.contains(&record) {
                failures.push(format!("{name}: {record} is not among {records:#?}"));
            }
        }
        for count in notes(&path, "records") {
            if count != records.len().to_string() {
                failures.push(format!("{name}: {} records, not {count}", records.len()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The verdict of a program that checks zones: true when it refuses the file.
fn refuses(program: &str, path: &Path) -> Option<bool> {
    let mut command = Command::new(program);
    match program {
        "kzonecheck" => command.arg("-o").arg(ORIGIN).arg(path),
        _ => command.arg(ORIGIN).arg(path),
    };
    let folder = path.parent().unwrap();
    let status = command
        .current_dir(folder)
        .env("PATH", SYSTEM_PATH)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    Some(!status.success())
}

#[test]
fn what_is_refused_here_is_refused_by_bind_nsd_and_knot() {
    let programs = ["named-checkzone", "nsd-checkzone", "kzonecheck"];
    let mut failures = Vec::new();
    for path in case_files() {
        let mut verdicts = Vec::new();
        for program in programs {
            let Some(verdict) = refuses(program, &path) else {
                eprintln!("skipped: {program} is not installed");
                return;
            };
            verdicts.push(verdict);
        }
        let (_, diagnostics, _) = load(|span| vec![zone_of_file(ORIGIN, &path, span)]);
        let ours = is_refused(&diagnostics);
        let all = verdicts.iter().all(|&refused| refused);
        let laxer = !notes(&path, "laxer").is_empty();
        let stricter = !notes(&path, "stricter").is_empty();
        if (ours && !all) != stricter {
            failures.push(format!("{}: {verdicts:?}, here {ours}", path.display()));
        }
        if (!ours && all) != laxer {
            failures.push(format!("{}: laxer = {}", path.display(), !ours && all));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Records as BIND writes them when it dumps the zone; `None` when it refuses the file.
fn dumped_by_bind(path: &Path) -> Option<Vec<u8>> {
    let output = Command::new("named-checkzone")
        .args(["-q", "-D", "-o", "-", ORIGIN])
        .arg(path)
        .current_dir(path.parent().unwrap())
        .env("PATH", SYSTEM_PATH)
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// Owner, TTL, type and data of every record, names in lower case.
fn records_of(path: &Path) -> BTreeSet<String> {
    let (zones, _, _) = load(|span| vec![zone_of_file(ORIGIN, path, span)]);
    let records = zones.zones.iter().flat_map(|zone| &zone.records);
    records
        .map(|record| {
            let mut data = record.rdata.clone();
            for name in dns::rdata::names(record.rtype, &record.rdata) {
                data[name.start..name.end].make_ascii_lowercase();
            }
            let data = dns::rdata::show(record.rtype, &data);
            let owner = record.owner.to_lower();
            format!("{owner} {} {} {data}", record.ttl, record.rtype)
        })
        .collect()
}

#[test]
fn records_are_those_that_bind_reads() {
    if refuses("named-checkzone", Path::new("/nonexistent/zone")).is_none() {
        eprintln!("skipped: named-checkzone is not installed");
        return;
    }
    let dump = std::env::temp_dir().join(format!("dump-{}.zone", std::process::id()));
    let mut failures = Vec::new();
    let mut compared = 0;
    for path in case_files() {
        let (_, diagnostics, _) = load(|span| vec![zone_of_file(ORIGIN, &path, span)]);
        let Some(theirs) = dumped_by_bind(&path).filter(|_| !is_refused(&diagnostics)) else {
            continue;
        };
        compared += 1;
        std::fs::write(&dump, theirs).unwrap();
        let (ours, theirs) = (records_of(&path), records_of(&dump));
        let differs = !notes(&path, "differs").is_empty();
        if (ours != theirs) != differs {
            let only_ours: Vec<_> = ours.difference(&theirs).collect();
            let only_theirs: Vec<_> = theirs.difference(&ours).collect();
            failures.push(format!(
                "{}: {only_ours:#?} {only_theirs:#?}",
                path.display()
            ));
        }
    }
    std::fs::remove_file(&dump).unwrap();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(compared > 40, "{compared}");
}
