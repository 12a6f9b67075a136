//! Who may ask: every request passes here first.
//!
//! A page of the web that a browser on this machine shows must not reach the admin API: not by DNS
//! rebinding (so the Host must be one of ours, else 421) and not by a cross-site form or fetch (so a
//! change needs `Content-Type: application/json`, else 415, and an Origin, when sent, must be the
//! Host itself, else 403). On the unix socket, whose file mode already says who may ask, any Host
//! will do. Never reads a body.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::Shared;
use super::error::ApiError;

/// Which kind of socket a request came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// TCP: Host rules apply.
    Tcp,
    /// The unix socket.
    Unix,
}

/// The guard of one kind of socket.
#[derive(Clone)]
pub(super) struct Gate {
    admin: Shared,
    door: Door,
}

impl Gate {
    /// A guard that knows the hosts of the generation that serves.
    pub(super) fn new(admin: Shared, door: Door) -> Self {
        Self { admin, door }
    }

    fn refuse(&self, request: &Request) -> Option<ApiError> {
        let config = self.admin.view().config.clone();
        let host = host(request);
        if self.door == Door::Tcp {
            let allowed = host
                .as_ref()
                .is_some_and(|host| is_ours(host, config.admin.bind.ip(), &config.admin.hosts));
            if !allowed {
                return Some(foreign_host(host.as_ref()));
            }
        }
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        foreign_origin(request.headers(), host.as_ref())
            .or_else(|| wrong_content_type(request.headers()))
    }
}

/// The middleware.
pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let mut response = match gate.refuse(&request) {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    let add = |headers: &mut HeaderMap, name: HeaderName, value| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    let headers = response.headers_mut();
    add(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(headers, header::CACHE_CONTROL, "no-store");
    add(headers, header::X_FRAME_OPTIONS, "DENY");
    response
}

/// The host asked for: of an absolute request target, else of the only Host header.
fn host(request: &Request) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        _ => None,
    }
}

/// True for loopback names and addresses, the bind address and `admin.hosts`; any port.
fn is_ours(host: &Authority, bind: IpAddr, hosts: &[String]) -> bool {
    let name = host.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return address.to_canonical().is_loopback()
            || address == bind
            || hosts.iter().any(|host| host == bare);
    }
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || hosts.iter().any(|host| host.eq_ignore_ascii_case(name))
}

fn foreign_host(host: Option<&Authority>) -> ApiError {
    let error = match host {
        Some(host) => format!("requests for the host `{host}` are not answered here"),
        None => "the request names no host".to_owned(),
    };
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, error)
        .help("ask by a loopback address, or add the name to admin.hosts")
}

fn foreign_origin(headers: &HeaderMap, host: Option<&Authority>) -> Option<ApiError> {
    let origin = headers.get(header::ORIGIN)?;
    let same = origin
        .to_str()
        .ok()
        .and_then(|origin| origin.strip_prefix("http://"))
        .zip(host)
        .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_str()));
    (!same).then(|| {
        ApiError::new(
            StatusCode::FORBIDDEN,
            "changes are not taken from pages of another origin",
        )
    })
}

fn wrong_content_type(headers: &HeaderMap) -> Option<ApiError> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"));
    (!json).then(|| {
        ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "a change needs Content-Type: application/json",
        )
        .help("curl: -H 'Content-Type: application/json' -d '{}'")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        let bind = IpAddr::from([192, 0, 2, 7]);
        let hosts = ["lb.example.test".to_owned()];
        let ours = |host: &str| is_ours(&host.parse().unwrap(), bind, &hosts);
        for host in [
            "localhost:9901",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:9901",
            "192.0.2.7:9901",
            "LB.example.test",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "192.0.2.8",
            "x.lb.example.test",
            "0.0.0.0",
            "[::]",
        ] {
            assert!(!ours(host), "{host}");
        }
    }

    #[test]
    fn two_hosts_are_no_host() {
        let request = Request::builder()
            .header("host", "localhost")
            .header("host", "evil.test")
            .body(axum::body::Body::empty())
            .unwrap();
        assert!(host(&request).is_none());
    }

    #[test]
    fn an_origin_must_be_the_host_with_its_port() {
        let host: Authority = "localhost:9901".parse().unwrap();
        let check = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            foreign_origin(&headers, Some(&host)).is_none()
        };
        assert!(check("http://localhost:9901"));
        for origin in [
            "http://localhost:9902",
            "https://localhost:9901",
            "null",
            "http://evil.test",
        ] {
            assert!(!check(origin), "{origin}");
        }
        assert!(foreign_origin(&HeaderMap::new(), Some(&host)).is_none());
    }
}
