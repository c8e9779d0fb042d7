//! What the clusters of the cluster algorithms say, beside what the spins say: the table `improved_estimators` of the group `/analyses`. Rank 0 makes it, at the end of `[sample]` and
//! again for `kadanoff report`.

use crate::record::{Cell, SamplingRecord, TableRecord};
use crate::statistics::improved;

/// The table, where `improved_estimators` was asked for.
pub(super) fn table(sampling: &SamplingRecord) -> Option<TableRecord> {
    let columns = [
        ("size", "side of the lattice", "1"),
        ("coupling", "coupling K", "1"),
        ("plain", "from the spins of the draws", "1"),
        ("improved", "from the clusters", "1"),
        ("exact", "exact value of the torus", "1"),
        ("gain", "how many times as many draws the plain estimator would need for the same error", "1"),
    ];
    let long_name = "improved estimators beside plain ones";
    let mut table = TableRecord::new("improved_estimators", "estimator", long_name, &columns);
    for ensemble in &sampling.ensembles {
        for one in improved::observables(sampling.geometry, ensemble.size, &ensemble.chains) {
            let plain = ensemble.observables.iter().find(|plain| plain.name == one.name);
            let [of_spins, of_clusters] = [plain.map(|plain| plain.estimate), Some(one.estimate)];
            let pair = |estimate: Option<crate::record::Estimate>| estimate.map(|estimate| [estimate.mean, estimate.error]);
            let gain = of_spins.filter(|plain| plain.error > 0.0).map(|plain| (plain.error / one.estimate.error).powi(2));
            table.push(
                format!("{}, L = {}, K = {}", one.long_name, ensemble.size, ensemble.coupling),
                vec![
                    Cell::exact(ensemble.size as f64),
                    Cell::exact(ensemble.coupling),
                    Cell::maybe_estimate(pair(of_spins)),
                    Cell::maybe_estimate(pair(of_clusters)),
                    Cell::maybe(plain.and_then(|plain| plain.exact)),
                    Cell::maybe(gain),
                ],
            );
        }
    }
    Some(table).filter(|table| !table.rows.is_empty())
}
