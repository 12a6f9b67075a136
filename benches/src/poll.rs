//! A level-triggered epoll instance whose events are plain tokens.
//!
//! The targets and the load generators run on one of these, one thread each, so that on the CPU
//! they share the measured server is waited for and never waits.
//!
//! Cost: one epoll_wait per batch of up to 256 events, no allocation after construction.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

const BATCH: usize = 256;

/// An epoll instance and the buffer its events come in.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poll {
    /// Opens an epoll instance.
    ///
    /// # Errors
    /// When the process or the system has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(BATCH),
        })
    }

    /// Reports `token` whenever `source` is readable. Closing `source` takes it out again.
    ///
    /// # Errors
    /// When `source` is there already or cannot be polled.
    pub fn add_readable(&self, source: impl AsFd, token: usize) -> io::Result<()> {
        self.add(source, token, epoll::EventFlags::IN)
    }

    /// Reports `token` whenever `source` takes more bytes or has failed.
    ///
    /// # Errors
    /// When `source` is there already or cannot be polled.
    pub fn add_writable(&self, source: impl AsFd, token: usize) -> io::Result<()> {
        self.add(source, token, epoll::EventFlags::OUT)
    }

    fn add(&self, source: impl AsFd, token: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token as u64);
        Ok(epoll::add(&self.epoll, source, data, flags)?)
    }

    /// Waits for events, at most `timeout` long, and appends their tokens to `tokens`.
    ///
    /// # Errors
    /// When epoll_wait fails for another reason than a signal, which counts as a timeout.
    pub fn wait(&mut self, timeout: Option<Duration>, tokens: &mut Vec<usize>) -> io::Result<()> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: limit.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        });
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        tokens.extend(self.events.iter().map(|event| event.data.u64() as usize));
        Ok(())
    }
}
