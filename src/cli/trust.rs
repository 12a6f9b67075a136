//! `pointsman trust`: the local CA, and how to trust it.
//!
//! Makes the CA when there is none, so that it can be trusted before anything is served. Changes no
//! trust store: that is for people to decide.

use std::path::PathBuf;

use super::outcome::{Failure, print, print_json};
use super::serve::locate;
use serde_json::json;

/// Prints it.
pub(super) fn run(file: Option<PathBuf>, as_json: bool) -> Result<(), Failure> {
    let path = locate(file)?;
    let loaded = conf::load(&path);
    if loaded.has_errors() {
        let shown = path.display();
        return Err(Failure::Failed(format!(
            "{shown} has errors, so its `state-dir` is not to be relied on; see `pointsman check -c {shown}`"
        )));
    }
    let state_dir = &loaded.config.state_dir;
    let ca = lb::LocalCa::open(state_dir).map_err(|error| {
        Failure::Failed(format!(
            "{error}\nrun this as the user that serves, or name another `state-dir`"
        ))
    })?;
    let certificate = std::path::absolute(&ca.certificate).unwrap_or(ca.certificate.clone());
    let fingerprint = ca.fingerprint();
    if as_json {
        return print_json(&json!({
            "certificate": certificate,
            "sha256": fingerprint,
        }));
    }
    let signs = loaded.config.listeners.iter();
    let signs = signs.filter(|listener| {
        let tls = listener.tls.as_ref();
        tls.is_some_and(|tls| tls.local_ca.is_some())
    });
    let signs: Vec<_> = signs.map(|listener| listener.name.as_str()).collect();
    let used = match signs.is_empty() {
        true => "no listener has `certificates = \"local-ca\"` yet".to_owned(),
        false => format!("it signs for the listeners {}", signs.join(", ")),
    };
    let pem = certificate.display();
    print(&format!(
        "local CA: {pem}\nSHA-256:  {fingerprint}\n          {used}\n\n\
         Trust it where you test, and only there:\n\
         \x20 curl              curl --cacert {pem} https://…\n\
         \x20 Debian, Ubuntu    sudo cp {pem} /usr/local/share/ca-certificates/pointsman.crt && sudo update-ca-certificates\n\
         \x20 Fedora, Arch      sudo trust anchor {pem}\n\
         \x20 macOS             sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {pem}\n\
         \x20 Windows           certutil -addstore -user Root {pem}\n\
         \x20 Firefox           Settings, Certificates, View Certificates, Authorities, Import\n\
         \x20 Node.js, Python   NODE_EXTRA_CA_CERTS={pem}, SSL_CERT_FILE={pem}\n\n\
         Who has the key beside it can pretend to be any server to those who trust it: keep the folder to yourself.\n"
    ))
}
