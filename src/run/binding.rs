//! Where the ranks of a job are: hosts, processors they may use, threads. Said at the beginning, with a warning where ranks get in each other's way; every rank calls it.

use super::session::Session;
use crate::console::plural;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// So many ranks are named one by one.
const MOST_NAMED: usize = 8;

/// What one rank knows of its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    host: String,
    /// The processors it may use, as the kernel writes them: "0-3,8".
    processors: String,
    /// The processors of the host.
    of_host: String,
    threads: usize,
}

impl Place {
    fn here() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let of_host = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
        Place {
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            processors: allowed.unwrap_or_default().trim().to_string(),
            of_host: of_host.trim().to_string(),
            threads: rayon::current_num_threads(),
        }
    }
}

/// Says and writes down where the ranks are. Collective.
///
/// # Errors
/// What cannot be written.
pub fn say(session: &mut Session) -> Result<()> {
    let own = serde_json::to_vec(&Place::here()).unwrap_or_default();
    let parts = session.comm().gather(own).unwrap_or_default();
    let places: Vec<Place> = parts.iter().filter_map(|part| serde_json::from_slice(part).ok()).collect();
    session.on_root(|desk| {
        let (words, warnings) = (words(&places), warnings(&places));
        desk.say(&words)?;
        warnings.iter().try_for_each(|warning| desk.say(&format!("warning: {warning}")))?;
        desk.note_binding(words);
        Ok(())
    })?;
    Ok(())
}

/// One line: "2 ranks with 4 threads each; n1: rank 0 on processors 0-3, rank 1 on 4-7".
fn words(places: &[Place]) -> String {
    let threads: BTreeSet<usize> = places.iter().map(|place| place.threads).collect();
    let each = match (threads.first(), threads.last()) {
        (Some(least), Some(most)) if least != most => format!("{least} to {most} threads"),
        (Some(&count), _) => plural(count, "thread"),
        _ => "no threads".to_string(),
    };
    let mut text = format!("{} with {each}{}", plural(places.len(), "rank"), if places.len() > 1 { " each" } else { "" });
    for (host, ranks) in hosts(places) {
        let named = |&rank: &usize| format!("rank {rank} on {}", places[rank].processors);
        let which = if ranks.len() <= MOST_NAMED {
            ranks.iter().map(named).collect::<Vec<String>>().join(", ")
        } else {
            format!("ranks {} to {} on {} in all", ranks[0], ranks[ranks.len() - 1], plural(union(places, &ranks).len(), "processor"))
        };
        text.push_str(&format!("; {host}: {which}"));
    }
    text
}

fn hosts(places: &[Place]) -> BTreeMap<&str, Vec<usize>> {
    let mut hosts: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    places.iter().enumerate().for_each(|(rank, place)| hosts.entry(&place.host).or_default().push(rank));
    hosts
}

/// The processors of a list as the kernel writes it.
fn processors(list: &str) -> BTreeSet<usize> {
    let bounds = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    list.split(',').filter_map(bounds).flatten().collect()
}

fn union(places: &[Place], ranks: &[usize]) -> BTreeSet<usize> {
    ranks.iter().flat_map(|&rank| processors(&places[rank].processors)).collect()
}

/// A sentence for each host whose ranks are bound to fewer processors than they have threads, though the host has more.
fn warnings(places: &[Place]) -> Vec<String> {
    let of_host = |(host, ranks): (&str, Vec<usize>)| {
        let (may_use, there) = (union(places, &ranks).len(), processors(&places[ranks[0]].of_host).len());
        let threads: usize = ranks.iter().map(|&rank| places[rank].threads).sum();
        let own = |rank: usize| processors(&places[rank].processors).len();
        let bound = |rank: &usize| own(*rank) < there && (1..places[*rank].threads).contains(&own(*rank));
        let (who, threads, may_use) = if (1..there.min(threads)).contains(&may_use) {
            (plural(ranks.len(), "rank"), threads, may_use)
        } else {
            let rank = ranks.iter().copied().find(bound)?;
            (format!("rank {rank}"), places[rank].threads, own(rank))
        };
        Some(format!(
            "on {host}, {who} with {} in all may use {} of {there}: give every rank as many as it has threads (srun --cpus-per-task=N, mpirun --map-by slot:PE=N)",
            plural(threads, "thread"),
            plural(may_use, "processor")
        ))
    };
    hosts(places).into_iter().filter_map(of_host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, processors: &str, threads: usize) -> Place {
        Place { host: host.to_string(), processors: processors.to_string(), of_host: "0-7".to_string(), threads }
    }

    #[test]
    fn places_are_named_and_ranks_in_each_others_way_are_warned_of() {
        let good = [place("n1", "0-3", 4), place("n1", "4-7", 4), place("n2", "0,2,4,6", 4)];
        assert_eq!(words(&good), "3 ranks with 4 threads each; n1: rank 0 on 0-3, rank 1 on 4-7; n2: rank 2 on 0,2,4,6");
        assert_eq!(warnings(&good), Vec::<String>::new());
        let on_one_core = [place("n1", "3", 1), place("n1", "3", 1)];
        assert!(
            warnings(&on_one_core)[0].contains("2 ranks with 2 threads in all may use 1 processor of 8"),
            "{:?}",
            warnings(&on_one_core)
        );
        let bound_to_a_core = [place("n1", "0", 4), place("n1", "1-7", 1)];
        assert!(warnings(&bound_to_a_core)[0].contains("rank 0 with 4 threads in all may use 1 processor of 8"));
        // More threads than the whole machine has processors: nothing that binding could cure.
        assert_eq!(warnings(&[place("n1", "0-7", 16)]), Vec::<String>::new());
        assert_eq!(words(&[place("n1", "0-7", 1)]), "1 rank with 1 thread; n1: rank 0 on 0-7");
        let many: Vec<Place> = (0..20).map(|rank| place("n1", &(rank % 8).to_string(), 1)).collect();
        assert_eq!(words(&many), "20 ranks with 1 thread each; n1: ranks 0 to 19 on 8 processors in all");
        assert_eq!(Place::here().threads, rayon::current_num_threads());
    }
}
