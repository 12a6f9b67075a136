//! One sample service: what the demonstration balances over. A hidden command of its own, because
//! it must be a process that can be killed.
//!
//! HTTP: every path answers with the service's name, `/slow` after three seconds. TCP: a greeting,
//! then an echo. Started with `--with-parent` it dies with its parent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::cli::{Failure, print};

/// How long `/slow` takes.
const SLOW: Duration = Duration::from_secs(3);
/// Pause when accepting fails, as it does when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a sample service is told.
#[derive(Debug, Args)]
pub(crate) struct ServiceOptions {
    /// Its name, which it answers with
    pub(super) name: String,
    /// HTTP address
    pub(super) http: SocketAddr,
    /// TCP address
    pub(super) tcp: SocketAddr,
    /// End when this process, the parent, ends
    #[arg(long, value_name = "PID")]
    pub(super) with_parent: Option<i32>,
}

/// Serves until killed. The first line it prints is `NAME HTTP-ADDRESS TCP-ADDRESS PID`.
pub(crate) fn serve(options: &ServiceOptions) -> Result<(), Failure> {
    if let Some(parent) = options.with_parent {
        die_with(parent)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::from_error("cannot start", &error))?;
    LocalSet::new().block_on(&runtime, async {
        let http = bind(options.http).await?;
        let tcp = bind(options.tcp).await?;
        let name = options.name.clone();
        let (http_at, tcp_at) = (local(&http)?, local(&tcp)?);
        print(&format!(
            "{name} {http_at} {tcp_at} {}\n",
            std::process::id()
        ))?;
        let answer: Arc<str> = format!("Hello from {name} ({http_at})\n").into();
        let greeting: Arc<str> =
            format!("Hello from {name} ({tcp_at}); I echo what you type.\n").into();
        tokio::join!(
            accept(http, move |stream| answer_http(stream, answer.clone())),
            accept(tcp, move |stream| echo(stream, greeting.clone())),
        );
        Ok(())
    })
}

/// Asks the kernel for SIGTERM when the parent ends, and ends now if it has already.
fn die_with(parent: i32) -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure::from_error("cannot follow the parent", &error))?;
    match getppid() {
        Some(pid) if pid.as_raw_pid() == parent => Ok(()),
        _ => Err(Failure::Failed("the parent has ended".to_owned())),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::from_error(format!("cannot listen on {address}"), &error))
}

fn local(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    let local = listener.local_addr();
    local.map_err(|error| Failure::from_error("no local address", &error))
}

async fn accept<F: Future<Output = ()> + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                spawn_local(serve(stream));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn answer_http(stream: TcpStream, answer: Arc<str>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let body = Full::new(Bytes::copy_from_slice(answer.as_bytes()));
        async move {
            if request.uri().path() == "/slow" {
                tokio::time::sleep(SLOW).await;
            }
            Ok::<_, Infallible>(Response::new(body))
        }
    });
    // A client that went away is its own affair.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn echo(mut stream: TcpStream, greeting: Arc<str>) {
    if stream.write_all(greeting.as_bytes()).await.is_err() {
        return;
    }
    let (mut reader, mut writer) = stream.split();
    // A client that went away is its own affair.
    let _ = tokio::io::copy(&mut reader, &mut writer).await;
}
