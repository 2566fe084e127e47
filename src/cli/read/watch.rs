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
    /// Shows what `make` gives: once, or until it is interrupted. What was shown once goes on through a restart of the agent.
    ///
    /// # Errors
    /// That of `make` before anything was shown, one that no later try mends, or that of writing.
    pub(crate) async fn repeat(
        &self,
        terminal: &Terminal,
        mut make: impl AsyncFnMut() -> Result<String, Failure>,
    ) -> Result<Exit, Failure> {
        let (mut began, mut said) = (false, None);
        loop {
            let made = make().await;
            let Some(pause) = self.watch else {
                terminal.data(&made?)?;
                return Ok(Exit::Ok);
            };
            match made {
                Ok(shown) => {
                    // Home, and what was below is cleared: less flicker than clearing first.
                    let is_terminal = std::io::stdout().is_terminal();
                    let home = if is_terminal { "\u{1b}[H\u{1b}[J" } else { "" };
                    terminal.data(&format!("{home}{shown}"))?;
                    (began, said) = (true, None);
                }
                Err(failure)
                    if began && matches!(failure.exit, Exit::Unreachable | Exit::Failed) =>
                {
                    if said.as_ref() != Some(&failure.what) {
                        terminal.say(&format!("{}; trying again", failure.what));
                    }
                    said = Some(failure.what);
                }
                Err(failure) => return Err(failure),
            }
            tokio::time::sleep(pause.max(PAUSE_MIN)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ColourChoice;

    #[tokio::test(start_paused = true)]
    async fn a_watch_goes_on_through_a_restart_and_not_where_nothing_was_shown() {
        let terminal = Terminal::of_process(true, ColourChoice::Never);
        let watch = Watch { watch: Some(Duration::from_secs(2)) };
        let fail = |exit| Err(Failure::new(exit, "no"));
        let after = async |answers: &[Result<String, Failure>]| {
            let mut left = answers.iter().cloned();
            let ended = watch.repeat(&terminal, async || left.next().unwrap()).await;
            (ended.unwrap_err().exit, left.len())
        };
        let (gone, refused) = (fail(Exit::Unreachable), fail(Exit::NotAuthorised));
        let shown = Ok(String::new());
        assert_eq!(after(&[gone.clone(), shown.clone()]).await, (Exit::Unreachable, 1));
        let restart = [shown.clone(), gone.clone(), fail(Exit::Failed), shown, refused];
        assert_eq!(after(&restart).await, (Exit::NotAuthorised, 0));
    }
}
