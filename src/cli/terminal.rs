//! The two output streams: data to standard output, messages to standard error, colour where it is
//! wanted.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};

use super::exit::{Exit, Failure};
use crate::config::Style;
use crate::telemetry::stderr;

/// Columns of a terminal that does not say how many it has.
const WIDTH: u16 = 120;

/// When to use colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ColourChoice {
    /// On a terminal that can, unless the environment says otherwise.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Where commands write.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    quiet: bool,
    /// Whether messages are coloured.
    colour: bool,
    /// Whether data is.
    colour_data: bool,
    /// The width that tables may take; `None` when standard output is not a terminal.
    width: Option<u16>,
}

impl Terminal {
    /// That of this process.
    #[must_use]
    pub fn of_process(quiet: bool, choice: ColourChoice) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let colour = colour(choice, io::stderr().is_terminal(), variable);
        let colour_data = self::colour(choice, io::stdout().is_terminal(), variable);
        let columns = rustix::termios::tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
        let columns = if columns == 0 { WIDTH } else { columns };
        let width = io::stdout().is_terminal().then_some(columns);
        Self { quiet, colour, colour_data, width }
    }

    /// Whether only errors are to be said.
    #[must_use]
    pub const fn quiet(&self) -> bool {
        self.quiet
    }

    /// The width that tables may take; `None` = whatever they need.
    #[must_use]
    pub const fn width(&self) -> Option<u16> {
        self.width
    }

    /// Escape sequences for messages.
    #[must_use]
    pub fn style(&self) -> Style {
        if self.colour { Style::COLOUR } else { Style::default() }
    }

    /// Escape sequences for data that is written for people.
    #[must_use]
    pub fn style_of_data(&self) -> Style {
        if self.colour_data { Style::COLOUR } else { Style::default() }
    }

    /// Writes `text`, which ends with a line end, to standard output.
    ///
    /// # Errors
    /// A [`Failure`] that ends the command: quiet when nobody reads any more.
    pub fn data(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                Err(Failure::said(Exit::BrokenPipe))
            }
            Err(error) => {
                Err(Failure::new(Exit::Failed, "cannot write to standard output").because(&error))
            }
        }
    }

    /// Asks people for a yes; `None` where nobody is there to answer.
    pub(crate) fn ask(&self, question: &str) -> Option<bool> {
        if !io::stdin().is_terminal() {
            return None;
        }
        stderr::say(&format!("{question} [y/N]"));
        let mut answer = String::new();
        // What cannot be read is no yes.
        let read = io::stdin().read_line(&mut answer).is_ok();
        Some(read && matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Says something to people, unless they asked for quiet.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            stderr::say(text);
        }
    }

    /// Says something to people in any case.
    pub fn say(&self, text: &str) {
        stderr::say(text);
    }

    /// Says what failed, why, and what can be done.
    pub fn failure(&self, failure: &Failure) {
        if failure.what.is_empty() {
            return;
        }
        let Style { error, frame, reset, .. } = self.style();
        let mut text = format!("{error}error{reset}: {}", failure.what);
        for why in &failure.why {
            text += &format!("\n  {frame}because{reset}: {why}");
        }
        if let Some(help) = &failure.help {
            text += &format!("\n  {frame}help{reset}: {help}");
        }
        stderr::say_last(&text);
    }
}

/// Whether to use colours on a stream.
fn colour(
    choice: ColourChoice,
    is_terminal: bool,
    variable: impl Fn(&str) -> Option<String>,
) -> bool {
    let set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    match choice {
        ColourChoice::Always => true,
        ColourChoice::Never => false,
        ColourChoice::Auto if set("NO_COLOR") => false,
        ColourChoice::Auto if set("FORCE_COLOR") => true,
        ColourChoice::Auto => is_terminal && variable("TERM").is_none_or(|term| term != "dumb"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_flag_then_the_environment_then_the_terminal() {
        use ColourChoice::{Always, Auto, Never};
        type Case = (ColourChoice, bool, &'static [(&'static str, &'static str)], bool);
        let cases: [Case; 9] = [
            (Auto, true, &[], true),
            (Auto, false, &[], false),
            (Auto, true, &[("TERM", "dumb")], false),
            (Auto, true, &[("NO_COLOR", "1")], false),
            (Auto, true, &[("NO_COLOR", "")], true),
            (Auto, false, &[("FORCE_COLOR", "1")], true),
            (Auto, false, &[("FORCE_COLOR", "1"), ("NO_COLOR", "1")], false),
            (Always, false, &[("NO_COLOR", "1")], true),
            (Never, true, &[("FORCE_COLOR", "1")], false),
        ];
        for (choice, terminal, variables, expected) in cases {
            let variable = |name: &str| {
                variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
            };
            assert_eq!(colour(choice, terminal, variable), expected, "{choice:?} {variables:?}");
        }
    }
}
