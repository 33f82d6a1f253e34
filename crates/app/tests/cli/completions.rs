//! `guiche completions`.

use crate::world::World;

#[test]
fn each_shell_learns_the_nested_commands() {
    let world = World::new();
    for (shell, marks) in [
        ("bash", ["complete -F _guiche", "healthcheck", "deactivate", "repair"]),
        ("zsh", ["#compdef guiche", "healthcheck", "deactivate", "repair"]),
        ("fish", ["complete -c guiche", "healthcheck", "deactivate", "repair"]),
    ] {
        let ended = world.run(&["completions", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        for mark in marks {
            assert!(ended.stdout.contains(mark), "{shell}: {mark}");
        }
    }
    assert_eq!(world.run(&["completions", "tcsh"]).code, Some(2));
}
