//! What needs no office: languages, lines, codes.

use qrcode::{Color, EcLevel, QrCode};

use super::qr::{self, Ink};
use super::teller::lines;
use super::words::Language;

/// About as long as a real one.
fn invoice(length: usize) -> String {
    "lnbcrt500u1p4syanspp5cqy6gd54sg6hu2wsj09".chars().cycle().take(length).collect()
}

/// The modules that are shown, `true` for dark.
fn modules(lines: &[String]) -> Vec<Vec<bool>> {
    let row = |line: &String, upper: bool| {
        let dark = |cell| cell == '█' || cell == if upper { '▀' } else { '▄' };
        line.chars().map(dark).collect::<Vec<_>>()
    };
    lines.iter().flat_map(|line| [row(line, true), row(line, false)]).collect()
}

#[test]
fn the_code_is_the_encoders_with_a_quiet_zone_all_around() {
    let text = invoice(290);
    let shown = modules(&qr::lines(&text, Ink::Plain).unwrap());
    let code = QrCode::with_error_correction_level(text.to_uppercase().as_bytes(), EcLevel::L).unwrap();
    let width = code.width();
    assert!(shown.iter().all(|row| row.len() == width + 8));
    assert!(shown.len() == width + 8 || shown.len() == width + 9, "the last line may be half empty");
    for (y, row) in shown.iter().enumerate() {
        for (x, dark) in row.iter().enumerate() {
            let inside = (4..width + 4).contains(&x) && (4..width + 4).contains(&y);
            let expected = inside && code[(x - 4, y - 4)] == Color::Dark;
            assert_eq!(*dark, expected, "{x}, {y}");
        }
    }
}

#[test]
fn a_terminal_is_told_both_colours_on_every_line() {
    let plain = qr::lines(&invoice(290), Ink::Plain).unwrap();
    for (line, plain) in qr::lines(&invoice(290), Ink::Coloured).unwrap().iter().zip(plain) {
        assert_eq!(*line, format!("\x1b[38;5;16;48;5;231m{plain}\x1b[0m"));
    }
}

#[test]
fn a_code_that_does_not_fit_is_not_shown() {
    let widest = (300..).find(|length| qr::lines(&invoice(*length), Ink::Plain).is_none()).unwrap();
    assert!(widest > 600, "real invoices are shorter than {widest}");
    let fits = qr::lines(&invoice(widest - 1), Ink::Plain).unwrap();
    assert!(fits.iter().all(|line| line.chars().count() <= 80));
}

#[test]
fn lines_break_between_words_and_a_long_word_is_cut() {
    assert_eq!(lines("", 5), [""]);
    assert_eq!(lines("ab cd ef", 5), ["ab cd", "ef"]);
    assert_eq!(lines("abcdefghijkl m", 5), ["abcde", "fghij", "kl m"]);
    assert_eq!(lines("x abcdefg", 5), ["x", "abcde", "fg"]);
    assert_eq!(lines("ação é não", 6), ["ação é", "não"]);
}

#[test]
fn a_locale_names_a_language() {
    for (locale, language) in [
        ("pt_BR.UTF-8", Language::Portuguese),
        ("pt", Language::Portuguese),
        ("C.UTF-8", Language::English),
        ("de_DE", Language::English),
        ("", Language::English),
    ] {
        assert_eq!(Language::of(locale), language, "{locale}");
    }
}

#[test]
fn numbers_are_grouped_as_the_language_does() {
    let done = |language: Language, sats| language.words().done("T", sats);
    assert_eq!(done(Language::English, 50_000), "paid: ticket T, 50,000 sats");
    assert_eq!(done(Language::English, 1), "paid: ticket T, 1 sats");
    assert_eq!(
        done(Language::Portuguese, 2_100_000_000_000_000),
        "paid: pago, pedido T, 2.100.000.000.000.000 sats"
    );
}
