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
        an_observer_is_forgotten_or_told,
        observers_are_told_before_callbacks_run,
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
    chunking {
        chunks_come_out_once,
        a_stuck_worker_holds_up_nothing_but_its_entry,
        of_one_chunk_every_idle_worker_takes_some,
        of_two_chunks_every_idle_worker_takes_some,
        late_chunks_reach_workers_that_slept_through_the_first,
        a_drain_leaves_nothing_on_a_shelf,
    }
    deferring {
        a_deferred_entry_comes_once_and_not_early,
        a_sleeper_wakes_for_a_deferred_entry,
        nobody_sleeps_past_a_deferred_entry,
        nobody_sleeps_past_two_deferred_entries,
        a_drain_takes_deferred_entries,
    }
    waiting {
        a_freed_place_reaches_the_only_one_who_waits,
        a_close_reaches_the_only_one_who_waits,
        all_who_wait_get_room,
        who_gives_up_passes_the_wake_up_on,
        the_first_who_gives_up_passes_the_wake_up_on,
        who_is_woken_and_does_not_come_holds_up_no_thread,
        a_close_sends_all_who_wait_home,
        nobody_is_woken_for_nothing,
        bytes_that_come_back_at_once_are_room_for_all_who_wait,
        who_has_no_use_for_room_for_bytes_passes_it_on,
        large_arguments_come_in_one_after_the_other,
        a_place_and_bytes_that_come_back_reach_the_only_one_who_waits,
        a_close_reaches_those_who_wait_for_bytes,
    }
    retrying {
        a_task_that_is_put_back_has_one_end,
        a_stop_that_comes_late_hits_no_later_attempt,
        a_cancel_meets_a_task_on_its_way_back,
        every_attempt_has_all_its_time,
        a_pool_with_retries_comes_to_rest,
        a_closed_pool_makes_the_attempts_that_are_due,
    }
    listening {
        a_success_is_heard,
        the_end_of_a_second_attempt_is_heard,
        a_cancel_is_heard,
        a_termination_is_heard,
        who_begins_to_listen_at_the_end_hears_it,
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
        a_callback_that_waits_holds_up_no_timeout,
    }
    completing {
        a_wait_for_all_sees_every_end,
        a_wait_for_the_first_sees_one,
        every_future_is_completed_once,
        a_time_limit_counts_what_is_missing,
        an_awaited_future_is_woken,
    }
}
