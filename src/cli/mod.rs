//! The command line: its grammar, and which function serves which command.
//!
//! Called by `main` only. Each command stands in a file of its own and returns `Result<(), Failure>`;
//! a [`Failure`] carries its exit code (0 fine, 1 failed, 64 usage, 78 config). A command that is
//! not served does not appear here.

mod check;
mod client;
mod control;
mod dns;
mod import;
mod init;
mod latencies;
mod operate;
mod outcome;
mod quick;
mod register;
mod serve;
mod status;
mod table;
mod trust;
mod version;
mod why;

pub(crate) use outcome::{Failure, print};

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use conf::Address;

/// Exit code of a command line that makes no sense (sysexits `EX_USAGE`).
const USAGE: u8 = 64;

#[derive(Debug, Parser)]
#[command(
    name = "pointsman",
    version,
    about = "A local load balancer and authoritative DNS server on one live health state",
    after_help = "Start with `pointsman demo`: it needs nothing. Then `pointsman init` writes a \
                  pointsman.toml to edit, and `pointsman run` serves it.",
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show it at work: three sample services, listeners, DNS and the admin page; needs nothing
    Demo(crate::demo::Options),
    /// Serve a configuration file
    Run(ConfigFile),
    /// Find every problem of a configuration file and its zone files, without serving it
    Check {
        #[command(flatten)]
        file: ConfigFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a commented pointsman.toml to start from
    Init {
        /// Where to write it; an existing file is never overwritten
        #[arg(default_value = "pointsman.toml")]
        file: PathBuf,
    },
    /// Balance HTTP over ports without a file: `pointsman quick 8080=3001,3002`
    Quick(quick::Options),
    /// Show listeners, target groups, targets and DNS of the running process
    Status {
        /// Only this target group, or this health check in detail
        #[arg(value_name = "GROUP|CHECK")]
        group: Option<String>,
        /// Only this target of the group (ip:port or unix:/path), in detail
        target: Option<Address>,
        #[command(flatten)]
        remote: Remote,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Give a target no new work; returns when every worker and DNS obey
    Drain(TargetArgument),
    /// Take a drain back
    Undrain(TargetArgument),
    /// Change a target's weight until it is reset
    Weight {
        /// The target group
        group: String,
        /// The target (ip:port or unix:/path)
        target: Address,
        /// 0 (no new work) to 1000, or `reset` for the configured weight
        #[arg(value_parser = operate::parse_weight)]
        weight: operate::Weight,
        #[command(flatten)]
        remote: Remote,
    },
    /// Register a target with a target group until it is deregistered, across reloads and restarts
    Register(register::Registration),
    /// Deregister a target: no new work, gone after the deregistration delay
    Deregister(TargetArgument),
    /// Show what would become of a request, rule by rule, without sending it, or what became of one
    Why(why::Why),
    /// Ask what the DNS server would answer
    #[command(subcommand)]
    Dns(dns::DnsCommand),
    /// Check tables of expected DNS answers against a configuration, without serving it
    Test(dns::Test),
    /// Make a configuration file of what other programs serve
    #[command(subcommand)]
    Import(import::ImportCommand),
    /// List routing controls, or turn some, all at once: `pointsman control eu off us on`
    Control {
        /// Which, and how to turn it; several pairs are one change
        #[arg(value_name = "NAME on|off")]
        states: Vec<String>,
        /// Safety rules that are not to be asked
        #[arg(long = "override", value_name = "RULE")]
        overrides: Vec<String>,
        #[command(flatten)]
        remote: Remote,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List round-trip times to client networks that the running process measured
    Latencies {
        /// Print those that DNS goes by as [[latency]] tables
        #[arg(long, conflicts_with = "json")]
        export: bool,
        #[command(flatten)]
        remote: Remote,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make the running process read its configuration file again
    Reload {
        #[command(flatten)]
        remote: Remote,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the local CA that `certificates = "local-ca"` signs by, and how to trust it
    Trust {
        #[command(flatten)]
        file: ConfigFile,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the version
    Version {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// A sample service of the demonstration
    #[command(hide = true)]
    DemoService(crate::demo::ServiceOptions),
}

/// Which configuration file.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The file [default: ./pointsman.toml, else /etc/pointsman/pointsman.toml]
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Which running process.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// Admin address of the running process: http://HOST:PORT or unix:PATH [default:
    /// $POINTSMAN_ADMIN, else ./pointsman.toml's socket, else http://127.0.0.1:9901]
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
}

/// A target of a running process.
#[derive(Debug, Args)]
struct TargetArgument {
    /// The target group
    group: String,
    /// The target (ip:port or unix:/path)
    target: Address,
    #[command(flatten)]
    remote: Remote,
}

/// Parses the command line, runs the command, says what went wrong.
pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing can be done about a closed stdout or stderr here.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Demo(options) => crate::demo::run(&options),
        Command::DemoService(options) => crate::demo::serve_sample(&options),
        Command::Run(file) => serve::run(file.config),
        Command::Check { file, json } => check::run(file.config, json),
        Command::Init { file } => init::run(&file),
        Command::Quick(options) => quick::run(&options),
        Command::Status {
            group,
            target,
            remote,
            json,
        } => status::run(&remote, group.as_deref(), target, json),
        Command::Drain(which) => operate::drain(&which.remote, &which.group, which.target),
        Command::Undrain(which) => operate::undrain(&which.remote, &which.group, which.target),
        Command::Weight {
            group,
            target,
            weight,
            remote,
        } => operate::weight(&remote, &group, target, weight),
        Command::Register(options) => register::register(&options),
        Command::Deregister(which) => {
            register::deregister(&which.remote, &which.group, which.target)
        }
        Command::Why(options) => why::why(&options),
        Command::Dns(dns::DnsCommand::Answer(options)) => dns::answer(&options),
        Command::Test(options) => dns::test(&options),
        Command::Import(import::ImportCommand::Route53(options)) => import::run(&options),
        Command::Control {
            states,
            overrides,
            remote,
            json,
        } => control::run(&remote, &states, &overrides, json),
        Command::Latencies {
            export,
            remote,
            json,
        } => latencies::run(&remote, export, json),
        Command::Reload { remote, json } => operate::reload(&remote, json),
        Command::Trust { file, json } => trust::run(file.config, json),
        Command::Version { json } => version::run(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn grammar_is_sound_and_lists_only_what_is_served() {
        let command = Cli::command();
        command.clone().debug_assert();
        let shown: Vec<_> = command
            .get_subcommands()
            .filter(|sub| !sub.is_hide_set())
            .map(|sub| sub.get_name().to_owned())
            .collect();
        assert_eq!(
            shown,
            [
                "demo",
                "run",
                "check",
                "init",
                "quick",
                "status",
                "drain",
                "undrain",
                "weight",
                "register",
                "deregister",
                "why",
                "dns",
                "test",
                "import",
                "control",
                "latencies",
                "reload",
                "trust",
                "version"
            ]
        );
    }
}
