//! `sidelight completions`: what shells read to complete the commands, made from the commands themselves.

use clap_complete::generate;
use clap_complete::shells::{Bash, Fish, Zsh};

use crate::cli::exit::{Exit, Failure};
use crate::cli::terminal::Terminal;

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  sidelight completions bash > /etc/bash_completion.d/sidelight\n  \
    sidelight completions zsh > /usr/local/share/zsh/site-functions/_sidelight\n  \
    sidelight completions fish > ~/.config/fish/completions/sidelight.fish"
)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Each costs some 30 kB of the binary.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

/// Writes what a shell reads to complete `command`.
pub(crate) fn execute(
    args: &Args,
    mut command: clap::Command,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    const NAME: &str = "sidelight";
    let mut out = Vec::new();
    match args.shell {
        Shell::Bash => generate(Bash, &mut command, NAME, &mut out),
        Shell::Zsh => generate(Zsh, &mut command, NAME, &mut out),
        Shell::Fish => generate(Fish, &mut command, NAME, &mut out),
    }
    terminal.data(&String::from_utf8_lossy(&out))?;
    Ok(Exit::Ok)
}
