//! A key, and what the gateway says beside its codes, is told to nobody: no error, no `Debug`, no log at its finest.

use std::io::Write;
use std::sync::{Arc, Mutex};

use guiche_adapter_spark::fake::{DEFAULT_KEY, Fault, Operation};
use tracing_subscriber::fmt::MakeWriter;

use crate::support::world_with;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn a_key_is_told_to_nobody() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(log.clone())
        .finish();
    // On the one thread of this test's runtime.
    let _guard = tracing::subscriber::set_default(subscriber);

    const WRONG: &str = "canary-0123456789";
    let world = world_with(&[WRONG, DEFAULT_KEY], |_| {}).await;
    let mut printed = format!("{:?}", world.live);
    world.issue(1).await.unwrap();
    // The fake's errors repeat the key in their message.
    for (status, code) in
        [(400, Some("invalid_request")), (400, Some(DEFAULT_KEY)), (503, None), (502, Some("spark_refused"))]
    {
        world.fake.fail(Operation::Issue, 3, Fault::Answer { status, code: code.map(str::to_owned) });
        let error = world.issue(2).await.unwrap_err();
        printed += &format!("{error} {error:?} {}", std::error::Error::source(&error).unwrap());
        world.fake.heal();
    }
    world.fake.take_keys(&["none-of-them"]);
    for _ in 0..3 {
        printed += &format!("{:?}", world.issue(3).await.unwrap_err());
    }
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let ours: Vec<_> = log.lines().filter(|line| line.contains("guiche_outbound")).collect();
    let count = |part: &str| ours.iter().filter(|line| line.contains(part)).count();
    assert_eq!(count("spark refuses a key; going on with number 2 of SPARK_API_KEY"), 1, "{ours:#?}");
    assert_eq!(
        count("spark refuses every key (HTTP 401): set SPARK_API_KEY to one that it knows"),
        1,
        "{ours:#?}"
    );
    for (place, text) in [("printed", printed), ("log", log)] {
        for secret in [WRONG, DEFAULT_KEY] {
            assert!(!text.contains(secret), "{secret} in {place}: {text}");
        }
    }
}
