//! Route 53 taken over: what the AWS CLI prints as a configuration file.
//!
//! Called by `pointsman import route53`. Reads texts and writes one; opens no file and asks nobody.
//! Nothing is dropped in silence: what cannot be taken over is a comment in the file, with the
//! reason, and a line of the report.

mod check;
mod export;
mod name;
mod policy;
mod record;
mod set;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use export::{CidrBlock, HealthCheck, HostedZone, RecordSet};
use record::Groups;
use text::{comment, list, quoted, word};

/// The texts of the AWS CLI's output.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// `list-resource-record-sets`.
    pub(crate) records: String,
    /// `get-hosted-zone`.
    pub(crate) zone: Option<String>,
    /// The zone's name, where that is not there.
    pub(crate) name: Option<String>,
    /// The network that a private zone is for.
    pub(crate) network: Option<String>,
    /// `list-health-checks`.
    pub(crate) health_checks: Option<String>,
    /// `list-cidr-blocks`, by the collection's id.
    pub(crate) collections: Vec<(String, String)>,
    /// `get-traffic-policy`, by the instance's id; `None` for all instances.
    pub(crate) policies: Vec<(Option<String>, String)>,
    /// What stands for aliases to other things.
    pub(crate) maps: Vec<Map>,
}

/// `PATTERN=listener:NAME`: aliases to such names lead to a listener or target group.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pattern: String,
    target: String,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Imported {
    /// The configuration file.
    pub(crate) text: String,
    /// What was not taken over, and why.
    pub(crate) left_out: Vec<String>,
    /// What was taken over in another form.
    pub(crate) notes: Vec<String>,
    /// Records taken over.
    pub(crate) records: usize,
}

/// Remarks made on the way.
#[derive(Debug, Default)]
struct Notes {
    left_out: Vec<String>,
    notes: Vec<String>,
}

impl Notes {
    fn left_out(&mut self, what: String) {
        self.left_out.push(what);
    }

    fn note(&mut self, what: String) {
        self.notes.push(what);
    }
}

/// What one record needs to know of the others.
struct Context<'c> {
    /// The zone's name, absolute, without the final dot.
    zone: &'c str,
    maps: &'c [Map],
    /// Ids of the CIDR collections there are.
    collections: &'c BTreeSet<String>,
    /// Records that are taken over, by name and type.
    served: BTreeSet<(String, String)>,
}

impl Map {
    /// Reads one: `*` in the pattern stands for anything.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let help = "write PATTERN=listener:NAME or PATTERN=target-group:NAME";
        let (pattern, target) = text.split_once('=').ok_or(help)?;
        let (kind, name) = target.split_once(':').ok_or(help)?;
        if !matches!(kind, "listener" | "target-group") || name.is_empty() || pattern.is_empty() {
            return Err(help.to_owned());
        }
        Ok(Self {
            pattern: pattern.trim_end_matches('.').to_ascii_lowercase(),
            target: format!("{kind} = {}", quoted(name)),
        })
    }

    /// What stands for a name, if the pattern is for it.
    fn target(&self, name: &str) -> Option<&str> {
        // AWS's names for both families begin with `dualstack.`, which people leave out.
        let bare = name.strip_prefix("dualstack.").unwrap_or(name);
        let fits = matches(&self.pattern, name) || matches(&self.pattern, bare);
        fits.then_some(self.target.as_str())
    }
}

/// True when `*` in the pattern can stand for what the name has there.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    true
}

/// Takes a zone over.
///
/// # Errors
/// When one of the texts cannot be read at all.
pub(crate) fn route53(input: &Input) -> Result<Imported, String> {
    let mut notes = Notes::default();
    let sets = export::list(&input.records, "ResourceRecordSets");
    let sets: Vec<RecordSet> = sets.map_err(|why| format!("the records cannot be read: {why}"))?;
    let checks = input.health_checks.as_deref();
    let checks = checks.map(|text| export::list::<HealthCheck>(text, "HealthChecks"));
    let checks = checks.transpose();
    let checks = checks.map_err(|why| format!("the health checks cannot be read: {why}"))?;
    let zone = zone(input, &sets, &mut notes)?;
    let (groups, policies) = groups(input, sets, &zone, &mut notes)?;
    let (collections, ids) = collections(input)?;
    let mut context = Context {
        zone: &zone,
        maps: &input.maps,
        collections: &ids,
        served: BTreeSet::new(),
    };
    context.served = record::served(&groups, &context);
    let mut records = String::new();
    let mut named = BTreeSet::new();
    let mut count = 0;
    for (key, sets) in &groups {
        match record::record(key, sets, &context, &mut notes) {
            Ok(text) => {
                count += 1;
                named.extend(sets.iter().filter_map(|set| set.health_check_id.clone()));
                records.push_str(&text);
            }
            Err(why) => {
                let title = format!("{} {}", key.0, key.1);
                records.push_str(&left_out(&title, &why, sets));
                notes.left_out(match why.starts_with(&title) {
                    true => why,
                    false => format!("{title}: {why}"),
                });
            }
        }
    }
    let checks = check::write(&checks.unwrap_or_default(), &named, &mut notes);
    let network = input.network.as_deref();
    let networks = network.map_or(String::new(), |name| {
        format!("networks = {}\n", list([name]))
    });
    let head = "# Taken over from Route 53 by `pointsman import route53`. Lines that begin with # in the middle of it\n# say what could not be.\n";
    let text = format!(
        "{head}{checks}{collections}\n[[zone]]\nname = {}\n{networks}{records}{policies}",
        quoted(&zone)
    );
    Ok(Imported {
        text,
        left_out: notes.left_out,
        notes: notes.notes,
        records: count,
    })
}

fn left_out(title: &str, why: &str, sets: &[RecordSet]) -> String {
    let json = serde_json::to_string_pretty(sets).unwrap_or_default();
    format!(
        "\n{}",
        comment(&format!("{title} was left out: {why}\n{json}"), "")
    )
}

/// The zone's name.
fn zone(input: &Input, sets: &[RecordSet], notes: &mut Notes) -> Result<String, String> {
    let hosted = input.zone.as_deref().map(|text| {
        let value = export::object(text, "HostedZone")?;
        serde_json::from_value::<HostedZone>(value).map_err(|error| error.to_string())
    });
    let hosted = hosted.transpose();
    let hosted = hosted.map_err(|why| format!("the hosted zone cannot be read: {why}"))?;
    if hosted.as_ref().is_some_and(|zone| zone.config.private_zone) && input.network.is_none() {
        notes.left_out(
            "the zone is private, and would be answered to everybody: say to whom by --network NAME".to_owned(),
        );
    }
    let soa = sets.iter().find(|set| set.rtype == "SOA");
    let name = input.name.as_deref();
    let name = name.or(hosted.as_ref().map(|zone| zone.name.as_str()));
    let name = name.or(soa.map(|set| set.name.as_str()));
    let name = name.ok_or("the zone's name is not known: give --zone FILE or --name NAME")?;
    Ok(name::absolute(name))
}

/// The records to be taken over, and comments on policy records that are not.
fn groups(
    input: &Input,
    sets: Vec<RecordSet>,
    zone: &str,
    notes: &mut Notes,
) -> Result<(Groups, String), String> {
    let mut documents = BTreeMap::new();
    for (instance, text) in &input.policies {
        let read =
            policy::read(text).map_err(|why| format!("a traffic policy cannot be read: {why}"))?;
        documents.insert(instance.clone(), read);
    }
    let mut all = Vec::new();
    let mut comments = String::new();
    for set in sets {
        let at_apex = name::absolute(&set.name) == zone;
        if at_apex && matches!(set.rtype.as_str(), "SOA" | "NS") {
            notes.note(format!(
                "{zone} {} is Route 53's own: Pointsman makes its own",
                set.rtype
            ));
            continue;
        }
        let Some(instance) = &set.traffic_policy_instance_id else {
            all.push(set);
            continue;
        };
        let document = documents
            .get(&Some(instance.clone()))
            .or(documents.get(&None));
        let expanded = match document {
            Some(document) => policy::expand(document, &set),
            None => Err(format!(
                "its traffic policy is missing: --traffic-policy {instance}=FILE"
            )),
        };
        match expanded {
            Ok(sets) => all.extend(sets),
            Err(why) => {
                let title = format!("{} {}", name::absolute(&set.name), set.rtype);
                comments.push_str(&left_out(&title, &why, std::slice::from_ref(&set)));
                notes.left_out(format!("{title}: {why}"));
            }
        }
    }
    Ok((record::group(all), comments))
}

/// CIDR collections as text, and their ids.
fn collections(input: &Input) -> Result<(String, BTreeSet<String>), String> {
    let mut text = String::new();
    let mut ids = BTreeSet::new();
    for (id, blocks) in &input.collections {
        let blocks = export::list::<CidrBlock>(blocks, "CidrBlocks");
        let blocks = blocks.map_err(|why| format!("CIDR collection {id} cannot be read: {why}"))?;
        let mut locations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for block in blocks {
            locations
                .entry(block.location_name)
                .or_default()
                .push(block.cidr_block);
        }
        ids.insert(id.clone());
        text.push_str(&format!(
            "\n[[cidr-collection]]\nname = {}\nlocations = [\n",
            quoted(&word(id))
        ));
        for (name, cidrs) in &locations {
            let cidrs = list(cidrs.iter().map(String::as_str));
            text.push_str(&format!(
                "  {{ name = {}, cidrs = {cidrs} }},\n",
                quoted(name)
            ));
        }
        text.push_str("]\n");
    }
    Ok((text, ids))
}

#[cfg(test)]
mod tests;
