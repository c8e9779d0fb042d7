//! The mistakes found in one run file, gathered with their lines and reported together.

use crate::error::{Error, Result};
use std::cell::RefCell;

/// A list of mistakes that grows while the file is read. Interior mutability keeps the readers of single values free of plumbing.
pub(super) struct Mistakes<'t> {
    name: &'t str,
    text: &'t str,
    list: RefCell<Vec<(usize, String)>>,
}

impl<'t> Mistakes<'t> {
    pub fn new(name: &'t str, text: &'t str) -> Self {
        Mistakes { name, text, list: RefCell::new(Vec::new()) }
    }

    /// Adds a mistake found at the byte `place` of the text.
    pub fn add(&self, place: usize, sentence: &str) {
        let line = 1 + self.text.bytes().take(place).filter(|&byte| byte == b'\n').count();
        self.list.borrow_mut().push((line, sentence.to_owned()));
    }

    pub fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }

    /// The text at a place, short enough for a message, without control characters.
    pub fn excerpt(&self, span: std::ops::Range<usize>) -> String {
        const LONGEST: usize = 40;
        let written = self.text.get(span).unwrap_or("");
        let mut short: String = written.chars().take(LONGEST).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
        if written.chars().nth(LONGEST).is_some() {
            short.push_str(" ...");
        }
        short
    }

    /// `Ok` if there are none; otherwise all of them in the order of their lines, one a line, as `name:line: sentence`.
    pub fn into_result(self) -> Result<()> {
        let mut list = self.list.into_inner();
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|(line, _)| *line);
        let lines: Vec<String> = list.iter().map(|(line, sentence)| format!("{}:{line}: {sentence}", self.name)).collect();
        Err(Error::Usage(lines.join("\n")))
    }
}
