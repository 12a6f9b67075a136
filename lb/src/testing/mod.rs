//! What this crate's tests share: played health, and a running load balancer on loopback.

mod board;
mod rig;

pub(crate) use board::{PlayedBoard, app_config, health, load};
pub(crate) use rig::Rig;
