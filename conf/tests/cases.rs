//! Golden cases: configurations with mistakes, and what the tool says of them.
//!
//! Each `cases/NAME.toml`, and each folder `cases/NAME/` with a `main.toml`, is loaded and its
//! diagnostics compared with `cases/NAME.expected`. After a change of wording run
//! `CONF_CASES=write cargo test -p conf --test cases` and read the difference before committing it.
#![expect(
    clippy::unwrap_used,
    reason = "a case that cannot be read is a failed test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use conf::{Diagnostic, Severity, load, render_human, render_json};

const CASES: &str = "tests/cases";

/// A case: where its expectation stands, and the file to load.
struct Case {
    expected: PathBuf,
    file: PathBuf,
}

fn cases() -> Vec<Case> {
    let mut found: Vec<Case> = fs::read_dir(CASES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir() || path.extension().is_some_and(|e| e == "toml"))
        .map(|path| Case {
            expected: path.with_extension("expected"),
            file: if path.is_dir() {
                path.join("main.toml")
            } else {
                path
            },
        })
        .collect();
    found.sort_by(|a, b| a.file.cmp(&b.file));
    found
}

#[test]
fn every_case_says_what_is_expected() {
    let write = std::env::var_os("CONF_CASES").is_some_and(|value| value == "write");
    let cases = cases();
    assert!(cases.len() >= 90, "only {} cases", cases.len());
    let mut failures = String::new();
    for case in &cases {
        let loaded = load(&case.file);
        let said = render_human(&loaded.diagnostics, &loaded.sources, false);
        if write {
            fs::write(&case.expected, &said).unwrap();
        }
        let expected = fs::read_to_string(&case.expected).unwrap_or_default();
        if said != expected {
            failures += &format!(
                "{}:\n{}\n",
                case.file.display(),
                difference(&expected, &said)
            );
        }
    }
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn every_problem_says_what_follows_and_how_to_mend_it() {
    for case in cases() {
        let loaded = load(&case.file);
        assert!(
            !loaded.diagnostics.is_empty(),
            "{} has no problem",
            case.file.display()
        );
        for problem in &loaded.diagnostics {
            let whole = problem.consequence.is_some() && problem.help.is_some();
            assert!(whole, "{}: {problem:?}", case.file.display());
            assert!(
                !problem.message.ends_with('.'),
                "{}: {problem:?}",
                case.file.display()
            );
        }
        assert_ordered(&loaded.diagnostics, &case.file);
        let json = render_json(&loaded.diagnostics, &loaded.sources);
        assert_eq!(json.as_array().unwrap().len(), loaded.diagnostics.len());
        let errors = loaded
            .diagnostics
            .iter()
            .any(|d| d.severity == Severity::Error);
        assert_eq!(loaded.has_errors(), errors);
    }
}

fn assert_ordered(diagnostics: &[Diagnostic], file: &Path) {
    let places: Vec<_> = diagnostics
        .iter()
        .map(|d| d.span.map(|s| (s.file, s.start)))
        .collect();
    assert!(places.is_sorted(), "{} is out of order", file.display());
}

/// Every code in the sources has a case, so that its wording has been read by somebody.
#[test]
fn every_code_has_a_case() {
    let seen: BTreeSet<String> = cases()
        .iter()
        .flat_map(|case| load(&case.file).diagnostics)
        .map(|problem| problem.code.to_owned())
        .collect();
    let mut written = BTreeSet::new();
    codes_in(Path::new("src"), &mut written);
    let uncovered: Vec<_> = written.difference(&seen).collect();
    assert!(uncovered.is_empty(), "without a case: {uncovered:?}");
    assert!(
        written.len() > 40,
        "the search for codes is broken: {written:?}"
    );
}

fn codes_in(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, codes);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        // What tests make up does not count; they stand last in a file.
        let text = text.split("#[cfg(test)]").next().unwrap();
        for maker in ["Diagnostic::error(", "Diagnostic::warning("] {
            for after in text.split(maker).skip(1) {
                let quoted = after.trim_start().strip_prefix('"');
                if let Some((code, _)) = quoted.and_then(|rest| rest.split_once('"')) {
                    codes.insert(code.to_owned());
                }
            }
        }
    }
}

/// The lines that differ, with those around them: `-` expected, `+` said.
fn difference(expected: &str, said: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), said.lines().collect());
    // Longest common subsequence; the texts are short.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            out += &format!("  {}\n", old[i]);
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            out += &format!("- {}\n", old[i]);
            i += 1;
        } else {
            out += &format!("+ {}\n", new[j]);
            j += 1;
        }
    }
    out
}
