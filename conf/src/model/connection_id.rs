//! How QUIC connections keep their target: what their connection IDs say.

/// How a group's targets are told from connection IDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionId {
    /// By a consistent hash of the connection ID (Huawei's QUIC_CID). For versions whose IDs never
    /// change.
    Hash {
        /// Bytes of an ID in short headers, 1 to 20.
        length: u8,
    },
    /// By the IDs that targets were seen to choose.
    Learned,
    /// By the server ID that targets write into every ID (QUIC-LB, AWS).
    ServerId(Vec<ServerIdFormat>),
}

impl ConnectionId {
    /// The name of the mode.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Hash { .. } => "hash",
            Self::Learned => "learned",
            Self::ServerId(_) => "server-id",
        }
    }
}

/// One configuration of draft-ietf-quic-load-balancers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerIdFormat {
    /// The config rotation bits, 0 to 6.
    pub rotation: u8,
    /// Bytes of a server ID, at least 1.
    pub server_id_length: u8,
    /// Bytes of the nonce behind it, at least 4; both together at most 19.
    pub nonce_length: u8,
    /// The AES-128 key; `None` = in clear text.
    pub key: Option<[u8; 16]>,
}
