//! Tables of expected answers, as text: what `pointsman test` runs and this crate's own tests are
//! written in. `docs/dns-answers.md` describes the format.
//!
//! Every answer is made by the servers' own code. Says what is wrong with a table by line; never
//! panics on one.

mod expect;
mod shares;

use std::net::{IpAddr, Ipv4Addr};

use conf::RecordType;
use ipnet::IpNet;

use crate::explain::{Ask, Asker, Explainer};
use crate::name::Name;
use crate::offline::Offline;

/// Where queries come from unless the table says.
const SENDER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A configuration that a table names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource<'t> {
    /// A file, as written.
    File(&'t str),
    /// The text itself.
    Text(&'t str),
}

/// What came of a table.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Expectations that were checked.
    pub checked: usize,
    /// Those that were not met, and lines that cannot be read.
    pub failures: Vec<Failure>,
}

/// One thing that is not as the table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Line of the table, from 1.
    pub line: usize,
    /// The question, if one was asked.
    pub question: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// Runs a table. `open` makes a configuration ready, or says why it cannot be; `fallback` is used
/// until the table names one.
pub fn run(
    table: &str,
    fallback: Option<Offline>,
    open: &dyn Fn(ConfigSource<'_>) -> Result<Offline, String>,
) -> Outcome {
    let mut run = Run {
        offline: fallback,
        withdrawn: false,
        from: Asker::Sender(SENDER),
        draws: expect::DRAWS,
        question: None,
        explainer: None,
        outcome: Outcome::default(),
    };
    let mut lines = table.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line_number = index + 1;
        let line = line.trim_end();
        let said = if line == "config" {
            let mut text = String::new();
            let mut ended = false;
            for (_, line) in lines.by_ref() {
                if line.trim_end() == "end" {
                    ended = true;
                    break;
                }
                text.push_str(line);
                text.push('\n');
            }
            match ended {
                true => run.open(open(ConfigSource::Text(&text))),
                false => Err("`config` has no `end`".to_owned()),
            }
        } else if let Some(path) = line.strip_prefix("config ") {
            run.open(open(ConfigSource::File(path.trim())))
        } else {
            run.line(line)
        };
        if let Err(message) = said {
            run.outcome.failures.push(Failure {
                line: line_number,
                question: run.title(line),
                message,
            });
        }
    }
    run.outcome
}

struct Run {
    offline: Option<Offline>,
    withdrawn: bool,
    from: Asker,
    /// Answers to be drawn where chance decides.
    draws: usize,
    question: Option<(Name, RecordType)>,
    /// Made when first asked under what was said.
    explainer: Option<Explainer>,
    outcome: Outcome,
}

impl Run {
    fn open(&mut self, opened: Result<Offline, String>) -> Result<(), String> {
        self.offline = Some(opened?);
        self.explainer = None;
        self.withdrawn = false;
        self.from = Asker::Sender(SENDER);
        Ok(())
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(expected) = line.strip_prefix('=') {
            self.outcome.checked += 1;
            let ask = self.ask()?;
            let draws = self.draws;
            return expect::answer(self.explainer()?, &ask, expected, draws);
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "scope" => {
                self.outcome.checked += 1;
                let ask = self.ask()?;
                expect::scope(self.explainer()?, &ask, rest)
            }
            "negative-ttl" => {
                self.outcome.checked += 1;
                let ask = self.ask()?;
                expect::negative_ttl(self.explainer()?, &ask, rest)
            }
            "health" => self.health(rest),
            "withdrawn" => {
                self.withdrawn = true;
                self.explainer = None;
                Ok(())
            }
            "draws" => {
                let draws = rest
                    .parse()
                    .ok()
                    .filter(|draws| (1_000..=10_000_000).contains(draws));
                self.draws = draws.ok_or_else(|| {
                    format!("`{rest}` is not a number of draws from 1000 to 10000000")
                })?;
                Ok(())
            }
            "after" => self.after(rest),
            "from" => {
                self.from = asker(rest)?;
                Ok(())
            }
            "?" => {
                self.question = Some(question(rest)?);
                Ok(())
            }
            _ => Err(format!(
                "`{word}` is not a word of the table: config, health, after, draws, withdrawn, from, ?, =, ==, scope, negative-ttl or #"
            )),
        }
    }

    fn health(&mut self, said: &str) -> Result<(), String> {
        let mut pairs = Vec::new();
        for word in said.split_whitespace() {
            let pair = word.rsplit_once('=');
            pairs.push(pair.ok_or_else(|| format!("`{word}` is not NAME=STATE"))?);
        }
        self.explainer = None;
        let offline = self.offline.as_mut().ok_or(NO_CONFIG)?;
        offline.set(&pairs).map_err(|error| error.to_string())
    }

    /// So much time passes: `20s`.
    fn after(&mut self, text: &str) -> Result<(), String> {
        let seconds = text.strip_suffix('s').unwrap_or(text).parse();
        let seconds =
            seconds.map_err(|_| format!("`{text}` is not a number of seconds as `20s`"))?;
        self.explainer = None;
        self.offline.as_mut().ok_or(NO_CONFIG)?.pass(seconds);
        Ok(())
    }

    fn ask(&self) -> Result<Ask, String> {
        let (name, rtype) = self
            .question
            .clone()
            .ok_or("no question (`? NAME TYPE`) yet")?;
        Ok(Ask {
            name,
            rtype,
            from: self.from.clone(),
            seed: expect::SEED,
        })
    }

    fn explainer(&mut self) -> Result<&Explainer, String> {
        let offline = self.offline.as_ref().ok_or(NO_CONFIG)?;
        let withdrawn = self.withdrawn;
        Ok(self
            .explainer
            .get_or_insert_with(|| offline.explainer(withdrawn)))
    }

    /// What was asked, for a line that expects something.
    fn title(&self, line: &str) -> Option<String> {
        let (name, rtype) = self.question.as_ref()?;
        let expects =
            line.starts_with('=') || line.starts_with("scope") || line.starts_with("negative-ttl");
        let from = match &self.from {
            Asker::Sender(sender) => sender.to_string(),
            Asker::Subnet(network) => network.to_string(),
            Asker::Country(country) => country.clone(),
        };
        expects.then(|| format!("{name} {rtype} from {from}"))
    }
}

const NO_CONFIG: &str = "no configuration yet: begin with `config FILE`, or give one with -c";

fn asker(text: &str) -> Result<Asker, String> {
    let address = text.parse().map(Asker::Sender);
    let network = text.parse::<IpNet>().map(Asker::Subnet);
    if let Ok(asker) = address.or(network) {
        return Ok(asker);
    }
    match text.len() {
        2 | 5 => Ok(Asker::Country(text.to_owned())),
        _ => Err(format!("`{text}` is no address, network or country")),
    }
}

fn question(text: &str) -> Result<(Name, RecordType), String> {
    let (name, rtype) = text.split_once(' ').ok_or("write `? NAME TYPE`")?;
    let rtype = RecordType::parse(rtype.trim());
    let rtype = rtype.ok_or_else(|| format!("`{text}` ends in no record type"))?;
    let name = Name::parse(name, Some(&Name::root())).map_err(|why| format!("`{name}`: {why}"))?;
    Ok((name, rtype))
}

#[cfg(test)]
mod tests;
