//! Which couplings are sampled: `couplings`, `temperatures` or `window` of `[sample]`.

use super::lattice::{Geometry, LatticeSection};
use super::reader::{Field, Section};
use crate::elementary::power;

/// The keys that say which couplings there are.
pub(super) const KEYS: [&str; 3] = ["couplings", "temperatures", "window"];
/// Above this coupling no spin of a finite run would ever flip: a value beyond it is a mistake.
const LARGEST_COUPLING: f64 = 100.0;

/// Where the couplings K = J / k_B T of a run come from.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Couplings {
    /// `couplings` (numbers, or `"critical"`) or `temperatures`: the same for every size, in the order of the file.
    Listed(Vec<f64>),
    /// `window`: equally spaced in the scaling variable x = t L^(1/nu) with t = T / T_c - 1, from -width / 2 to +width / 2, so that they close in on the
    /// centre as the lattice grows.
    Window {
        /// The coupling at x = 0: `"critical"` or a number.
        center: f64,
        /// The whole width in x.
        width: f64,
        /// How many couplings.
        points: usize,
        /// 1 / nu.
        inverse_exponent: f64,
    },
}

impl Couplings {
    /// Those of the lattice of side `size`.
    pub(super) fn of(&self, size: usize) -> Vec<f64> {
        match self {
            Couplings::Listed(values) => values.clone(),
            Couplings::Window { center, width, points, inverse_exponent } => {
                let scale = power(size as f64, *inverse_exponent);
                let last = (points - 1) as f64;
                (0..*points).map(|point| center / (1.0 + width * (point as f64 / last - 0.5) / scale)).collect()
            }
        }
    }
}

/// The couplings, by whichever of the three keys says so.
pub(super) fn read(section: &Section, lattice: Option<&LatticeSection>) -> Option<Couplings> {
    let written: Vec<&str> = KEYS.into_iter().filter(|key| section.has(key)).collect();
    if let [first, second, ..] = written[..] {
        section.refuse(second, &format!("`{first}` is there too, and both say which couplings to sample: write only one of them"));
    }
    // With none of the three, the sentence is that of a missing `couplings`.
    let example = "couplings = [0.408], or temperatures = [2.45], or window = { center = \"critical\", width = 2.0, points = 17 }";
    match written.first().copied().unwrap_or("couplings") {
        "temperatures" => section
            .required("temperatures", example, |field| {
                let values = field.distinct("temperatures", |field| {
                    field.number("a temperature k_B T / J from 0.01 to 10^9", |value| (1.0 / LARGEST_COUPLING..=1e9).contains(&value))
                })?;
                let couplings: Vec<f64> = values.into_iter().map(|temperature| 1.0 / temperature).collect();
                if (1..couplings.len()).any(|place| couplings[..place].contains(&couplings[place])) {
                    return field.refuse(
                        "two of the temperatures are too close to have different couplings: write temperatures that differ by more",
                    );
                }
                Some(couplings)
            })
            .map(Couplings::Listed),
        "window" => section.required("window", example, |field| window(field, lattice)),
        _ => {
            let critical = lattice.map_or(Geometry::Square, |lattice| lattice.geometry).critical_coupling();
            let read = |field: &Field| match critical {
                Some(critical) if field.says("critical") => Some(critical),
                None if field.says("critical") => field.refuse("this lattice has no critical point: write a number"),
                Some(_) if field.is_text() => field.refuse("must be a coupling K = J / k_B T as a number, or \"critical\""),
                _ => coupling(field),
            };
            section.required("couplings", example, |field| field.distinct("couplings", read)).map(Couplings::Listed)
        }
    }
}

/// One coupling K = J / k_B T.
pub(super) fn coupling(field: &Field) -> Option<f64> {
    field.number("a coupling K = J / k_B T from 0 to 100: the model is the ferromagnet, K >= 0", |value| {
        (0.0..=LARGEST_COUPLING).contains(&value)
    })
}

fn window(field: &Field, lattice: Option<&LatticeSection>) -> Option<Couplings> {
    const KEYS: &[&str] = &["center", "width", "points"];
    let section = field.table("sample.window", KEYS, "{ center = \"critical\", width = 2.0, points = 17 }")?;
    let geometry = lattice.map_or(Geometry::Square, |lattice| lattice.geometry);
    let (Some(critical), Some(exponent)) = (geometry.critical_coupling(), geometry.correlation_exponent()) else {
        return field.refuse("a chain has no critical point for a window to close in on: write couplings or temperatures");
    };
    let center = section.optional("center", critical, |field| {
        if field.is_text() {
            field.choice(&[("critical", critical)])
        } else {
            field.number("\"critical\" or a coupling above 0 and at most 100", |value| value > 0.0 && value <= LARGEST_COUPLING)
        }
    });
    let width = section.required("width", "width = 2.0", |field| field.number("a number above 0", |value| value > 0.0));
    let points = section.required("points", "points = 17", |field| field.count("from 2 to 10000", 2..=10_000));
    let window = Couplings::Window { center: center?, width: width?, points: points?, inverse_exponent: 1.0 / exponent };
    if let (Some(&smallest), Couplings::Window { center, width, inverse_exponent, .. }) =
        (lattice.and_then(|lattice| lattice.sizes.first()), &window)
    {
        // The lowest temperature of the smallest lattice is T_c (1 - width / (2 L^(1/nu))): it must stay above zero, and its coupling in range.
        let factor = 1.0 - width / (2.0 * power(smallest as f64, *inverse_exponent));
        if factor <= 0.0 || center / factor > LARGEST_COUPLING {
            return field
                .refuse(&format!("the window reaches zero temperature at size {smallest}: write a width well below {}", 2 * smallest));
        }
    }
    // In the largest lattice they are closest.
    if let Some(&largest) = lattice.and_then(|lattice| lattice.sizes.last())
        && window.of(largest).windows(2).any(|pair| pair[0] == pair[1])
    {
        return field.refuse(&format!("the couplings of the window are too close to differ at size {largest}: write a larger width"));
    }
    Some(window)
}
