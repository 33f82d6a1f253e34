//! `guiche lightning plan`: the database against both providers.

use clap::Args;
use guiche_lightning_setup::drift::Finding;
use serde_json::{Value, json};

use super::found::{cure, described, in_json, word};
use super::with_setups;
use crate::cli::failure::Failure;
use crate::cli::output::print;
use crate::cli::progress::busy;
use crate::cli::settings::Given;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit code 0 when nothing is to be mended, and 1 when something is; each finding comes with the \
    command that mends it. What belongs to a setup under way is left out.\n\n\
    Example:\n  guiche lightning plan --json"
)]
pub(in crate::cli) struct Options {
    /// List also what is none of ours
    #[arg(long)]
    all: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    let found = with_setups(given, async |setups| {
        let _busy = busy("asking the providers".to_owned());
        Ok(setups.survey().await?)
    })?;
    let (trouble, foreign): (Vec<_>, Vec<_>) = found.iter().partition(|finding| finding.is_trouble());
    let told = if options.json {
        as_json(&trouble, &foreign, options.all)?
    } else {
        as_text(&trouble, &foreign, options.all)
    };
    print(&told)?;
    if trouble.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

fn as_text(trouble: &[&Finding], foreign: &[&Finding], all: bool) -> String {
    let mut text = String::new();
    let listed = trouble.iter().chain(foreign.iter().filter(|_| all));
    for finding in listed {
        text.push_str(&format!("{:<8}  {}\n", word(finding), described(finding)));
        if let Some(cure) = cure(finding) {
            text.push_str(&format!("          {cure}\n"));
        }
    }
    let summary = match trouble.len() {
        0 => "nothing is to be mended".to_owned(),
        1 => "1 difference is to be mended".to_owned(),
        several => format!("{several} differences are to be mended"),
    };
    let others = match foreign.len() {
        0 => String::new(),
        count if all => format!("; {count} at the providers are none of ours"),
        count => format!("; {count} at the providers are none of ours (--all lists them)"),
    };
    text.push_str(&format!("{summary}{others}\n"));
    text
}

fn as_json(trouble: &[&Finding], foreign: &[&Finding], all: bool) -> Result<String, Failure> {
    let listed = trouble.iter().chain(foreign.iter().filter(|_| all));
    let findings: Vec<Value> = listed.map(|finding| in_json(finding)).collect();
    let object = json!({"to_mend": trouble.len(), "foreign": foreign.len(), "findings": findings});
    Ok(format!("{}\n", serde_json::to_string_pretty(&object)?))
}
