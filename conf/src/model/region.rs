//! Regions: AWS's, which latency and geoproximity sets name, and those a file adds; coordinates.
//!
//! The codes are those of Route 53's `ResourceRecordSetRegion`. Coordinates are of the city each
//! region is named after by its operator, which is as exact as distances between regions need.

use super::Country;

/// A point on the earth, to two decimals as in Route 53 (about a kilometre).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinates {
    /// Hundredths of a degree, -9000 to 9000, north positive.
    latitude: i16,
    /// Hundredths of a degree, -18000 to 18000, east positive.
    longitude: i16,
}

/// Mean radius of the earth in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0;

impl Coordinates {
    /// From degrees; `None` outside of -90 to 90 and -180 to 180. Rounded to hundredths.
    pub fn from_degrees(latitude: f64, longitude: f64) -> Option<Self> {
        let inside = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        inside.then(|| Self {
            latitude: (latitude * 100.0).round() as i16,
            longitude: (longitude * 100.0).round() as i16,
        })
    }

    /// From hundredths of degrees of a table in the program.
    pub const fn from_hundredths(latitude: i16, longitude: i16) -> Self {
        Self {
            latitude,
            longitude,
        }
    }

    /// Degrees north.
    pub fn latitude(self) -> f64 {
        f64::from(self.latitude) / 100.0
    }

    /// Degrees east.
    pub fn longitude(self) -> f64 {
        f64::from(self.longitude) / 100.0
    }

    /// The great-circle distance in kilometres (haversine formula).
    pub fn distance_km(self, other: Self) -> f64 {
        let (from, to) = (self.latitude().to_radians(), other.latitude().to_radians());
        let north = (to - from) / 2.0;
        let east = (other.longitude() - self.longitude()).to_radians() / 2.0;
        let half = north.sin().powi(2) + from.cos() * to.cos() * east.sin().powi(2);
        2.0 * EARTH_RADIUS_KM * half.sqrt().min(1.0).asin()
    }
}

/// Index of a region in [`Config::regions`](super::Config::regions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionIdx(pub usize);

/// A place where services run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// AWS's code, or a `[[region]]`'s name.
    pub name: String,
    /// Where it is.
    pub coordinates: Coordinates,
    /// The country it is in; `None` when a file's region does not say.
    pub country: Option<Country>,
}

/// Code, country and coordinates in hundredths of degrees of each AWS region.
const AWS: [(&str, &str, i16, i16); 39] = [
    ("us-east-1", "US", 3895, -7745),
    ("us-east-2", "US", 3996, -8300),
    ("us-west-1", "US", 3735, -12196),
    ("us-west-2", "US", 4584, -11970),
    ("us-gov-east-1", "US", 3996, -8300),
    ("us-gov-west-1", "US", 4584, -11970),
    ("ca-central-1", "CA", 4550, -7357),
    ("ca-west-1", "CA", 5105, -11407),
    ("mx-central-1", "MX", 2059, -10039),
    ("sa-east-1", "BR", -2355, -4663),
    ("eu-west-1", "IE", 5335, -626),
    ("eu-west-2", "GB", 5151, -13),
    ("eu-west-3", "FR", 4886, 235),
    ("eu-central-1", "DE", 5011, 868),
    ("eu-central-2", "CH", 4738, 854),
    ("eu-north-1", "SE", 5933, 1807),
    ("eu-south-1", "IT", 4546, 919),
    ("eu-south-2", "ES", 4165, -88),
    ("eusc-de-east-1", "DE", 5241, 1253),
    ("me-south-1", "BH", 2607, 5056),
    ("me-central-1", "AE", 2520, 5527),
    ("il-central-1", "IL", 3209, 3478),
    ("af-south-1", "ZA", -3392, 1842),
    ("ap-south-1", "IN", 1908, 7288),
    ("ap-south-2", "IN", 1739, 7849),
    ("ap-southeast-1", "SG", 135, 10382),
    ("ap-southeast-2", "AU", -3387, 15121),
    ("ap-southeast-3", "ID", -621, 10685),
    ("ap-southeast-4", "AU", -3781, 14496),
    ("ap-southeast-5", "MY", 314, 10169),
    ("ap-southeast-6", "NZ", -3685, 17476),
    ("ap-southeast-7", "TH", 1376, 10050),
    ("ap-northeast-1", "JP", 3568, 13969),
    ("ap-northeast-2", "KR", 3757, 12698),
    ("ap-northeast-3", "JP", 3469, 13550),
    ("ap-east-1", "HK", 2232, 11417),
    ("ap-east-2", "TW", 2503, 12157),
    ("cn-north-1", "CN", 3990, 11641),
    ("cn-northwest-1", "CN", 3750, 10520),
];

impl Region {
    /// AWS's regions, which every configuration has before its own.
    pub fn aws() -> Vec<Self> {
        let region = |(name, country, latitude, longitude): &(&str, &str, i16, i16)| Self {
            name: (*name).to_owned(),
            coordinates: Coordinates::from_hundredths(*latitude, *longitude),
            country: Country::parse(country),
        };
        AWS.iter().map(region).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_route_53s_and_lie_where_they_say() {
        let regions = Region::aws();
        let mut names: Vec<&str> = regions.iter().map(|region| region.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 39);
        assert!(regions.iter().all(|region| region.country.is_some()));
    }

    #[test]
    fn distances_are_great_circles() {
        let at = |name: &str| {
            let regions = Region::aws();
            let found = regions.iter().find(|region| region.name == name);
            found.unwrap().coordinates
        };
        // Published great-circle distances, to one per cent.
        for (from, to, km) in [
            ("eu-west-2", "eu-west-3", 344.0),
            ("eu-west-2", "eu-central-1", 636.0),
            ("ap-southeast-1", "ap-southeast-2", 6307.0),
            ("ap-northeast-1", "us-west-1", 8278.0),
        ] {
            let distance = at(from).distance_km(at(to));
            assert!((distance / km - 1.0).abs() < 0.01, "{from} {to} {distance}");
            assert_eq!(distance, at(to).distance_km(at(from)));
        }
        let poles = Coordinates::from_hundredths(9000, 0)
            .distance_km(Coordinates::from_hundredths(-9000, 0));
        assert!((poles - 20015.0).abs() < 1.0, "{poles}");
        assert_eq!(Coordinates::from_degrees(90.01, 0.0), None);
        assert_eq!(Coordinates::from_degrees(0.0, f64::NAN), None);
    }
}
