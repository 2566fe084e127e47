//! `sidelight config schema`.

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;
use crate::config::json_schema;

pub(super) fn execute(terminal: &Terminal) -> Result<Exit, Failure> {
    terminal.data(&format!("{:#}\n", json_schema()))?;
    Ok(Exit::Ok)
}
