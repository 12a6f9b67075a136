#!/usr/bin/python3
"""Prints every leaf of an MMDB file as the maxminddb reader finds it, for tests/mmdb.rs.

One line each: network, country, continent and state code, latitude, longitude, number of the
autonomous system; `-` for what is not there. Goes through the address space from leaf to leaf, those without data included. What aliases
the IPv4 part in IPv6 is left out.
"""

import ipaddress
import sys

import maxminddb

# IPv4 itself, mapped addresses, Teredo, 6to4.
ALIASES = [ipaddress.ip_network(n) for n in ("::/96", "::ffff:0:0/96", "2001::/32", "2002::/16")]


def line(network, record):
    record = record or {}
    country = record.get("country") or {}
    continent = record.get("continent") or {}
    if not country and not continent:
        country = record.get("registered_country") or {}
    states = record.get("subdivisions") or [{}]
    location = record.get("location") or {}
    fields = (
        country.get("iso_code"),
        continent.get("code"),
        states[0].get("iso_code"),
        location.get("latitude"),
        location.get("longitude"),
        record.get("autonomous_system_number"),
    )
    return " ".join([str(network)] + ["-" if f is None else str(f) for f in fields])


def leaves(reader, kind, bits):
    at = 0
    while at < 1 << bits:
        address = kind(at)
        alias = next((a for a in ALIASES if bits == 128 and address in a), None)
        if alias:
            at = int(alias.broadcast_address) + 1
            continue
        record, length = reader.get_with_prefix_len(address)
        network = ipaddress.ip_network((at, length))
        print(line(network, record))
        at += 1 << (bits - length)


def main():
    with maxminddb.open_database(sys.argv[1], maxminddb.MODE_FILE) as reader:
        leaves(reader, ipaddress.IPv4Address, 32)
        if reader.metadata().ip_version == 6:
            leaves(reader, ipaddress.IPv6Address, 128)


main()
