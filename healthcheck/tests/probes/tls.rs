//! TLS checks: whom they believe, what they say of others.

use std::net::SocketAddr;
use std::sync::Arc;

use healthcheck::TargetState::{Healthy, Unhealthy};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::harness::{answer, answering, assert_seen, file, listener, locally, probed, service};

/// An authority of these tests, and what it signs.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn sign(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate.der().clone(), key)
    }

    pub(crate) fn check(&self, protocol: &str) -> String {
        let name = format!("{:p}.pem", self);
        let ca = file(&name, &self.0.pem());
        format!("protocol = \"{protocol}\"\nca = \"{ca}\"")
    }
}

pub(crate) type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A service over TLS that answers every request.
fn https(identity: Identity) -> SocketAddr {
    accepting(|builder| {
        let (certificate, key) = identity;
        builder.with_single_cert(vec![certificate], key).unwrap()
    })
}

/// A service over TLS that refuses clients which name the server they want.
pub(crate) fn nameless() -> SocketAddr {
    let (certificate, key) = Authority::new("ours").sign(&["127.0.0.1"], |_| ());
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let key = CertifiedKey::new(vec![certificate], key);
    accepting(|builder| builder.with_cert_resolver(Arc::new(Nameless(Arc::new(key)))))
}

#[derive(Debug)]
struct Nameless(Arc<CertifiedKey>);

impl ResolvesServerCert for Nameless {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        hello.server_name().is_none().then(|| self.0.clone())
    }
}

type Builder = rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>;

fn accepting(identify: impl FnOnce(Builder) -> ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(identify(builder())));
    service(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            // Probes that do not believe the certificate go away.
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            }
        }
    })
}

/// One that shows `identity` and offers `alpn`, if that is not empty.
pub(crate) fn acceptor(identity: Identity, alpn: &str) -> TlsAcceptor {
    let (certificate, key) = identity;
    let mut config = builder().with_single_cert(vec![certificate], key).unwrap();
    if !alpn.is_empty() {
        config.alpn_protocols = vec![alpn.as_bytes().to_vec(), b"http/1.1".to_vec()];
    }
    TlsAcceptor::from(Arc::new(config))
}

fn builder() -> Builder {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
}

#[tokio::test]
async fn certificates_are_verified_against_the_given_authority() {
    let authority = Authority::new("ours");
    let check = authority.check("https");
    let by_name = format!("{check}\nserver-name = \"app.test\"");
    locally(async {
        let good = https(authority.sign(&["127.0.0.1", "app.test"], |_| ()));
        for check in [
            &check,
            &by_name,
            &format!("{check}\nhost = \"app.test:443\""),
        ] {
            let found = probed(check, good).await;
            assert_seen(&found, Healthy, "HTTP/1.1 200 OK");
            assert!(found.observations[0].tls_ms.is_some());
        }
        let found = probed(&authority.check("tls"), good).await;
        assert_seen(&found, Healthy, "TLSv1_3 with TLS13_AES_256_GCM_SHA384");
    })
    .await;
}

#[tokio::test]
async fn wrong_certificates_say_what_is_wrong_and_pass_when_nobody_minds() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let check = authority.check("https");
    let long_ago = |params: &mut CertificateParams| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    };
    let early = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2999, 1, 1);
    };
    let is_authority = |params: &mut CertificateParams| {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    };
    let for_clients = |params: &mut CertificateParams| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    };
    let app = &["app.test"];
    let many = &["a.test", "b.test", "c.test", "d.test"];
    let cases = [
        (stranger.sign(app, |_| ()), "nobody who is trusted vouches"),
        (
            authority.sign(&["other.test"], |_| ()),
            "the certificate is for other.test, not for app.test: set `server-name`",
        ),
        (
            authority.sign(many, |_| ()),
            "the certificate is for a.test, b.test, c.test, …, not for app.test",
        ),
        (
            authority.sign(&[], |_| ()),
            "the certificate has no name (`subjectAltName`)",
        ),
        (authority.sign(app, long_ago), "the certificate expired "),
        (
            authority.sign(app, early),
            "the certificate becomes valid in ",
        ),
        (
            authority.sign(app, is_authority),
            "the certificate is an authority's",
        ),
        (
            authority.sign(app, for_clients),
            "the certificate's extended key usage",
        ),
    ];
    locally(async {
        for (identity, seen) in cases {
            let address = https(identity);
            let named = format!("{check}\nserver-name = \"app.test\"");
            let found = probed(&named, address).await;
            assert_eq!(found.state, Unhealthy);
            let last = &found.observations[0].seen;
            assert!(last.starts_with(&format!("TLS: {seen}")), "{last}");
            let found = probed("protocol = \"https\"\ninsecure = true", address).await;
            assert_seen(&found, Healthy, "HTTP/1.1 200 OK");
            let found = probed("protocol = \"https\"", address).await;
            assert_eq!(
                found.state, Unhealthy,
                "public authorities know none of these"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_tls_is_told() {
    let tls = "protocol = \"tls\"\ninsecure = true";
    locally(async {
        let clear = answering(&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..]);
        let brief = format!("{tls}\ntimeout = \"100ms\"");
        let found = probed(&brief, clear).await;
        assert_eq!(found.state, Unhealthy, "{found:?}");
        let silent = service(|mut stream| async move {
            let _gone = stream.read(&mut [0; 16]).await;
            std::future::pending::<()>().await;
        });
        let found = probed(&brief, silent).await;
        assert_seen(&found, Unhealthy, "no TLS within 100ms");
        let garbage = service(|mut stream| async move {
            let _written = tokio::io::AsyncWriteExt::write_all(&mut stream, &[7; 64]).await;
            let _gone = stream.read(&mut [0; 16]).await;
        });
        let found = probed(tls, garbage).await;
        let seen = "TLS: the target does not speak TLS on this port";
        assert_seen(&found, Unhealthy, seen);
        let (closed, address) = listener();
        drop(closed);
        assert_seen(&probed(tls, address).await, Unhealthy, "connection refused");
    })
    .await;
}

#[tokio::test]
async fn proxy_headers_come_before_everything_else() {
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    const V1: &[u8] = b"PROXY UNKNOWN\r\n";
    let authority = Authority::new("ours");
    let check = authority.check("https");
    locally(async {
        for (version, header) in [("v1", V1), ("v2", V2)] {
            let tls = acceptor(authority.sign(&["127.0.0.1"], |_| ()), "");
            let address = service(move |mut stream| {
                let tls = tls.clone();
                async move {
                    let mut first = vec![0; header.len()];
                    stream.read_exact(&mut first).await.unwrap();
                    assert_eq!(first, header);
                    let stream = tls.accept(stream).await.unwrap();
                    answer(stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
                }
            });
            let check = format!("{check}\nproxy-protocol-out = \"{version}\"");
            assert_seen(&probed(&check, address).await, Healthy, "HTTP/1.1 200 OK");
            let bytes = service(move |mut stream| async move {
                let mut first = vec![0; header.len()];
                stream.read_exact(&mut first).await.unwrap();
                assert_eq!(first, header);
                stream.write_all(b"ready\n").await.unwrap();
                let _gone = stream.read(&mut [0; 16]).await;
            });
            let check = format!(
                "protocol = \"tcp\"\nreceive = \"ready\"\nproxy-protocol-out = \"{version}\""
            );
            assert_seen(&probed(&check, bytes).await, Healthy, "answered: ready");
        }
    })
    .await;
}
