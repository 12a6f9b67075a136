//! `pointsman quick 8080=3001,3002`: balance HTTP without writing a file.
//!
//! Builds the file that would have been written and serves it from a temporary folder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

use super::outcome::{Failure, print};
use crate::run;
use crate::run::folder::TemporaryFolder;

/// What to balance.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Listener and its targets: ports on 127.0.0.1, or ip:port
    #[arg(value_name = "LISTEN=TARGET,…", required = true, value_parser = parse_mapping)]
    mappings: Vec<Mapping>,
    /// Answer DNS for this name with the first listener's address
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    dns: Option<String>,
    /// Port of the DNS server
    #[arg(long, value_name = "PORT", default_value_t = 5300, requires = "dns")]
    dns_port: u16,
    /// Port of the admin page, API and metrics
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// Print the configuration it serves and exit
    #[arg(long)]
    print_config: bool,
}

/// One listener and its targets.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mapping {
    listen: SocketAddr,
    targets: Vec<SocketAddr>,
}

/// Serves until a signal ends it.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let text = configuration(options);
    if options.print_config {
        return print(&text);
    }
    let folder = TemporaryFolder::make("quick")?;
    let file = folder.write("pointsman.toml", &text)?;
    run::logging::start();
    run::serve(&file)
}

fn configuration(options: &Options) -> String {
    let mut text = format!("[admin]\nbind = \"127.0.0.1:{}\"\n", options.admin_port);
    text.push_str("\n[logs]\naccess = \"off\"\n");
    for (index, mapping) in options.mappings.iter().enumerate() {
        let name = match index {
            0 => "quick".to_owned(),
            n => format!("quick-{}", n + 1),
        };
        let targets: Vec<String> = mapping.targets.iter().map(|t| format!("\"{t}\"")).collect();
        text.push_str(&format!(
            "\n[[listener]]\nname = \"{name}\"\nbind = \"{}\"\nprotocol = \"http\"\nforward = \"{name}\"\n\
             \n[[target-group]]\nname = \"{name}\"\nprotocol = \"http\"\ntargets = [{}]\n",
            mapping.listen,
            targets.join(", ")
        ));
    }
    if let Some(name) = &options.dns {
        text.push_str(&format!(
            "\n[dns]\nbind = \"127.0.0.1:{}\"\n\n[[zone]]\nname = \"{name}\"\n\
             \n[[zone.record]]\nname = \"@\"\ntype = [\"A\", \"AAAA\"]\nalias = {{ listener = \"quick\" }}\n",
            options.dns_port
        ));
    }
    text
}

/// Reads `LISTEN=TARGET,TARGET`.
fn parse_mapping(text: &str) -> Result<Mapping, String> {
    let example = "as in 8080=3001,3002";
    let (listen, targets) = text
        .split_once('=')
        .ok_or_else(|| format!("a listener and its targets, {example}"))?;
    let address = |text: &str| {
        parse_address(text.trim())
            .ok_or_else(|| format!("`{text}` is no port and no ip:port, {example}"))
    };
    let mut known = Vec::new();
    for target in targets.split(',') {
        let target = address(target)?;
        if target.port() == 0 {
            return Err("a target needs a port".to_owned());
        }
        if known.contains(&target) {
            return Err(format!("target {target} stands there twice"));
        }
        known.push(target);
    }
    Ok(Mapping {
        listen: address(listen)?,
        targets: known,
    })
}

/// A port on 127.0.0.1, or ip:port.
fn parse_address(text: &str) -> Option<SocketAddr> {
    match text.parse::<u16>() {
        Ok(port) => Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)),
        Err(_) => text.parse().ok(),
    }
}

/// A DNS name of letters, digits, `-`, `_` and dots: what needs no escape in the file.
fn parse_name(text: &str) -> Result<String, String> {
    let name = text.trim_end_matches('.');
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (1..=63).contains(&label.len()) && label.chars().all(plain)
    };
    if name.len() <= 253 && name.split('.').all(label) {
        Ok(name.to_owned())
    } else {
        Err("a DNS name, as in app.example.test".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_take_ports_and_addresses() {
        let mapping = parse_mapping("8080=3001, 10.0.0.1:80,[::1]:9").unwrap();
        assert_eq!(mapping.listen.to_string(), "127.0.0.1:8080");
        let targets: Vec<String> = mapping.targets.iter().map(ToString::to_string).collect();
        assert_eq!(targets, ["127.0.0.1:3001", "10.0.0.1:80", "[::1]:9"]);
        for bad in [
            "8080",
            "8080=",
            "8080=x",
            "=3001",
            "8080=0",
            "8080=70000",
            "80=1,1",
        ] {
            assert!(parse_mapping(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_would_need_escapes_are_refused() {
        assert_eq!(parse_name("app.test."), Ok("app.test".to_owned()));
        for bad in ["", ".", "a..b", "a\"b", "a b", "a\nb", &"a".repeat(64)] {
            assert!(parse_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_built_loads_without_a_problem() {
        let options = Options {
            mappings: vec![
                parse_mapping("8080=3001,3002").unwrap(),
                parse_mapping("0=1").unwrap(),
            ],
            dns: Some("app.test".to_owned()),
            dns_port: 5300,
            admin_port: 9901,
            print_config: false,
        };
        let loaded = conf::load_text("quick.toml".as_ref(), &configuration(&options));
        let report = conf::render_human(&loaded.diagnostics, &loaded.sources, false);
        assert!(loaded.diagnostics.is_empty(), "{report}");
        assert_eq!(loaded.config.listeners.len(), 2);
    }
}
