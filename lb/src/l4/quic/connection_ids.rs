//! What one group makes of connection IDs: compiled with the group, asked for every datagram.
//!
//! Order, as section 4 of draft-ietf-quic-load-balancers has it: what the ID itself says; else the
//! flow of the client's address; else, for a packet that may begin a connection, the group's
//! algorithm. Cost: see `server_id` and `learned`.

use std::collections::HashMap;
use std::sync::Arc;

use conf::ConnectionId;
use healthcheck::SlotId;
use tokio::time::Instant;

use super::header::Header;
use super::learned::Learned;
use super::server_id::ServerIdFormat;
use crate::snapshot::{Group, GroupSettings, Member};

/// How a group's QUIC connections are told apart.
#[derive(Debug)]
pub(crate) enum ConnectionIds {
    /// By a hash of IDs of this many bytes.
    Hash(usize),
    /// By what targets were seen to choose; survives reloads by the group's name.
    Learned(Arc<Learned>),
    /// By server IDs.
    ServerId(ServerIds),
}

/// Formats, and whose the server IDs are.
#[derive(Debug)]
pub(crate) struct ServerIds {
    formats: Vec<ServerIdFormat>,
    slots: HashMap<Box<[u8]>, SlotId>,
}

/// What an ID says of its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known<'d> {
    /// It belongs to this target.
    Target(SlotId),
    /// The hash of this ID decides.
    Hashed(&'d [u8]),
    /// Nothing; a client may have chosen it for a new connection.
    Nothing,
    /// It is no ID of any target, and no connection begins with such a packet.
    Stranger,
}

impl ConnectionIds {
    /// As the settings say; takes over from `before` what was learned.
    pub(crate) fn new(
        settings: &GroupSettings,
        members: &[Member],
        before: Option<&Group>,
    ) -> Option<Self> {
        Some(match settings.connection_id.as_ref()? {
            ConnectionId::Hash { length } => Self::Hash(usize::from(*length)),
            ConnectionId::Learned => Self::Learned(match before.map(|g| &g.connection_ids) {
                Some(Some(Self::Learned(table))) => table.clone(),
                _ => Arc::default(),
            }),
            ConnectionId::ServerId(formats) => {
                let slot = |member: &Member| (member.server_id.clone(), member.target.slot());
                Self::ServerId(ServerIds {
                    formats: formats.iter().map(ServerIdFormat::new).collect(),
                    slots: members.iter().map(slot).collect(),
                })
            }
        })
    }

    /// What a client's packet says.
    pub(crate) fn look<'d>(&self, header: &Header<'d>, now: Instant) -> Known<'d> {
        match self {
            Self::Hash(length) => match header.fixed_id(*length) {
                Some(id) => Known::Hashed(id),
                None => Known::Nothing,
            },
            Self::Learned(table) => match header {
                Header::Long { destination, .. } => {
                    let found = table.find(destination, now);
                    found.map_or(Known::Nothing, Known::Target)
                }
                Header::Short { rest } => {
                    let found = table.find_short(rest, now);
                    found.map_or(Known::Stranger, Known::Target)
                }
            },
            Self::ServerId(ids) => match header {
                Header::Long { destination, .. } => {
                    let found = ids.find(destination, |format| destination.len() >= format.len());
                    found.map_or(Known::Nothing, Known::Target)
                }
                Header::Short { rest } => {
                    let found = ids.find(rest, |_| true);
                    found.map_or(Known::Stranger, Known::Target)
                }
            },
        }
    }
}

impl ServerIds {
    fn find(&self, id: &[u8], fits: impl Fn(&ServerIdFormat) -> bool) -> Option<SlotId> {
        let mut out = [0; 19];
        let mut formats = self.formats.iter().filter(|format| fits(format));
        formats.find_map(|format| {
            let server = format.server_id(id, &mut out)?;
            self.slots.get(server).copied()
        })
    }
}
