//! `[report]`: what is drawn.

use super::reader::Section;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["figures", "scaling"];

/// `[report]`, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ReportSection {
    /// `figures`: write figures (SVG and PNG) beside the page; default true.
    pub figures: bool,
    /// `scaling`: finite-size scaling across the sizes, where there are at least three with at least two couplings each; default true.
    pub scaling: bool,
}

impl Default for ReportSection {
    fn default() -> Self {
        ReportSection { figures: true, scaling: true }
    }
}

/// Reads the section.
pub(super) fn read(section: &Section) -> Option<ReportSection> {
    let figures = section.optional("figures", true, |field| field.boolean());
    let scaling = section.optional("scaling", true, |field| field.boolean());
    Some(ReportSection { figures: figures?, scaling: scaling? })
}
