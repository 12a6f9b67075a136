//! One listener's TLS settings, and the handshake with a client that connected to it.
//!
//! Made when a configuration is prepared, shared by all workers through the listener. Counts each
//! handshake and each failure; a failed one is logged with its reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use conf::{ClientCertificates, Config, Diagnostic, ListenerTls};
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, ServerConnection};

use super::clients::{TrustFiles, fingerprint, refused, verifier};
use super::local_ca::LocalCa;
use super::policy::{provider, versions};
use super::shelf::Shelf;
use super::tickets::{TicketKeys, Tickets, binding, now};
use super::{HandshakeFailure, HandshakeReason, Refreshes, Scratch, Terminators, TlsStream};
use crate::stream::Stream;

/// What a client gets that sends a request in clear text to a port for TLS.
const CLEAR_TEXT_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 73\r\n\
    Connection: close\r\n\r\n\
    this port speaks HTTPS: write https:// instead of http:// before its name";

/// A listener's TLS.
#[derive(Debug)]
pub(crate) struct Terminator {
    /// Made anew when whom it believes has changed.
    config: ArcSwap<ServerConfig>,
    listener: String,
    settings: ListenerTls,
    /// Whose certificates are believed.
    trust: Option<TrustFiles>,
    handshake_timeout: Duration,
    /// Its clients are to send requests.
    is_http: bool,
    pub(crate) shelf: Arc<Shelf>,
    /// The process's.
    pub(crate) keys: Arc<TicketKeys>,
}

impl Terminator {
    /// What `settings` say.
    ///
    /// # Errors
    /// What rustls will not do; the reader of the configuration has refused all that is known.
    fn new(
        listener: &conf::Listener,
        settings: &ListenerTls,
        shelf: Shelf,
        keys: Arc<TicketKeys>,
    ) -> Result<Self, rustls::Error> {
        let shelf = Arc::new(shelf);
        let name = &listener.name;
        let config = server_config(name, settings, &settings.clients, &shelf, &keys)?;
        let trust = TrustFiles::of(&settings.clients);
        Ok(Self {
            config: ArcSwap::from_pointee(config),
            listener: name.clone(),
            settings: settings.clone(),
            trust,
            handshake_timeout: settings.handshake_timeout,
            is_http: listener.protocol.is_http(),
            shelf,
            keys,
        })
    }

    /// Changed files that were refused, each with the reason.
    pub(crate) fn refused(&self) -> Vec<Arc<str>> {
        let mut refused = self.shelf.refused();
        refused.extend(self.keys.refused());
        refused.extend(self.trust.as_ref().and_then(TrustFiles::refused));
        refused
    }

    /// Looks at the files of certificates and of whom is believed, and reads what changed. Called by
    /// one task.
    pub(crate) fn refresh(&self, refreshes: &Refreshes) {
        self.shelf.refresh(&self.listener, refreshes);
        let changed = self.trust.as_ref();
        let changed = changed.and_then(|trust| trust.read_again(&self.listener, refreshes));
        if let Some(clients) = changed {
            let (shelf, keys) = (&self.shelf, &self.keys);
            match server_config(&self.listener, &self.settings, &clients, shelf, keys) {
                Ok(config) => {
                    self.config.store(Arc::new(config));
                    // Told once it is so: whoever reads it may count on it.
                    tracing::info!(listener = self.listener, "trust store read again");
                }
                Err(error) => {
                    tracing::error!(listener = self.listener, %error, "whom TLS believes stays what it was");
                }
            }
        }
    }

    /// Agrees on TLS with a client, in the time there is for it.
    pub(crate) async fn accept(
        &self,
        socket: Stream,
        scratch: Scratch,
    ) -> Result<TlsStream, HandshakeFailure> {
        let connection = ServerConnection::new(self.config.load_full());
        let connection = connection.map_err(std::io::Error::other)?;
        let mut stream = TlsStream::to_client(socket, connection, scratch);
        let answer = match self.is_http {
            true => CLEAR_TEXT_ANSWER,
            false => b"",
        };
        let handshake = std::future::poll_fn(|cx| stream.poll_handshake(cx, answer));
        match tokio::time::timeout(self.handshake_timeout, handshake).await {
            Ok(Ok(())) => self.identified(stream),
            Ok(Err(error)) => Err(HandshakeFailure::from(error).of(refused())),
            Err(_elapsed) => Err(HandshakeFailure::too_slow()),
        }
    }

    /// Takes down who the client is, where it is asked; what was valid when the session began may have
    /// expired when it is resumed.
    fn identified(&self, mut stream: TlsStream) -> Result<TlsStream, HandshakeFailure> {
        let verification = match &self.settings.clients {
            ClientCertificates::Off => return Ok(stream),
            ClientCertificates::Passthrough => None,
            ClientCertificates::Verify(verification) => Some(verification),
        };
        let identity = stream.identify(verification.is_some());
        let not_after = identity.map(|identity| identity.not_after);
        let heeds = verification.is_some_and(|verification| !verification.ignore_expiry);
        match not_after {
            Some(not_after) if heeds && not_after < now().cast_signed() => {
                let reason = HandshakeReason::ClientCertificateExpired;
                let what = "the client's certificate expired after its session began";
                Err(HandshakeFailure::new(reason, std::io::Error::other(what)))
            }
            // Nobody is let in whose certificate cannot be told on.
            None if verification.is_some() => {
                let reason = HandshakeReason::ClientCertificateInvalid;
                let what = "the client's certificate cannot be read";
                Err(HandshakeFailure::new(reason, std::io::Error::other(what)))
            }
            _ => Ok(stream),
        }
    }
}

/// What rustls is to do for a listener.
fn server_config(
    listener: &str,
    settings: &ListenerTls,
    clients: &ClientCertificates,
    shelf: &Arc<Shelf>,
    keys: &Arc<TicketKeys>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = provider(settings.policy);
    let verifier = verifier(clients, &provider);
    let verifier = verifier.map_err(|error| rustls::Error::General(error.to_string()))?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(settings.policy))?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(shelf.clone());
    // The policy's order, as ELB: the first of the server's suites that the client knows.
    config.ignore_client_order = true;
    // Sessions are with the clients alone: no worker waits for another's look into a store.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    let mut bound = vec![listener.as_bytes(), settings.policy.name.as_bytes()];
    bound.extend(fingerprint(clients));
    let bound = binding(&bound);
    config.ticketer = Arc::new(Tickets::new(keys.clone(), bound));
    config.alpn_protocols = settings
        .alpn
        .protocols()
        .iter()
        .map(|name| name.to_vec())
        .collect();
    Ok(config)
}

/// The TLS of every listener of `config` that has any, with the keys for tickets that were used `before`.
///
/// # Errors
/// What rustls will not do, at the listener it is of.
pub(crate) fn terminators(
    config: &Config,
    before: Option<Arc<TicketKeys>>,
) -> Result<Terminators, Vec<Diagnostic>> {
    let mut made = Terminators::new();
    let mut problems = Vec::new();
    let mut authority = None;
    let keys = match config
        .listeners
        .iter()
        .any(|listener| listener.tls.is_some())
    {
        true => TicketKeys::of(config, before, now()).map_err(|error| no_keys(config, error))?,
        false => return Ok(made),
    };
    for (index, listener) in config.listeners.iter().enumerate() {
        let Some(settings) = &listener.tls else {
            continue;
        };
        if settings.local_ca.is_some() && authority.is_none() {
            match LocalCa::open(&config.state_dir) {
                Ok(opened) => authority = Some(Arc::new(opened)),
                Err(error) => {
                    problems.push(no_authority(listener, &error));
                    continue;
                }
            }
        }
        let addresses = listener.binds.iter().map(|bind| bind.ip());
        let addresses = addresses
            .filter(|ip| !ip.is_unspecified())
            .chain(LOOPBACK)
            .collect();
        let shelf = Shelf::new(settings, &authority, addresses, listener.span);
        let terminator = shelf.and_then(|shelf| {
            let made = Terminator::new(listener, settings, shelf, keys.clone());
            made.map_err(|error| error.to_string())
        });
        match terminator {
            Ok(terminator) => {
                made.insert(index, Arc::new(terminator));
            }
            Err(error) => {
                let message = format!("listener `{}` cannot speak TLS: {error}", listener.name);
                problems.push(
                    Diagnostic::error("tls", listener.span, message)
                        .consequence("no handshake could succeed")
                        .help("make its certificates anew, or take another `tls-policy`"),
                );
            }
        }
    }
    match problems.is_empty() {
        true => Ok(made),
        false => Err(problems),
    }
}

/// Where browsers on this machine reach it.
const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

fn no_authority(listener: &conf::Listener, error: &super::LocalCaError) -> Diagnostic {
    let message = format!(
        "there is no local CA to sign for listener `{}`: {error}",
        listener.name
    );
    Diagnostic::error("local-ca", listener.span, message)
        .consequence("no handshake could succeed")
        .help("make the folder of `state-dir` one that this process may write to, or name files in `certificates`")
}

/// The file was fine when the configuration was read, and is not any more.
fn no_keys(config: &Config, error: String) -> Vec<Diagnostic> {
    let file = config.runtime.ticket_key_file.as_ref();
    let problem = Diagnostic::error("bad-ticket-keys", file.map(|file| file.span), error)
        .consequence("no session could be resumed, here or by the processes that share the file")
        .help("make it with `openssl rand -out FILE 80`, readable for this process alone");
    vec![problem]
}
