//! Stickiness by cookie: how clients of HTTP listeners keep their target, and their target group.
//!
//! Part of a target group and of a weighted forward. The balancer's cookies have names of their own
//! by default, which differ by group so that services on one host name do not overwrite each
//! other's; AWS's names are for clients that look for them.

use std::time::Duration;

/// How clients of an HTTP group keep their target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieStickiness {
    /// How long after its last request a client keeps its target (ELB
    /// `stickiness.lb_cookie.duration_seconds`).
    pub duration: Duration,
    /// The balancer's cookie.
    pub cookie: CookieName,
    /// Clients keep their target only while they have this cookie, which targets set (ELB
    /// `app_cookie`); `None` = from their first response on (`lb_cookie`).
    pub application: Option<String>,
    /// Clients keep a target that is drained or being deregistered, too.
    pub honour_draining: bool,
}

/// How clients of a weighted forward keep their target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupStickiness {
    /// How long after its last request a client keeps its group.
    pub duration: Duration,
    /// The balancer's cookie.
    pub cookie: CookieName,
}

/// What a cookie of the balancer is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieName {
    /// The cookie.
    pub name: String,
    /// A second one of the same value for requests from other sites (`SameSite=None; Secure`).
    pub cross_site: Option<&'static str>,
    /// Attributes are those that ELB writes.
    pub is_aws: bool,
}

impl CookieName {
    /// One of AWS's names.
    pub(crate) fn aws(name: &str, cross_site: Option<&'static str>) -> Self {
        Self {
            name: name.to_owned(),
            cross_site,
            is_aws: true,
        }
    }

    /// A name of our own.
    pub(crate) fn own(name: String) -> Self {
        Self {
            name,
            cross_site: None,
            is_aws: false,
        }
    }

    /// The name that follows from what the cookie is for; the same wherever it is worked out.
    pub(crate) fn derived(of: &str) -> Self {
        // FNV-1a: eight digits tell the services of one host name apart.
        let hash = of.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        Self::own(format!("pointsman-{hash:08x}"))
    }
}
