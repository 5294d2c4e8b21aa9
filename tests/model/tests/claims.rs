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
        one_of_several_competing_ends_wins,
        the_end_wakes_all_waiting_threads,
        the_end_wakes_a_waiting_thread,
        either_a_cancel_or_an_end_wins,
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
        accepted_entries_come_out_once,
        the_last_promised_entry_lets_all_workers_end,
        every_push_reaches_a_worker,
        a_push_reaches_the_only_worker,
        a_freed_place_reaches_the_only_submitter,
        a_close_reaches_the_only_submitter,
        workers_that_pop_again_are_served,
        a_dead_entry_gives_its_place_to_a_submitter,
        a_timed_out_submitter_swallows_no_wake_up,
        an_overdrawn_queue_accepts_nothing_before_it_is_balanced,
        a_close_wakes_submitters_and_workers,
    }
    budgeting {
        tasks_that_wait_for_memory_all_end,
        a_task_that_comes_later_waits_with_the_others,
        a_suspended_call_goes_on_while_others_wait_for_memory,
        a_task_that_waits_for_memory_can_be_cancelled,
        a_terminated_pool_waits_for_no_memory,
        a_stuck_call_does_not_keep_others_from_starting,
        tenants_take_turns_while_a_task_waits_for_memory,
        a_cancelled_wait_for_memory_lets_others_have_their_turn,
        a_tenant_that_waits_for_memory_runs_no_more_than_it_may,
    }
    chunking {
        chunks_come_out_once,
        a_stuck_worker_delays_only_its_entry,
        every_idle_worker_takes_entries_of_one_chunk,
        every_idle_worker_takes_entries_of_two_chunks,
        late_chunks_reach_workers_that_slept_through_the_first,
        a_drain_leaves_nothing_in_a_local_queue,
    }
    deferring {
        a_deferred_entry_comes_once_and_not_early,
        a_sleeper_wakes_for_a_deferred_entry,
        no_worker_sleeps_past_a_deferred_entry,
        no_worker_sleeps_past_two_deferred_entries,
        a_drain_takes_deferred_entries,
    }
    waiting {
        a_freed_place_reaches_the_only_waiter,
        a_close_reaches_the_only_waiter,
        all_waiters_get_places,
        a_waiter_that_gives_up_passes_its_wake_up_on,
        the_first_waiter_that_gives_up_passes_its_wake_up_on,
        a_woken_waiter_that_is_not_polled_blocks_no_thread,
        a_close_ends_all_waits,
        no_waiter_is_woken_without_a_place,
        bytes_freed_at_once_admit_all_waiters,
        a_waiter_that_does_not_use_freed_bytes_passes_them_on,
        large_arguments_are_admitted_one_by_one,
        a_freed_place_and_freed_bytes_reach_the_only_waiter,
        a_close_reaches_waiters_for_bytes,
    }
    retrying {
        a_task_that_is_put_back_has_one_end,
        a_stop_that_comes_late_hits_no_later_attempt,
        a_cancel_and_a_put_back_leave_one_end,
        every_attempt_has_all_its_time,
        a_pool_with_retries_comes_to_rest,
        a_closed_pool_makes_the_attempts_that_are_due,
    }
    listening {
        listeners_see_a_success,
        listeners_see_the_end_of_a_second_attempt,
        listeners_see_a_cancel,
        listeners_see_a_termination,
        a_listener_added_at_the_end_sees_the_end,
    }
    stopping {
        the_first_reason_to_stop_counts,
        the_first_of_two_reasons_counts,
        a_waiting_guest_is_woken_by_the_stop,
        a_stop_is_forced_when_the_grace_is_over,
    }
    watching {
        no_deadline_is_missed,
        a_cancelled_guest_leaves_its_worker,
        a_cancel_reaches_a_call_that_is_leaving_its_worker,
        a_terminated_pool_settles_all_tasks_and_ends,
        a_queued_task_starts_or_expires,
        a_busy_pool_settles_all_tasks_and_ends,
        a_cancel_at_the_deadline_leaves_the_grace,
        a_blocking_callback_delays_no_timeout,
    }
    joining {
        parents_and_their_children_share_one_worker,
        a_call_that_cannot_leave_its_worker_does_not_wait_for_others,
        a_parent_lends_its_child_the_place_that_it_has_of_its_tenant,
    }
    suspending {
        a_call_that_waits_holds_no_worker,
        a_wake_up_finds_the_call_wherever_it_is,
        at_the_bound_a_call_waits_on_its_worker,
        a_call_that_nobody_can_wake_ends,
        a_suspended_call_is_cancelled,
        a_suspended_call_is_stopped_in_time,
        a_thread_that_is_blocked_is_given_up,
        a_blocked_thread_does_not_hold_up_the_end,
    }
    sharing {
        an_endless_call_makes_room_for_other_tenants,
        a_call_that_makes_room_is_stopped,
        a_termination_ends_calls_that_have_made_room,
        a_tenant_runs_no_more_than_it_may,
        a_submitter_gets_the_place_of_its_tenant,
    }
    conversing {
        calls_of_a_session_take_turns,
        a_call_that_dies_passes_its_turn_on,
        a_session_that_was_ended_can_be_begun_anew,
        restarts_and_cancels_leave_the_session_whole,
        a_terminated_pool_ends_its_sessions,
        a_closed_pool_runs_the_calls_in_the_line,
        an_idle_session_ends_or_serves,
    }
    exchanging {
        items_are_taken_once,
        items_come_in_order,
        who_leaves_the_line_swallows_no_item,
        who_leaves_the_line_swallows_no_room,
        a_close_reaches_all_who_wait,
        a_lock_has_one_holder,
        the_next_holder_is_told,
        a_semaphore_gives_out_what_it_has,
        an_event_reaches_all,
        a_notice_is_not_missed,
        a_barrier_lets_all_through,
        who_leaves_a_barrier_breaks_it,
        a_reset_tells_those_who_wait,
    }
    completing {
        a_wait_for_all_sees_every_end,
        a_wait_for_the_first_sees_one,
        every_future_is_completed_once,
        a_time_limit_counts_what_is_missing,
        an_awaited_future_is_woken,
    }
}
