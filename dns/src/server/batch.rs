//! Datagrams in batches: recvmmsg, answers built in place, sendmmsg.
//!
//! Used by each UDP thread, which owns one [`Batch`]. All unsafe code of the crate is here, behind
//! an interface that hands out slices only. Never blocks but in [`Batch::receive`].
//! Cost: two syscalls for up to [`WIDTH`] queries, no allocation after the start.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and packet info have no safe wrapper that allocates nothing"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

use libc::{c_int, c_void, iovec, mmsghdr, sockaddr_storage, socklen_t};

/// Datagrams per syscall. 16 takes most of what batching gives (gdnsd measured it); wider batches
/// add latency.
pub(super) const WIDTH: usize = 32;
/// Longest query read: no sane one is near it, longer ones are dropped. An odd number of cache lines,
/// so that the starts of a batch's queries do not crowd into a few sets of the cache.
const QUERY_LEN: usize = 33 * 64;
/// Longest answer: what EDNS over UDP is limited to.
const ANSWER_LEN: usize = 1232;
/// Room for one packet-info control message of either family.
const CONTROL_LEN: usize = 64;

/// Control messages must be aligned as `cmsghdr` is.
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

#[repr(C)]
struct Storage {
    queries: [[u8; QUERY_LEN]; WIDTH],
    answers: [[u8; ANSWER_LEN]; WIDTH],
    peers: [sockaddr_storage; WIDTH],
    controls: [Control; WIDTH],
    incoming_parts: [iovec; WIDTH],
    outgoing_parts: [iovec; WIDTH],
    incoming: [mmsghdr; WIDTH],
    outgoing: [mmsghdr; WIDTH],
}

/// Buffers for one batch.
pub(super) struct Batch {
    /// Owned; the headers inside point into it, so that it must never move.
    storage: NonNull<Storage>,
    received: usize,
    queued: usize,
    with_packet_info: bool,
}

impl Batch {
    /// Buffers; `with_packet_info` for sockets on a wildcard address, which ask the kernel for the
    /// address each query was sent to.
    pub(super) fn new(with_packet_info: bool) -> Self {
        // SAFETY: every field is an integer, an array of integers or a raw pointer, for which all
        // zeroes are valid.
        let storage: Box<Storage> = unsafe { Box::new(zeroed()) };
        let batch = Self {
            storage: NonNull::from(Box::leak(storage)),
            received: 0,
            queued: 0,
            with_packet_info,
        };
        for index in 0..WIDTH {
            batch.link(index);
        }
        batch
    }

    /// Points the headers of one place at its buffers and makes it ready to receive.
    fn link(&self, index: usize) {
        assert!(index < WIDTH, "places are counted by this file only");
        let storage = self.storage.as_ptr();
        // SAFETY: `storage` is the live allocation made in `new` and `index` is in range; fields
        // are reached by raw pointers only, so that no reference overlaps those the kernel writes
        // through.
        unsafe {
            let part = &raw mut (*storage).incoming_parts[index];
            (*part).iov_base = (&raw mut (*storage).queries[index]).cast::<c_void>();
            (*part).iov_len = QUERY_LEN;
            let header = &raw mut (*storage).incoming[index].msg_hdr;
            (*header).msg_name = (&raw mut (*storage).peers[index]).cast::<c_void>();
            (*header).msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            (*header).msg_iov = part;
            (*header).msg_iovlen = 1;
            if self.with_packet_info {
                (*header).msg_control = (&raw mut (*storage).controls[index]).cast::<c_void>();
                (*header).msg_controllen = CONTROL_LEN as _;
            }
        }
    }

    /// Waits for datagrams, up to [`WIDTH`] of those that are there; how many came. A socket's
    /// read timeout ends the wait with `WouldBlock`.
    pub(super) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        for index in 0..self.received {
            self.link(index);
        }
        self.received = 0;
        self.queued = 0;
        // SAFETY: the headers were linked to live buffers of the lengths given; the kernel writes
        // to those only, and the call borrows this batch mutably.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                (&raw mut (*self.storage.as_ptr()).incoming).cast::<mmsghdr>(),
                WIDTH as _,
                libc::MSG_WAITFORONE as _,
                std::ptr::null_mut(),
            )
        };
        self.received = usize::try_from(received)
            .map_err(|_| io::Error::last_os_error())?
            .min(WIDTH);
        Ok(self.received)
    }

    /// Hands every received query with its place, its sender and its answer's buffer to `answer`, which
    /// says how long the answer is or that there is none. Queries cut off or from port 0 are left out.
    pub(super) fn each(
        &mut self,
        mut answer: impl FnMut((usize, &[u8]), IpAddr, &mut [u8], &dyn Fn() -> Origin) -> Option<usize>,
    ) {
        for index in 0..self.received {
            // SAFETY: `index` is below WIDTH; the kernel is done with these buffers; query and
            // answer are different fields, and the references end with this step.
            let (query, out) = unsafe {
                let storage = self.storage.as_ptr();
                let len = (*storage).incoming[index].msg_len as usize;
                let query = &(*storage).queries[index];
                let out = &mut (*storage).answers[index];
                (query.get(..len).unwrap_or_default(), out)
            };
            if self.is_unanswerable(index) {
                continue;
            }
            let origin = || self.origin(index);
            if let Some(len) = answer((index, query), self.sender(index), out, &origin) {
                self.queue(index, len.min(ANSWER_LEN));
            }
        }
    }

    /// Shows the received queries by their places, if there are several.
    pub(super) fn look(&self, mut see: impl FnMut(usize, &[u8])) {
        if self.received < 2 {
            return;
        }
        for index in 0..self.received {
            // SAFETY: `index` is below WIDTH; the kernel is done with these buffers, and nobody writes
            // to them while this borrows the batch.
            let query = unsafe {
                let storage = self.storage.as_ptr();
                let len = (*storage).incoming[index].msg_len as usize;
                let query = &(*storage).queries[index];
                query.get(..len).unwrap_or_default()
            };
            see(index, query);
        }
    }

    /// Who sent a query.
    fn sender(&self, index: usize) -> IpAddr {
        assert!(index < WIDTH, "places are counted by this file only");
        // SAFETY: `index` is in range; plain reads of what the kernel wrote, by the family it
        // wrote; the storage is aligned for, and as large as, the address of every family.
        unsafe {
            let peer = &raw const (*self.storage.as_ptr()).peers[index];
            if c_int::from((*peer).ss_family) == libc::AF_INET6 {
                let address = (*peer.cast::<libc::sockaddr_in6>()).sin6_addr;
                IpAddr::from(address.s6_addr)
            } else {
                let address = (*peer.cast::<libc::sockaddr_in>()).sin_addr;
                IpAddr::from(address.s_addr.to_ne_bytes())
            }
        }
    }

    /// Where the answer to a query goes.
    fn origin(&self, index: usize) -> Origin {
        assert!(index < WIDTH, "places are counted by this file only");
        // SAFETY: `index` is in range; plain reads of what the kernel wrote, whose lengths it wrote
        // too and which are no longer than the buffers.
        unsafe {
            let storage = self.storage.as_ptr();
            let header = &raw const (*storage).incoming[index].msg_hdr;
            let with_control = self.with_packet_info && !(*header).msg_control.is_null();
            if with_control {
                forget_interface(header);
            }
            Origin {
                peer: (*storage).peers[index],
                peer_len: (*header).msg_namelen,
                control: Control((*storage).controls[index].0),
                control_len: match with_control {
                    true => (*header).msg_controllen.min(CONTROL_LEN),
                    false => 0,
                },
            }
        }
    }

    fn is_unanswerable(&self, index: usize) -> bool {
        // SAFETY: `index` is below WIDTH at the only call; plain reads of what the kernel wrote.
        // The port stands at the same place in both families' addresses.
        unsafe {
            let storage = self.storage.as_ptr();
            let flags = (*storage).incoming[index].msg_hdr.msg_flags;
            let peer = (&raw const (*storage).peers[index]).cast::<libc::sockaddr_in>();
            (*peer).sin_port == 0 || flags & libc::MSG_TRUNC != 0
        }
    }

    /// Puts the answer at `index` into the next header to send: to the query's sender, from the
    /// address the query was sent to.
    fn queue(&mut self, index: usize, len: usize) {
        // SAFETY: `index` and `queued` are below WIDTH (no more is queued than was received); the
        // pointers are into the live storage.
        unsafe {
            let storage = self.storage.as_ptr();
            let incoming = &raw const (*storage).incoming[index].msg_hdr;
            let part = &raw mut (*storage).outgoing_parts[self.queued];
            (*part).iov_base = (&raw mut (*storage).answers[index]).cast::<c_void>();
            (*part).iov_len = len;
            let header = &raw mut (*storage).outgoing[self.queued].msg_hdr;
            (*header).msg_name = (*incoming).msg_name;
            (*header).msg_namelen = (*incoming).msg_namelen;
            (*header).msg_iov = part;
            (*header).msg_iovlen = 1;
            if self.with_packet_info {
                forget_interface(incoming);
                (*header).msg_control = (*incoming).msg_control;
                (*header).msg_controllen = (*incoming).msg_controllen;
            }
        }
        self.queued += 1;
    }

    /// Sends what `each` queued; how many the kernel took. An answer it refuses (no route back, a
    /// firewall) is passed over.
    pub(super) fn send(&mut self, socket: &UdpSocket) -> usize {
        let (mut next, mut taken) = (0, 0);
        while next < self.queued {
            // SAFETY: `next` is below `queued`, which is at most WIDTH; the headers point at live
            // buffers, which the kernel reads.
            let sent = unsafe {
                let outgoing = (&raw mut (*self.storage.as_ptr()).outgoing).cast::<mmsghdr>();
                let count = (self.queued - next) as _;
                libc::sendmmsg(socket.as_raw_fd(), outgoing.add(next), count, 0)
            };
            match usize::try_from(sent) {
                Ok(sent) if sent > 0 => {
                    next += sent;
                    taken += sent;
                }
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                _ => next += 1,
            }
        }
        taken
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `Box::leak` in `new` and is given back once.
        drop(unsafe { Box::from_raw(self.storage.as_ptr()) });
    }
}

/// Has the cache line of something fetched that will be read soon.
#[inline]
pub(crate) fn prefetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program sees, and the address is that of a reference.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(what).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

/// Where an answer that is not ready yet goes, and what address it leaves from.
pub(crate) struct Origin {
    peer: sockaddr_storage,
    peer_len: socklen_t,
    control: Control,
    control_len: usize,
}

impl std::fmt::Debug for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

impl Origin {
    /// Sends an answer.
    ///
    /// # Errors
    /// The kernel does not take it.
    pub(crate) fn send(&self, socket: &UdpSocket, message: &[u8]) -> io::Result<()> {
        let mut part = iovec {
            iov_base: message.as_ptr().cast_mut().cast::<c_void>(),
            iov_len: message.len(),
        };
        // SAFETY: all zeroes are a valid header; every pointer in it is to memory that outlives the
        // call, of the length given, and the kernel only reads through them.
        let sent = unsafe {
            let mut header: libc::msghdr = zeroed();
            header.msg_name = (&raw const self.peer).cast_mut().cast::<c_void>();
            header.msg_namelen = self.peer_len;
            header.msg_iov = &raw mut part;
            header.msg_iovlen = 1;
            if self.control_len > 0 {
                header.msg_control = (&raw const self.control).cast_mut().cast::<c_void>();
                header.msg_controllen = self.control_len as _;
            }
            libc::sendmsg(socket.as_raw_fd(), &raw const header, 0)
        };
        match usize::try_from(sent) {
            Ok(_) => Ok(()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

/// Takes the interface out of an IPv4 packet info: the answer takes the route to its receiver,
/// which need not lead out of the interface the query came in by. IPv6 keeps it, since a
/// link-local address means nothing without.
///
/// # Safety
/// `header` must be one the kernel filled in, its control buffer alive and writable.
unsafe fn forget_interface(header: *const libc::msghdr) {
    // SAFETY: by the contract the CMSG macros walk a well-formed buffer; an IP_PKTINFO message
    // holds an in_pktinfo.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if !control.is_null()
            && (*control).cmsg_level == libc::IPPROTO_IP
            && (*control).cmsg_type == libc::IP_PKTINFO
        {
            let info = libc::CMSG_DATA(control).cast::<libc::in_pktinfo>();
            (*info).ipi_ifindex = 0;
        }
    }
}

/// Has the kernel tell the address each datagram was sent to.
pub(super) fn receive_packet_info(socket: &impl AsRawFd, ipv6: bool) -> io::Result<()> {
    let (level, option) = if ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: c_int = 1;
    // SAFETY: the option takes an int, of which the length is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const on).cast::<c_void>(),
            size_of::<c_int>() as socklen_t,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests;
