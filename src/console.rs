//! Words for people, on stderr. A reader that has gone away, as in `kadanoff run ... 2>&1 | head -1`, is no reason to stop.

use std::io::Write;

/// Says a line.
pub fn say(line: std::fmt::Arguments) {
    // In one piece, so that lines of several ranks do not mix.
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// A count and what is counted, which takes an s unless there is one of it.
pub fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
