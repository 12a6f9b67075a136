//! Gets a key set over HTTP, usually over TLS: one GET on a connection of its own.
//!
//! Runs on the control thread, never on a worker. Bounded in time and size; follows no redirect,
//! because whom to believe is for the operator to say.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use conf::{Destination, JwksUrl, MAX_JWKS};
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::spawn_local;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// All of it together.
const PATIENCE: Duration = Duration::from_secs(10);

/// What stands at the address; else a sentence without its subject.
pub(super) async fn fetch(url: &JwksUrl) -> Result<Vec<u8>, String> {
    match timeout(PATIENCE, get(url)).await {
        Ok(got) => got,
        Err(_) => Err(format!("did not come within {} s", PATIENCE.as_secs())),
    }
}

async fn get(url: &JwksUrl) -> Result<Vec<u8>, String> {
    let addresses = addresses(&url.server).await?;
    let mut refused = "has no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return over(url, address, stream).await,
            Err(error) => refused = format!("cannot be got from {address}: {error}"),
        }
    }
    Err(refused)
}

async fn addresses(server: &Destination) -> Result<Vec<SocketAddr>, String> {
    match server {
        Destination::Address(address) => Ok(vec![*address]),
        Destination::Name { name, port } => match lookup_host((name.as_str(), *port)).await {
            Ok(found) => Ok(found.collect()),
            Err(error) => Err(format!("cannot be got: {name}: {error}")),
        },
    }
}

async fn over(url: &JwksUrl, address: SocketAddr, stream: TcpStream) -> Result<Vec<u8>, String> {
    let Some(tls) = &url.tls else {
        return ask(url, stream).await;
    };
    let name = match &tls.server_name {
        Some(name) => ServerName::try_from(name.clone())
            .map_err(|_| format!("has `{name}` for a server name"))?,
        None => address.ip().into(),
    };
    let client = healthcheck::tls_client(&tls.trust, b"http/1.1", true);
    let connector = TlsConnector::from(Arc::new(client));
    match connector.connect(name, stream).await {
        Ok(stream) => ask(url, stream).await,
        Err(error) => Err(format!("cannot be got over TLS: {error}")),
    }
}

async fn ask<S>(url: &JwksUrl, stream: S) -> Result<Vec<u8>, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| format!("cannot be got: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    // Ends with the sender; what went wrong is told there too.
    let connection = spawn_local(async { drop(connection.await) });
    let request = http::Request::get(&url.path)
        .header(http::header::HOST, &url.host)
        .header(http::header::ACCEPT, "application/json")
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("cannot be asked for: {error}"))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status() != http::StatusCode::OK {
        return Err(format!("was answered with {}", response.status()));
    }
    let body = Limited::new(response.into_body(), MAX_JWKS).collect().await;
    connection.abort();
    match body {
        Ok(body) => Ok(body.to_bytes().to_vec()),
        Err(error) => Err(format!("cannot be read whole: {error}")),
    }
}
