//! TLS of a probe: whom it believes, and the probe that only agrees on it.
//!
//! rustls with aws-lc-rs, TLS 1.2 and 1.3. No session is resumed: each probe must see what a new
//! client would. A plan is made once per configuration and target; what is the same for many targets,
//! their authorities above all, is shared.

use std::cell::RefCell;
use std::io;
use std::sync::{Arc, OnceLock, Weak};

use conf::{Address, Sni, TlsCheck, TlsTrust};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ProbePlan;
use super::connection::Stopwatch;
use crate::{Observation, Outcome};

/// How to agree on TLS with one target.
#[derive(Debug, Clone)]
pub(crate) struct TlsPlan {
    name: ServerName<'static>,
    client: Arc<ClientConfig>,
    /// Without SNI, to be tried when the server refuses.
    fallback: Option<Arc<ClientConfig>>,
}

impl PartialEq for TlsPlan {
    fn eq(&self, other: &Self) -> bool {
        // Settings that are the same are shared: there is no need to compare what is in them.
        let fallback = |plan: &Self| plan.fallback.as_ref().map(Arc::as_ptr);
        Arc::ptr_eq(&self.client, &other.client)
            && fallback(self) == fallback(other)
            && self.name == other.name
    }
}

impl Eq for TlsPlan {}

impl TlsPlan {
    /// The plan for `check` of the target at `address`; `alpn` is empty for none.
    pub(super) fn new(check: &TlsCheck, alpn: &'static [u8], address: Address) -> Self {
        let named = check.server_name.clone();
        // Names have been looked at when the configuration was read.
        let named = named.and_then(|name| ServerName::try_from(name).ok());
        Self {
            name: named.unwrap_or_else(|| tls_name(address)),
            client: client(&check.trust, alpn, check.sni != Sni::NotSent),
            fallback: (check.sni == Sni::SentFirst).then(|| client(&check.trust, alpn, false)),
        }
    }

    /// Agrees on TLS over `stream`.
    pub(super) async fn agree(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(self.client.clone());
        connector.connect(self.name.clone(), stream).await
    }

    /// The plan for a second try, without SNI.
    fn second(&self) -> Option<Self> {
        let client = self.fallback.clone()?;
        Some(Self {
            client,
            fallback: None,
            ..self.clone()
        })
    }

    /// Connects and agrees on TLS within the limits, if need be on a second connection.
    pub(super) async fn connect(
        &self,
        watch: &mut Stopwatch,
        plan: &ProbePlan,
    ) -> Result<Box<TlsStream<TcpStream>>, Observation> {
        let stream = watch.connect(plan, &plan.limits).await?;
        let refusal = match watch.agree(stream, self, &plan.limits).await {
            Ok(stream) => return Ok(stream),
            Err(refusal) => refusal,
        };
        let Some(second) = self.second().filter(|_| refusal.by_server) else {
            return Err(refusal.observation);
        };
        let stream = watch.connect(plan, &plan.limits).await?;
        // What the server said when it was asked by name says more.
        let again = watch.agree(stream, &second, &plan.limits).await;
        again.map_err(|_| refusal.observation)
    }
}

/// Passes when the connection stands and TLS is agreed on within the limit.
pub(super) async fn probe(plan: &ProbePlan, tls: &TlsPlan) -> Observation {
    let mut watch = Stopwatch::start();
    match tls.connect(&mut watch, plan).await {
        Ok(stream) => watch.end(Outcome::Passed, &agreed(&stream)),
        Err(observation) => observation,
    }
}

/// What was agreed on, for people: `TLSv1_3 with TLS13_AES_256_GCM_SHA384`.
fn agreed(stream: &TlsStream<TcpStream>) -> String {
    let (_, session) = stream.get_ref();
    let version = session.protocol_version();
    let suite = session.negotiated_cipher_suite();
    match (version, suite) {
        (Some(version), Some(suite)) => format!("{version:?} with {:?}", suite.suite()),
        _ => "agreed on TLS".to_owned(),
    }
}

/// The name that a target's certificate must be for when nobody says: its IP address; of a Unix
/// socket `localhost`, as for requests.
pub fn tls_name(address: Address) -> ServerName<'static> {
    const LOCALHOST: &str = "localhost";
    match address {
        Address::Ip(address) => address.ip().into(),
        Address::Unix(_) => ServerName::try_from(LOCALHOST)
            .unwrap_or_else(|_| std::net::IpAddr::from([127, 0, 0, 1]).into()),
    }
}

/// Makes one set of TLS settings, or shares the one that is there: a group of thousands of targets
/// has the same authorities, which take long to read and much room.
fn client(trust: &TlsTrust, alpn: &'static [u8], sni: bool) -> Arc<ClientConfig> {
    /// What was made for a trust, an ALPN protocol and whether the name is sent.
    type Made = ((TlsTrust, &'static [u8], bool), Weak<ClientConfig>);
    thread_local! {
        // Plans are made on the board's thread alone; entries go with the last plan that has them.
        static MADE: RefCell<Vec<Made>> = const { RefCell::new(Vec::new()) };
    }
    MADE.with_borrow_mut(|made| {
        made.retain(|(_, client)| client.strong_count() > 0);
        let same = made.iter_mut().find(|((own_trust, own_alpn, own_sni), _)| {
            (*own_sni, *own_alpn) == (sni, alpn) && own_trust == trust
        });
        if let Some(((own_trust, ..), client)) = same
            && let Some(client) = client.upgrade()
        {
            // After a reload the same authorities stand elsewhere: the next comparison is of places.
            own_trust.clone_from(trust);
            return client;
        }
        let new = new_client(trust, alpn, sni);
        made.push(((trust.clone(), alpn, sni), Arc::downgrade(&new)));
        new
    })
}

fn new_client(trust: &TlsTrust, alpn: &'static [u8], sni: bool) -> Arc<ClientConfig> {
    let mut client = tls_client(trust, alpn, sni);
    client.resumption = Resumption::disabled();
    Arc::new(client)
}

/// TLS settings of a client that believes `trust`: TLS 1.2 and 1.3, resuming sessions.
#[expect(
    clippy::expect_used,
    reason = "the provider has suites for both versions; any test run proves it"
)]
pub fn tls_client(trust: &TlsTrust, alpn: &[u8], sni: bool) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("TLS 1.2 and 1.3");
    let mut client = match trust {
        TlsTrust::Public => builder.with_root_certificates(public_roots()),
        TlsTrust::Authorities(authorities) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(authorities.iter().cloned());
            builder.with_root_certificates(roots)
        }
        TlsTrust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(provider))),
    }
    .with_no_client_auth();
    client.enable_sni = sni;
    if !alpn.is_empty() {
        client.alpn_protocols = vec![alpn.to_vec()];
    }
    client
}

/// The system's authorities, read once; the built-in ones where the system has none.
fn public_roots() -> Arc<RootCertStore> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    let read = || {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        }
        Arc::new(roots)
    };
    ROOTS.get_or_init(read).clone()
}

/// Takes any certificate; the handshake's signatures are still checked, because they cost nothing
/// to get right.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_of_one_check_share_their_settings_across_reloads_too() {
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().der().clone();
        let plan = |trust: TlsTrust, sni, port| {
            let check = TlsCheck {
                trust,
                server_name: None,
                sni,
            };
            TlsPlan::new(
                &check,
                b"h2",
                std::net::SocketAddr::from(([127, 0, 0, 1], port)).into(),
            )
        };
        let trust = || TlsTrust::Authorities(Arc::new(vec![authority.clone()]));
        let first = plan(trust(), Sni::Sent, 1);
        let again = plan(trust(), Sni::Sent, 2);
        assert!(Arc::ptr_eq(&first.client, &again.client));
        assert_eq!(first, again, "the name is the address, without its port");
        for other in [
            plan(TlsTrust::Anyone, Sni::Sent, 1),
            plan(TlsTrust::Public, Sni::Sent, 1),
            plan(trust(), Sni::NotSent, 1),
            plan(trust(), Sni::SentFirst, 1),
        ] {
            assert_ne!(first, other);
        }
        let old = Arc::downgrade(&first.client);
        drop((first, again));
        assert!(old.upgrade().is_none(), "nothing keeps what no plan has");
    }
}
