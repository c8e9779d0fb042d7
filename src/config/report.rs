//! `[report]`: what is drawn.

use super::reader::Section;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["figures"];

/// `[report]`, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct ReportSection {
    /// `figures`: write figures (SVG and PNG) beside the page; default true.
    pub figures: bool,
}

impl Default for ReportSection {
    fn default() -> Self {
        ReportSection { figures: true }
    }
}

/// Reads the section.
pub(super) fn read(section: &Section) -> Option<ReportSection> {
    Some(ReportSection { figures: section.optional("figures", true, |field| field.boolean())? })
}
