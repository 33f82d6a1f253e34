//! Log lines: what is let through, and how it looks.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Libraries whose finer levels print statements with their parameters, paths, headers and bodies, and so people's data
/// and credentials. They stay at `warn` whatever the operator asks for.
const CAPPED: [&str; 8] =
    ["tokio_postgres", "hyper", "h2", "rustls", "reqwest", "actix_http", "actix_web", "hyper_util"];

/// It calls each broken request of a stranger an error of ours; the boundary's own lines and metrics say what matters.
const SILENT: &str = "actix_http::h1::dispatcher=off";

/// Whether the directives make sense; the answer never quotes them.
///
/// # Errors
/// What was expected.
pub fn check_filter(directives: &str) -> Result<(), String> {
    // Within a span that is asked for, every target is let through, the capped ones too.
    if directives.contains('[') {
        return Err(
            "must not name spans ([…]), which would let libraries print what they are given".to_owned()
        );
    }
    EnvFilter::builder()
        .parse(directives)
        .map(drop)
        .map_err(|_| "must be log directives like info,guiche_app=debug".to_owned())
}

/// Starts writing log lines to standard error. Later calls change nothing.
///
/// # Errors
/// When the directives make no sense.
pub fn start(log: &Log) -> Result<(), String> {
    let filter = filter(&log.filter)?;
    let terminal = std::io::stderr().is_terminal();
    let format = log.format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A line that cannot be written is lost. To say so would be one more, and a panic where the terminal has gone.
    let builder = builder.log_internal_errors(false);
    // Only the first subscriber of a process counts; tests start many servers.
    let _ = match format {
        LogFormat::Text => builder.with_ansi(terminal).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).try_init(),
    };
    Ok(())
}

/// Lets a panic be a log line like any other, so that whoever reads lines of JSON can read it.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let payload = panic.payload();
        let message = payload.downcast_ref::<&str>().copied();
        let message = message.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        let location = panic.location().map(tracing::field::display);
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(location, backtrace = %backtrace, "panicked: {}", message.unwrap_or("without a message"));
    }));
}

fn filter(directives: &str) -> Result<EnvFilter, String> {
    check_filter(directives)?;
    let kept = directives.split(',').filter(|directive| !is_capped(directive));
    let capped = CAPPED.iter().map(|target| format!("{target}=warn"));
    // Its lines about threads say nothing to an operator; who wants them names it.
    let quiet = std::iter::once("actix_server=warn");
    let all: Vec<String> = quiet
        .chain(kept)
        .map(str::to_owned)
        .chain(capped)
        .chain(std::iter::once(SILENT.to_owned()))
        .collect();
    EnvFilter::builder().parse(all.join(",")).map_err(|error| error.to_string())
}

/// A directive that names a capped library in any way gives way to the cap; a more specific one would win otherwise.
fn is_capped(directive: &str) -> bool {
    let target = directive.trim().split('=').next().unwrap_or_default();
    CAPPED.iter().any(|capped| target == *capped || target.starts_with(&format!("{capped}::")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_library_may_be_asked_for() {
        assert!(filter("info").unwrap().to_string().contains("actix_server=warn"));
        assert!(filter("info,actix_server=debug").unwrap().to_string().contains("actix_server=debug"));
    }

    #[test]
    fn strangers_write_no_errors() {
        for directives in ["info", "trace", "actix_http::h1::dispatcher=error", "actix_http::h1=debug"] {
            let text = filter(directives).unwrap().to_string();
            assert_eq!(text.matches("actix_http::h1").count(), 1, "{directives}: {text}");
            assert!(text.contains(SILENT), "{directives}: {text}");
        }
    }

    #[test]
    fn no_span_opens_a_way_around_the_caps() {
        for directives in ["[http.request]=trace", "hyper[span]=debug", "info,[{user.id}]=trace"] {
            assert!(filter(directives).is_err(), "{directives}");
        }
    }

    #[test]
    fn caps_hold_whatever_is_asked_for() {
        for directives in
            ["trace", "tokio_postgres=trace", "tokio_postgres::connection=trace,info", "hyper=debug"]
        {
            let text = filter(directives).unwrap().to_string().replace(SILENT, "");
            for capped in CAPPED {
                assert!(text.contains(&format!("{capped}=warn")), "{directives}: {text}");
                assert!(!text.contains(&format!("{capped}=trace")), "{directives}: {text}");
                assert!(!text.contains(&format!("{capped}::")), "{directives}: {text}");
            }
        }
    }
}
