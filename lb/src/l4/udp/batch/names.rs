//! Addresses in the kernel's form: names of peers and packet infos.
//!
//! Used by the batch alone, on its own buffers. The only other unsafe code of UDP.
#![expect(
    unsafe_code,
    reason = "name and control buffers are read and written as the kernel lays them out"
)]

use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;

use libc::{c_int, c_void, sockaddr_storage, socklen_t};

use super::own_address::OwnAddress;

/// The address in a name buffer.
///
/// # Safety
/// `name` must point at a whole `sockaddr_storage`.
pub(super) unsafe fn address(name: *const sockaddr_storage) -> Option<SocketAddr> {
    // SAFETY: by the contract; the storage is aligned for, and as large as, every family's address.
    unsafe {
        match c_int::from((*name).ss_family) {
            libc::AF_INET => {
                let name = name.cast::<libc::sockaddr_in>();
                let ip = Ipv4Addr::from((*name).sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(ip, u16::from_be((*name).sin_port)).into())
            }
            libc::AF_INET6 => {
                let name = name.cast::<libc::sockaddr_in6>();
                let ip = Ipv6Addr::from((*name).sin6_addr.s6_addr);
                let port = u16::from_be((*name).sin6_port);
                // The flow label is no part of who somebody is.
                Some(SocketAddrV6::new(ip, port, 0, (*name).sin6_scope_id).into())
            }
            _ => None,
        }
    }
}

/// Writes an address into a name buffer; its length.
///
/// # Safety
/// `name` must point at a whole, writable `sockaddr_storage`.
pub(super) unsafe fn write_address(name: *mut sockaddr_storage, address: SocketAddr) -> socklen_t {
    // SAFETY: by the contract; the storage is aligned for, and as large as, every family's address.
    unsafe {
        match address {
            SocketAddr::V4(address) => {
                let name = name.cast::<libc::sockaddr_in>();
                (*name).sin_family = libc::AF_INET as _;
                (*name).sin_port = address.port().to_be();
                (*name).sin_addr.s_addr = u32::from_ne_bytes(address.ip().octets());
                size_of::<libc::sockaddr_in>() as socklen_t
            }
            SocketAddr::V6(address) => {
                let name = name.cast::<libc::sockaddr_in6>();
                (*name).sin6_family = libc::AF_INET6 as _;
                (*name).sin6_port = address.port().to_be();
                (*name).sin6_flowinfo = 0;
                (*name).sin6_addr.s6_addr = address.ip().octets();
                (*name).sin6_scope_id = address.scope_id();
                size_of::<libc::sockaddr_in6>() as socklen_t
            }
        }
    }
}

/// The address a datagram was sent to.
///
/// # Safety
/// `header` must be one the kernel filled in, its control buffer alive.
pub(super) unsafe fn own_address(header: *const libc::msghdr) -> Option<OwnAddress> {
    // SAFETY: by the contract the CMSG macros walk a well-formed buffer; the two messages hold the
    // structures they are named after.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null() {
            return None;
        }
        match ((*control).cmsg_level, (*control).cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let info = libc::CMSG_DATA(control).cast::<libc::in_pktinfo>();
                let ip = Ipv4Addr::from((*info).ipi_addr.s_addr.to_ne_bytes());
                Some(OwnAddress::v4(ip))
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let info = libc::CMSG_DATA(control).cast::<libc::in6_pktinfo>();
                let ip = Ipv6Addr::from((*info).ipi6_addr.s6_addr);
                Some(OwnAddress::v6(ip, (*info).ipi6_ifindex))
            }
            _ => None,
        }
    }
}

/// Writes a packet info that makes the kernel send from `own`; the length of the control data.
///
/// # Safety
/// `header` must have a writable control buffer of at least 64 bytes.
pub(super) unsafe fn write_own_address(header: *mut libc::msghdr, own: OwnAddress) -> usize {
    // SAFETY: by the contract there is room for one message of either family.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        match own.ip() {
            IpAddr::V4(ip) => {
                let len = size_of::<libc::in_pktinfo>() as u32;
                (*control).cmsg_level = libc::IPPROTO_IP;
                (*control).cmsg_type = libc::IP_PKTINFO;
                (*control).cmsg_len = libc::CMSG_LEN(len) as _;
                let info = libc::CMSG_DATA(control).cast::<libc::in_pktinfo>();
                // Any interface: the answer takes the route to its receiver.
                (*info).ipi_ifindex = 0;
                (*info).ipi_spec_dst.s_addr = u32::from_ne_bytes(ip.octets());
                (*info).ipi_addr.s_addr = 0;
                libc::CMSG_SPACE(len) as usize
            }
            IpAddr::V6(ip) => {
                let len = size_of::<libc::in6_pktinfo>() as u32;
                (*control).cmsg_level = libc::IPPROTO_IPV6;
                (*control).cmsg_type = libc::IPV6_PKTINFO;
                (*control).cmsg_len = libc::CMSG_LEN(len) as _;
                let info = libc::CMSG_DATA(control).cast::<libc::in6_pktinfo>();
                (*info).ipi6_ifindex = own.interface() as _;
                (*info).ipi6_addr.s6_addr = ip.octets();
                libc::CMSG_SPACE(len) as usize
            }
        }
    }
}

/// The size of the datagrams that came as one; 0 for one alone.
///
/// # Safety
/// `header` must be one the kernel filled in, its control buffer alive.
pub(super) unsafe fn segment_size(header: *const libc::msghdr) -> u16 {
    // SAFETY: by the contract the CMSG macros walk a well-formed buffer; UDP_GRO holds an int.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if control.is_null()
            || ((*control).cmsg_level, (*control).cmsg_type) != (libc::SOL_UDP, libc::UDP_GRO)
        {
            return 0;
        }
        let size = libc::CMSG_DATA(control).cast::<c_int>().read_unaligned();
        u16::try_from(size).unwrap_or(0)
    }
}

/// Writes the size of the datagrams that the kernel is to make of the payload, `at` so many bytes
/// into the control data; the length of what was written.
///
/// # Safety
/// `header` must have a writable control buffer with room for the message at that place, where the
/// one before it ends.
pub(super) unsafe fn write_segment_size(header: *mut libc::msghdr, at: usize, size: u16) -> usize {
    // SAFETY: by the contract there is room; messages end at the alignment of the next one.
    unsafe {
        let len = size_of::<u16>() as u32;
        let control = (*header).msg_control.cast::<u8>().add(at);
        let control = control.cast::<libc::cmsghdr>();
        (*control).cmsg_level = libc::SOL_UDP;
        (*control).cmsg_type = libc::UDP_SEGMENT;
        (*control).cmsg_len = libc::CMSG_LEN(len) as _;
        libc::CMSG_DATA(control).cast::<u16>().write_unaligned(size);
        libc::CMSG_SPACE(len) as usize
    }
}

/// Takes a segment size out of the end of control data.
///
/// # Safety
/// `header`'s control data must have been written by the functions of this file.
pub(super) unsafe fn forget_segment_size(header: *mut libc::msghdr) {
    // SAFETY: by the contract the CMSG macros walk a well-formed buffer.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(header);
        if first.is_null() {
            return;
        }
        if (*first).cmsg_level == libc::SOL_UDP {
            (*header).msg_control = std::ptr::null_mut();
            (*header).msg_controllen = 0 as _;
        } else {
            let len = (*first).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            (*header).msg_controllen = libc::CMSG_SPACE(len as u32) as _;
        }
    }
}

/// Lets datagrams of one size that were sent as one come as one: of bulk, one system call carries
/// dozens.
pub(in crate::l4::udp) fn receive_segments(socket: &impl AsRawFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, libc::UDP_GRO)
}

/// Has the kernel tell the address each datagram was sent to.
pub(crate) fn receive_own_address(socket: &impl AsRawFd, ipv6: bool) -> io::Result<()> {
    let (level, option) = if ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    switch_on(socket, level, option)
}

fn switch_on(socket: &impl AsRawFd, level: c_int, option: c_int) -> io::Result<()> {
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
