//! Every call outside, of the setup and of its undo, meets every trouble; whatever happens, the database says what exists.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use guiche_lightning_setup::SetupStatus;
use guiche_lightning_setup::testing::Trouble;

use crate::world::{World, now};
use crate::writing;

/// What is under way when the trouble comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Course {
    /// A setup.
    SetUp,
    /// A setup whose last step is refused, so that everything is undone.
    Undo,
    /// A teardown at the person's wish.
    TearDown,
}

impl Course {
    const ALL: [Self; 3] = [Self::SetUp, Self::Undo, Self::TearDown];

    /// Takes it up to where the trouble begins.
    fn prepare(self) -> World {
        let mut world = World::new();
        writing::watch(&world);
        if self == Self::TearDown {
            world.begin(World::citizen(1), "swifteagle42");
            world.run();
        }
        world
    }

    fn run(self, world: &mut World) {
        let citizen = World::citizen(1);
        match self {
            Self::SetUp => drop(world.begin(citizen, "swifteagle42")),
            Self::Undo => {
                world.hosts.plan("register_webhook", 1, Trouble::Refused);
                world.begin(citizen, "swifteagle42");
            }
            // Without the node's word the teardown does not even begin.
            Self::TearDown => drop(world.setups.remove(citizen).now_or_never()),
        }
        world.run();
    }

    /// Every call of an undisturbed run: its name and which of that name it is. Computed, so that a new call of a port
    /// joins the matrix by itself.
    fn calls(self) -> Vec<(&'static str, usize)> {
        let mut world = self.prepare();
        let before = world.hosts.calls();
        self.run(&mut world);
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let numbered = world.hosts.calls().into_iter().map(|operation| {
            let count = counts.entry(operation).or_default();
            *count += 1;
            (operation, *count)
        });
        numbered.skip(before.len()).collect()
    }
}

#[test]
fn every_call_meets_every_trouble() {
    let mut cells = 0;
    let mut outcomes: BTreeMap<(Course, &str, SetupOutcome), usize> = BTreeMap::new();
    for course in Course::ALL {
        for (operation, call) in course.calls() {
            for trouble in Trouble::ALL {
                let mut world = course.prepare();
                if (operation, call, course) != ("register_webhook", 1, Course::Undo) {
                    world.hosts.plan(operation, call, trouble);
                }
                course.run(&mut world);
                let status = world.check(World::citizen(1));
                *outcomes.entry((course, operation, SetupOutcome(status))).or_default() += 1;
                cells += 1;
                told_in_the_audit_trail(&world);
                tried_again(world, status);
            }
        }
    }
    println!("{cells} cells");
    for ((course, operation, outcome), count) in outcomes {
        println!("{course:?} {operation}: {count} {}", outcome.0.as_str());
    }
    assert!(cells > 250, "the matrix has shrunk: {cells}");
}

#[derive(PartialEq, Eq)]
struct SetupOutcome(SetupStatus);

impl Ord for SetupOutcome {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl PartialOrd for SetupOutcome {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn told_in_the_audit_trail(world: &World) {
    let citizen = World::citizen(1);
    let log = now(world.setups.log(citizen, None, guiche_kernel::Limit::default())).unwrap();
    let setup = world.find(citizen);
    let last = log.first().unwrap();
    let expected = match setup.status {
        SetupStatus::FullyConfigured => "setup_completed",
        SetupStatus::Failed => "setup_failed",
        SetupStatus::NeedsAttention => "setup_needs_attention",
        SetupStatus::Removed => "teardown_completed",
        SetupStatus::InProgress | SetupStatus::RollingBack => unreachable!(),
    };
    assert_eq!(last.operation, expected, "{log:#?}");
    assert_eq!(last.success, matches!(setup.status, SetupStatus::FullyConfigured | SetupStatus::Removed));
}

/// Once the trouble is over, the same person gets the same address.
fn tried_again(mut world: World, status: SetupStatus) {
    world.hosts.heal();
    if status == SetupStatus::FullyConfigured {
        return;
    }
    let citizen = World::citizen(1);
    let setup = world.begin(citizen, "swifteagle42");
    assert!(setup.attempt > 1);
    world.run();
    let again = world.find(citizen);
    assert_eq!(again.status, SetupStatus::FullyConfigured, "{again:#?}");
    assert_eq!(again.address.to_string(), "swifteagle42@guiche.test");
}

#[test]
fn what_cannot_be_undone_is_told_and_does_not_stand_in_the_way() {
    for operation in
        ["delete_webhook", "disconnect_node", "delete_store", "delete_node", "find_nodes", "find_stores"]
    {
        for trouble in [Trouble::Refused, Trouble::Unavailable, Trouble::LostBefore, Trouble::Garbage] {
            let mut world = Course::TearDown.prepare();
            for call in 1..=50 {
                world.hosts.plan(operation, call, trouble);
            }
            let citizen = World::citizen(1);
            Course::TearDown.run(&mut world);
            let status = world.check(citizen);
            assert_eq!(status, SetupStatus::NeedsAttention, "{operation} {trouble:?}");
            told_in_the_audit_trail(&world);
            tried_again(world, status);
        }
    }
}
