//! The demonstration's configuration file, commented for its readers.

use std::net::{Ipv4Addr, SocketAddr};

use super::Options;

/// Names and addresses of the sample services.
pub(super) const SERVICES: [(&str, Ipv4Addr); 3] = [
    ("one", Ipv4Addr::new(127, 0, 0, 11)),
    ("two", Ipv4Addr::new(127, 0, 0, 12)),
    ("three", Ipv4Addr::new(127, 0, 0, 13)),
];

/// Where the sample services serve.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// HTTP, in the order of [`SERVICES`].
    pub(super) http: Vec<SocketAddr>,
    /// TCP, in the order of [`SERVICES`].
    pub(super) tcp: Vec<SocketAddr>,
}

impl Layout {
    /// Where they shall serve, as far as the options say.
    pub(super) fn planned(options: &Options) -> Self {
        let on = |port| {
            let address = |&(_, ip): &(&str, Ipv4Addr)| SocketAddr::from((ip, port));
            SERVICES.iter().map(address).collect()
        };
        Self {
            http: on(options.target_port),
            tcp: on(tcp_port(options)),
        }
    }
}

/// The services' TCP port: the one after HTTP, or any when that is any.
pub(super) fn tcp_port(options: &Options) -> u16 {
    match options.target_port {
        0 => 0,
        port => port.saturating_add(1),
    }
}

/// The file.
pub(super) fn text(layout: &Layout, options: &Options) -> String {
    let list = |addresses: &[SocketAddr]| {
        let quoted: Vec<String> = addresses
            .iter()
            .map(|address| format!("\"{address}\""))
            .collect();
        quoted.join(", ")
    };
    let first = layout
        .http
        .first()
        .map_or_else(String::new, SocketAddr::to_string);
    TEMPLATE
        .replace("{http-port}", &options.http_port.to_string())
        .replace("{tcp-port}", &options.tcp_port.to_string())
        .replace("{dns-port}", &options.dns_port.to_string())
        .replace("{admin-port}", &options.admin_port.to_string())
        .replace("{http-targets}", &list(&layout.http))
        .replace("{tcp-targets}", &list(&layout.tcp))
        .replace("{first}", &first)
}

const TEMPLATE: &str = include_str!("demo.toml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_of_the_template_is_filled() {
        let options = Options {
            http_port: 1,
            tcp_port: 2,
            dns_port: 3,
            admin_port: 4,
            target_port: 5,
            print_config: true,
        };
        let text = text(&Layout::planned(&options), &options);
        assert!(text.contains("targets = [\"127.0.0.11:6\", \"127.0.0.12:6\", \"127.0.0.13:6\"]"));
        let left = text.split('{').skip(1).find(|rest| {
            let word = rest.split('}').next().unwrap_or_default();
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        });
        assert_eq!(left, None);
    }
}
