//! `pointsman import route53`: the AWS CLI's output as a configuration file, and a report.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::outcome::{Failure, print};
use crate::import::{self, Input, Map};

/// `pointsman import`.
#[derive(Debug, Subcommand)]
pub(super) enum ImportCommand {
    /// A hosted zone, from what the AWS CLI prints as JSON; nothing is asked of AWS
    Route53(Route53),
}

/// `pointsman import route53`.
#[derive(Debug, Args)]
pub(super) struct Route53 {
    /// `aws route53 list-resource-record-sets`
    #[arg(long, value_name = "FILE")]
    records: PathBuf,
    /// `aws route53 get-hosted-zone`: its name, and whether it is private
    #[arg(long, value_name = "FILE")]
    zone: Option<PathBuf>,
    /// The zone's name [default: that of --zone, else of the SOA record]
    #[arg(long)]
    name: Option<String>,
    /// The [[network]] whose clients get the zone; the others do not
    #[arg(long)]
    network: Option<String>,
    /// `aws route53 list-health-checks`
    #[arg(long, value_name = "FILE")]
    health_checks: Option<PathBuf>,
    /// A CIDR collection: `aws route53 list-cidr-blocks --collection-id ID`
    #[arg(long, value_name = "ID=FILE")]
    cidr: Vec<String>,
    /// `aws route53 get-traffic-policy`, for one instance of it or for all
    #[arg(long, value_name = "[INSTANCE=]FILE")]
    traffic_policy: Vec<String>,
    /// What stands for an alias to another thing: 'web-*.elb.amazonaws.com=listener:web', or
    /// target-group:NAME
    #[arg(long, value_name = "PATTERN=KIND:NAME")]
    map: Vec<String>,
    /// Where to write the configuration [default: standard output]
    #[arg(short = 'o', long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long)]
    force: bool,
    /// Fail, with exit code 1, when anything could not be taken over
    #[arg(long)]
    strict: bool,
}

/// Imports; the report goes to standard error.
pub(super) fn run(options: &Route53) -> Result<(), Failure> {
    let imported = import::route53(&input(options)?).map_err(Failure::Failed)?;
    match &options.output {
        None => print(&imported.text)?,
        Some(path) => write(path, &imported.text, options.force)?,
    }
    let mut report = String::new();
    for note in &imported.notes {
        report.push_str(&format!("note: {note}\n"));
    }
    for what in &imported.left_out {
        report.push_str(&format!("left out: {what}\n"));
    }
    let left_out = imported.left_out.len();
    report.push_str(&format!(
        "{} records taken over, {left_out} {} not\n",
        imported.records,
        if left_out == 1 { "thing" } else { "things" }
    ));
    if left_out > 0 {
        report.push_str("what was left out stands as a comment in the file, with the reason\n");
    }
    eprint(&report);
    match options.strict && left_out > 0 {
        true => Err(Failure::Failed(
            "not everything was taken over (--strict)".to_owned(),
        )),
        false => Ok(()),
    }
}

fn input(options: &Route53) -> Result<Input, Failure> {
    let optional = |path: &Option<PathBuf>| path.as_deref().map(read).transpose();
    let mut collections = Vec::new();
    for given in &options.cidr {
        let (id, path) = given
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--cidr {given}: write ID=FILE")))?;
        collections.push((id.to_owned(), read(Path::new(path))?));
    }
    let mut policies = Vec::new();
    for given in &options.traffic_policy {
        let (instance, path) = match given.split_once('=') {
            Some((instance, path)) => (Some(instance.to_owned()), path),
            None => (None, given.as_str()),
        };
        policies.push((instance, read(Path::new(path))?));
    }
    let maps = options.map.iter().map(|map| {
        let parsed = Map::parse(map);
        parsed.map_err(|help| Failure::Usage(format!("--map {map}: {help}")))
    });
    Ok(Input {
        records: read(&options.records)?,
        zone: optional(&options.zone)?,
        name: options.name.clone(),
        network: options.network.clone(),
        health_checks: optional(&options.health_checks)?,
        collections,
        policies,
        maps: maps.collect::<Result<_, _>>()?,
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| Failure::from_error(format!("cannot read {}", path.display()), &error))
}

fn write(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options
        .write(true)
        .create(true)
        .truncate(force)
        .create_new(!force)
        .open(path);
    let written = opened.and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Failed(format!("{} exists: --force writes over it", path.display()))
        }
        _ => Failure::from_error(format!("cannot write {}", path.display()), &error),
    })
}

fn eprint(text: &str) {
    // Nothing can be done about a closed stderr.
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}
