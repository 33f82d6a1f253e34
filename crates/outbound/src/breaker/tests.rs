use guiche_kernel::Clock;
use guiche_kernel::testing::ManualClock;
use proptest::prelude::*;

use super::*;

const FAILURES: u32 = 3;
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(12);

fn breaker() -> Breaker {
    Breaker::new(BreakerSettings {
        failures: NonZeroU32::new(FAILURES).unwrap(),
        first_pause: FIRST,
        longest_pause: LONGEST,
    })
}

fn call(breaker: &mut Breaker, clock: &ManualClock, outcome: Outcome) {
    let pass = breaker.admit(clock.now()).unwrap();
    breaker.record(pass, outcome, clock.now());
}

fn open(clock: &ManualClock) -> Breaker {
    let mut breaker = breaker();
    for _ in 0..FAILURES {
        call(&mut breaker, clock, Outcome::Faulty);
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    breaker
}

#[test]
fn failures_in_a_row_open_it_and_an_answer_between_them_does_not_let_them_add_up() {
    let (mut breaker, clock) = (breaker(), ManualClock::default());
    for _ in 0..10 {
        call(&mut breaker, &clock, Outcome::Faulty);
        call(&mut breaker, &clock, Outcome::Faulty);
        call(&mut breaker, &clock, Outcome::Abandoned);
        call(&mut breaker, &clock, Outcome::Healthy);
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    for _ in 0..FAILURES {
        assert_eq!(breaker.state(), CircuitState::Closed);
        call(&mut breaker, &clock, Outcome::Faulty);
    }
    assert_eq!(breaker.admit(clock.now()).unwrap_err(), FIRST);
}

#[test]
fn one_probe_decides() {
    let clock = ManualClock::default();
    let mut breaker = open(&clock);
    clock.advance(FIRST - Duration::from_micros(1));
    assert_eq!(breaker.admit(clock.now()).unwrap_err(), Duration::from_micros(1));
    clock.advance(Duration::from_micros(1));
    let probe = breaker.admit(clock.now()).unwrap();
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    breaker.admit(clock.now()).unwrap_err();
    breaker.record(probe, Outcome::Healthy, clock.now());
    assert_eq!(breaker.state(), CircuitState::Closed);
    call(&mut breaker, &clock, Outcome::Faulty);
    assert_eq!(breaker.state(), CircuitState::Closed, "the failures before are forgotten");
}

#[test]
fn each_failed_probe_doubles_the_pause_up_to_the_longest() {
    let clock = ManualClock::default();
    let mut breaker = open(&clock);
    for pause in [FIRST, FIRST * 2, LONGEST, LONGEST] {
        assert_eq!(breaker.admit(clock.now()).unwrap_err(), pause);
        clock.advance(pause);
        call(&mut breaker, &clock, Outcome::Faulty);
    }
    clock.advance(LONGEST);
    call(&mut breaker, &clock, Outcome::Healthy);
    for _ in 0..FAILURES {
        call(&mut breaker, &clock, Outcome::Faulty);
    }
    assert_eq!(breaker.admit(clock.now()).unwrap_err(), FIRST, "after a recovery it begins anew");
}

#[test]
fn an_abandoned_probe_makes_room_for_the_next() {
    let clock = ManualClock::default();
    let mut breaker = open(&clock);
    clock.advance(FIRST);
    call(&mut breaker, &clock, Outcome::Abandoned);
    assert_eq!(breaker.state(), CircuitState::Open);
    call(&mut breaker, &clock, Outcome::Healthy);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn what_was_let_through_before_says_nothing_about_after() {
    let clock = ManualClock::default();
    let mut breaker = breaker();
    let stale: Vec<Pass> = (0..10).map(|_| breaker.admit(clock.now()).unwrap()).collect();
    for _ in 0..FAILURES {
        call(&mut breaker, &clock, Outcome::Faulty);
    }
    clock.advance(FIRST);
    let probe = breaker.admit(clock.now()).unwrap();
    for (pass, outcome) in stale.into_iter().zip([Outcome::Healthy, Outcome::Faulty].into_iter().cycle()) {
        breaker.record(pass, outcome, clock.now());
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
    }
    breaker.record(probe, Outcome::Healthy, clock.now());
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[test]
fn a_clock_set_back_does_not_keep_it_open() {
    let clock = ManualClock::default();
    let mut breaker = open(&clock);
    clock.set(clock.now() - Duration::from_secs(3600));
    assert!(breaker.admit(clock.now()).is_ok());
}

#[derive(Debug, Clone)]
enum Step {
    Call,
    End(prop::sample::Index, bool),
    Abandon(prop::sample::Index),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Call),
        4 => (any::<prop::sample::Index>(), any::<bool>()).prop_map(|(which, healthy)| Step::End(which, healthy)),
        1 => any::<prop::sample::Index>().prop_map(Step::Abandon),
        2 => (0..20_u64).prop_map(Step::Wait),
    ]
}

proptest! {
    /// Calls that overlap and end in any order: at most one probe at a time, nobody passes an open circuit before its
    /// pause is over, it is never open for longer than the longest pause, and only failures open it.
    #[test]
    fn under_any_history_the_promises_hold(steps in prop::collection::vec(step(), 0..200)) {
        let (mut breaker, clock) = (breaker(), ManualClock::default());
        let mut running: Vec<Pass> = Vec::new();
        let (mut opened_at, mut faults) = (clock.now(), 0_u32);
        for step in steps {
            let before = breaker.state();
            match step {
                Step::Call => {
                    let since_opened = (clock.now() - opened_at).unsigned_abs();
                    let admitted = breaker.admit(clock.now());
                    match before {
                        CircuitState::Closed => prop_assert!(admitted.is_ok()),
                        CircuitState::HalfOpen => prop_assert!(admitted.is_err(), "a second probe"),
                        CircuitState::Open if since_opened < FIRST => prop_assert!(admitted.is_err()),
                        CircuitState::Open if since_opened >= LONGEST => prop_assert!(admitted.is_ok()),
                        CircuitState::Open => {}
                    }
                    running.extend(admitted);
                }
                Step::End(which, healthy) if !running.is_empty() => {
                    let pass = running.swap_remove(which.index(running.len()));
                    let outcome = if healthy { Outcome::Healthy } else { Outcome::Faulty };
                    faults += u32::from(!healthy);
                    breaker.record(pass, outcome, clock.now());
                    if before != CircuitState::Open && breaker.state() == CircuitState::Open {
                        prop_assert!(!healthy, "a success opened it");
                        prop_assert!(faults >= FAILURES);
                        opened_at = clock.now();
                    }
                    if before == CircuitState::Open {
                        prop_assert_eq!(breaker.state(), CircuitState::Open, "only a probe closes it");
                    }
                }
                Step::Abandon(which) if !running.is_empty() => {
                    let pass = running.swap_remove(which.index(running.len()));
                    breaker.record(pass, Outcome::Abandoned, clock.now());
                    prop_assert_ne!((before, breaker.state()), (CircuitState::Closed, CircuitState::Open));
                }
                Step::End(..) | Step::Abandon(_) => {}
                Step::Wait(seconds) => clock.advance(Duration::from_secs(seconds)),
            }
        }
    }
}
