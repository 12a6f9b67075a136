//! One record set of Route 53 as an entry of `sets`, or as the data of a simple record.

use conf::{Continent, Country, Region, Subdivision};

use super::export::{AliasTarget, GeoLocation, GeoProximity, RecordSet};
use super::text::{list, quoted, word};
use super::{Context, check, name};

/// The data of a set: `values = […]` or `alias = {…}`.
pub(super) fn data(set: &RecordSet, context: &Context<'_>) -> Result<String, String> {
    match (&set.resource_records, &set.alias_target) {
        (_, Some(alias)) => target(alias, &set.rtype, context),
        (Some(records), None) if !records.is_empty() => {
            let values: Vec<String> = records
                .iter()
                .map(|record| name::value(&set.rtype, &record.value))
                .collect();
            Ok(format!(
                "values = {}",
                list(values.iter().map(String::as_str))
            ))
        }
        _ => Err("it has neither values nor an alias".to_owned()),
    }
}

fn target(alias: &AliasTarget, rtype: &str, context: &Context<'_>) -> Result<String, String> {
    let absolute = name::absolute(&alias.dns_name);
    let flag = match alias.evaluate_target_health {
        true => "",
        false => ", evaluate-target-health = false",
    };
    if let Some(mapped) = context.maps.iter().find_map(|map| map.target(&absolute)) {
        return Ok(format!("alias = {{ {mapped}{flag} }}"));
    }
    let served = context
        .served
        .contains(&(absolute.clone(), rtype.to_owned()));
    match name::relative(&absolute, context.zone) {
        Some(relative) if served => Ok(format!(
            "alias = {{ record = {}{flag} }}",
            quoted(&relative)
        )),
        Some(_) => Err(format!(
            "its alias leads to {absolute} {rtype}, which was left out or does not exist"
        )),
        None => Err(format!(
            "its alias leads to {absolute}: say what stands for it here, as in --map '{absolute}=listener:NAME'"
        )),
    }
}

/// The keys of a set under its policy.
pub(super) fn entry(
    set: &RecordSet,
    policy: &str,
    context: &Context<'_>,
) -> Result<String, String> {
    let mut keys = vec![format!(
        "id = {}",
        quoted(set.set_identifier.as_deref().unwrap_or(""))
    )];
    match policy {
        "weighted" => keys.push(format!("weight = {}", set.weight.unwrap_or(1))),
        "failover" => {
            let role = set.failover.as_deref().unwrap_or("").to_ascii_lowercase();
            keys.push(format!("failover = {}", quoted(&role)));
        }
        "geolocation" => {
            let place = set.geo_location.clone().unwrap_or_default();
            keys.push(format!("location = {}", location(&place)?));
        }
        "latency" => keys.push(format!(
            "region = {}",
            quoted(region(set.region.as_deref())?)
        )),
        "geoproximity" => {
            let place = set.geo_proximity_location.clone().unwrap_or_default();
            keys.extend(proximity(&place)?);
        }
        "ip-based" => {
            let at = set.cidr_routing_config.as_ref();
            let at = at.map_or("", |at| at.location_name.as_str());
            keys.push(format!("cidr-location = {}", quoted(at)));
        }
        _ => {}
    }
    keys.push(data(set, context)?);
    if let Some(id) = &set.health_check_id {
        keys.push(format!("health-check = {}", check::name(&word(id))));
    }
    Ok(format!("{{ {} }}", keys.join(", ")))
}

fn location(place: &GeoLocation) -> Result<String, String> {
    if let Some(code) = &place.continent_code {
        Continent::parse(code).ok_or_else(|| format!("continent {code} is not known"))?;
        return Ok(format!("{{ continent = {} }}", quoted(code)));
    }
    match (
        place.country_code.as_deref(),
        place.subdivision_code.as_deref(),
    ) {
        (Some("*"), _) => Ok("\"default\"".to_owned()),
        (Some(code), state) => {
            let country =
                Country::parse(code).ok_or_else(|| format!("country {code} is not known"))?;
            let Some(state) = state else {
                return Ok(format!("{{ country = {} }}", quoted(code)));
            };
            if !country.has_subdivisions() || Subdivision::parse(state).is_none() {
                return Err(format!(
                    "clients of {code}-{state} cannot be told from others: only the states of the USA can"
                ));
            }
            Ok(format!(
                "{{ country = {}, subdivision = {} }}",
                quoted(code),
                quoted(state)
            ))
        }
        (None, _) => Err("its location is empty".to_owned()),
    }
}

fn region(code: Option<&str>) -> Result<&str, String> {
    let code = code.unwrap_or("");
    let known = Region::aws().iter().any(|region| region.name == code);
    match known {
        true => Ok(code),
        false => Err(format!(
            "region `{code}` is not known: define it with [[region]]"
        )),
    }
}

fn proximity(place: &GeoProximity) -> Result<Vec<String>, String> {
    let mut keys = Vec::new();
    match (
        &place.aws_region,
        &place.coordinates,
        &place.local_zone_group,
    ) {
        (Some(code), _, _) => keys.push(format!("region = {}", quoted(region(Some(code))?))),
        (None, Some(at), _) => {
            let degrees = |text: &str| {
                text.trim()
                    .parse::<f64>()
                    .map_err(|_| format!("`{text}` is no degree"))
            };
            let (north, east) = (degrees(&at.latitude)?, degrees(&at.longitude)?);
            keys.push(format!("coordinates = [{north:?}, {east:?}]"));
        }
        (None, None, Some(group)) => {
            return Err(format!(
                "Local Zone group {group} is not known: give coordinates instead"
            ));
        }
        (None, None, None) => return Err("it says nothing of where it is".to_owned()),
    }
    if let Some(bias) = place.bias.filter(|bias| *bias != 0) {
        keys.push(format!("bias = {bias}"));
    }
    Ok(keys)
}
