//! What a listener changes in the heads of requests and responses.

use ipnet::IpNet;

/// What becomes of X-Forwarded-For (ELB `routing.http.xff_header_processing.mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ForwardedFor {
    /// The client's address goes to its end; it is made when there is none.
    #[default]
    Append,
    /// It is forwarded as it came; when there is none, there is none.
    Preserve,
    /// It is taken away.
    Remove,
}

impl ForwardedFor {
    /// Every one with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 3] = [
        ("append", Self::Append),
        ("preserve", Self::Preserve),
        ("remove", Self::Remove),
    ];
}

/// Which trace fields requests get when they come without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Trace {
    /// None; what comes is forwarded.
    #[default]
    Off,
    /// X-Amzn-Trace-Id, as ELB.
    Amzn,
    /// traceparent (W3C Trace Context).
    W3c,
    /// Both, with one ID.
    Both,
}

impl Trace {
    /// Every one with its word in the configuration.
    pub const WORDS: [(&'static str, Self); 4] = [
        ("off", Self::Off),
        ("amzn", Self::Amzn),
        ("w3c", Self::W3c),
        ("both", Self::Both),
    ];
}

/// Names of the fields that tell targets how the client encrypts (ELB
/// `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFields {
    /// Of the protocol version.
    pub version: String,
    /// Of the cipher suite.
    pub cipher: String,
}

/// A field's name and value, or its old and its new name; neither can break a head.
pub type FieldPair = (String, String);

/// Fields that are taken away, get other names and are put in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldEdits {
    /// Names of fields that are not passed on.
    pub remove: Vec<String>,
    /// Old and new names.
    pub rename: Vec<FieldPair>,
    /// Names and values that take the place of whatever has these names.
    pub insert: Vec<FieldPair>,
}

/// What a listener changes in heads. The default changes nothing but what forwarding demands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeaderEdits {
    /// What becomes of X-Forwarded-For.
    pub forwarded_for: ForwardedFor,
    /// Addresses in it, and in Forwarded, have their ports (ELB `routing.http.xff_client_port`).
    pub client_port: bool,
    /// Peers whose word about earlier hops counts; `None` = everybody's, as with ELB.
    pub trusted: Option<Vec<IpNet>>,
    /// Requests get Forwarded too (RFC 7239).
    pub forwarded: bool,
    /// Host gets or loses the listener's port (ELB `routing.http.preserve_host_header` off).
    pub rewrites_host: bool,
    /// Targets are told how the client encrypts.
    pub tls: Option<TlsFields>,
    /// Names that fields about the client's certificate have instead of ELB's (ELB
    /// `routing.http.request.x_amzn_mtls_clientcert….header_name`).
    pub certificate: Vec<FieldPair>,
    /// Which trace fields requests get.
    pub trace: Trace,
    /// Fields whose names are not letters, digits and hyphens are taken away (ELB
    /// `routing.http.drop_invalid_header_fields.enabled`).
    pub drop_invalid: bool,
    /// What the file says of requests' fields.
    pub request: FieldEdits,
    /// What the file says of responses' fields.
    pub response: FieldEdits,
}
