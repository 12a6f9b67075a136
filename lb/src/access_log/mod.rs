//! Access log, flow log and connection log: lines through bounded rings per worker to one writer
//! thread.
//!
//! Workers call [`LogRing::exchange`], [`LogRing::flow`] and [`LogRing::connection`]; the control plane
//! moves, reopens and ends it through [`LogControl`]. A full ring drops the record and counts it: nothing here ever
//! blocks a worker.
//!
//! Cost: one formatting into a scratch buffer and one copy into the ring; no allocation once warm;
//! a syscall only for the first record after the writer fell asleep.

mod alb;
mod aws;
mod connection;
mod flow;
mod json;
mod record;
mod ring;
#[cfg(test)]
mod tests;
mod time;
mod writer;

pub use connection::{ConnectionRecord, ConnectionTrace};
pub use flow::{CertificateRecord, FlowEnd, FlowKind, FlowRecord, SkippedRecord, TlsRecord};
pub use record::ExchangeRecord;
pub(crate) use ring::Detail;
pub use ring::LogRing;
pub(crate) use writer::{LogControl, start};
