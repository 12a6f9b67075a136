//! The tree to the model: one file for each section, every reference resolved to an index.
//!
//! Called once by the loader. Never stops at a problem: a part that cannot be resolved is left out,
//! and references to it stay silent, because it was reported where it stands.

mod address;
mod algorithm;
mod alias;
mod anomaly;
mod audience;
mod beyond;
mod connection_id;
mod control;
mod cross_zone;
mod defaults;
mod directory;
mod dns;
mod dns_service;
mod forward;
mod group;
mod health;
mod hints;
mod latency;
mod limits;
mod lints;
mod listener;
mod local_names;
mod location;
mod measured;
mod passive;
mod private;
mod process;
mod proxy;
mod record;
mod region;
mod request_hash;
mod retries;
mod sets;
mod slow_start;
mod stickiness;
mod target;
mod termination;
mod transfer;
mod unix_target;

use crate::cross;
use crate::document::Table;
use crate::section::Section;
use crate::tree::{Reader, Scope};
use crate::{
    CheckIdx, CidrCollection, CollectionIdx, Config, ControlIdx, Diagnostic, GroupIdx, KeyIdx,
    Listener, ListenerIdx, Network, Profile, Region, RegionIdx,
};
use defaults::Numbers;
use directory::Directory;

/// What the resolvers of all sections share.
struct Names {
    groups: Directory<GroupIdx>,
    listeners: Directory<ListenerIdx>,
    checks: Directory<CheckIdx>,
    controls: Directory<ControlIdx>,
    collections: Directory<CollectionIdx>,
    keys: Directory<KeyIdx>,
    regions: Directory<RegionIdx>,
}

/// Named sets of client networks, resolved before the listeners that filter by them.
#[derive(Clone, Copy)]
struct Sources<'a> {
    networks: &'a [Network],
    collections: &'a [CidrCollection],
}

/// What records refer to, resolved before them.
#[derive(Clone, Copy)]
struct Definitions<'a> {
    listeners: &'a [Listener],
    collections: &'a [CidrCollection],
    networks: &'a [Network],
    regions: &'a [Region],
}

/// Resolves the merged tree.
pub(crate) fn resolve(root: &Table, scope: &Scope<'_>) -> Config {
    let mut reader = Reader::new(scope, root, Section::Root, "the file");
    let profiles = [("local", Profile::Local), ("aws", Profile::Aws)];
    let profile = reader
        .choice("defaults", &profiles)
        .value_or(Profile::Local);
    let numbers = Numbers::of(profile);
    let mut names = Names {
        groups: Directory::new("target group", "[[target-group]]"),
        listeners: Directory::new("listener", "[[listener]]"),
        checks: Directory::new("health check", "[[health-check]]"),
        controls: Directory::new("routing control", "[[routing-control]]"),
        collections: Directory::new("CIDR collection", "[[cidr-collection]]"),
        keys: Directory::new("TSIG key", "[[tsig-key]]"),
        regions: Directory::new("region", "[[region]]"),
    };
    let process = process::resolve(&mut reader, numbers);
    let target_groups = group::resolve(
        &mut reader,
        (profile, &process.runtime.availability_zone),
        numbers,
        &mut names.groups,
    );
    let routing_controls = control::controls(&mut reader, &mut names);
    let health_checks = health::standalone(&mut reader, profile, numbers, &mut names);
    let regions = region::resolve(&mut reader, &mut names);
    let networks = location::networks(&mut reader, &regions, &mut names);
    let cidr_collections = location::collections(&mut reader, profile, &mut names);
    let latencies = latency::resolve(&mut reader, &networks, &mut names);
    let sources = Sources {
        networks: &networks,
        collections: &cidr_collections,
    };
    let listeners = listener::resolve(&mut reader, numbers, &target_groups, sources, &mut names);
    let tsig_keys = transfer::keys(&mut reader, &mut names);
    let dns = dns::resolve(
        &mut reader,
        numbers,
        &mut names,
        Definitions {
            listeners: &listeners,
            collections: &cidr_collections,
            networks: &networks,
            regions: &regions,
        },
    );
    let serves = ["listener", "zone", "forward-rule"]
        .iter()
        .any(|key| reader.has(key));
    if !serves && dns.as_ref().is_none_or(|dns| !dns.wants_zones) {
        nothing_to_serve(&reader);
    }
    let safety_rules = control::rules(&mut reader, profile, &routing_controls, &mut names);
    reader.finish();
    names.report_unused(scope);
    let mut config = Config {
        profile,
        state_dir: process.state_dir,
        admin: process.admin,
        runtime: process.runtime,
        logs: process.logs,
        listeners,
        target_groups,
        health_checks,
        routing_controls,
        safety_rules,
        regions,
        networks,
        latencies,
        tsig_keys,
        cidr_collections,
        dns: dns.map(|dns| dns.model),
    };
    local_names::fill(&mut config);
    cross::check(&config, scope);
    unix_target::check_answers(&config, scope);
    config
}

impl Names {
    fn report_unused(&self, scope: &Scope<'_>) {
        self.groups.report_unused(
            "its targets would be probed, and get no traffic",
            "forward a listener to it, alias a record to it, or remove it",
            scope,
        );
        self.checks.report_unused(
            "it would be probed, and decide nothing",
            "name it as `health-check` of a set or among the `children` of a calculated one, or remove it",
            scope,
        );
        self.controls.report_unused(
            "nothing would follow when it is turned",
            "name it as `routing-control` of a health check or in a safety rule, or remove it",
            scope,
        );
        self.keys.report_unused(
            "no message would be signed or expected to be",
            "name it in `allow-transfer` or `notify` of a zone, or remove it",
            scope,
        );
        self.regions.report_unused(
            "nobody and nothing would be there",
            "name it as `region` of a set or of a network, or remove it",
            scope,
        );
        self.collections.report_unused(
            "no client would be told from others by it",
            "name it as `cidr-collection` of a record with policy `ip-based` or in a [[listener.filter]], or remove it",
            scope,
        );
    }
}

fn nothing_to_serve(root: &Reader<'_>) {
    root.scope().report(
        Diagnostic::error(
            "nothing-to-serve",
            root.span(),
            "there is no listener and no zone",
        )
        .consequence("the process would start and serve nothing")
        .help(
            "add a [[listener]] with `name`, `bind`, `protocol` and `forward` and the [[target-group]] it forwards to, or a [[zone]]; `pointsman init` writes an example",
        ),
    );
}
