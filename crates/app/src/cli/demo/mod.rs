//! `guiche demo`: a citizen's whole journey, step by step, against the real service and over the real wire.

mod invoice;
mod journey;
mod office;
mod private;
mod qr;
mod teller;
mod words;

#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;

use clap::Args;
use serde::Serialize;
use url::Url;

use super::failure::Failure;
use super::output::print;
use super::progress::busy;
use super::runtime;
use super::settings::Given;
use crate::system::OsRandomness;
use journey::Journey;
use office::Office;
use private::PrivateOffice;
use qr::Ink;
use teller::Teller;
use words::Language;

#[derive(Debug, Args)]
#[command(
    after_help = "Without --url it starts an office of its own in a temporary directory, on a throwaway \
    database, and removes it afterwards; nothing is configured, and nothing is left.\n\n\
    Example:\n  guiche demo --lang pt-BR\n  guiche demo --url http://127.0.0.1:8080 --json"
)]
pub(super) struct Options {
    /// A running office; by default one is started for the occasion
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// The language; by default that of LANG, if it is one of these, else en
    #[arg(long, value_name = "LANGUAGE")]
    lang: Option<Language>,
    /// Show the invoice as text only
    #[arg(long)]
    no_qr: bool,
    /// Print one JSON object at the end instead
    #[arg(long)]
    json: bool,
}

/// What came of it, for programs.
#[derive(Debug, Serialize)]
struct Outcome {
    /// Where; absent for an office that is gone by now.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    email: String,
    operation: String,
    ticket_id: String,
    payment_hash: String,
    ln_invoice: String,
    amount_sats: u64,
    expires_at: String,
    /// The code with which the form with the typo was refused.
    typo_refused_as: String,
    /// Whether the repeated request got the same answer.
    repeated_answer_is_the_same: bool,
    payment_status: String,
    paid_at: String,
}

pub(super) fn run(options: &Options, given: &Given) -> Result<(), Failure> {
    let language = options.lang.unwrap_or_else(|| Language::of(given.locale()));
    runtime()?.block_on(demonstrate(options, language, given))
}

async fn demonstrate(options: &Options, language: Language, given: &Given) -> Result<(), Failure> {
    let Some(url) = &options.url else {
        let outcome = at_home(options, language, given).await?;
        return finish(options, &outcome, language);
    };
    finish(options, &walk(options, language, url.clone(), false).await?, language)
}

/// On an office of its own, which is gone afterwards however this ends.
async fn at_home(options: &Options, language: Language, given: &Given) -> Result<Outcome, Failure> {
    let starting = busy(language.words().starting.to_owned());
    let private = tokio::select! {
        started = PrivateOffice::start(given.about_binaries()) => started?,
        interrupted = interruption() => return Err(interrupted),
    };
    drop(starting);
    let walked = tokio::select! {
        walked = walk(options, language, private.url()?, true) => walked,
        interrupted = interruption() => Err(interrupted),
    };
    private.stop().await?;
    Ok(Outcome { url: None, ..walked? })
}

async fn interruption() -> Failure {
    match tokio::signal::ctrl_c().await {
        Ok(()) => "interrupted".into(),
        Err(error) => error.into(),
    }
}

async fn walk(options: &Options, language: Language, url: Url, private: bool) -> Result<Outcome, Failure> {
    let teller = Teller::new(language, options.json);
    let ink = if options.no_qr { None } else { Some(Ink::of_terminal(std::io::stdout().is_terminal())) };
    let office = Office::at(url)?;
    Ok(Journey { teller, office, ink, private }.walk(&OsRandomness).await?)
}

/// The last line comes when nothing can go wrong any more.
fn finish(options: &Options, outcome: &Outcome, language: Language) -> Result<(), Failure> {
    if options.json {
        return Ok(print(&format!("{}\n", serde_json::to_string_pretty(outcome)?))?);
    }
    Ok(print(&format!("\n{}\n", language.words().done(&outcome.ticket_id, outcome.amount_sats)))?)
}
