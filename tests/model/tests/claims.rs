//! Every claim is a test.

macro_rules! claims {
    ($($room:ident { $($claim:ident,)* })*) => {
        $(mod $room {
            $(#[test]
            fn $claim() {
                wasmpool_model::$room::$claim();
            })*
        })*
    };
}

claims! {
    settling {
        of_rival_ends_one_wins,
        the_end_wakes_all_who_wait,
        the_end_wakes_who_waits,
        of_a_cancel_and_an_end_one_wins,
        a_wait_ends_with_the_task_or_with_the_time,
        a_pending_poll_is_followed_by_a_wake,
        callbacks_are_called_once_and_in_order,
        a_callback_is_taken_back_or_called,
        an_awaited_cell_wakes_its_thread,
    }
    counting {
        the_counters_add_up_at_any_moment,
    }
    queueing {
        what_was_accepted_comes_out_once,
        every_push_reaches_a_worker,
        a_push_reaches_the_only_worker,
        a_freed_place_reaches_the_only_submitter,
        a_close_reaches_the_only_submitter,
        workers_that_come_again_are_served,
        a_dead_entry_gives_its_place_to_a_submitter,
        a_timed_out_submitter_swallows_no_wake_up,
        an_overdrawn_queue_lets_nobody_in_before_it_is_in_order,
        a_close_wakes_everybody,
    }
    stopping {
        the_first_reason_to_stop_counts,
        of_two_reasons_the_first_counts,
        a_waiting_guest_is_woken_by_the_stop,
        a_stop_is_forced_when_the_grace_is_over,
    }
    watching {
        no_deadline_is_missed,
        a_cancelled_guest_leaves_its_worker,
        a_terminated_pool_comes_to_rest,
        a_queued_task_starts_or_expires,
        a_busy_pool_comes_to_rest,
        a_cancel_at_the_deadline_leaves_the_grace,
    }
    completing {
        a_wait_for_all_sees_every_end,
        a_wait_for_the_first_sees_one,
        every_future_is_completed_once,
        a_time_limit_counts_what_is_missing,
        an_awaited_future_is_woken,
    }
}
