//! What must not be lost unnoticed: keys, and rows of the audit trail.

use guiche_app::lightning::Custody;
use guiche_lightning_setup::audit::Broken;

use crate::support::{TestApp, World};

async fn look(app: &TestApp) -> Custody {
    app.custodian.look().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_under_a_key_that_is_not_in_the_ring_are_counted() {
    let app = TestApp::start().await;
    let user = app.user().await;
    app.set_up(&user, "ana").await;
    assert_eq!((look(&app).await.unreadable_rows, look(&app).await.broken), (0, None));
    let lose = "UPDATE lightning_addresses SET encrypted_voltage_config = replace(encrypted_voltage_config, '.generated.', '.lost.')";
    app.world.execute(lose).await;
    assert_eq!(look(&app).await.unreadable_rows, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_that_was_changed_cut_off_or_thinned_out_is_noticed() {
    let world = World::new().await;
    let app = world.serve().await;
    for name in ["ana", "bob"] {
        app.set_up(&app.user().await, name).await;
    }
    assert_eq!(look(&app).await.broken, None);
    world.execute("DELETE FROM lightning_setup_log WHERE number = 4").await;
    assert_eq!(
        look(&app).await.broken,
        Some(Broken::CutOff { found: 3, head: 4 }),
        "the end is looked at every time"
    );
    world.execute("DELETE FROM lightning_setup_log WHERE number = 2").await;
    let broken = look(&app).await.broken;
    assert_eq!(
        broken,
        Some(Broken::Missing { expected: 2, found: 3 }),
        "once broken, it is walked from the beginning"
    );
    let other = world.serve().await;
    world
        .execute(
            "UPDATE lightning_setup_log SET created_at = created_at + interval '1 second' WHERE number = 1",
        )
        .await;
    assert_eq!(look(&other).await.broken, Some(Broken::Changed(1)));
}
