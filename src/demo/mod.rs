//! `pointsman demo`: everything at work, with nothing to prepare.
//!
//! Three sample services run as child processes, so that they can be killed; the balancer, DNS and
//! the admin surface run in this process from a file in a temporary folder, so that every command
//! works on it, reload included. Ends with Ctrl-C; the children die with it, whatever ends it.

mod configuration;
mod ports;
mod sample;
mod services;
mod words;

pub(crate) use sample::{ServiceOptions, serve as serve_sample};

use clap::Args;

use crate::cli::{Failure, print};
use crate::run;
use crate::run::folder::TemporaryFolder;
use configuration::Layout;
use services::Services;

/// Ports of the demonstration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Port of the HTTP listener
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub(crate) http_port: u16,
    /// Port of the TCP listener
    #[arg(long, value_name = "PORT", default_value_t = 8081)]
    pub(crate) tcp_port: u16,
    /// Port of the DNS server
    #[arg(long, value_name = "PORT", default_value_t = 5300)]
    pub(crate) dns_port: u16,
    /// Port of the admin page, API and metrics
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    pub(crate) admin_port: u16,
    /// HTTP port of the sample services on 127.0.0.11, .12 and .13; their TCP port is the next one
    #[arg(long, value_name = "PORT", default_value_t = 3001,
          value_parser = clap::value_parser!(u16).range(0..=65534))]
    pub(crate) target_port: u16,
    /// Print the configuration it serves and exit
    #[arg(long)]
    pub(crate) print_config: bool,
}

/// Runs the demonstration until a signal ends it.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.print_config {
        return print(&configuration::text(&Layout::planned(options), options));
    }
    ports::check(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error("cannot start", &error))?;
    runtime.block_on(show(options))
}

async fn show(options: &Options) -> Result<(), Failure> {
    // Children get their parent's end from the kernel when the thread that made them ends: this is
    // the main thread, which lives as long as the process.
    let mut services = Services::start(options).await?;
    let folder = TemporaryFolder::make("demo")?;
    let text = configuration::text(&services.layout(), options);
    let file = folder.write("pointsman.toml", &text)?;
    run::logging::start();
    let running = run::start(&file)?;
    print(&words::invitation(&services, &running.started, &file))?;
    let mut serving = tokio::task::spawn_blocking(move || running.wait());
    let ended = loop {
        tokio::select! {
            ended = &mut serving => break ended,
            notice = services.next_death() => print(&notice)?,
        }
    };
    services.end().await;
    ended.unwrap_or_else(|error| Err(Failure::from_error("the control thread was lost", &error)))
}
