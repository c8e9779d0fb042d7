//! How two run files differ: what is said when a run directory belongs to another run file.

use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// The keys whose values differ between two run files, in the order of their names, each as `[sample] sweeps: 1000 -> 2000`. Comments, order and white space do
/// not count. Empty if the files mean the same, or if one of them is not TOML.
pub fn changes(before: &str, now: &str) -> Vec<String> {
    let (Ok(old), Ok(new)) = (DeTable::parse(before), DeTable::parse(now)) else {
        return Vec::new();
    };
    let (mut old_values, mut new_values) = (BTreeMap::new(), BTreeMap::new());
    flatten("", old.get_ref(), &mut old_values);
    flatten("", new.get_ref(), &mut new_values);
    let mut keys: Vec<&String> = old_values.keys().chain(new_values.keys()).collect();
    keys.sort();
    keys.dedup();
    let shown = |value: Option<&String>| value.map_or("not written".to_owned(), String::clone);
    keys.into_iter()
        .filter(|key| old_values.get(*key) != new_values.get(*key))
        .map(|key| format!("{key}: {} -> {}", shown(old_values.get(key)), shown(new_values.get(key))))
        .collect()
}

fn flatten(section: &str, table: &DeTable, values: &mut BTreeMap<String, String>) {
    for (key, value) in table.iter() {
        let name = key.get_ref();
        match value.get_ref() {
            DeValue::Table(inner) if section.is_empty() => flatten(name, inner, values),
            other => {
                let path = if section.is_empty() { name.to_string() } else { format!("[{section}] {name}") };
                values.insert(path, shown(other));
            }
        }
    }
}

/// A value in one way of writing, so that 0x10 and 16, or 1.0 and 1.00, do not count as a change.
fn shown(value: &DeValue) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => {
            i128::from_str_radix(number.as_str(), number.radix()).map_or(number.as_str().to_owned(), |number| number.to_string())
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(number.as_str().to_owned(), |number| format!("{number:?}")),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(list) => format!("[{}]", list.iter().map(|entry| shown(entry.get_ref())).collect::<Vec<_>>().join(", ")),
        DeValue::Table(table) => {
            let entries: Vec<String> = table.iter().map(|(key, value)| format!("{} = {}", key.get_ref(), shown(value.get_ref()))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::changes;

    #[test]
    fn only_meaning_counts() {
        let before = "seed = 16\n[sample]\nsweeps = 1000\ncouplings = [0.4, 0.50]\n";
        let same = "# a comment\nseed = 0x10\n[sample]\ncouplings = [ 0.4,0.5 ]\nsweeps = 1_000\n";
        assert!(changes(before, same).is_empty());
        let other = "seed = 17\n[sample]\ncouplings = [0.4]\nsweeps = 1000\nstart = \"cold\"\n";
        assert_eq!(
            changes(before, other),
            ["[sample] couplings: [0.4, 0.5] -> [0.4]", "[sample] start: not written -> \"cold\"", "seed: 16 -> 17"]
        );
    }
}
