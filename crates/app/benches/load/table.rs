//! The results for people: a table for the terminal (110 columns at most), and one for the documentation.

use std::fmt::{self, Write as _};

use crate::results::{Figure, Results, Row};

const REACHED: &str = "✓";
const MISSED: &str = "✗";

const fn mark(reached: bool) -> &'static str {
    if reached { REACHED } else { MISSED }
}

fn goal(row: &Row) -> String {
    let text = |goal: f64, reached| format!("≥{:.0}% {}", goal * 100.0, mark(reached));
    row.goal.zip(row.reached()).map_or_else(String::new, |(goal, reached)| text(goal, reached))
}

/// For the terminal.
pub(crate) fn text(results: &Results) -> Result<String, fmt::Error> {
    let mut text = format!("{}  {}\n{}\n", results.at, results.command, results.machine.line());
    for condition in &results.conditions {
        writeln!(text, "{condition}")?;
    }
    if !results.rows.is_empty() {
        writeln!(text, "\n{:>60}", "CPU µs a request")?;
        writeln!(
            text,
            "{:<12}{:>5}{:>9}{:>9}{:>9}{:>6}{:>8}{:>7}{:>6}  {:<14}{:>9}{:>7}{:>9}",
            "call",
            "conn",
            "req/s",
            "p50 ms",
            "p99 ms",
            "MB",
            "guiche",
            "pg",
            "wrk",
            "limit",
            "limit/s",
            "share",
            "goal"
        )?;
    }
    for row in &results.rows {
        writeln!(
            text,
            "{:<12}{:>5}{:>9}{:>9.2}{:>9.2}{:>6.1}{:>8.0}{:>7.0}{:>6.0}  {:<14}{:>9}{:>6.0}%{:>9}",
            row.call,
            row.connections,
            rate(row.rate),
            row.p50_ms,
            row.p99_ms,
            row.resident_mb,
            row.cost.service_us,
            row.cost.database_us,
            row.cost.load_us,
            row.limit,
            rate(row.limit_rate),
            row.share * 100.0,
            goal(row),
        )?;
    }
    if !results.figures.is_empty() {
        writeln!(text)?;
    }
    for figure in &results.figures {
        let bound = format!("{} {}", figure.bound, mark(figure.reached()));
        writeln!(text, "{:<60}{:>10.2} {:<6}{:>10}", figure.what, figure.value, figure.unit, bound)?;
        writeln!(text, "  {}", figure.detail)?;
    }
    for note in &results.notes {
        writeln!(text, "\n! {note}")?;
    }
    Ok(text)
}

/// For the documentation.
pub(crate) fn markdown(results: &Results, chart: &str) -> Result<String, fmt::Error> {
    let mut text = format!("`{}`, {}: {}.\n\n", results.command, results.at, results.machine.line());
    for condition in &results.conditions {
        writeln!(text, "{condition}  ")?;
    }
    writeln!(text, "\n![Shares of the limits]({chart})\n")?;
    writeln!(
        text,
        "| Call | Conn. | Requests/s | p50 ms | p99 ms | MB | CPU µs guiche | PostgreSQL | wrk | Limit | Limit/s | Share | Goal |"
    )?;
    writeln!(text, "|---|--:|--:|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|")?;
    for row in &results.rows {
        writeln!(
            text,
            "| {} | {} | {} | {:.2} | {:.2} | {:.1} | {:.0} | {:.0} | {:.0} | {} | {} | **{:.0} %** | {} |",
            row.call,
            row.connections,
            rate(row.rate),
            row.p50_ms,
            row.p99_ms,
            row.resident_mb,
            row.cost.service_us,
            row.cost.database_us,
            row.cost.load_us,
            row.limit,
            rate(row.limit_rate),
            row.share * 100.0,
            goal(row),
        )?;
    }
    writeln!(text, "\n| Figure | Value | Bound | |\n|---|--:|--:|---|")?;
    for figure in &results.figures {
        let Figure { what, value, unit, bound, detail } = figure;
        let reached = mark(figure.reached());
        writeln!(text, "| {what} | {value:.2} {unit} | {bound} {unit} {reached} | {detail} |")?;
    }
    for note in &results.notes {
        writeln!(text, "\n{note}")?;
    }
    Ok(text)
}

/// A rate with its thousands apart; a small one with what is behind the point.
pub(crate) fn rate(rate: f64) -> String {
    if rate < 100.0 {
        return format!("{rate:.1}");
    }
    let digits = format!("{rate:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
