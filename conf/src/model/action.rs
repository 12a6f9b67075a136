//! Actions: what is done with a request or connection.
//!
//! Part of a listener (its default action) and of every rule. Placeholders of redirects are parsed
//! here once; the data path only fills them in.

use std::fmt;

use super::{GroupIdx, GroupStickiness};

/// What is done with a request or connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sent to a target of one of these groups.
    Forward(Forward),
    /// Answered with another address to ask at (`http` listeners only).
    Redirect(Redirect),
    /// Answered as the file says (`http` listeners only).
    FixedResponse(FixedResponse),
}

impl Action {
    /// All of it to one group.
    pub fn forward_to(group: GroupIdx) -> Self {
        Self::Forward(Forward {
            groups: vec![WeightedGroup { group, weight: 1 }],
            stickiness: None,
        })
    }

    /// The groups it can send to, weight 0 included: they are in use (ELB counts them too).
    pub fn groups(&self) -> impl Iterator<Item = GroupIdx> {
        let groups = match self {
            Self::Forward(forward) => forward.groups.as_slice(),
            Self::Redirect(_) | Self::FixedResponse(_) => &[],
        };
        groups.iter().map(|weighted| weighted.group)
    }

    /// The name in config, API and logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Forward(_) => "forward",
            Self::Redirect(_) => "redirect",
            Self::FixedResponse(_) => "fixed-response",
        }
    }
}

/// One to five groups, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// In the order of the file.
    pub groups: Vec<WeightedGroup>,
    /// Clients keep the group they had; of HTTP listeners only.
    pub stickiness: Option<GroupStickiness>,
}

/// A group and its share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightedGroup {
    /// The group.
    pub group: GroupIdx,
    /// Share of new requests or flows, 0 to 999; 0 = none.
    pub weight: u16,
}

/// An answer that names another address. What is not given stays as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// `None`: the scheme the client used.
    pub protocol: Option<Scheme>,
    /// Host without a port.
    pub host: Template,
    /// `None`: the port the client used.
    pub port: Option<u16>,
    /// Begins with `/`.
    pub path: Template,
    /// Without `?`; none is sent when it comes out empty.
    pub query: Template,
    /// 301 or 302.
    pub status: u16,
}

impl fmt::Display for Redirect {
    /// As a URL with placeholders.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.protocol.map_or("#{protocol}", Scheme::as_str);
        write!(f, "{scheme}://{}:", self.host)?;
        match self.port {
            Some(port) => write!(f, "{port}")?,
            None => f.write_str("#{port}")?,
        }
        write!(f, "{}", self.path)?;
        match self.query.pieces().is_empty() {
            true => Ok(()),
            false => write!(f, "?{}", self.query),
        }
    }
}

/// Schemes a redirect can lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port a URL need not name.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// A part of a redirect: text with placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template(Vec<Piece>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text as it stands.
    Text(String),
    /// What the request says.
    Placeholder(Placeholder),
}

/// What a `#{…}` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placeholder {
    /// `#{protocol}`: the scheme the client used.
    Protocol,
    /// `#{host}`: the host without its port.
    Host,
    /// `#{port}`: the port the client connected to.
    Port,
    /// `#{path}`: the path without its first `/`.
    Path,
    /// `#{query}`: the query without its `?`.
    Query,
}

impl Placeholder {
    /// Every placeholder.
    pub const ALL: [Self; 5] = [
        Self::Protocol,
        Self::Host,
        Self::Port,
        Self::Path,
        Self::Query,
    ];

    /// As it is written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Protocol => "#{protocol}",
            Self::Host => "#{host}",
            Self::Port => "#{port}",
            Self::Path => "#{path}",
            Self::Query => "#{query}",
        }
    }
}

impl Template {
    /// Reads text with placeholders; `Err` holds the first `#{…}` (or `#`) that is none of them.
    pub(crate) fn parse(text: &str) -> Result<Self, &str> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('#') {
            let (before, from) = rest.split_at(at);
            let end = from.find('}').map_or(from.len(), |end| end + 1);
            let (word, after) = from.split_at(end);
            let known = Placeholder::ALL.into_iter().find(|p| p.as_str() == word);
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Placeholder(known.ok_or(word)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The placeholder alone.
    pub(crate) fn of(placeholder: Placeholder) -> Self {
        Self(vec![Piece::Placeholder(placeholder)])
    }

    /// Its pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// The text, when nothing in it depends on the request.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(text),
            Piece::Placeholder(placeholder) => f.write_str(placeholder.as_str()),
        })
    }
}

/// An answer made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// 200 to 299 or 400 to 599.
    pub status: u16,
    /// One of ELB's five; `None` when there is no body.
    pub content_type: Option<&'static str>,
    /// At most 1024 bytes.
    pub body: String,
}
