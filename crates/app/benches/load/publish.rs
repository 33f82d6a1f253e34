//! Where results go: to the terminal, to a file, into the documentation.

use std::fs;
use std::path::Path;

use guiche_kernel::BoxError;

use crate::options::Options;
use crate::results::Results;
use crate::{chart, table};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/benchmarks");
const CHART: &str = "shares.svg";
const DATA: &str = "results.json";
/// What lies between these lines of the page is written here.
const BEGIN: &str = "<!-- results: written by `just bench --write-docs` -->\n";
const END: &str = "<!-- end of results -->";

/// Prints the table, and writes the results where it was asked for.
pub(crate) fn publish(results: &Results, options: &Options) -> Result<(), BoxError> {
    crate::say(&table::text(results)?)?;
    let json = serde_json::to_string_pretty(results)? + "\n";
    if let Some(file) = &options.json {
        fs::write(file, &json)?;
    }
    if options.write_docs {
        let docs = Path::new(DOCS);
        let page = docs.join("README.md");
        let written = between(&fs::read_to_string(&page)?, &table::markdown(results, CHART)?)?;
        fs::write(page, written)?;
        fs::write(docs.join(DATA), json)?;
        fs::write(docs.join(CHART), chart::svg(results)?)?;
    }
    Ok(())
}

fn between(page: &str, new: &str) -> Result<String, BoxError> {
    let parts = page.split_once(BEGIN).and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let (head, tail) =
        parts.ok_or("docs/benchmarks/README.md has lost the lines between which results go")?;
    Ok(format!("{head}{BEGIN}\n{new}\n{END}{tail}"))
}
