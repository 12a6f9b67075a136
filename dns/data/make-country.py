#!/usr/bin/env python3
"""Makes country.bin, the table of countries by address that pointsman has built in.

    npm pack @ip-location-db/geo-whois-asn-country-mmdb && tar xzf *.tgz
    pip install maxminddb && ./make-country.py package/geo-whois-asn-country.mmdb country.bin

The layout, numbers little-endian: "PMCT1\\n"; the date of the data, YYYYMMDD, 32 bits; the number of
countries, 16 bits, and two letters for each; the number of IPv4 and of IPv6 ranges, 32 bits each;
then the ranges, IPv4 first. A range is a byte, how many times its distance from the start of the
range before can be halved; the distance so halved, seven bits a byte, lowest first, the top bit set
where more follow; and a byte, the country, counted from 1 (0: none). A range ends where the next
begins; before the first there is no country. The halving byte is left out for IPv4.
"""
import ipaddress
import struct
import sys
import time

import maxminddb


# Addresses that are nowhere (RFC 6890 and its registries); the registries' data name some of them.
NOWHERE = [
    ipaddress.ip_network(block)
    for block in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
        "192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 "
        "224.0.0.0/3 ::/3 2001::/32 2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1"
    ).split()
]


def somewhere(networks, version):
    """The same without what is nowhere."""
    holes = sorted(
        (int(block.network_address), int(block.broadcast_address))
        for block in NOWHERE
        if block.version == version
    )
    for first, last, country in networks:
        for hole_first, hole_last in holes:
            if hole_last < first or hole_first > last:
                continue
            if hole_first > first:
                yield first, hole_first - 1, country
            first = hole_last + 1
        if first <= last:
            yield first, last, country


def ranges(networks):
    """(start, country) of ranges, neighbours merged, holes as None."""
    out, end, current = [], 0, None
    for first, last, country in networks:
        if first != end and current is not None:
            out.append((end, None))
            current = None
        if country != current:
            out.append((first, country))
            current = country
        end = last + 1
    if current is not None:
        out.append((end, None))
    return out


def number(value):
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode(all_ranges, number_of, halve, limit):
    out, before = bytearray(), 0
    for start, country in all_ranges:
        if start > limit:
            break
        distance, halvings = start - before, 0
        if halve:
            while distance and distance % 2 == 0:
                distance, halvings = distance // 2, halvings + 1
            out.append(halvings)
        out += number(distance)
        out.append(number_of[country])
        before = start
    return bytes(out)


def main():
    reader = maxminddb.open_database(sys.argv[1])
    v4, v6 = [], []
    for network, record in reader:
        first, last = int(network.network_address), int(network.broadcast_address)
        (v4 if network.version == 4 else v6).append((first, last, record["country_code"]))
    # IPv4 stands below ::/96 in the tree and is read as IPv4; mapped addresses are asked for as such.
    countries = sorted({country for _, _, country in v4 + v6})
    number_of = {country: at for at, country in enumerate(countries, 1)} | {None: 0}
    v4, v6 = ranges(somewhere(sorted(v4), 4)), ranges(somewhere(sorted(v6), 6))
    date = time.strftime("%Y%m%d", time.gmtime(reader.metadata().build_epoch))
    v4 = [entry for entry in v4 if entry[0] < 2**32]
    v6 = [entry for entry in v6 if entry[0] < 2**128]
    with open(sys.argv[2], "wb") as out:
        out.write(b"PMCT1\n" + struct.pack("<IH", int(date), len(countries)))
        out.write("".join(countries).encode() + struct.pack("<II", len(v4), len(v6)))
        out.write(encode(v4, number_of, False, 2**32 - 1) + encode(v6, number_of, True, 2**128 - 1))
    print(f"{date}: {len(countries)} countries, {len(v4)} IPv4 and {len(v6)} IPv6 ranges")


main()
