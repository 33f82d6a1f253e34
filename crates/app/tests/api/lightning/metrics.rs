//! Whatever alerts and dashboards ask for is exported under that name.

use std::collections::BTreeSet;
use std::path::Path;

use guiche_app::telemetry::Metrics;
use guiche_outbound::fake::{Fault, Rule};
use serde_json::{Value, json};

use crate::support::TestApp;

/// What stands between names in an expression, and is none.
const WORDS: [&str; 8] = ["by", "without", "or", "and", "unless", "offset", "on", "ignoring"];

/// The metrics of an expression: what is left of it without labels, functions and words.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    let mut bare = String::new();
    let (mut braces, mut quoted) = (0_u32, false);
    for letter in expression.chars() {
        match letter {
            '"' => quoted = !quoted,
            '{' if !quoted => braces += 1,
            '}' if !quoted => braces -= 1,
            _ if quoted || braces > 0 => {}
            _ => bare.push(letter),
        }
    }
    let mut found = BTreeSet::new();
    let mut rest = bare.as_str();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_alphabetic()) {
        // A number with a unit is a duration.
        let is_duration = rest[..start].ends_with(|letter: char| letter.is_ascii_digit());
        rest = &rest[start..];
        let end =
            rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if name == "by" || name == "without" {
            rest = after.split_once(')').unwrap().1;
        } else if !is_duration && !is_function(after) && !WORDS.contains(&name) {
            found.insert(name.to_owned());
        }
    }
    found
}

/// `rate (…`, and also `sum by (…) (…`.
fn is_function(after: &str) -> bool {
    ["(", "by ", "without "].iter().any(|next| after.trim_start().starts_with(next))
}

#[test]
fn metrics_are_told_from_everything_else() {
    let expression = r#"sum by (le, a) (rate(x_bucket{b="c_d", e=~"f|g"}[10m])) / y_total offset 5m > 0.05"#;
    assert_eq!(metrics_of(expression).into_iter().collect::<Vec<_>>(), ["x_bucket", "y_total"]);
}

/// Every expression of the dashboards and of the alerts.
fn expressions() -> Vec<String> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(deploy.join("grafana")).unwrap() {
        let board: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        let targets =
            board["panels"].as_array().unwrap().iter().flat_map(|panel| panel["targets"].as_array().unwrap());
        all.extend(targets.map(|target| target["expr"].as_str().unwrap().to_owned()));
    }
    // As YAML has it: behind `expr:`, or indented below it.
    let alerts = std::fs::read_to_string(deploy.join("alerts.yml")).unwrap();
    for rule in alerts.split("expr: ").skip(1) {
        let (first, others) = rule.split_once('\n').unwrap();
        let block = others.lines().take_while(|line| line.starts_with("          "));
        all.push(if first == "|" { block.collect::<Vec<_>>().join(" ") } else { first.to_owned() });
    }
    assert!(all.len() > 15, "{all:?}");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_and_dashboards_ask_for_what_there_is() {
    let metrics = Metrics::install().unwrap();
    let mut app = TestApp::start().await;
    app.start_installer();
    let (ana, bob) = (app.user().await, app.user().await);
    app.ask(&ana, &json!({ "lightning_address": "ana" }), 20).await.json(201);
    app.voltage().fail(Rule::always("create_node", Fault::answer(400, None))).unwrap();
    app.ask(&bob, &json!({ "lightning_address": "bob" }), 20).await.problem(502, "setup_failed");
    app.get("/.well-known/lnurlp/ana").send().await;
    app.post("/webhooks/btcpay/01942138-0f80-7c3a-8d5e-0123456789ab")
        .bytes("application/json", "{}")
        .send()
        .await;
    app.custodian.look().await.unwrap();
    let known = |text: &str| -> BTreeSet<String> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples.filter_map(|line| Some(line.split([' ', '{']).next()?.to_owned())).collect()
    };
    // How setups stand is counted soon after the start.
    while !known(&metrics.render()).contains("lightning_setups") {
        tokio::task::yield_now().await;
    }
    let exported = known(&metrics.render());
    for expression in expressions() {
        for name in metrics_of(&expression) {
            assert!(exported.contains(&name), "{name} of {expression:?} is none of {exported:?}");
        }
    }
}
