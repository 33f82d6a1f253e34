//! QR codes out of half blocks: two modules in one character.

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, without which many a scanner does not find it.
const QUIET: usize = 4;
/// The width of a terminal that everybody has.
const COLUMNS: usize = 80;
/// Pure black on pure white, whatever the terminal's own colours are; these two are in no theme.
const PAPER: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// How dark and light are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// With colours, right on dark and on light terminals.
    Coloured,
    /// With characters alone: dark modules are drawn, as on paper.
    Plain,
}

impl Ink {
    /// What suits standard output.
    pub(super) const fn of_terminal(is_terminal: bool) -> Self {
        if is_terminal { Self::Coloured } else { Self::Plain }
    }
}

/// The code of a BOLT11 invoice, line by line; `None` when it would be wider than [`COLUMNS`].
pub(super) fn lines(invoice: &str, ink: Ink) -> Option<Vec<String>> {
    // In capitals it is in the code's alphanumeric mode, which takes a third less room; wallets read both.
    let code =
        QrCode::with_error_correction_level(invoice.to_ascii_uppercase().as_bytes(), EcLevel::L).ok()?;
    let width = code.width();
    let whole = width + 2 * QUIET;
    if whole > COLUMNS {
        return None;
    }
    let colors = code.to_colors();
    let dark = |x: usize, y: usize| {
        let module = |of: usize| of.checked_sub(QUIET).filter(|inside| *inside < width);
        let (Some(x), Some(y)) = (module(x), module(y)) else { return false };
        colors.get(y * width + x) == Some(&Color::Dark)
    };
    let line = |y: usize| {
        let cells: String = (0..whole).map(|x| half_blocks(dark(x, y), dark(x, y + 1))).collect();
        match ink {
            Ink::Coloured => format!("{PAPER}{cells}{RESET}"),
            Ink::Plain => cells,
        }
    };
    Some((0..whole).step_by(2).map(line).collect())
}

const fn half_blocks(upper: bool, lower: bool) -> char {
    match (upper, lower) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    }
}
