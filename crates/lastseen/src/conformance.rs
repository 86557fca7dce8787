//! The tests that every store must pass: plain functions, a sentence of behaviour each.
//!
//! A crate that brings a store runs them all with [`conformance_tests!`](crate::conformance_tests).
//! They come in two parts: what a store does when it is asked directly, and what the verbs make of it. A
//! store for several nodes passes those of [`nodes`] too, with
//! [`conformance_tests_of_nodes!`](crate::conformance_tests_of_nodes).

pub mod life;
pub mod nodes;
pub mod people;
pub mod stores;
pub mod verbs;

/// Makes a test of every function of the suite.
///
/// Takes an expression that makes an empty store as `(Arc<dyn Store>, Guard)`; the guard is whatever has
/// to live as long as the store does, a folder for instance. The expression may `.await`.
///
/// ```text
/// lastseen::conformance_tests!((Arc::new(MemoryStore::new()), ()));
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($make:expr) => {
        $crate::conformance_tests!(@part stores, $make, [
            a_new_store_knows_the_policy_it_was_opened_with,
            a_policy_is_recorded_once_as_long_as_it_stays_the_same,
            without_a_policy_the_recorded_ones_stay_as_they_are,
            the_latest_time_never_goes_back,
            an_inserted_session_is_found_as_it_was_inserted,
            a_session_that_knows_little_of_its_visitor_is_kept_too,
            an_unknown_id_is_not_found,
            an_id_that_differs_in_its_last_bits_only_is_not_found,
            an_id_that_is_taken_is_not_inserted_twice,
            a_session_that_gives_way_ends_with_the_insert,
            a_list_holds_the_accounts_own_sessions_only,
            a_list_leaves_out_what_has_ended,
            an_account_is_known_by_the_name_it_was_last_given,
            accounts_of_another_source_are_other_accounts,
            account_ids_are_kept_to_the_byte,
            a_walk_meets_every_session_once,
            a_use_is_recorded,
            a_use_that_is_earlier_changes_nothing,
            of_two_uses_in_one_millisecond_the_last_counts,
            a_use_leaves_the_first_address_and_device_on_record,
            a_use_of_a_session_that_ended_changes_nothing,
            an_end_is_recorded_with_when_and_why_and_by_whom,
            an_end_that_brings_a_last_use_records_it,
            a_session_that_ended_keeps_its_first_end,
            ends_are_all_or_none,
            without_an_account_unknown_ids_are_left_alone,
            a_renewed_token_takes_the_place_of_the_old_one,
            a_token_of_an_older_generation_is_not_taken,
            a_session_that_ended_gets_no_token,
            a_page_token_stands_beside_the_token,
            purging_deletes_what_has_ended_and_nothing_else,
            a_store_in_order_says_so,
            a_session_that_was_refused_for_its_deadline_is_known_as_such,
            nothing_takes_away_the_mark_of_an_expired_session,
            an_accounts_sessions_are_counted_without_what_has_ended,
            every_policy_that_was_in_force_is_told,
        ]);
        $crate::conformance_tests!(@part verbs, $make, [
            a_token_is_accepted_until_its_session_is_terminated,
            a_terminated_session_is_refused_after_a_restart,
            a_session_expires_to_the_millisecond,
            every_use_moves_the_idle_deadline,
            no_use_moves_the_absolute_deadline,
            an_expired_session_stays_in_the_list_until_it_is_removed,
            an_expired_session_leaves_the_list_after_a_while,
            a_clock_set_back_revives_nothing,
            a_clock_set_back_over_a_restart_revives_nothing,
            a_tightened_setting_shortens_a_session_at_once,
            a_loosened_setting_revives_nothing,
            a_loosened_setting_does_not_lengthen_a_session,
            a_mangled_token_is_refused,
            a_token_with_another_sessions_id_is_refused,
            the_list_shows_the_current_session_first_then_newest_use_first,
            pages_show_every_session_exactly_once,
            pages_are_right_where_all_were_used_in_the_same_millisecond,
            the_current_session_alone_on_a_page_is_followed_by_the_others,
            another_accounts_session_cannot_be_terminated,
            terminating_twice_counts_once,
            terminating_several_is_all_or_nothing,
            terminating_the_others_keeps_the_current_one,
            terminating_others_needs_a_session_of_the_account,
            terminating_an_account_ends_all_of_it_and_nothing_else,
            terminating_everything_ends_every_session,
            terminating_a_source_ends_every_account_of_it_and_nothing_else,
            a_token_of_another_source_is_refused_as_unknown_and_not_used,
            a_token_names_its_session_without_a_use_as_long_as_it_is_active,
            an_account_is_called_as_its_newest_session_says,
            a_sign_in_ends_the_session_that_the_browser_brought_along,
            a_token_that_does_not_authenticate_ends_nothing_at_sign_in,
            beyond_the_limit_the_session_unused_for_longest_ends,
            a_renewed_token_is_accepted_and_the_old_one_is_refused,
            a_page_token_is_accepted_beside_the_token_and_both_end_with_the_session,
            an_expired_session_gets_no_page_token,
            last_use_is_exact_before_it_is_written,
            last_use_survives_a_restart_once_it_is_flushed,
            address_and_device_follow_the_last_use,
            a_use_that_brings_nothing_leaves_address_and_device,
            what_ended_is_purged_when_it_was_kept_long_enough,
            a_small_cache_forgets_and_still_refuses_what_ended,
            a_random_life_of_sessions_agrees_with_a_simple_model,
        ]);
    };
    (@part $part:ident, $make:expr, [$($name:ident,)*]) => {
        $(#[tokio::test]
        async fn $name() {
            let (store, _guard) = $make;
            $crate::conformance::$part::$name(store).await;
        })*
    };
}

/// Makes a test of every function about several nodes over one store; takes what [`conformance_tests!`]
/// takes. The store must keep the mark of [`Store::expire`](crate::Store::expire).
#[macro_export]
macro_rules! conformance_tests_of_nodes {
    ($make:expr) => {
        $crate::conformance_tests!(@part stores, $make, [
            a_session_that_was_used_later_is_not_marked,
            only_what_is_there_and_has_not_ended_is_marked,
        ]);
        $crate::conformance_tests!(@part nodes, $make, [
            a_session_terminated_on_one_node_is_refused_on_the_other,
            many_sessions_are_terminated_all_or_none_by_a_node_that_knows_none_of_them,
            who_finds_nothing_left_to_end_answers_when_nobody_accepts_it_any_more,
            a_session_that_gives_way_on_one_node_is_refused_on_the_other,
            a_token_renewed_on_one_node_counts_on_the_other_and_the_old_one_does_not,
            a_page_token_given_by_one_node_takes_the_place_of_the_one_before_on_both,
            an_account_renamed_on_one_node_is_called_so_on_the_other,
            a_policy_tightened_on_one_node_counts_at_once_on_the_other,
            a_policy_tightened_elsewhere_counts_at_once_on_a_node_without_a_lease,
            a_session_that_ended_before_its_own_node_heard_of_it_is_refused,
            the_limit_of_an_account_counts_the_sessions_of_both_nodes,
            a_session_used_on_one_node_only_is_not_expired_by_the_other,
            a_session_is_not_expired_by_the_other_node_because_rounds_of_writing_are_late,
            a_session_used_just_in_time_is_not_expired_by_the_other,
            a_use_recorded_between_a_read_and_the_verdict_keeps_the_session,
            what_memory_takes_for_expired_is_read_again_for_every_verb,
            expired_is_final_on_both_nodes_although_one_clock_is_an_hour_ahead,
            expired_is_final_on_both_nodes_although_one_clock_is_an_hour_behind,
            a_late_use_revives_nothing,
            an_expired_session_is_removed_from_the_list_by_either_node,
            tidying_does_not_end_what_the_other_node_is_using,
            a_node_that_restarts_does_not_go_by_the_wrong_clock_of_another,
            a_session_that_began_on_one_node_is_in_the_list_of_the_other_at_once,
            two_nodes_list_alike_once_they_have_written,
            lists_of_two_nodes_differ_by_no_more_than_what_is_not_written_yet,
            the_last_use_is_the_latest_of_both_nodes_whoever_writes_last,
            a_random_life_on_two_nodes_agrees_with_a_simple_model,
            a_node_that_cannot_be_told_has_no_lease_when_a_termination_is_answered,
            without_a_lease_every_validation_is_one_read,
            without_a_lease_and_without_the_store_nobody_can_tell,
            a_read_that_outlives_its_lease_is_not_trusted,
            a_read_from_before_a_term_is_not_trusted_in_it,
            a_change_that_arrives_between_a_read_and_its_answer_counts,
            without_a_lease_nobody_shares_a_read_that_began_for_somebody_else,
            a_partition_that_is_written_all_the_time_is_read_all_the_same,
            uses_that_are_not_written_survive_a_lost_lease,
        ]);
    };
}

#[cfg(test)]
mod memory {
    use std::sync::Arc;

    use crate::store::memory::MemoryStore;

    crate::conformance_tests!((Arc::new(MemoryStore::new()), ()));
    crate::conformance_tests_of_nodes!((Arc::new(MemoryStore::new()), ()));
}

/// What one process makes of a store must not depend on whether others might write it too.
#[cfg(test)]
mod one_node_with_a_lease {
    use std::sync::Arc;

    use super::nodes::NodeStore;
    use crate::store::memory::MemoryStore;

    crate::conformance_tests!((
        Arc::new(NodeStore::alone(Arc::new(MemoryStore::new()), true)),
        ()
    ));
}

/// Nor on whether it may answer from memory.
#[cfg(test)]
mod one_node_without_a_lease {
    use std::sync::Arc;

    use super::nodes::NodeStore;
    use crate::store::memory::MemoryStore;

    crate::conformance_tests!((
        Arc::new(NodeStore::alone(Arc::new(MemoryStore::new()), false)),
        ()
    ));
}
