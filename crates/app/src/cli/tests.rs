//! The command line as a whole.

use clap::CommandFactory as _;

use super::*;

/// Every command without commands of its own, and the words that lead to it.
fn leaves(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let own = command.get_subcommands().filter(|command| command.get_name() != "help");
    own.flat_map(|command| {
        let path = format!("{path} {}", command.get_name());
        let below = leaves(command, &path);
        if below.is_empty() { vec![(path, command.clone())] } else { below }
    })
    .collect()
}

#[test]
fn the_command_line_is_sound_and_each_help_has_an_example() {
    let mut command = Cli::command();
    command.build();
    command.clone().debug_assert();
    let leaves = leaves(&command, "guiche");
    assert!(leaves.len() >= 5, "{leaves:?}");
    for (path, mut command) in leaves {
        let help = command.render_long_help().to_string();
        let (_, example) = help.split_once("Example:\n").unwrap_or_else(|| panic!("{path}: no example"));
        assert!(example.contains(&path), "{path}: its example shows something else: {example}");
        assert!(!help.contains("0.0.0.0"), "no example opens a development server to the network");
    }
}
