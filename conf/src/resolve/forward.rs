//! `[[forward-rule]]`: names that other servers are asked about, and for whom.

use std::collections::HashMap;

use ipnet::IpNet;

use super::dns::{bad_zone_name, is_zone_name};
use super::{Names, private, record, transfer};
use crate::section::Section;
use crate::tree::Reader;
use crate::{Diagnostic, ForwardRule, Network, Span};

/// Resolves every rule, in the order of the files.
pub(super) fn rules(
    root: &mut Reader<'_>,
    networks: &[Network],
    names: &mut Names,
) -> Vec<ForwardRule> {
    let mut rules: Vec<ForwardRule> = Vec::new();
    let mut ids: HashMap<String, Span> = HashMap::new();
    for table in root.tables("forward-rule") {
        let mut reader = Reader::new(root.scope(), table, Section::ForwardRule, "this rule");
        let Some(rule) = rule(&mut reader, networks, names) else {
            reader.finish();
            continue;
        };
        let span = reader.span();
        if let Some(&first) = ids.get(&rule.name) {
            let message = format!("there are two forward rules called `{}`", rule.name);
            reader.scope().report(
                Diagnostic::error("duplicate-name", span, message)
                    .consequence("metrics could not tell them apart")
                    .help("give one of them another `name`")
                    .related(first, "first defined here"),
            );
        }
        ids.entry(rule.name.clone()).or_insert(span);
        let same = rules.iter().any(|other| {
            let shared = |net: &IpNet| other.networks.contains(net);
            other.domain == rule.domain && rule.networks.iter().any(shared)
        });
        if same {
            let message = format!(
                "two forward rules send `{}` elsewhere for one network",
                rule.domain
            );
            reader.bad_value(
                span,
                message,
                "put their servers into one rule, or give them different `networks`",
            );
        }
        reader.finish();
        rules.push(rule);
    }
    rules
}

fn rule(reader: &mut Reader<'_>, networks: &[Network], names: &mut Names) -> Option<ForwardRule> {
    reader.missing(
        "domain",
        "nothing would be forwarded",
        "add `domain = \"corp.example\"`, or \".\" for everything",
    );
    reader.missing(
        "servers",
        "there would be nobody to ask",
        "add `servers = [\"192.0.2.1\"]`",
    );
    reader.missing(
        "networks",
        "a server that answers everybody for other names is an open resolver",
        "add `networks = [\"10.0.0.0/8\"]`: who may use it",
    );
    let domain = reader.text("domain");
    let name = reader.text("name");
    if let Some(title) = name.as_ref().or(domain.as_ref()) {
        reader.rename(format!("forward rule `{}`", title.value));
    }
    for (key, help) in [
        ("servers", "name who is asked"),
        ("networks", "name who may use it"),
    ] {
        if let Some(span) = reader.key_span(key)
            && reader.is_empty_or_absent(key)
        {
            let message = format!("`{key}` of {} is empty", reader.title());
            reader.bad_value(span, message, help);
        }
    }
    let servers = transfer::peers(reader, "servers", names);
    let networks = private::networks(reader, "networks", networks);
    let domain = domain?;
    if !is_zone_name(domain.value) {
        reader
            .scope()
            .report(bad_zone_name(domain.value, domain.span));
        return None;
    }
    if let Some(keyed) = servers.iter().find(|server| server.key.is_some()) {
        let message = format!("questions to {} cannot be signed", keyed.address);
        let span = reader.key_span("servers").unwrap_or(reader.span());
        reader.bad_value(span, message, "remove `key`");
    }
    if servers.is_empty() || networks.is_empty() {
        return None;
    }
    Some(ForwardRule {
        name: name.unwrap_or(domain).value.to_owned(),
        domain: record::plain(domain.value),
        servers: servers.into_iter().map(|server| server.address).collect(),
        networks,
    })
}
