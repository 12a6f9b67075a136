//! Datagrams in batches: recvmmsg and sendmmsg over buffers that hold the largest datagram there is.
//!
//! One [`Batch`] per worker, filled and emptied within one poll: from a listening socket towards
//! flows, or from flows' sockets towards clients. Unsafe inside, behind an interface that hands
//! out slices. Never blocks.
//!
//! Cost: one syscall per batch received and one per batch sent; no allocation after the start; of
//! each 64 KiB buffer only the pages that datagrams reached are memory.
#![expect(
    unsafe_code,
    reason = "recvmmsg, sendmmsg and packet info have no safe wrapper that allocates nothing"
)]

mod names;
mod own_address;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use libc::{c_void, iovec, mmsghdr, sockaddr_storage, socklen_t};

use names::{
    address, forget_segment_size, own_address, segment_size, write_address, write_own_address,
    write_segment_size,
};

pub(crate) use names::receive_own_address;
pub(super) use names::receive_segments;
pub(super) use own_address::OwnAddress;

/// Datagrams per batch. Most of what batching gives comes with 16; twice that lets one syscall
/// answer a burst of clients.
pub(crate) const WIDTH: usize = 32;

/// Room for one datagram: a UDP payload is at most 65,507 bytes over IPv4 and 65,527 over IPv6.
const DATAGRAM_LEN: usize = 64 * 1024;

/// Room for one packet-info control message of either family and one with a segment size.
const CONTROL_LEN: usize = 64;

/// Control messages must be aligned as `cmsghdr` is.
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

#[repr(C)]
struct Storage {
    headers: [mmsghdr; WIDTH],
    parts: [iovec; WIDTH],
    peers: [sockaddr_storage; WIDTH],
    controls: [Control; WIDTH],
    /// What a payload is made of: datagrams of so many bytes, the last one perhaps shorter; 0 = one.
    segments: [u16; WIDTH],
    payloads: [[u8; DATAGRAM_LEN]; WIDTH],
}

/// Buffers for one batch.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Owned; the headers inside point into it, so that it must never move.
    storage: NonNull<Storage>,
    used: usize,
}

/// A datagram from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// Who sent it.
    pub(super) client: SocketAddr,
    /// The address it was sent to, if the socket tells.
    pub(super) own: Option<OwnAddress>,
}

impl Batch {
    /// Empty buffers.
    pub(crate) fn new() -> Self {
        let layout = Layout::new::<Storage>();
        // SAFETY: the layout is not empty. Every field is an integer, an array of integers or a raw
        // pointer, for which all zeroes are valid. Not a `Box`: that would be made on the stack.
        let storage = unsafe { alloc_zeroed(layout) }.cast::<Storage>();
        let Some(storage) = NonNull::new(storage) else {
            handle_alloc_error(layout);
        };
        Self { storage, used: 0 }
    }

    /// Datagrams it holds.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Datagrams that still fit.
    pub(super) fn room(&self) -> usize {
        WIDTH - self.used
    }

    /// Forgets every datagram.
    pub(super) fn clear(&mut self) {
        self.used = 0;
    }

    /// Points the header of one place at its buffers and makes it ready to receive; on a connected
    /// socket nobody need be told who sent it.
    fn link(&mut self, index: usize, connected: bool) {
        assert!(index < WIDTH, "places are counted by this file only");
        let storage = self.storage.as_ptr();
        // SAFETY: `storage` is the live allocation made in `new` and `index` is in range; fields
        // are reached by raw pointers only, so that no reference overlaps those the kernel writes
        // through.
        unsafe {
            let part = &raw mut (*storage).parts[index];
            (*part).iov_base = (&raw mut (*storage).payloads[index]).cast::<c_void>();
            (*part).iov_len = DATAGRAM_LEN;
            let header = &raw mut (*storage).headers[index].msg_hdr;
            (*header).msg_iov = part;
            (*header).msg_iovlen = 1;
            (*header).msg_flags = 0;
            (*header).msg_control = (&raw mut (*storage).controls[index]).cast::<c_void>();
            (*header).msg_controllen = CONTROL_LEN as _;
            (*storage).segments[index] = 0;
            if connected {
                (*header).msg_name = std::ptr::null_mut();
                (*header).msg_namelen = 0;
            } else {
                (*header).msg_name = (&raw mut (*storage).peers[index]).cast::<c_void>();
                (*header).msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            }
        }
    }

    /// Receives what has come to a listening socket into the free places, at most `most`
    /// datagrams; how many came.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there.
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
        self.receive_linked(socket, most, false)
    }

    /// Receives one datagram from a connected socket that does not receive segments. Half the cost
    /// of [`Batch::receive_connected`], which is told what it got through headers and looks twice.
    ///
    /// # Errors
    /// As that one.
    pub(super) fn receive_one(&mut self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.link(self.used, true);
        // SAFETY: `link` has checked that the place is in range; the kernel writes at most
        // DATAGRAM_LEN bytes to its payload, which is as long, and the call borrows this batch
        // mutably.
        unsafe {
            let storage = self.storage.as_ptr();
            let payload = (&raw mut (*storage).payloads[self.used]).cast::<c_void>();
            let flags = libc::MSG_DONTWAIT;
            let received = libc::recv(socket.as_raw_fd(), payload, DATAGRAM_LEN, flags);
            let length = u32::try_from(received).map_err(|_| io::Error::last_os_error())?;
            (*storage).headers[self.used].msg_len = length;
        }
        self.used += 1;
        Ok(())
    }

    /// Receives from a connected socket what has come, without [`Batch::arrival`]s.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; what an ICMP message said of the peer.
    pub(super) fn receive_connected(
        &mut self,
        socket: BorrowedFd<'_>,
        most: usize,
    ) -> io::Result<usize> {
        let first = self.used;
        let received = self.receive_linked(socket, most, true)?;
        for index in first..self.used {
            // SAFETY: `index` is in range; a read of a control buffer whose length the kernel set.
            unsafe {
                let storage = self.storage.as_ptr();
                let header = &raw const (*storage).headers[index].msg_hdr;
                (*storage).segments[index] = segment_size(header);
            }
        }
        Ok(received)
    }

    fn receive_linked(
        &mut self,
        socket: BorrowedFd<'_>,
        most: usize,
        connected: bool,
    ) -> io::Result<usize> {
        let most = most.min(self.room());
        for index in self.used..self.used + most {
            self.link(index, connected);
        }
        // SAFETY: `used + most` is at most WIDTH; those headers were just linked to live buffers of
        // the lengths given; the kernel writes to those only, and the call borrows this batch
        // mutably.
        let received = unsafe {
            let headers = (&raw mut (*self.storage.as_ptr()).headers).cast::<mmsghdr>();
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.add(self.used),
                most as _,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        self.used += received.min(most);
        Ok(received)
    }

    /// The bytes of one datagram.
    pub(super) fn payload(&self, index: usize) -> &[u8] {
        assert!(index < self.used, "asked for a datagram that is not there");
        // SAFETY: `index` is in range, the kernel is done with this buffer and wrote `msg_len`
        // bytes of it; the borrow keeps `receive` away while the slice lives.
        unsafe {
            let storage = self.storage.as_ptr();
            let len = (*storage).headers[index].msg_len as usize;
            let payload = &(*storage).payloads[index];
            payload.get(..len).unwrap_or_default()
        }
    }

    /// The datagrams that a payload is made of: one, or several that came as one because their
    /// sender sent them so and the socket asked for it.
    pub(super) fn datagrams(&self, index: usize) -> impl ExactSizeIterator<Item = &[u8]> {
        let payload = self.payload(index);
        // SAFETY: `payload` has checked the index; a plain read.
        let segment = unsafe { (*self.storage.as_ptr()).segments[index] };
        match usize::from(segment) {
            segment if segment > 0 && payload.len() > segment => payload.chunks(segment),
            _ => payload.chunks(DATAGRAM_LEN),
        }
    }

    /// Where a datagram received on a listening socket came from; `None` when it cannot be
    /// answered: cut off, from port 0, of an unknown family.
    pub(super) fn arrival(&self, index: usize) -> Option<Arrival> {
        assert!(index < self.used, "asked for a datagram that is not there");
        // SAFETY: `index` is in range; plain reads of what the kernel wrote, and of a control
        // buffer whose length it set.
        let (client, own, flags) = unsafe {
            let storage = self.storage.as_ptr();
            let header = &raw const (*storage).headers[index].msg_hdr;
            let client = address(&raw const (*storage).peers[index]);
            (client, own_address(header), (*header).msg_flags)
        };
        let client = client.filter(|client| client.port() != 0)?;
        (flags & libc::MSG_TRUNC == 0).then_some(Arrival { client, own })
    }

    /// Addresses one datagram to a client, from the address that client used.
    pub(super) fn address_to(&mut self, index: usize, to: &Arrival) {
        assert!(index < self.used, "asked for a datagram that is not there");
        let storage = self.storage.as_ptr();
        // SAFETY: `index` is in range; the name and control buffers are as large as any address and
        // any packet info, and aligned for both.
        unsafe {
            let len = (*storage).headers[index].msg_len as usize;
            (*storage).parts[index].iov_len = len.min(DATAGRAM_LEN);
            let header = &raw mut (*storage).headers[index].msg_hdr;
            let name = &raw mut (*storage).peers[index];
            (*header).msg_name = name.cast::<c_void>();
            (*header).msg_namelen = write_address(name, to.client);
            let control = (&raw mut (*storage).controls[index]).cast::<c_void>();
            (*header).msg_control = control;
            (*header).msg_controllen = CONTROL_LEN as _;
            let mut length = to.own.map_or(0, |own| write_own_address(header, own));
            let segment = (*storage).segments[index];
            if segment > 0 && len > usize::from(segment) {
                length += write_segment_size(header, length, segment);
            }
            (*header).msg_controllen = length as _;
            if length == 0 {
                (*header).msg_control = std::ptr::null_mut();
            }
        }
    }

    /// Makes the datagrams from `first` on, `count` of them, ready to be sent on a connected socket.
    pub(super) fn address_connected(&mut self, first: usize, count: usize) {
        assert!(first + count <= self.used, "asked for datagrams not there");
        for index in first..first + count {
            // SAFETY: `index` is in range; a null name and control are what a connected socket
            // takes.
            unsafe {
                let storage = self.storage.as_ptr();
                let len = (*storage).headers[index].msg_len as usize;
                (*storage).parts[index].iov_len = len.min(DATAGRAM_LEN);
                let header = &raw mut (*storage).headers[index].msg_hdr;
                (*header).msg_name = std::ptr::null_mut();
                (*header).msg_namelen = 0;
                (*header).msg_control = std::ptr::null_mut();
                (*header).msg_controllen = 0 as _;
            }
        }
    }

    /// Sends the datagrams from `first` on, `count` of them, all addressed before; how many the
    /// kernel took before one failed.
    ///
    /// # Errors
    /// Why the first one was not taken.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        first: usize,
        count: usize,
    ) -> io::Result<usize> {
        assert!(first + count <= self.used, "asked for datagrams not there");
        // SAFETY: the headers are in range and point at live buffers, which the kernel reads.
        let sent = unsafe {
            let headers = (&raw mut (*self.storage.as_ptr()).headers).cast::<mmsghdr>();
            libc::sendmmsg(
                socket.as_raw_fd(),
                headers.add(first),
                count as _,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Batch {
    /// Sends the datagrams of one payload, addressed before, one by one: where the way out takes no
    /// segments, or not of that size. How many the kernel took.
    pub(super) fn send_apart(&mut self, socket: BorrowedFd<'_>, index: usize) -> usize {
        let lengths: Vec<usize> = self.datagrams(index).map(<[u8]>::len).collect();
        let (mut taken, mut offset) = (0, 0);
        for length in lengths {
            // SAFETY: `datagrams` has checked the index; offset and length are within the payload;
            // the control data are cut to what stands before the segment size, if anything does.
            let sent = unsafe {
                let storage = self.storage.as_ptr();
                let header = &raw mut (*storage).headers[index].msg_hdr;
                forget_segment_size(header);
                let payload = (&raw mut (*storage).payloads[index]).cast::<u8>();
                (*storage).parts[index].iov_base = payload.add(offset).cast::<c_void>();
                (*storage).parts[index].iov_len = length;
                libc::sendmsg(socket.as_raw_fd(), header, libc::MSG_DONTWAIT)
            };
            taken += usize::from(sent >= 0);
            offset += length;
        }
        taken
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // SAFETY: the pointer came from `alloc_zeroed` with this layout and is given back once.
        unsafe { dealloc(self.storage.as_ptr().cast(), Layout::new::<Storage>()) };
    }
}

#[cfg(test)]
mod tests;
