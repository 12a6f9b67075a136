//! Why a gate lets a request not pass: its status, word and sentence. Pure data.

/// A request that a gate did not let pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// What a rewrite made of host or URL cannot stand in a request.
    RewriteFailed,
}

impl Denial {
    /// The status to answer.
    pub(crate) fn status(self) -> u16 {
        match self {
            Self::RewriteFailed => 500,
        }
    }

    /// The word for labels and logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RewriteFailed => "rewrite-failed",
        }
    }

    /// One sentence for the person who asked.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::RewriteFailed => {
                "What this request was to be rewritten to cannot stand in a request."
            }
        }
    }
}
