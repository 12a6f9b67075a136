//! MMDB files: what is read at all finds every address somewhere, at a scope within its length.

use std::net::IpAddr;

use dns::Located;

use super::{Body, outcome};

/// Addresses in different corners of the tree.
const ADDRESSES: [&str; 6] = [
    "0.0.0.0",
    "127.255.255.255",
    "192.0.2.1",
    "::",
    "2001:db8::1",
    "ffff::",
];

pub(super) fn body() -> Body {
    let addresses: Vec<IpAddr> = ADDRESSES
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect();
    Body {
        name: "mmdb",
        seeds: vec![
            file(4, b"\xe1\x47country\xe1\x48iso_code\x42DE"),
            file(6, b"\xe2\x48location\xe2\x48latitude\x68\x40\x49\0\0\0\0\0\0\x49longitude\x68\x40\x24\0\0\0\0\0\0\x4ccountry_code\x42US"),
            file(4, b"\xe2\x49continent\xe1\x44code\x42EU\x4csubdivisions\x01\x04\xe1\x48iso_code\x42CA"),
        ],
        words: &[
            b"\xab\xcd\xefMaxMind.com",
            b"\x4anode_count\xa1\x02",
            b"\x4brecord_size\xa1\x1c",
            b"\x4brecord_size\xa1\x20",
            b"\x4aip_version\xa1\x06",
            b"\x20\0",
            b"\x38\0\0\0\0",
            b"\0\0\x11",
            b"\xff\xff\xff\xff",
            b"\x1f\x04\xff\xff\xff",
            b"\x43lat\x4412.5",
        ],
        run: Box::new(move |input| match Located::from_mmdb(input, "fuzz") {
            Err(fault) => outcome(fault.to_string()),
            Ok(located) => {
                let found = addresses.iter().map(|address| {
                    let (there, scope) = located.find(*address);
                    let longest = if address.is_ipv4() { 32 } else { 128 };
                    assert!(scope <= longest, "{address}: scope {scope}");
                    (there, scope)
                });
                outcome(found.collect::<Vec<_>>())
            }
        }),
    }
}

/// A tree of one node: the lower half of the addresses has this record, the upper half none.
fn file(ip_version: u8, record: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 17, 0, 0, 1];
    file.extend([0; 16]);
    file.extend(record);
    file.extend(b"\xab\xcd\xefMaxMind.com\xe5\x4anode_count\xa1\x01\x4brecord_size\xa1\x18");
    file.extend(b"\x4aip_version\xa1");
    file.push(ip_version);
    file.extend(b"\x5bbinary_format_major_version\xa1\x02\x4bbuild_epoch\xc1\x01");
    file
}
