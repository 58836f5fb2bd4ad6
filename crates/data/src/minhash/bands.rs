//! Into how many bands a signature is cut.

/// Steps of the sums that stand for integrals over the similarity.
const STEPS: usize = 1000;

/// The bands of a signature. Two texts share a bucket where all rows of one band are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bands {
    /// Number of bands.
    pub count: usize,
    /// Numbers of the signature in each.
    pub rows: usize,
}

impl Bands {
    /// Those for which the pairs below the threshold that share a bucket and the pairs above that do not are fewest, all
    /// similarities being equally likely. Of a signature with `permutations` numbers some may stay unused.
    pub(super) fn for_threshold(threshold: f64, permutations: usize) -> Self {
        let wrong = |bands: Self| -> f64 {
            (0..STEPS)
                .map(|step| (step as f64 + 0.5) / STEPS as f64)
                .map(|similarity| {
                    let shared = bands.probability(similarity);
                    if similarity < threshold { shared } else { 1.0 - shared }
                })
                .sum()
        };
        // For each number of rows, fewer bands than fit are better where they separate better.
        let all = (1..=permutations)
            .flat_map(|rows| (1..=permutations / rows).map(move |count| Self { count, rows }));
        let mut best = (f64::INFINITY, Self { count: 1, rows: 1 });
        for bands in all {
            let wrong = wrong(bands);
            if wrong < best.0 {
                best = (wrong, bands);
            }
        }
        best.1
    }

    /// The probability that texts of a Jaccard similarity (0 to 1) share a bucket.
    pub fn probability(self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powi(self.rows as i32)).powi(self.count as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_at_the_threshold() {
        for threshold in [0.5, 0.7, 0.8, 0.9] {
            let bands = Bands::for_threshold(threshold, 128);
            assert!(bands.count * bands.rows <= 128);
            assert!(bands.probability(threshold - 0.15) < 0.3, "{threshold}: {bands:?}");
            assert!(bands.probability((threshold + 0.15).min(0.99)) > 0.8, "{threshold}: {bands:?}");
        }
    }

    /// `MinHashLSH(threshold=t, num_perm=128)` of PyPI `datasketch` 2.0.0, `.b` and `.r`.
    #[test]
    fn they_are_those_of_datasketch() {
        for (threshold, count, rows) in [(0.5, 25, 5), (0.7, 14, 9), (0.8, 9, 13), (0.9, 5, 25)] {
            assert_eq!(Bands::for_threshold(threshold, 128), Bands { count, rows }, "{threshold}");
        }
    }
}
