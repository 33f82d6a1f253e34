//! As an ordinary user, which is the normal case; root's tests become one for this.

use std::os::unix::fs::MetadataExt as _;

use crate::office::Call;
use crate::process::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ordinary_user_is_served_and_served_again() {
    let mut world = World::new();
    let mut expected = uzers::get_effective_uid();
    if expected == 0 {
        let user = ["nobody", "postgres"].iter().find_map(uzers::get_user_by_name).unwrap();
        expected = user.uid();
        world.become_user(user.uid(), user.primary_group_id());
    }
    let app = world.ready().await;
    let citizen = app.office().register("ana").await;
    let read = app.office().journey(&citizen).await;
    let server = world.postmaster().unwrap();
    assert_eq!(std::fs::metadata(format!("/proc/{server}")).unwrap().uid(), expected, "the server's user");
    for path in [world.data(), world.data().join("secrets"), world.postgres().join("data")] {
        assert_eq!(path.metadata().unwrap().uid(), expected, "{}", path.display());
    }
    app.signal("TERM");
    let ended = app.ended(crate::process::START).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(world.is_quiet());
    let app = world.ready().await;
    let again = app.office().tell(Call::ticket(&citizen, &read.text("id"))).await.expect(200);
    assert_eq!(again.body, read.body);
}
