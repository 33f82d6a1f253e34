//! `guiche completions`: the command line, for the shell that completes it.

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell as Generator;

use super::Cli;
use super::failure::Failure;
use super::output::print;

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  guiche completions bash > /etc/bash_completion.d/guiche\n  \
    guiche completions zsh > ~/.zfunc/_guiche\n  guiche completions fish > ~/.config/fish/completions/guiche.fish")]
pub(super) struct Options {
    /// Which shell
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let generator = match options.shell {
        Shell::Bash => Generator::Bash,
        Shell::Zsh => Generator::Zsh,
        Shell::Fish => Generator::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut Cli::command(), "guiche", &mut script);
    Ok(print(&String::from_utf8(script)?)?)
}
