//! Record sets of one name and type as one `[[zone.record]]`, under the policy that all of them have.

use std::collections::{BTreeMap, BTreeSet};

use super::export::RecordSet;
use super::text::{comment, quoted};
use super::{Context, Notes, name, set};

/// Every record's sets, by absolute name and type, in the order of the export.
pub(super) type Groups = BTreeMap<(String, String), Vec<RecordSet>>;

/// Groups of record sets.
pub(super) fn group(sets: Vec<RecordSet>) -> Groups {
    let mut groups = Groups::new();
    for set in sets {
        let key = (name::absolute(&set.name), set.rtype.to_ascii_uppercase());
        groups.entry(key).or_default().push(set);
    }
    groups
}

/// The records that can be served: aliases to what cannot be are none either.
pub(super) fn served(groups: &Groups, context: &Context<'_>) -> BTreeSet<(String, String)> {
    let mut served: BTreeSet<_> = groups.keys().cloned().collect();
    loop {
        let context = Context {
            served: served.clone(),
            ..*context
        };
        let good = |key: &&(String, String)| {
            let sets = groups.get(*key).map_or(&[][..], Vec::as_slice);
            record(key, sets, &context, &mut Notes::default()).is_ok()
        };
        let next: BTreeSet<_> = served.iter().filter(good).cloned().collect();
        if next == served {
            return served;
        }
        served = next;
    }
}

/// One record, or why there is none.
pub(super) fn record(
    (owner, rtype): &(String, String),
    sets: &[RecordSet],
    context: &Context<'_>,
    notes: &mut Notes,
) -> Result<String, String> {
    let relative = name::relative(owner, context.zone);
    let relative = relative.ok_or_else(|| format!("{owner} is not in the zone"))?;
    let head = format!(
        "\n[[zone.record]]\nname = {}\ntype = {}\n",
        quoted(&relative),
        quoted(rtype)
    );
    let policy = policy(sets)?;
    let title = format!("{owner} {rtype}");
    if policy == "simple" {
        let [only] = sets else {
            return Err("it is there twice".to_owned());
        };
        return Ok(format!(
            "{head}{}{}\n",
            ttl(sets, &title, notes),
            set::data(only, context)?
        ));
    }
    let mut entries = Vec::new();
    let mut refused = Vec::new();
    for each in sets {
        match set::entry(each, policy, context) {
            Ok(entry) => entries.push(format!("  {entry},\n")),
            Err(why) => {
                let json = serde_json::to_string(each).unwrap_or_default();
                let id = each.set_identifier.as_deref().unwrap_or("");
                entries.push(comment(&format!("left out: {why}\n{json}"), "  "));
                refused.push(format!("{title}, set `{id}`: {why}"));
            }
        }
    }
    if refused.len() == sets.len() || (policy == "failover" && !refused.is_empty()) {
        return Err(refused.join("; "));
    }
    for why in refused {
        notes.left_out(why);
    }
    let mut head = head;
    // A failover record of one set always answers with it, as a weighted one of one set does.
    if let (true, [only]) = (policy == "failover", sets) {
        notes.note(format!(
            "{title} has a {} set only: it became weighted",
            only.failover.as_deref().unwrap_or("")
        ));
        let weighted = RecordSet {
            weight: Some(1),
            ..only.clone()
        };
        entries = vec![format!(
            "  {},\n",
            set::entry(&weighted, "weighted", context)?
        )];
        head.push_str("policy = \"weighted\"\n");
    } else {
        head.push_str(&format!("policy = \"{policy}\"\n"));
    }
    if policy == "ip-based" {
        head.push_str(&format!(
            "cidr-collection = {}\n",
            quoted(&collection(sets, context)?)
        ));
    }
    Ok(format!(
        "{head}{}sets = [\n{}]\n",
        ttl(sets, &title, notes),
        entries.concat()
    ))
}

/// The policy that all of the sets have.
fn policy(sets: &[RecordSet]) -> Result<&'static str, String> {
    let of = |set: &RecordSet| match set {
        RecordSet {
            weight: Some(_), ..
        } => "weighted",
        RecordSet {
            region: Some(_), ..
        } => "latency",
        RecordSet {
            geo_location: Some(_),
            ..
        } => "geolocation",
        RecordSet {
            failover: Some(_), ..
        } => "failover",
        RecordSet {
            multi_value_answer: Some(true),
            ..
        } => "multivalue",
        RecordSet {
            cidr_routing_config: Some(_),
            ..
        } => "ip-based",
        RecordSet {
            geo_proximity_location: Some(_),
            ..
        } => "geoproximity",
        _ => "simple",
    };
    let policy = sets.first().map_or("simple", of);
    match sets.iter().all(|set| of(set) == policy) {
        true => Ok(policy),
        false => Err("its sets are of different policies".to_owned()),
    }
}

/// Sets have TTLs of their own in Route 53, records have one here: the least.
fn ttl(sets: &[RecordSet], title: &str, notes: &mut Notes) -> String {
    let ttls: BTreeSet<u32> = sets.iter().filter_map(|set| set.ttl).collect();
    if ttls.len() > 1 {
        notes.note(format!(
            "{title}: its sets have different TTLs; the least is taken"
        ));
    }
    // Aliases have none.
    ttls.first()
        .map_or(String::new(), |ttl| format!("ttl = {ttl}\n"))
}

fn collection(sets: &[RecordSet], context: &Context<'_>) -> Result<String, String> {
    let ids: BTreeSet<&str> = sets
        .iter()
        .filter_map(|set| set.cidr_routing_config.as_ref())
        .map(|config| config.collection_id.as_str())
        .collect();
    let mut ids = ids.into_iter();
    match (ids.next(), ids.next()) {
        (Some(id), None) if context.collections.contains(id) => Ok(super::text::word(id)),
        (Some(id), None) => Err(format!("its CIDR collection is missing: --cidr {id}=FILE")),
        _ => Err("its sets name different CIDR collections".to_owned()),
    }
}
