//! Diagnostics for people and for programs.

mod human;
mod json;

pub use human::render_human;
pub use json::render_json;
