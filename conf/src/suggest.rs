//! "Did you mean": the nearest of the names that would have been right.
//!
//! Called for unknown keys, values and references. Knows a few words of other programs too, so that
//! people who bring them hear ours.

/// Other programs' words for ours, in the spelling that [`plain`] gives.
const FOREIGN: &[(&str, &str)] = &[
    ("algo", "algorithm"),
    ("backend", "target-group"),
    ("backends", "target-group"),
    ("balance", "algorithm"),
    ("check", "health-check"),
    ("checks", "health-check"),
    ("cluster", "target-group"),
    ("clusters", "target-group"),
    ("default-backend", "forward"),
    ("domain", "zone"),
    ("endpoints", "targets"),
    ("fall", "unhealthy-threshold"),
    ("frontend", "listener"),
    ("frontends", "listener"),
    ("hosted-zone", "zone"),
    ("inter", "interval"),
    ("ip-hash", "source-ip-hash"),
    ("lb-policy", "algorithm"),
    ("least-conn", "least-connections"),
    ("leastconn", "least-connections"),
    ("listen", "bind"),
    ("log", "logs"),
    ("maxconn", "max-connections"),
    ("members", "targets"),
    ("p2c", "power-of-two-choices"),
    ("pool", "target-group"),
    ("port", "bind"),
    ("proxy-connect-timeout", "connect-timeout"),
    ("proxy-pass", "forward"),
    ("proxy-read-timeout", "response-timeout"),
    ("random", "weighted-random"),
    ("resource-record-sets", "record"),
    ("ring-hash", "maglev"),
    ("rise", "healthy-threshold"),
    ("roundrobin", "round-robin"),
    ("rr", "round-robin"),
    ("server", "targets"),
    ("servers", "targets"),
    ("set-identifier", "id"),
    ("threads", "workers"),
    ("upstream", "target-group"),
    ("upstreams", "target-group"),
    ("uri", "path"),
    ("worker-processes", "workers"),
];

/// The candidate nearest to `word`, when one is near enough to be meant.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = plain(word);
    let foreign = FOREIGN
        .iter()
        .find(|(theirs, _)| *theirs == word)
        .map(|(_, ours)| *ours);
    let mut best: Option<(&str, f64)> = None;
    for candidate in candidates {
        if foreign == Some(candidate) {
            return Some(candidate);
        }
        let score = likeness(&word, &plain(candidate));
        if score >= 0.88 && best.is_none_or(|(_, b)| score > b) {
            best = Some((candidate, score));
        }
    }
    best.map(|(candidate, _)| candidate)
}

/// From 0 to 1; 0.9 and more for one slip in a short word or two in a long one.
fn likeness(word: &str, candidate: &str) -> f64 {
    let slips = strsim::damerau_levenshtein(word, candidate);
    let few = match word.len() {
        0..=2 => slips == 0,
        3..=5 => slips <= 1,
        _ => slips <= 2,
    };
    let score = strsim::jaro_winkler(word, candidate);
    if few { score.max(0.9) } else { score }
}

/// The candidate nearest to `word` as a sentence, else all of them, else `none`.
pub(crate) fn help<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
    what: &str,
    none: &str,
) -> String {
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let all: Vec<String> = candidates
        .into_iter()
        .take(20)
        .map(|candidate| format!("`{candidate}`"))
        .collect();
    if all.is_empty() {
        none.to_owned()
    } else {
        format!("{what}: {}", all.join(", "))
    }
}

/// Lower case, words joined by `-`, so that case and `_` do not count as differences.
fn plain(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for c in word.chars().take(128) {
        match c {
            '_' | '.' | ' ' => out.push('-'),
            c => out.extend(c.to_lowercase()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_foreign_words_find_ours() {
        let keys = [
            "deregistration-delay",
            "target-group",
            "targets",
            "bind",
            "forward",
            "name",
        ];
        for (word, expected) in [
            ("deregistration_delay", Some("deregistration-delay")),
            ("deregistation-delay", Some("deregistration-delay")),
            ("upstream", Some("target-group")),
            ("servers", Some("targets")),
            ("target", Some("targets")),
            ("bnid", Some("bind")),
            ("Listen", Some("bind")),
            ("naem", Some("name")),
            ("xyzzy", None),
        ] {
            assert_eq!(nearest(word, keys), expected, "{word}");
        }
    }
}
