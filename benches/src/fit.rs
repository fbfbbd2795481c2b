//! How a cost grows with the number of chassis.

/// The cost of N chassis: `a + b·N + c·N·(N−1)`.
///
/// Each of N chassis has a tunnel to all others, so that N·(N−1) is the number of tunnel ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// `a`, what a cluster costs before it has a chassis.
    pub base: f64,
    /// `b`, what each chassis adds.
    pub chassis: f64,
    /// `c`, what each tunnel end adds.
    pub tunnel_end: f64,
}

/// Coefficients of three linear equations, and their right-hand side.
type Equations = [[f64; 4]; 3];

impl Fit {
    /// Finds the coefficients with the least sum of squares of deviations, relative to what was measured: the noise of a
    /// start is a part of its time, and unweighted a small cluster would not count at all.
    ///
    /// `points` are pairs of N and the cost, which must not be 0. `None` for fewer than three values of N.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        // Columns of about the same size, so that rounding does no harm.
        let most = points.iter().map(|(n, _)| *n).fold(1.0, f64::max);
        let scale = [1.0, most, most * most];
        let mut equations = Equations::default();
        for (n, cost) in points {
            let terms = terms(*n);
            let row: [f64; 3] = std::array::from_fn(|i| terms[i] / scale[i] / cost);
            for i in 0..3 {
                for j in 0..3 {
                    equations[i][j] += row[i] * row[j];
                }
                equations[i][3] += row[i];
            }
        }
        let solution = solve(equations)?;
        Some(Self {
            base: solution[0] / scale[0],
            chassis: solution[1] / scale[1],
            tunnel_end: solution[2] / scale[2],
        })
    }

    /// What N chassis cost by this.
    pub fn at(&self, n: f64) -> f64 {
        let [one, chassis, tunnel_ends] = terms(n);
        self.base * one + self.chassis * chassis + self.tunnel_end * tunnel_ends
    }
}

fn terms(n: f64) -> [f64; 3] {
    [1.0, n, n * (n - 1.0)]
}

/// Gauss–Jordan elimination; `None` for equations that do not determine all three.
fn solve(mut equations: Equations) -> Option<[f64; 3]> {
    let coefficients = equations.iter().flat_map(|equation| &equation[..3]);
    let most = coefficients.fold(0.0, |most: f64, value| most.max(value.abs()));
    for column in 0..3 {
        let size = |row: &usize| equations[*row][column].abs();
        let pivot = (column..3).max_by(|a, b| size(a).total_cmp(&size(b)))?;
        if size(&pivot) <= 1e-12 * most {
            return None;
        }
        equations.swap(column, pivot);
        let pivot = equations[column];
        for (row, equation) in equations.iter_mut().enumerate() {
            let factor = equation[column] / pivot[column];
            for (value, of_pivot) in equation.iter_mut().zip(pivot) {
                if row == column {
                    *value /= pivot[column];
                } else {
                    *value -= factor * of_pivot;
                }
            }
        }
    }
    Some(equations.map(|equation| equation[3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: Fit = Fit {
        base: 0.25,
        chassis: 0.04,
        tunnel_end: 0.000_1,
    };

    #[test]
    fn exact_points_give_back_what_made_them() {
        let points = [10.0, 50.0, 100.0, 200.0, 500.0].map(|n| (n, TRUTH.at(n)));
        let fit = Fit::of(&points).unwrap();
        assert!((fit.base - TRUTH.base).abs() < 1e-9, "{fit:?}");
        assert!((fit.chassis - TRUTH.chassis).abs() < 1e-10, "{fit:?}");
        assert!((fit.tunnel_end - TRUTH.tunnel_end).abs() < 1e-12, "{fit:?}");
    }

    #[test]
    fn deviations_of_a_small_and_of_a_large_cluster_count_alike() {
        let points = [5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0].map(|n| (n, TRUTH.at(n)));
        let deviation = |of: usize| {
            let mut points = points;
            points[of].1 *= 1.1;
            let fit = Fit::of(&points).unwrap();
            fit.at(points[of].0) / points[of].1 - 1.0
        };
        assert!(deviation(0).abs() < 0.1 && deviation(6).abs() < 0.1);
    }

    #[test]
    fn two_sizes_determine_nothing() {
        let points = [(10.0, 1.0), (20.0, 2.0), (20.0, 2.1)];
        assert_eq!(Fit::of(&points), None);
        assert_eq!(Fit::of(&[]), None);
    }
}
