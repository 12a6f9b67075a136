//! Whether what was drawn fits the shares that were expected.

use std::collections::BTreeMap;

type Counts = BTreeMap<String, usize>;
type Shares = BTreeMap<String, f64>;

/// Pearson's chi-squared test at p = 0.0001.
pub(super) fn fits(counts: &Counts, shares: &Shares, draws: usize) -> Result<(), String> {
    let total: f64 = shares.values().sum();
    if let Some(stranger) = counts.keys().find(|value| !shares.contains_key(*value)) {
        return Err(format!("{stranger} came: {}", shown(counts)));
    }
    let chi_squared: f64 = shares
        .iter()
        .map(|(value, share)| {
            let expected = draws as f64 * share / total;
            let given = counts.get(value).copied().unwrap_or(0) as f64;
            (given - expected).powi(2) / expected
        })
        .sum();
    let freedom = shares.len() as f64 - 1.0;
    match freedom == 0.0 || chi_squared < critical(freedom) {
        true => Ok(()),
        false => Err(format!(
            "of {draws} answers came {} (chi-squared {chi_squared:.1}, at most {:.1})",
            shown(counts),
            critical(freedom)
        )),
    }
}

/// Values drawn together are not independent, which makes counts more even than chance would:
/// within 1 % of their share, or as much as so few can be off by chance.
pub(super) fn fits_roughly(counts: &Counts, shares: &Shares, drawn: usize) -> Result<(), String> {
    let total: f64 = shares.values().sum();
    // Four and a half standard deviations of the widest there is, a share of one half.
    let off = (4.5 * (0.25 / drawn as f64).sqrt()).max(0.01);
    for (value, share) in shares {
        let given = counts.get(value).copied().unwrap_or(0) as f64 / drawn as f64;
        if (given - share / total).abs() > off {
            return Err(format!(
                "{value} came {given:.3} of the time: {}",
                shown(counts)
            ));
        }
    }
    Ok(())
}

fn shown(counts: &Counts) -> String {
    let each = counts
        .iter()
        .map(|(value, count)| format!("{value}:{count}"));
    each.collect::<Vec<_>>().join(" ")
}

/// The chi-squared distribution's upper 0.0001 point (Wilson and Hilferty's approximation).
fn critical(freedom: f64) -> f64 {
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + 3.719 * spread.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(of: &[(&str, usize)]) -> Counts {
        of.iter()
            .map(|(value, count)| ((*value).to_owned(), *count))
            .collect()
    }

    fn shares(of: &[(&str, f64)]) -> Shares {
        of.iter()
            .map(|(value, share)| ((*value).to_owned(), *share))
            .collect()
    }

    #[test]
    fn shares_a_per_cent_off_are_seen_and_chance_is_not() {
        let expected = shares(&[("a", 1.0), ("b", 3.0)]);
        assert!(fits(&counts(&[("a", 25_200), ("b", 74_800)]), &expected, 100_000).is_ok());
        assert!(fits(&counts(&[("a", 26_000), ("b", 74_000)]), &expected, 100_000).is_err());
        assert!(fits(&counts(&[("c", 1)]), &expected, 1).is_err());
        assert!(fits_roughly(&counts(&[("a", 25_900), ("b", 74_100)]), &expected, 100_000).is_ok());
        assert!(
            fits_roughly(&counts(&[("a", 27_000), ("b", 73_000)]), &expected, 100_000).is_err()
        );
        assert!(fits_roughly(&counts(&[("a", 270), ("b", 730)]), &expected, 1_000).is_ok());
    }
}
