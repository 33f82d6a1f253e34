//! How a server is installed on this machine, for those who must do it themselves.

use crate::{binaries::SUPPORTED, machine::Machine};

/// Suggested where a version must be named.
const PREFERRED: u32 = 17;

/// How to install a server that made data of `major`, or any supported one: one command where we know it.
pub(crate) fn install_any(machine: &Machine, major: Option<u32>) -> String {
    let command = command_for(&machine.family(), major.filter(|major| SUPPORTED.contains(major)));
    told(command, machine.we_are_root)
}

/// As [`install_any`], where what the system offers by itself is likely what does not fit.
pub(crate) fn install_another(machine: &Machine, major: Option<u32>) -> String {
    install_any(machine, major.or(Some(PREFERRED)))
}

/// Who may run it belongs to the command: not every system has `sudo`, and not everybody may use it.
fn told(command: Option<String>, we_are_root: bool) -> String {
    match command {
        None => "your package manager".to_owned(),
        Some(command) if we_are_root || command.starts_with("brew") => format!("`{command}`"),
        Some(command) => format!("`{command}` (root must run that)"),
    }
}

fn command_for(family: &[String], major: Option<u32>) -> Option<String> {
    let is = |names: &[&str]| family.iter().any(|word| names.contains(&word.as_str()));
    let number = major.map_or_else(String::new, |major| major.to_string());
    let numbered = major.unwrap_or(PREFERRED);
    if is(&["debian", "ubuntu"]) {
        let install = "apt-get install -y --no-install-recommends";
        Some(major.map_or_else(
            || format!("apt-get update && {install} postgresql"),
            // A release has one version; the PostgreSQL project's own archive, which `postgresql-common` knows how to
            // add, has them all.
            |major| {
                let add = "/usr/share/postgresql-common/pgdg/*.sh -y";
                format!("apt-get update && {install} ca-certificates postgresql-common && {add} && {install} postgresql-{major}")
            },
        ))
    } else if is(&["alpine"]) {
        Some(format!("apk add postgresql{numbered}"))
    } else if is(&["fedora", "rhel", "centos"]) {
        Some(format!("dnf install -y postgresql{number}-server"))
    } else if is(&["arch"]) && major.is_none() {
        Some("pacman -S --noconfirm postgresql".to_owned())
    } else if is(&["suse", "opensuse"]) {
        Some(format!("zypper install -y postgresql{number}-server"))
    } else if cfg!(target_os = "macos") {
        Some(format!("brew install postgresql@{numbered}"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::family_of;

    #[test]
    fn an_ordinary_user_is_told_that_root_installs() {
        let command = || Some("apk add postgresql17".to_owned());
        assert_eq!(told(command(), true), "`apk add postgresql17`");
        assert_eq!(told(command(), false), "`apk add postgresql17` (root must run that)");
        assert_eq!(
            told(Some("brew install postgresql@17".to_owned()), false),
            "`brew install postgresql@17`"
        );
        assert_eq!(told(None, false), "your package manager");
    }

    #[test]
    fn each_system_has_its_command() {
        let command = |release, major| command_for(&family_of(release), major).unwrap();
        assert!(command("ID=debian\n", None).ends_with("--no-install-recommends postgresql"));
        let other = command("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(16));
        assert!(other.contains("postgresql-common") && other.ends_with(" postgresql-16"), "{other}");
        assert_eq!(command("ID=alpine\n", Some(16)), "apk add postgresql16");
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"";
        assert_eq!(command(rocky, None), "dnf install -y postgresql-server");
        if cfg!(target_os = "linux") {
            assert_eq!(command_for(&family_of("ID=unheard-of\n"), None), None);
        }
    }
}
