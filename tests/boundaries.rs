//! Who may know whom: `conf` nobody, `healthcheck` conf, `lb` and `dns` conf and healthcheck but
//! never each other. Read off manifests and sources, so that a forbidden import cannot slip in.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::path::{Path, PathBuf};

/// Every crate of the workspace below the root, and whom it may know.
const MAY_KNOW: [(&str, &[&str]); 4] = [
    ("conf", &[]),
    ("healthcheck", &["conf"]),
    ("lb", &["conf", "healthcheck"]),
    ("dns", &["conf", "healthcheck"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn forbidden(crate_name: &str) -> Vec<&'static str> {
    let allowed = MAY_KNOW
        .iter()
        .find(|(name, _)| *name == crate_name)
        .map(|(_, known)| *known);
    let others = MAY_KNOW.iter().map(|(name, _)| *name);
    let stranger = |name: &&str| *name != crate_name && !allowed.unwrap_or_default().contains(name);
    others.chain(["pointsman"]).filter(stranger).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// True when `line` of Rust names the crate: `use dns::`, `dns::Name`, `extern crate dns`. A module
/// of that name, as in `crate::dns::`, `super::dns::` or `self::dns::`, is something else.
fn names_crate(line: &str, name: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let path = format!("{name}::");
    code.match_indices(&path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    }) || code.contains(&format!("extern crate {name}"))
        || code.contains(&format!("use {name};"))
}

#[test]
fn manifests_name_only_whom_the_crate_may_know() {
    for (name, _) in MAY_KNOW {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(section).and_then(|section| section.as_table()) else {
                continue;
            };
            for stranger in forbidden(name) {
                assert!(
                    !table.contains_key(stranger),
                    "{name}/Cargo.toml [{section}] names {stranger}"
                );
            }
        }
    }
}

#[test]
fn sources_name_only_whom_the_crate_may_know() {
    for (name, _) in MAY_KNOW {
        let mut files = Vec::new();
        sources(&root().join(name).join("src"), &mut files);
        assert!(!files.is_empty(), "{name} has no sources");
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            // A file with a module of that name means its module.
            let is_module = |name: &&str| text.contains(&format!("mod {name};"));
            let strangers: Vec<_> = forbidden(name)
                .into_iter()
                .filter(|n| !is_module(n))
                .collect();
            for (number, line) in text.lines().enumerate() {
                for stranger in &strangers {
                    let place = format!("{}:{}", file.display(), number + 1);
                    assert!(
                        !names_crate(line, stranger),
                        "{place} names {stranger}: {line}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_grep_tells_crates_from_modules() {
    for line in [
        "use dns::Name;",
        "    dns::load()",
        "fn f(x: &dns::Zone)",
        "(dns::X)",
        "use dns;",
    ] {
        assert!(names_crate(line, "dns"), "{line}");
    }
    for line in [
        "use crate::dns::Zone;",
        "super::dns::x",
        "mydns::x",
        "// dns::Name",
        "mod dns;",
    ] {
        assert!(!names_crate(line, "dns"), "{line}");
    }
}
