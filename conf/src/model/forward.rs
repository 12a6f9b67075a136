//! Names that other servers are asked about (Route 53 Resolver's outbound rules).

use std::net::SocketAddr;

use ipnet::IpNet;

/// A `[[forward-rule]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForwardRule {
    /// Unique.
    pub name: String,
    /// The domain; it and all names below it are forwarded.
    pub domain: String,
    /// Who is asked, in this order; at least one.
    pub servers: Vec<SocketAddr>,
    /// For whom; at least one.
    pub networks: Vec<IpNet>,
}
