//! The shares of the limits as a picture: one bar for each row of the table, with a mark where the goal lies.

use std::fmt::{self, Write as _};

use crate::results::{Results, Row};
use crate::table::rate;

const WIDTH: f64 = 900.0;
/// Left of the bars: names; right of them: rates.
const LEFT: f64 = 178.0;
const RIGHT: f64 = 200.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 44.0;
const ROW: f64 = 24.0;
const BAR: f64 = 15.0;
/// Between two calls.
const GAP: f64 = 10.0;
/// The scale ends there; a longer bar is cut, and its number tells.
const FULL: f64 = 1.25;

const REACHED: &str = "#2a7f62";
const MISSED: &str = "#c8553d";
const NO_GOAL: &str = "#6c7a89";

fn x(share: f64) -> f64 {
    LEFT + share.clamp(0.0, FULL) / FULL * (WIDTH - LEFT - RIGHT)
}

/// The whole picture.
pub(crate) fn svg(results: &Results) -> Result<String, fmt::Error> {
    let mut bars = String::new();
    let mut y = TOP;
    let mut call = "";
    for row in &results.rows {
        if row.call != call && !call.is_empty() {
            y += GAP;
        }
        bar(&mut bars, row, y, row.call != call)?;
        call = row.call;
        y += ROW;
    }
    let mut picture = String::new();
    frame(&mut picture, y, results)?;
    picture.push_str(&bars);
    picture.push_str("</svg>\n");
    Ok(picture)
}

fn frame(out: &mut String, end: f64, results: &Results) -> fmt::Result {
    let height = end + BOTTOM;
    writeln!(
        out,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui, sans-serif" font-size="12" role="img">
<title>Share of the limit that each call reaches</title>
<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>
<text x="20" y="28" font-size="16" font-weight="600" fill="#1f2933">Share of the limit</text>
<text x="20" y="47" fill="#616e7c">{}, {} cores; what each limit is stands in the table</text>"##,
        results.at, results.machine.cores
    )?;
    for percent in [0_u8, 25, 50, 75, 100, 125] {
        let place = x(f64::from(percent) / 100.0);
        let (colour, width) = if percent == 100 { ("#1f2933", 1.5) } else { ("#e4e7eb", 1.0) };
        writeln!(
            out,
            r##"<line x1="{place:.1}" x2="{place:.1}" y1="{:.1}" y2="{:.1}" stroke="{colour}" stroke-width="{width}"/>
<text x="{place:.1}" y="{:.1}" text-anchor="middle" fill="#616e7c">{percent} %</text>"##,
            TOP - 8.0,
            end + 2.0,
            end + 18.0
        )?;
    }
    let legend = [(REACHED, "goal reached"), (MISSED, "goal missed"), (NO_GOAL, "no goal")];
    let mut place = LEFT;
    for (colour, name) in legend {
        writeln!(
            out,
            r##"<rect x="{place:.1}" y="{:.1}" width="10" height="10" rx="2" fill="{colour}"/>
<text x="{:.1}" y="{:.1}" fill="#616e7c">{name}</text>"##,
            end + 26.0,
            place + 15.0,
            end + 35.0
        )?;
        place += 110.0;
    }
    writeln!(
        out,
        r##"<line x1="{0:.1}" x2="{0:.1}" y1="{1:.1}" y2="{2:.1}" stroke="#f0b429" stroke-width="3"/>
<text x="{3:.1}" y="{2:.1}" fill="#616e7c">goal</text>"##,
        place + 5.0,
        end + 25.0,
        end + 36.0,
        place + 15.0
    )
}

fn bar(out: &mut String, row: &Row, y: f64, named: bool) -> fmt::Result {
    let colour = match row.reached() {
        Some(true) => REACHED,
        Some(false) => MISSED,
        None => NO_GOAL,
    };
    let baseline = y + BAR - 3.5;
    if named {
        writeln!(
            out,
            r##"<text x="20" y="{baseline:.1}" font-weight="600" fill="#1f2933">{}</text>"##,
            row.call
        )?;
    }
    writeln!(
        out,
        r##"<text x="{:.1}" y="{baseline:.1}" text-anchor="end" fill="#616e7c">{} conn.</text>
<rect x="{LEFT}" y="{y:.1}" width="{:.1}" height="{BAR}" rx="2" fill="{colour}"/>"##,
        LEFT - 8.0,
        row.connections,
        x(row.share) - LEFT,
    )?;
    if let Some(goal) = row.goal {
        let place = x(goal);
        writeln!(
            out,
            r##"<line x1="{place:.1}" x2="{place:.1}" y1="{:.1}" y2="{:.1}" stroke="#f0b429" stroke-width="3"/>"##,
            y - 2.0,
            y + BAR + 2.0
        )?;
    }
    writeln!(
        out,
        r##"<text x="{:.1}" y="{baseline:.1}" fill="#1f2933"><tspan font-weight="600">{:.0} %</tspan> · {} of {}/s</text>"##,
        WIDTH - RIGHT + 14.0,
        row.share * 100.0,
        rate(row.rate),
        rate(row.limit_rate),
    )
}
