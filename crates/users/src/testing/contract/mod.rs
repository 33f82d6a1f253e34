//! The promises of the ports as test cases, once for all implementations.
//!
//! An adapter's test file has a function that makes a fresh implementation and a guard (kept until the case is over), and
//! one line; `tokio` (with `macros` and a runtime) must be among the adapter's dev-dependencies:
//!
//! ```text
//! async fn fresh_store() -> (Arc<dyn UserStore>, TestDatabase) { … }
//! guiche_users::user_store_contract!(fresh_store);
//! ```
//!
//! Every case gets a store of its own and needs nothing else of the adapter. Cases that run calls at the same time poll
//! them from one task, so the adapter should have at least four connections.

mod accounts;
mod hasher;
mod scene;
mod sessions;
mod signer;

pub use accounts::*;
pub use hasher::*;
pub use sessions::*;
pub use signer::*;

/// Generates one `#[tokio::test]` for each promise of [`UserStore`](crate::UserStore). `$make` is the path of an
/// `async fn() -> (Arc<dyn UserStore>, guard)`.
#[macro_export]
macro_rules! user_store_contract {
    ($make:path) => { $crate::user_store_contract!(@list tests $make); };
    (@list $what:ident $($make:path)?) => {
        $crate::__contract! { @$what $($make)?;
            an_account_is_found_by_its_address_in_any_case,
            an_address_nobody_registered_has_no_credentials,
            a_taken_address_is_refused_in_any_case_and_the_first_account_stays,
            of_two_registrations_at_once_one_wins,
            the_owner_reads_the_account_as_it_was_registered,
            a_stale_epoch_is_refused_by_every_method_that_takes_a_caller,
            a_future_epoch_is_refused_too,
            a_caller_without_account_is_refused_everywhere,
            a_password_change_replaces_the_hash_and_raises_the_epoch,
            a_password_change_ends_every_session,
            of_two_password_changes_at_once_one_wins,
            a_password_change_leaves_others_alone,
            a_session_opened_during_a_password_change_does_not_survive_it,
            a_rotation_spends_the_token_and_stays_in_the_family,
            a_chain_of_rotations_stays_usable,
            a_spent_token_ends_the_family_with_its_newest_token,
            a_spent_token_is_a_reuse_even_when_expired_or_revoked,
            a_token_is_good_until_just_before_it_expires,
            an_expired_token_changes_nothing,
            a_session_ends_however_often_it_is_refreshed,
            a_token_that_was_never_issued_is_unknown,
            of_two_rotations_at_once_one_wins_and_the_other_is_a_reuse,
            of_many_rotations_at_once_one_wins,
            a_rotation_during_a_password_change_leaves_nothing_usable,
            a_rotation_during_a_sign_out_leaves_nothing_usable,
            a_rotation_reports_the_present_epoch,
            a_sign_out_ends_the_family_and_can_be_repeated,
            a_sign_out_works_with_a_spent_or_expired_token,
            a_sign_out_with_an_unknown_token_changes_nothing,
            the_end_of_one_session_leaves_the_others_alone,
            a_known_family_or_token_is_a_duplicate,
            a_successor_that_is_known_spends_nothing,
        }
    };
}

/// Generates one `#[tokio::test]` for each promise of [`PasswordHasher`](crate::PasswordHasher). `$make` is the path of
/// an `async fn() -> (Arc<dyn PasswordHasher>, guard)`.
#[macro_export]
macro_rules! password_hasher_contract {
    ($make:path) => { $crate::password_hasher_contract!(@list tests $make); };
    (@list $what:ident $($make:path)?) => {
        $crate::__contract! { @$what $($make)?;
            a_password_matches_its_own_hash_and_no_other,
            two_hashes_of_one_password_differ,
            without_a_hash_nothing_matches,
            every_byte_of_the_longest_password_counts,
            a_longer_password_never_matches_its_beginning,
            a_password_with_a_nul_never_matches,
            letters_beyond_ascii_are_bytes_like_any_other,
        }
    };
}

/// Generates one `#[tokio::test]` for each promise of [`TokenSigner`](crate::TokenSigner). `$make` is the path of an
/// `async fn(Arc<ManualClock>) -> (Arc<dyn TokenSigner>, guard)`.
#[macro_export]
macro_rules! token_signer_contract {
    ($make:path) => { $crate::token_signer_contract!(@list clocked_tests $make); };
    (@list $what:ident $($make:path)?) => {
        $crate::__contract! { @$what $($make)?;
            what_was_signed_is_what_is_read,
            a_token_is_good_until_the_second_it_expires,
            a_changed_token_is_refused_wherever_it_was_changed,
            nonsense_is_refused,
        }
    };
}

/// What the suites have in common: a list of cases, made into tests or into names.
#[doc(hidden)]
#[macro_export]
macro_rules! __contract {
    (@tests $make:path; $($case:ident),+ $(,)?) => {
        $(#[tokio::test] async fn $case() {
            let (subject, _guard) = $make().await;
            $crate::testing::contract::$case(subject).await;
        })+
    };
    (@clocked_tests $make:path; $($case:ident),+ $(,)?) => {
        $(#[tokio::test] async fn $case() {
            let clock = ::std::sync::Arc::new($crate::testing::contract::ManualClock::default());
            let (subject, _guard) = $make(::std::sync::Arc::clone(&clock)).await;
            $crate::testing::contract::$case(subject, clock).await;
        })+
    };
    (@names; $($case:ident),+ $(,)?) => { &[$(stringify!($case)),+] };
}

#[doc(hidden)]
pub use guiche_kernel::testing::ManualClock;

#[cfg(test)]
mod tests {
    /// Every public function of a suite's source is a case, and must be on the list from which tests are generated.
    fn assert_complete(listed: &[&str], sources: &[&str]) {
        let mut listed: Vec<_> = listed.to_vec();
        let mut written: Vec<_> = sources
            .iter()
            .flat_map(|source| source.lines())
            .filter_map(|line| line.strip_prefix("pub async fn "))
            .filter_map(|rest| rest.split(['(', '<']).next())
            .collect();
        listed.sort_unstable();
        written.sort_unstable();
        assert_eq!(listed, written);
    }

    #[test]
    fn no_case_of_the_store_is_left_out() {
        let listed: &[&str] = user_store_contract!(@list names);
        assert_complete(listed, &[include_str!("accounts.rs"), include_str!("sessions.rs")]);
    }

    #[test]
    fn no_case_of_the_hasher_is_left_out() {
        let listed: &[&str] = password_hasher_contract!(@list names);
        assert_complete(listed, &[include_str!("hasher.rs")]);
    }

    #[test]
    fn no_case_of_the_signer_is_left_out() {
        let listed: &[&str] = token_signer_contract!(@list names);
        assert_complete(listed, &[include_str!("signer.rs")]);
    }
}
