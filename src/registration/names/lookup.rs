//! Asks a question: /etc/hosts, then name servers, by hickory-resolver. The I/O of names.
//!
//! Called by the [`Registry`](super::super::Registry), which runs each lookup as a task. It keeps no
//! answer: how long one holds is the machine's part. resolv.conf is read again when it changed.

use std::collections::HashMap;
use std::fs::Metadata;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::Resolver;
use hickory_proto::op::{Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{Hosts, TokioResolver};

use super::{Answer, Kind, Question, Reply, Service};

const RESOLV_CONF: &str = "/etc/resolv.conf";
/// A local file costs nothing to read again.
const HOSTS_TTL: Duration = Duration::from_secs(5);
/// Of one attempt at one server.
const TIMEOUT: Duration = Duration::from_secs(2);
/// After the first.
const RETRIES: usize = 1;

/// Resolvers by what they ask, made when first needed.
#[derive(Default)]
pub(crate) struct Lookups {
    resolvers: HashMap<Resolver, (Arc<TokioResolver>, Option<SystemTime>)>,
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let asked = self.resolvers.keys();
        f.debug_struct("Lookups").field("asked", &asked).finish()
    }
}

impl Lookups {
    /// The lookup of one question.
    pub(crate) fn ask(&mut self, question: &Question) -> impl Future<Output = Reply> + use<> {
        let resolver = self.resolver(&question.resolver);
        let question = question.clone();
        async move {
            let resolver = match resolver {
                Ok(resolver) => resolver,
                Err(error) => return question.failed(&error),
            };
            let name = match Name::from_utf8(&*question.name) {
                Ok(name) => name,
                Err(error) => return question.failed(&error.to_string()),
            };
            match question.kind {
                Kind::Service => Reply::Service(services(&resolver, name).await),
                Kind::Addresses => {
                    let system = question.resolver == Resolver::System;
                    if let Some(reply) = system.then(|| from_hosts(&name)).flatten() {
                        return reply;
                    }
                    let ask = |rtype| addresses(&resolver, name.clone(), rtype);
                    let (v4, v6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
                    Reply::Addresses([v4, v6])
                }
            }
        }
    }

    fn resolver(&mut self, asked: &Resolver) -> Result<Arc<TokioResolver>, String> {
        let changed = match asked {
            Resolver::System => std::fs::metadata(RESOLV_CONF).ok(),
            Resolver::Servers(_) => None,
        };
        let changed = changed
            .as_ref()
            .map(Metadata::modified)
            .and_then(Result::ok);
        if let Some((resolver, made)) = self.resolvers.get(asked)
            && *made == changed
        {
            return Ok(resolver.clone());
        }
        let made = Arc::new(make(asked).map_err(|error| format!("no resolver: {error}"))?);
        let kept = (made.clone(), changed);
        self.resolvers.insert(asked.clone(), kept);
        Ok(made)
    }
}

impl Question {
    fn failed(&self, error: &str) -> Reply {
        match self.kind {
            Kind::Service => Reply::Service(Err(error.to_owned())),
            Kind::Addresses => Reply::Addresses([Err(error.to_owned()), Err(error.to_owned())]),
        }
    }
}

fn make(asked: &Resolver) -> Result<TokioResolver, NetError> {
    let mut builder = match asked {
        Resolver::System => TokioResolver::builder_tokio()?,
        Resolver::Servers(servers) => {
            let servers = servers.iter().map(server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options: &mut ResolverOpts = builder.options_mut();
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = options.timeout.min(TIMEOUT);
    options.attempts = options.attempts.min(RETRIES);
    builder.build()
}

/// A server asked over UDP, and over TCP for what does not fit.
fn server(address: &SocketAddr) -> NameServerConfig {
    let over = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![over(ConnectionConfig::udp()), over(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

/// What /etc/hosts says of a name, if it is there.
fn from_hosts(name: &Name) -> Option<Reply> {
    let hosts = Hosts::from_system().ok()?;
    let family = |rtype| {
        let found = hosts.lookup_static_host(&Query::query(name.clone(), rtype));
        let records = found.as_ref().map_or(&[][..], |found| found.answers());
        records
            .iter()
            .filter_map(|record| record.data.ip_addr())
            .collect::<Vec<_>>()
    };
    let families = [RecordType::A, RecordType::AAAA].map(family);
    let found = families.iter().any(|family| !family.is_empty());
    let answer = |records| {
        Ok(Answer {
            records,
            ttl: HOSTS_TTL,
        })
    };
    found.then(|| Reply::Addresses(families.map(answer)))
}

async fn addresses(
    resolver: &TokioResolver,
    name: Name,
    rtype: RecordType,
) -> Result<Answer<IpAddr>, String> {
    records(resolver, name, rtype, |data| data.ip_addr()).await
}

async fn services(resolver: &TokioResolver, name: Name) -> Result<Answer<Service>, String> {
    let read = |data: &RData| match data {
        RData::SRV(srv) => Some(Service {
            priority: srv.priority,
            weight: srv.weight,
            port: srv.port,
            host: match srv.target.is_root() {
                true => "".into(),
                false => srv.target.to_ascii().into(),
            },
        }),
        _ => None,
    };
    records(resolver, name, RecordType::SRV, read).await
}

async fn records<T>(
    resolver: &TokioResolver,
    name: Name,
    rtype: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Result<Answer<T>, String> {
    let found = match resolver.lookup(name, rtype).await {
        Ok(found) => found,
        Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => {
            return match nothing.response_code {
                ResponseCode::NoError | ResponseCode::NXDomain => Ok(Answer {
                    records: Vec::new(),
                    ttl: Duration::from_secs(nothing.negative_ttl.unwrap_or(0).into()),
                }),
                code => Err(code.to_string()),
            };
        }
        Err(error) => return Err(error.to_string()),
    };
    let wanted = |record: &&Record| record.record_type() == rtype;
    let answers = || found.answers().iter();
    // A chain of CNAMEs holds no longer than its shortest link.
    let ttl = answers().map(|record| record.ttl).min().unwrap_or(0);
    Ok(Answer {
        records: answers()
            .filter(wanted)
            .filter_map(|record| read(&record.data))
            .collect(),
        ttl: Duration::from_secs(ttl.into()),
    })
}
