//! Mistakes that somebody could make. Each is planted alone, in a world of its own, and must be noticed within a few rounds.

use std::fmt::Write as _;

use guiche_app::fail_points::{Call, Part, Plant, Point};

use crate::audit::Violation;
use crate::lab::Lab;
use crate::round::Round;
use crate::setups::{SetupRound, Tally};
use crate::support::Chance;

/// So many kills a mistake may survive.
const ROUNDS: usize = 12;

/// A mistake.
struct Mistake {
    name: &'static str,
    how: How,
    /// Where the process is killed.
    at: Point,
}

/// How it gets in.
enum How {
    /// Around a port, in the program.
    InTheProgram(Plant),
    /// In the database: of each function, a text that it must have and what is put in its place; then more statements.
    InTheDatabase(&'static [(&'static str, &'static str, &'static str)], &'static str),
}

const fn after(call: Call) -> Point {
    Point { call, is_after: true }
}

const fn before(call: Call) -> Point {
    Point { call, is_after: false }
}

const MISTAKES: [Mistake; 12] = [
    // Three more guards would each hold alone: the row's lock, the trigger that counts versions, the index that allows one
    // payment event. All of them go, so that the compare-and-set is what is missing.
    Mistake {
        name: "settled-without-compare-and-set",
        how: How::InTheDatabase(
            &[
                ("lock_ticket", " FOR NO KEY UPDATE", ""),
                // As on a slow day: those who read the ticket together write it together.
                ("save_ticket", "UPDATE tickets t SET", "PERFORM pg_sleep(0.05); UPDATE tickets t SET"),
                ("save_ticket", "version = p_version", "version = t.version + 1"),
                ("save_ticket", " AND t.version = p_expected", ""),
                ("save_ticket", " AND i.status = c.old", ""),
            ],
            "DROP INDEX outbox_paid_once",
        ),
        at: after(Call::Record),
    },
    Mistake {
        name: "claim-not-completed-with-the-ticket",
        how: How::InTheDatabase(
            &[
                ("open_tickets", "WHERE n.known AND n.key IS NOT NULL", "WHERE false"),
                ("open_ticket", "IF p_key IS NOT NULL THEN", "IF false THEN"),
            ],
            "",
        ),
        at: after(Call::Open),
    },
    Mistake {
        name: "no-look-after-the-first",
        how: How::InTheDatabase(
            &[("reschedule_looks", "SET due_at = held.at", "SET due_at = 'infinity'")],
            "",
        ),
        at: after(Call::Reschedule),
    },
    Mistake {
        name: "a-look's-lease-never-ends",
        how: How::InTheDatabase(
            &[(
                "claim_looks",
                "SET leased_until = p_leased_until",
                "SET leased_until = p_leased_until + interval '1 year'",
            )],
            "",
        ),
        at: after(Call::ClaimLooks),
    },
    Mistake {
        name: Plant::AcknowledgedBeforeStored.as_str(),
        how: How::InTheProgram(Plant::AcknowledgedBeforeStored),
        at: before(Call::Open),
    },
    Mistake {
        name: Plant::EventsAfterCommit.as_str(),
        how: How::InTheProgram(Plant::EventsAfterCommit),
        at: after(Call::Commit),
    },
    Mistake {
        name: Plant::RecordedBeforeSent.as_str(),
        how: How::InTheProgram(Plant::RecordedBeforeSent),
        at: before(Call::Send),
    },
    Mistake {
        name: Plant::FreshKeyAtEveryAttempt.as_str(),
        how: How::InTheProgram(Plant::FreshKeyAtEveryAttempt),
        at: after(Call::Issue),
    },
    Mistake {
        name: Plant::NodeWithoutIntent.as_str(),
        how: How::InTheProgram(Plant::NodeWithoutIntent),
        at: after(Call::CreateNode),
    },
    Mistake {
        name: Plant::RepeatedWithoutAsking.as_str(),
        how: How::InTheProgram(Plant::RepeatedWithoutAsking),
        at: after(Call::CreateStore),
    },
    Mistake {
        name: Plant::UndoneBeforeDeleted.as_str(),
        how: How::InTheProgram(Plant::UndoneBeforeDeleted),
        at: before(Call::DeleteNode),
    },
    Mistake {
        name: "a-setup's-lease-never-ends",
        how: How::InTheDatabase(
            &[
                (
                    "claim_lightning_setups",
                    "leased_until = p_leased_until",
                    "leased_until = p_leased_until + interval '1 year'",
                ),
                (
                    "record_lightning_steps",
                    "leased_until = p_leased_until",
                    "leased_until = p_leased_until + interval '1 year'",
                ),
            ],
            "",
        ),
        at: after(Call::FindNodes),
    },
];

/// Whether all of those parts were noticed.
pub(crate) async fn all(seed: u64, parts: &[Part]) -> bool {
    let mut unnoticed = Vec::new();
    println!("{:<36} at", "planted mistake");
    for mistake in MISTAKES.iter().filter(|mistake| parts.contains(&mistake.at.call.part())) {
        let point = mistake.at.to_string();
        let verdict = match mistake.survives(&mut Chance::of(seed)).await {
            Some((round, Violation(what))) => format!("noticed after kill {}: {what}", round + 1),
            None => {
                unnoticed.push(mistake.name);
                "NOT NOTICED".to_owned()
            }
        };
        println!("{:<36} {point:<24} {}", mistake.name, shortened(&verdict));
    }
    if !unnoticed.is_empty() {
        println!("FAILED: went unnoticed over {ROUNDS} kills each: {}", unnoticed.join(", "));
    }
    unnoticed.is_empty()
}

impl Mistake {
    fn round(&self, number: usize) -> Round {
        match self.name {
            "settled-without-compare-and-set" => Round::of_races(number, self.at),
            _ => Round::plain(number, self.at),
        }
    }

    /// After how many rounds, and by what, it was noticed.
    async fn survives(&self, chance: &mut Chance) -> Option<(usize, Violation)> {
        let plant = match &self.how {
            How::InTheProgram(plant) => Some(*plant),
            How::InTheDatabase(..) => None,
        };
        let mut lab = Lab::new(plant).await;
        lab.be_impatient();
        if let How::InTheDatabase(changes, more) = &self.how {
            for (function, was, is) in *changes {
                lab.books.run(&replaced(function, was, is)).await;
            }
            lab.books.run(more).await;
        }
        for number in 0..ROUNDS {
            let lived = match self.at.call.part() {
                Part::Setups => {
                    let round = SetupRound::plain(number, self.at);
                    lab.live_through_setup(&round, &Tally::default()).await.map(drop)
                }
                Part::Money => lab.live_through(&self.round(number), chance).await.map(drop),
            };
            if let Err(violation) = lived {
                return Some((number, violation));
            }
        }
        None
    }
}

/// Changes a function. A text that is not there is an error: a mistake that was not planted would be "noticed" by nothing.
fn replaced(function: &str, was: &str, is: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let (name, was, is) = (quoted(function), quoted(was), quoted(is));
    let mut sql = String::new();
    write!(
        sql,
        "DO $plant$
        DECLARE definition text := pg_get_functiondef({name}::regproc);
        BEGIN
            IF position({was} IN definition) = 0 THEN
                RAISE EXCEPTION 'the mistake cannot be planted into %', {name};
            END IF;
            EXECUTE replace(definition, {was}, {is});
        END
        $plant$"
    )
    .unwrap();
    sql
}

fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(240).collect()
}
