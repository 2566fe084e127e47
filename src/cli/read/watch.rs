//! `--watch`: the same again and again.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::client::duration;
use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;

const PAUSE_MIN: Duration = Duration::from_millis(200);

/// Whether it is shown again.
#[derive(Debug, clap::Args)]
pub(crate) struct Watch {
    /// Show it again and again, with this pause.
    #[arg(
        short,
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2s",
        value_parser = duration,
    )]
    watch: Option<Duration>,
}

impl Watch {
    /// Shows what `make` gives: once, or until it fails or is interrupted.
    ///
    /// # Errors
    /// That of `make`, or of writing.
    pub(crate) async fn repeat(
        &self,
        terminal: &Terminal,
        mut make: impl AsyncFnMut() -> Result<String, Failure>,
    ) -> Result<Exit, Failure> {
        loop {
            let shown = make().await?;
            let Some(pause) = self.watch else {
                terminal.data(&shown)?;
                return Ok(Exit::Ok);
            };
            // Home, and what was below is cleared: less flicker than clearing first.
            let home = if std::io::stdout().is_terminal() { "\u{1b}[H\u{1b}[J" } else { "" };
            terminal.data(&format!("{home}{shown}"))?;
            tokio::time::sleep(pause.max(PAUSE_MIN)).await;
        }
    }
}
