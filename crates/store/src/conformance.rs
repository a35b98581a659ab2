//! What every store must do, as checks to run against it: [`conformance_tests!`](crate::conformance_tests)
//! makes a test of each.
//!
//! A check panics where the store breaks the contract. None sleeps: one that waits for a wake-up that
//! never comes hangs, and the test runner ends it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use async_trait::async_trait;

use crate::Store;

pub mod author;
pub mod cut;
pub mod follow;
pub mod logs;
pub mod outbox;
pub mod reopen;
pub mod rows;
pub mod seen;

pub use author::Author;

/// A place where one store lives, and can be opened again.
#[async_trait]
pub trait Bench: Send {
    /// Opens the store: empty the first time, afterwards with what was written to it. All handles
    /// that were opened before have been dropped.
    async fn open(&mut self) -> Arc<dyn Store>;

    /// Whether the store lives on in the bench when all handles are dropped, as one in memory does.
    fn keeps_store(&self) -> bool {
        false
    }
}

/// Makes a `#[tokio::test]` of every check. The argument is an expression that makes a fresh
/// [`Bench`]; the crate that calls it needs `tokio` with `macros` and `rt`.
#[macro_export]
macro_rules! conformance_tests {
    ($bench:expr) => {
        $crate::conformance_tests! { @each $bench;
            logs: an_append_is_read_back_with_its_checkpoint,
            logs: an_append_at_another_size_is_a_conflict_that_leaves_nothing,
            logs: a_batch_is_kept_as_a_whole_or_not_at_all,
            logs: a_batch_that_contradicts_itself_is_refused,
            logs: of_many_writers_at_one_size_one_wins,
            logs: logs_do_not_mix,
            logs: tile_hashes_make_the_proofs_of_the_log,
            logs: held_entries_carry_the_time_of_their_verification,
            logs: a_hole_is_filled_once_and_an_erased_record_is_gone,
            logs: a_source_answers_with_less_than_asked_and_never_with_more,
            cut: a_log_that_is_cut_back_grows_on_as_another,
            cut: a_log_can_be_cut_to_nothing,
            follow: a_follower_gets_what_is_there_and_then_what_comes,
            follow: a_follower_from_the_middle_of_an_append_is_covered,
            follow: a_follower_ahead_of_the_log_waits_for_its_index,
            follow: a_follower_that_lags_gets_short_steps,
            follow: a_long_catch_up_goes_in_steps_that_each_end_at_a_checkpoint,
            follow: records_that_do_not_fit_in_the_smallest_step_go_as_holes,
            follow: a_follower_sees_an_erased_record_as_a_hole,
            follow: streams_end_when_the_store_is_dropped,
            follow: a_watcher_gets_all_logs_and_then_every_growth,
            rows: rows_are_written_replaced_and_deleted,
            rows: rows_are_listed_in_byte_order_from_any_key,
            rows: views_are_dropped_and_ledgers_stay,
            rows: blobs_are_kept_under_their_hash,
            outbox: effects_are_due_by_priority_then_age,
            outbox: an_effect_whose_name_is_known_is_left_as_it_stands,
            outbox: settled_effects_are_due_again_or_never,
            outbox: what_is_dropped_keeps_the_attempts_that_were_begun,
            outbox: effects_are_found_by_case_and_by_item,
            outbox: each_connector_has_its_own_queue,
            outbox: effects_are_listed_by_state_and_counted,
            outbox: effects_that_get_their_turn_too_late_are_listed_and_counted,
            outbox: the_items_of_a_case_are_listed_and_counted,
            seen: a_seen_item_is_replaced_under_a_new_row,
            seen: a_removed_item_is_gone,
            seen: seen_items_are_listed_page_by_page,
            seen: seen_items_are_found_by_id_and_by_row,
            seen: the_items_seen_first_are_the_oldest,
            reopen: everything_is_there_after_a_new_start,
            reopen: a_log_grows_on_after_a_new_start,
        }
    };
    (@each $bench:expr; $($module:ident : $check:ident,)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                $crate::conformance::$module::$check(&mut $bench).await;
            }
        )*
    };
}
