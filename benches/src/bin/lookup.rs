//! What it costs to find where a client is: nanoseconds per look-up in the built-in table, or in an
//! MMDB file's.
//!
//! `lookup [FILE]`, run by hand. Addresses are random, so that caches help as little as they do under traffic
//! from everywhere; the same seed each time. Prints the best of five rounds: what disturbs a round
//! only ever adds to it.
#![forbid(unsafe_code)]

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use dns::Located;

/// Addresses asked for in a round.
const ADDRESSES: usize = 1 << 20;
const ROUNDS: usize = 5;

/// Nanoseconds per look-up of where a client is.
#[derive(Debug, Parser)]
struct Arguments {
    /// An MMDB file; without one the table that is built in
    file: Option<PathBuf>,
}

fn main() -> ExitCode {
    let located = match Arguments::parse().file {
        None => Located::built_in(),
        Some(path) => match Located::from_file(&path) {
            Ok(located) => located,
            Err(why) => {
                eprintln!("{}: {why}", path.display());
                return ExitCode::FAILURE;
            }
        },
    };
    let mut state = 1;
    let v4: Vec<IpAddr> = (0..ADDRESSES)
        .map(|_| Ipv4Addr::from(random(&mut state) as u32).into())
        .collect();
    // 2000::/3, where addresses are given out.
    let v6: Vec<IpAddr> = (0..ADDRESSES)
        .map(|_| {
            let bits = u128::from(random(&mut state)) << 64 | u128::from(random(&mut state));
            Ipv6Addr::from(bits >> 3 | 1 << 125).into()
        })
        .collect();
    for (family, addresses) in [("IPv4", v4), ("IPv6", v6)] {
        let best = (0..ROUNDS).map(|_| round(&located, &addresses));
        let best = best.min().unwrap_or_default();
        println!("{family}: {best} ns per look-up");
    }
    ExitCode::SUCCESS
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures time")]
fn round(located: &Located, addresses: &[IpAddr]) -> u128 {
    let begun = Instant::now();
    for address in addresses {
        black_box(located.find(black_box(*address)));
    }
    begun.elapsed().as_nanos() / addresses.len() as u128
}

/// Splitmix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}
