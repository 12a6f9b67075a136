//! `pointsman check`: every problem of a configuration and its zone files in one go.
//!
//! Serves nothing, binds nothing. What it accepts, `run` and reload accept, save for addresses
//! that another program holds.

use std::io::IsTerminal;
use std::path::PathBuf;

use conf::Severity;
use serde_json::json;

use super::outcome::{Failure, print, print_json};
use super::serve::locate;

/// Checks a file.
pub(super) fn run(file: Option<PathBuf>, as_json: bool) -> Result<(), Failure> {
    let path = locate(file)?;
    let mut loaded = conf::load(&path);
    let (_, zone_problems) = dns::load_zones(&loaded.config, &mut loaded.sources);
    loaded.diagnostics.extend(zone_problems);
    loaded.add(crate::registration::file_problems(&loaded.config));
    let errors = count(&loaded.diagnostics, Severity::Error);
    let warnings = count(&loaded.diagnostics, Severity::Warning);
    if as_json {
        print_json(&json!({
            "file": path,
            "ok": errors == 0,
            "errors": errors,
            "warnings": warnings,
            "diagnostics": conf::render_json(&loaded.diagnostics, &loaded.sources),
        }))?;
    } else {
        let color = std::io::stdout().is_terminal();
        let mut text = conf::render_human(&loaded.diagnostics, &loaded.sources, color);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&verdict(&path, &loaded.config, errors, warnings));
        print(&text)?;
    }
    if errors == 0 {
        Ok(())
    } else {
        Err(Failure::ConfigReported)
    }
}

fn count(diagnostics: &[conf::Diagnostic], severity: Severity) -> usize {
    diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == severity)
        .count()
}

fn verdict(
    path: &std::path::Path,
    config: &conf::Config,
    errors: usize,
    warnings: usize,
) -> String {
    let path = path.display();
    if errors > 0 {
        return format!("{path} cannot be served; a running process would keep what it has\n");
    }
    let zones = config.dns.as_ref().map_or(0, |dns| dns.zones.len());
    let after = match warnings {
        0 => String::new(),
        n => format!(" ({})", plural(n, "warning")),
    };
    format!(
        "{path}: fine{after}: {}, {}, {}\n",
        plural(config.listeners.len(), "listener"),
        plural(config.target_groups.len(), "target group"),
        plural(zones, "zone"),
    )
}

fn plural(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}
