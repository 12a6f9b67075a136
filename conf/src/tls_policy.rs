//! AWS's security policies: which protocols and suites each names, and which of them are served.
//!
//! Data only, from ELB's documentation of its policies. rustls speaks TLS 1.2 and 1.3 with suites
//! that encrypt and authenticate in one (AEAD) and exchange keys anew each time (ECDHE): a policy
//! that names others as well is served without them, and the file is told so. One that takes
//! TLS 1.0 or 1.1 is refused, for clients would be lost that it promises to take.

use crate::TlsPolicy;

/// ELB's default for new listeners made today, without suites by CBC.
pub(crate) const DEFAULT: &str = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/// TLS 1.3: AES-128-GCM, AES-256-GCM, ChaCha20-Poly1305 (RFC 8446 section B.4).
const TLS13: [u16; 3] = [0x1301, 0x1302, 0x1303];
/// TLS 1.2 with ECDHE and AES-GCM: ECDSA, RSA with 128 bits; the same with 256 (RFC 5289).
const GCM: [u16; 4] = [0xc02b, 0xc02f, 0xc02c, 0xc030];
const BOTH: [u16; 7] = [TLS13[0], TLS13[1], TLS13[2], GCM[0], GCM[1], GCM[2], GCM[3]];
/// FIPS 140-3 has no ChaCha20.
const FIPS13: [u16; 2] = [TLS13[0], TLS13[1]];
const FIPS_BOTH: [u16; 6] = [TLS13[0], TLS13[1], GCM[0], GCM[1], GCM[2], GCM[3]];

/// X25519, P-256, P-384.
const CURVES: [u16; 3] = [0x001d, 0x0017, 0x0018];
/// P-256, P-384.
const NIST: [u16; 2] = [0x0017, 0x0018];
/// X25519MLKEM768 and SecP256r1MLKEM768 before the curves (draft-ietf-tls-ecdhe-mlkem).
const HYBRID: [u16; 5] = [0x11ec, 0x11eb, CURVES[0], CURVES[1], CURVES[2]];
const NIST_HYBRID: [u16; 3] = [0x11eb, NIST[0], NIST[1]];

const CBC_SHA2: [&str; 4] = [
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
];
const CBC: [&str; 8] = [
    CBC_SHA2[0],
    CBC_SHA2[1],
    CBC_SHA2[2],
    CBC_SHA2[3],
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-ECDSA-AES256-SHA",
];
const CBC_SHA2_RSA: [&str; 8] = [
    CBC_SHA2[0],
    CBC_SHA2[1],
    CBC_SHA2[2],
    CBC_SHA2[3],
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
];
const CBC_RSA: [&str; 14] = [
    CBC[0],
    CBC[1],
    CBC[2],
    CBC[3],
    CBC[4],
    CBC[5],
    CBC[6],
    CBC[7],
    "AES128-GCM-SHA256",
    "AES128-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA256",
    "AES256-SHA",
];

const fn policy(
    name: &'static str,
    suites: &'static [u16],
    groups: &'static [u16],
    left_out: &'static [&'static str],
) -> TlsPolicy {
    TlsPolicy {
        name,
        suites,
        groups,
        left_out,
    }
}

/// Every policy that is served. One line each, so that it reads as the table it is.
#[rustfmt::skip]
pub(crate) static SERVED: [TlsPolicy; 24] = [
    policy(DEFAULT, &BOTH, &CURVES, &[]),
    policy("ELBSecurityPolicy-TLS13-1-3-2021-06", &TLS13, &CURVES, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-2021-06", &BOTH, &CURVES, &CBC_SHA2),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext1-2021-06", &BOTH, &CURVES, &CBC_SHA2_RSA),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06", &BOTH, &CURVES, &CBC_RSA),
    policy("ELBSecurityPolicy-FS-1-2-Res-2020-10", &GCM, &CURVES, &[]),
    policy("ELBSecurityPolicy-FS-1-2-Res-2019-08", &GCM, &CURVES, &CBC_SHA2),
    policy("ELBSecurityPolicy-FS-1-2-2019-08", &GCM, &CURVES, &CBC),
    policy("ELBSecurityPolicy-TLS-1-2-2017-01", &GCM, &CURVES, &CBC_SHA2_RSA),
    policy("ELBSecurityPolicy-TLS-1-2-Ext-2018-06", &GCM, &CURVES, &CBC_RSA),
    policy("ELBSecurityPolicy-TLS13-1-3-FIPS-2023-04", &FIPS13, &NIST, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-2023-04", &FIPS_BOTH, &NIST, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-FIPS-2023-04", &FIPS_BOTH, &NIST, &CBC_SHA2),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04", &FIPS_BOTH, &NIST, &CBC),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04", &FIPS_BOTH, &NIST, &CBC_SHA2_RSA),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext2-FIPS-2023-04", &FIPS_BOTH, &NIST, &CBC_RSA),
    policy("ELBSecurityPolicy-TLS13-1-3-PQ-2025-09", &TLS13, &HYBRID, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", &BOTH, &HYBRID, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-PQ-2025-09", &BOTH, &HYBRID, &CBC_SHA2),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext1-PQ-2025-09", &BOTH, &HYBRID, &CBC_SHA2_RSA),
    policy("ELBSecurityPolicy-TLS13-1-2-Ext2-PQ-2025-09", &BOTH, &HYBRID, &CBC_RSA),
    policy("ELBSecurityPolicy-TLS13-1-3-FIPS-PQ-2025-09", &FIPS13, &NIST_HYBRID, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09", &FIPS_BOTH, &NIST_HYBRID, &[]),
    policy("ELBSecurityPolicy-TLS13-1-2-FIPS-PQ-2025-09", &FIPS_BOTH, &NIST_HYBRID, &CBC_SHA2),
];

/// Policies that take TLS 1.0 or 1.1.
pub(crate) const REFUSED: [&str; 16] = [
    "ELBSecurityPolicy-TLS13-1-1-2021-06",
    "ELBSecurityPolicy-TLS13-1-0-2021-06",
    "ELBSecurityPolicy-TLS13-1-1-FIPS-2023-04",
    "ELBSecurityPolicy-TLS13-1-0-FIPS-2023-04",
    "ELBSecurityPolicy-TLS13-1-0-PQ-2025-09",
    "ELBSecurityPolicy-TLS13-1-0-FIPS-PQ-2025-09",
    "ELBSecurityPolicy-FS-1-1-2019-08",
    "ELBSecurityPolicy-FS-2018-06",
    "ELBSecurityPolicy-TLS-1-1-2017-01",
    "ELBSecurityPolicy-2016-08",
    "ELBSecurityPolicy-TLS-1-0-2015-04",
    "ELBSecurityPolicy-2015-05",
    "ELBSecurityPolicy-2015-03",
    "ELBSecurityPolicy-2015-02",
    "ELBSecurityPolicy-2014-10",
    "ELBSecurityPolicy-2014-01",
];

/// True for a policy whose suites are those that FIPS 140-3 allows.
pub(crate) fn is_fips(policy: &TlsPolicy) -> bool {
    policy.name.contains("-FIPS-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart_and_no_policy_is_empty() {
        let served = SERVED.iter().map(|policy| policy.name);
        let all: std::collections::BTreeSet<_> = served.chain(REFUSED).collect();
        assert_eq!(all.len(), SERVED.len() + REFUSED.len());
        for policy in &SERVED {
            assert!(
                policy.takes_tls12() || policy.takes_tls13(),
                "{}",
                policy.name
            );
            assert_eq!(
                policy.takes_tls13(),
                policy.name.contains("-TLS13-"),
                "{}",
                policy.name
            );
            let without_12 = policy.name.contains("TLS13-1-3");
            assert_eq!(policy.takes_tls12(), !without_12, "{}", policy.name);
        }
    }
}
