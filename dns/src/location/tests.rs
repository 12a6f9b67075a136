//! Maps against the plain rule, and scopes against every client under them.

use proptest::prelude::*;

use super::*;

/// The rule without any structure: the longest block that holds the client's network.
fn plain(blocks: &[(IpNet, u32)], client: Client) -> u32 {
    let network = IpNet::new(client.address, client.length).unwrap();
    let around = blocks.iter().filter(|(block, _)| block.contains(&network));
    let longest = around.max_by_key(|(block, _)| block.prefix_len());
    longest.map_or(0, |(_, value)| *value)
}

/// Blocks close together, so that they nest, touch and end where the address space does.
fn blocks() -> impl Strategy<Value = Vec<(IpNet, u32)>> {
    let block = (any::<bool>(), 1..=12u8, any::<u16>(), 1..4u32);
    prop::collection::vec(block, 0..24).prop_map(|drawn| {
        let mut blocks: Vec<(IpNet, u32)> = Vec::new();
        for (v6, length, bits, value) in drawn {
            let block = network(v6, bits, length);
            if blocks.iter().all(|(other, _)| *other != block) {
                blocks.push((block, value));
            }
        }
        blocks
    })
}

/// The block of `length` bits that holds the address beginning with these 16 bits.
fn network(v6: bool, bits: u16, length: u8) -> IpNet {
    let [a, b] = bits.to_be_bytes();
    let address = if v6 {
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&[a, b]);
        IpAddr::from(octets)
    } else {
        IpAddr::from([a, b, 0, 0])
    };
    IpNet::new(address, length).unwrap().trunc()
}

fn client(network: IpNet) -> Client {
    Client {
        address: network.network(),
        length: network.prefix_len(),
    }
}

fn whole(v6: bool, bits: u16) -> Client {
    let network = network(v6, bits, 16);
    Client::from(network.network())
}

proptest! {
    #[test]
    fn the_longest_block_decides(
        blocks in blocks(),
        v6: bool,
        bits: u16,
        length in 0..=16u8,
    ) {
        let map = Map::of_blocks(&blocks, 0);
        let networks = Map::of_networks(&blocks, 0);
        let known = client(network(v6, bits, length));
        prop_assert_eq!(map.find(known).value, plain(&blocks, known));
        let whole = whole(v6, bits);
        prop_assert_eq!(map.find(whole).value, plain(&blocks, whole));
        prop_assert_eq!(networks.find(whole), map.find(whole));
    }

    #[test]
    fn clients_under_one_scope_find_the_same_and_no_wider_scope_would_do(
        one in blocks(),
        other in blocks(),
        v6: bool,
        bits: u16,
    ) {
        let joined = Map::of_blocks(&one, 0).zip(&Map::of_blocks(&other, 0), &mut |a, b| a * 10 + b);
        let asking = whole(v6, bits);
        let Found { value, scope } = joined.find(asking);
        prop_assert_eq!(value, plain(&one, asking) * 10 + plain(&other, asking));
        prop_assert!(scope <= 16);
        let under = |scope: u8| {
            let around = network(v6, bits, scope);
            (0..=u16::MAX).step_by(16).map(move |bits| whole(v6, bits)).filter(move |client| {
                around.contains(&client.address)
            })
        };
        for client in under(scope) {
            prop_assert_eq!(joined.find(client), Found { value, ..joined.find(client) });
            prop_assert_eq!(plain(&one, client) * 10 + plain(&other, client), value);
        }
        if let Some(wider) = scope.checked_sub(1) {
            let differs = under(wider).any(|client| joined.find(client).value != value);
            prop_assert!(differs, "/{} would do", wider);
        }
    }

    #[test]
    fn a_client_known_by_too_few_bits_is_told_so(
        blocks in blocks(),
        v6: bool,
        bits: u16,
        length in 0..=16u8,
    ) {
        let map = Map::of_blocks(&blocks, 0);
        let around = network(v6, bits, length);
        let Found { value, scope } = map.find(client(around));
        let inside = (0..=u16::MAX).step_by(16).map(|bits| whole(v6, bits));
        let mut inside = inside.filter(|client| around.contains(&client.address));
        let differs = inside.any(|client| map.find(client).value != value);
        prop_assert_eq!(scope > length, differs);
    }

    #[test]
    fn every_value_has_a_client_that_finds_it(blocks in blocks()) {
        let map = Map::of_blocks(&blocks, 0);
        for (address, value) in map.samples() {
            prop_assert_eq!(map.find(Client::from(address)).value, value);
        }
        let mut values: Vec<u32> = map.samples().into_iter().map(|(_, value)| value).collect();
        values.sort_unstable();
        values.dedup();
        prop_assert_eq!(values.len(), map.samples().len());
    }
}
