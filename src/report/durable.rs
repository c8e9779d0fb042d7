//! Writing a file so that a reader sees the old one or the new one, never half of one.

use crate::error::{Error, Result};
use std::fs;
use std::path::Path;

/// Writes `bytes` under a temporary name in the same folder and renames it.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    fs::write(&temporary, bytes).map_err(|why| Error::file("write", &temporary, why))?;
    fs::rename(&temporary, path).map_err(|why| Error::file("write", path, why))
}
