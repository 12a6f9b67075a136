//! The sample services as child processes: started, watched, ended.
//!
//! Each has a process group of its own, so that Ctrl-C reaches only the demonstration, which then
//! ends them. One that is killed stays dead: how to start it again is printed.

use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::Options;
use super::configuration::{Layout, SERVICES, tcp_port};
use crate::cli::Failure;

/// One running service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) http: SocketAddr,
    pub(super) tcp: SocketAddr,
    pub(super) pid: u32,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Services {
    pub(super) all: Vec<Service>,
    deaths: JoinSet<(Service, std::io::Result<ExitStatus>)>,
}

impl Services {
    /// Starts them; returns when each serves.
    pub(super) async fn start(options: &Options) -> Result<Self, Failure> {
        let mut services = Self {
            all: Vec::new(),
            deaths: JoinSet::new(),
        };
        for (name, ip) in SERVICES {
            let http = SocketAddr::from((ip, options.target_port));
            let tcp = SocketAddr::from((ip, tcp_port(options)));
            let (service, mut child) = spawn(name, http, tcp).await?;
            services.all.push(service.clone());
            services
                .deaths
                .spawn(async move { (service, child.wait().await) });
        }
        Ok(services)
    }

    /// Where they serve.
    pub(super) fn layout(&self) -> Layout {
        Layout {
            http: self.all.iter().map(|service| service.http).collect(),
            tcp: self.all.iter().map(|service| service.tcp).collect(),
        }
    }

    /// What to say when the next one dies. Never returns when all are dead.
    pub(super) async fn next_death(&mut self) -> String {
        let Some(Ok((service, status))) = self.deaths.join_next().await else {
            return std::future::pending().await;
        };
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        format!(
            "\nservice {} (pid {}) has ended: {how}\nstart it again with:\n  {} demo-service {} {} {}\n\n",
            service.name,
            service.pid,
            super::words::program(),
            service.name,
            service.http,
            service.tcp,
        )
    }

    /// Ends those that live.
    pub(super) async fn end(&mut self) {
        self.deaths.shutdown().await;
    }
}

async fn spawn(name: &str, http: SocketAddr, tcp: SocketAddr) -> Result<(Service, Child), Failure> {
    let failed = |error: std::io::Error| {
        Failure::from_error(format!("cannot start the sample service {name}"), &error)
    };
    let mut child = Command::new(std::env::current_exe().map_err(failed)?)
        .args(["demo-service", name, &http.to_string(), &tcp.to_string()])
        .args(["--with-parent", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout)
            .read_line(&mut line)
            .await
            .map_err(failed)?;
    }
    let service = parse(&line)
        .ok_or_else(|| Failure::Failed(format!("the sample service {name} did not start")))?;
    Ok((service, child))
}

/// Reads a service's first line.
fn parse(line: &str) -> Option<Service> {
    let mut words = line.split_ascii_whitespace();
    Some(Service {
        name: words.next()?.to_owned(),
        http: words.next()?.parse().ok()?,
        tcp: words.next()?.parse().ok()?,
        pid: words.next()?.parse().ok()?,
    })
}
