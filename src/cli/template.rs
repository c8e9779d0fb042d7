//! `kadanoff template NAME`: run files to begin with. They are the files of `jobs/` themselves, so the two cannot differ.

use crate::error::{Error, Result};

/// Every template: name, the question it answers, text.
pub const TEMPLATES: &[(&str, &str, &str)] = &[
    ("quickstart", "the whole science on a small lattice, in two minutes", include_str!("../../jobs/quickstart.toml")),
    ("mehta-schwab", "the experiment of arXiv:1410.3831 with its printed settings", include_str!("../../jobs/mehta-schwab.toml")),
    ("receptive-fields", "the same with the penalty that makes the first layer local", include_str!("../../jobs/receptive-fields.toml")),
    ("flow", "where a machine that learned many temperatures leads configurations", include_str!("../../jobs/flow.toml")),
    ("finite-size-scaling", "several sizes in a window around the critical point", include_str!("../../jobs/finite-size-scaling.toml")),
];

/// Print a commented run file to begin with.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  kadanoff template quickstart > my-run.toml\n  kadanoff run my-run.toml --out runs/my-run\n\nWithout NAME, the templates are listed."
)]
pub struct TemplateArguments {
    /// The template: quickstart, mehta-schwab, receptive-fields, finite-size-scaling or flow.
    pub name: Option<String>,
}

/// Prints the template to stdout, or, without a name, the list of templates.
///
/// # Errors
/// [`Error::Usage`] for an unknown name, with the list; [`Error::InputOutput`] if stdout cannot be written (a closed pipe is no error).
pub fn run(arguments: &TemplateArguments) -> Result<()> {
    let text = match &arguments.name {
        Some(name) => text_of(name)?.to_owned(),
        None => listing(),
    };
    super::write_stdout(&text)
}

/// The text of a template.
///
/// # Errors
/// [`Error::Usage`] for an unknown name.
pub fn text_of(name: &str) -> Result<&'static str> {
    match TEMPLATES.iter().find(|(known, _, _)| *known == name) {
        Some((_, _, text)) => Ok(text),
        None => Err(Error::Usage(format!("there is no template \"{}\"; the templates are\n{}", name.escape_debug(), listing().trim_end()))),
    }
}

fn listing() -> String {
    TEMPLATES.iter().map(|(name, purpose, _)| format!("  {name:<20} {purpose}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_a_run_file() {
        for (name, _, text) in TEMPLATES {
            crate::config::RunFile::parse_for(text, name, None).unwrap_or_else(|error| panic!("{error}"));
        }
    }

    #[test]
    fn an_unknown_template_is_refused_with_the_list() {
        let error = text_of("quikstart").expect_err("no such template");
        assert_eq!(error.exit_code(), 2);
        for (name, _, _) in TEMPLATES {
            assert!(error.to_string().contains(name));
        }
    }
}
