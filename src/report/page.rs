//! The page: head with key facts, warnings, findings and speeds; then the sections with their figures and tables numbered; then where it all came from.

use super::figure::Rendered;
use super::html::{Block, Section, Table, escape, raise_exponents, table_html};
use super::number::{self, bytes, date, duration, list, significant, thousands};
use super::{ensemble, training};
use crate::lattice::Geometry;
use crate::record::{RunRecord, SamplingRecord, Submission};

const STYLE: &str = include_str!("page.css");

/// The whole document. `rendered` holds the figures of all sections in order.
pub(super) fn page(record: &RunRecord, sections: &[Section], warnings: &[String], rendered: &[Rendered]) -> String {
    let title = title(record);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"generator\" content=\"kadanoff {}\"/>\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<p class=\"kind\">Kadanoff · report of \
         a run</p>\n<h1>{title}</h1>\n",
        escape(&record.provenance.program_version)
    );
    html.push_str(&facts(record));
    html.push_str("</header>\n");
    html.push_str(&warning_box(warnings, record.sampling.is_some()));
    let mut numbers = Numbers::default();
    html.push_str(&findings(sections));
    if let Some(table) = speeds(record) {
        html.push_str(&table_html(&table, numbers.table()));
    }
    let mut rendered = rendered.iter();
    for (index, section) in sections.iter().enumerate() {
        html.push_str(&format!("<section>\n<h2><span>{}</span> {}</h2>\n", index + 1, section.title));
        for block in &section.blocks {
            match block {
                Block::Paragraph(text) => html.push_str(&format!("<p>{}</p>\n", raise_exponents(text))),
                Block::Table(table) => html.push_str(&table_html(table, numbers.table())),
                Block::Figure(figure) => {
                    let svg = rendered.next().map_or("", |rendered| rendered.svg.as_str());
                    html.push_str(&format!(
                        "<figure style=\"--width:{}px\">\n{svg}<figcaption><b>Figure {}.</b> {} <span class=\"files\"><a href=\"figures/{name}.svg\">SVG</a> <a \
                         href=\"figures/{name}.png\">PNG</a></span></figcaption>\n</figure>\n",
                        figure.drawing.width,
                        numbers.figure(),
                        raise_exponents(&figure.caption),
                        name = escape(&figure.name)
                    ));
                }
            }
        }
        html.push_str("</section>\n");
    }
    html.push_str(&provenance(record));
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

/// Figures and tables are counted over the whole page.
#[derive(Default)]
struct Numbers {
    figures: usize,
    tables: usize,
}

impl Numbers {
    fn figure(&mut self) -> usize {
        self.figures += 1;
        self.figures
    }

    fn table(&mut self) -> usize {
        self.tables += 1;
        self.tables
    }
}

fn lattices(geometry: Geometry, sizes: &[usize]) -> String {
    let one = |size: &usize| match geometry {
        Geometry::Chain => format!("{size} spins in a ring"),
        Geometry::Square => format!("{size} × {size}"),
        Geometry::Cubic => format!("{size} × {size} × {size}"),
    };
    match (sizes.iter().min(), sizes.iter().max()) {
        (Some(smallest), Some(largest)) if sizes.len() > 4 => format!("{} sizes, {} … {}", sizes.len(), one(smallest), one(largest)),
        _ => list(&sizes.iter().map(one).collect::<Vec<String>>()),
    }
}

fn title(record: &RunRecord) -> String {
    let lattice = match (&record.sampling, &record.training) {
        (Some(sampling), _) if !sampling.sizes.is_empty() => format!("The Ising model on {}", lattices(sampling.geometry, &sampling.sizes)),
        (_, Some(training)) => format!("The Ising model on {0} × {0}", training.size),
        _ if record.renormalization.is_some() => "The renormalization of the Ising model".to_string(),
        _ => "A run without results yet".to_string(),
    };
    match &record.training {
        Some(training) if !training.layers.is_empty() => format!("{lattice} and a {} network", training::architecture(&training.layers)),
        _ => lattice,
    }
}

fn facts(record: &RunRecord) -> String {
    let provenance = &record.provenance;
    let mut facts: Vec<(&str, String)> = Vec::new();
    if let Some(sampling) = &record.sampling {
        let lattice = match sampling.geometry {
            Geometry::Chain => "chain, periodic",
            Geometry::Square => "square torus",
            Geometry::Cubic => "cubic torus",
        };
        facts.push((lattice, lattices(sampling.geometry, &sampling.sizes)));
        facts.push((
            "coupling <i>K</i> = <i>J</i> / <i>k</i><sub>B</sub><i>T</i>",
            couplings(&distinct(sampling.ensembles.iter().map(|ensemble| ensemble.coupling))),
        ));
        facts.push(("algorithm", ensemble::algorithm(&sampling.algorithm)));
        facts.push(("chains × draws", format!("{} × {}", thousands(sampling.replicas as u64), thousands(sampling.draws as u64))));
    }
    if let Some(training) = &record.training {
        facts.push(("network", training::architecture(&training.layers)));
        facts.push(("training set", format!("{} + {} held out", thousands(training.samples as u64), thousands(training.held_out as u64))));
    }
    facts.push(("seed", provenance.seed.to_string()));
    if let Some(last) = provenance.submissions.last() {
        facts.push(("started", date(provenance.submissions.first().unwrap_or(last).started)));
        facts.push(("host", format!("{}, {}", escape(&last.host), escape(&last.instruction_set))));
        facts.push(("ranks × threads", format!("{} × {}", last.ranks, last.threads)));
        if !last.slurm_job.is_empty() {
            facts.push(("SLURM job", escape(&last.slurm_job)));
        }
    }
    facts.push(("program", format!("kadanoff {}", escape(&provenance.program_version))));
    facts.push(("git commit", escape(&short_commit(&provenance.git_commit))));
    let mut html = "<dl class=\"facts\">\n".to_string();
    for (name, value) in facts {
        html.push_str(&format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
    }
    html.push_str("</dl>\n");
    html
}

/// Each coupling once: sizes may share them or have their own.
fn distinct(couplings: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut found: Vec<f64> = couplings.collect();
    found.sort_by(f64::total_cmp);
    found.dedup();
    found
}

fn couplings(couplings: &[f64]) -> String {
    match couplings {
        [] => number::DASH.to_string(),
        few if few.len() <= 4 => list(&few.iter().map(|&coupling| ensemble::coupling(coupling)).collect::<Vec<String>>()),
        many => {
            let low = many.iter().copied().fold(f64::INFINITY, f64::min);
            let high = many.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            format!("{} values, {} … {}", many.len(), ensemble::coupling(low), ensemble::coupling(high))
        }
    }
}

fn short_commit(commit: &str) -> String {
    if commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) { commit[..12].to_string() } else { commit.to_string() }
}

fn warning_box(warnings: &[String], has_chains: bool) -> String {
    if warnings.is_empty() {
        let why = if has_chains {
            "no mean over sampled chains deviates from its exact value by more than four standard errors, all numbers are finite, and no chain is too short"
        } else {
            "all numbers are finite"
        };
        return format!("<p class=\"clear\">No warnings: {why}.</p>\n");
    }
    let items: String = warnings.iter().map(|warning| format!("<li>{warning}</li>\n")).collect();
    format!("<aside class=\"warnings\" role=\"note\">\n<h2>Read this first</h2>\n<ul>\n{items}</ul>\n</aside>\n")
}

fn findings(sections: &[Section]) -> String {
    let items: String =
        sections.iter().flat_map(|section| &section.findings).map(|finding| format!("<li>{}</li>\n", raise_exponents(finding))).collect();
    if items.is_empty() {
        return "<p>This run has produced nothing to report yet.</p>\n".to_string();
    }
    format!("<section class=\"findings\">\n<h2>Findings</h2>\n<ul>\n{items}</ul>\n</section>\n")
}

fn speeds(record: &RunRecord) -> Option<Table> {
    let heads = ["work", "amount", "time", "speed"];
    let mut table = Table::new(
        "Speed. Sampling: spin updates, thermalization included (flipped spins for Wolff), over the time spent in sweeps, summed over chains. Training: the median time of an epoch.",
        &heads,
    );
    let mut is_empty = true;
    for (name, spin_updates, seconds) in record.sampling.iter().flat_map(sampling_work) {
        let speed = spin_updates / seconds;
        table.row(&[
            format!("sampling {name}"),
            format!("{} spin updates", significant(spin_updates, 3)),
            duration(seconds),
            if speed.is_finite() { format!("{} per second", significant(speed, 3)) } else { number::DASH.to_string() },
        ]);
        is_empty = false;
    }
    for (index, layer) in record.training.iter().flat_map(|training| &training.layers).enumerate() {
        table.row(&[
            format!("training layer {} ({} → {})", index + 1, layer.visible, layer.hidden),
            format!("{} epochs", layer.epochs.len()),
            duration(layer.epochs.iter().map(|epoch| epoch.seconds).sum()),
            training::seconds_per_epoch(layer).map_or(number::DASH.to_string(), |seconds| format!("{} per epoch", duration(seconds))),
        ]);
        is_empty = false;
    }
    (!is_empty).then_some(table)
}

/// Name, spin updates and seconds of each ensemble, or of each size where there are many.
fn sampling_work(sampling: &SamplingRecord) -> Vec<(String, f64, f64)> {
    if sampling.ensembles.len() <= 12 {
        return sampling
            .ensembles
            .iter()
            .map(|ensemble| (ensemble::name(ensemble), ensemble.spin_updates as f64, ensemble.seconds))
            .collect();
    }
    let of_size = |size: usize| sampling.ensembles.iter().filter(move |ensemble| ensemble.size == size);
    sampling
        .sizes
        .iter()
        .map(|&size| {
            let name = format!("L = {size} ({} couplings)", of_size(size).count());
            (name, of_size(size).map(|ensemble| ensemble.spin_updates as f64).sum(), of_size(size).map(|ensemble| ensemble.seconds).sum())
        })
        .collect()
}

fn provenance(record: &RunRecord) -> String {
    let provenance = &record.provenance;
    let mut html = "<section class=\"provenance\">\n<h2>Where this came from</h2>\n".to_string();
    html.push_str(&format!(
        "<p>kadanoff {}, commit <code>{}</code>, seed {}. The run file has {} and the BLAKE3 digest <code>{}</code>. A run file and a seed fix every number of this page, \
         times excepted, on any number of ranks and threads.</p>\n",
        escape(&provenance.program_version),
        escape(&provenance.git_commit),
        provenance.seed,
        bytes(provenance.run_file.len() as u64),
        escape(&provenance.run_file_hash),
    ));
    if !provenance.submissions.is_empty() {
        let rows: String = provenance.submissions.iter().enumerate().map(|(index, submission)| submission_row(index, submission)).collect();
        html.push_str(&format!(
            "<p>“At work” is the share of the time of sampling and training in which an average rank worked and did not wait for the others.</p>\n\
             <div class=\"table\"><table class=\"words\">\n<thead><tr><th scope=\"col\">start</th><th scope=\"col\">time</th><th scope=\"col\">host</th><th scope=\"col\">instruction \
             set</th><th scope=\"col\">ranks × threads</th><th scope=\"col\">at work</th><th scope=\"col\">SLURM \
             job</th></tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
        ));
    }
    if !provenance.run_file.is_empty() {
        html.push_str(&format!(
            "<details open=\"open\"><summary>The run file</summary>\n<pre>{}</pre>\n</details>\n",
            escape(&provenance.run_file)
        ));
    }
    html.push_str(
        "<p class=\"reference\">The mapping: P. Mehta and D. J. Schwab, arXiv:1410.3831. Exact values on the torus: B. Kaufman, Phys. Rev. 76, 1232 (1949). Colours: M. Okabe and K. Ito; C. \
         Brewer.</p>\n</section>\n",
    );
    html
}

fn submission_row(index: usize, submission: &Submission) -> String {
    format!(
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td title=\"{}\">{} × {}</td><td>{}</td><td>{}</td></tr>\n",
        index + 1,
        date(submission.started),
        escape(&submission.host),
        escape(&submission.instruction_set),
        escape(&submission.binding),
        submission.ranks,
        submission.threads,
        submission.worked.map_or_else(|| number::DASH.to_string(), |share| format!("{:.1} %", 100.0 * share)),
        if submission.slurm_job.is_empty() { number::DASH.to_string() } else { escape(&submission.slurm_job) }
    )
}
