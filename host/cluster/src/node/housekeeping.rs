//! What a node does beside running tasks: it hears callers, tells the server that it is still at its
//! tasks, and says how it is.

use std::sync::Arc;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::AckKind;
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::member::Member;
use crate::broker::{ACK_WAIT, TIDYING};
use crate::message::Lease;
use crate::names;
use crate::wire;

/// How often. A task is delivered again when the server has heard nothing for `ACK_WAIT`, so two in
/// a row may be lost.
const TICK: Duration = Duration::from_millis(ACK_WAIT.as_millis() as u64 / 4);

/// How long the server may take to store the status.
const STATUS_TIMEOUT: Duration = Duration::from_secs(1);

/// How long it waits before it listens again.
const AGAIN: Duration = Duration::from_millis(200);

/// Keeps house until it is dropped.
pub(super) async fn keep_house(member: &Arc<Member>) {
    tokio::join!(listen(member), tick(member), report(member), tidy(member));
}

async fn tick(member: &Member) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for running in member.all_running() {
            running.acknowledge(AckKind::Progress).await;
        }
        if member.broker.client.connection_state() != State::Connected {
            member.callers.excuse();
        }
        stop_unwanted(member);
        member.callers.forget_old();
    }
}

/// Says how the node is, and finds tenants that it was not told of.
async fn report(member: &Member) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let status = wire::encode(&member.status());
        let stored = member.broker.nodes.put(&member.id, status.into());
        let _ = timeout(STATUS_TIMEOUT, stored).await;
        let mut tenants = member.broker.tasks.consumer_names();
        while let Ok(Some(tenant)) = tenants.try_next().await {
            meet(member, tenant).await;
        }
    }
}

/// Keeps the queues of the tenants in order.
async fn tidy(member: &Member) {
    let mut ticks = interval(TIDYING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for tenant in member.tenants() {
            // If the server does not answer, next time is early enough.
            let _ = member.broker.delete_ended(&tenant).await;
        }
    }
}

/// Adds the queue of a tenant to those that tasks are taken from.
async fn meet(member: &Member, tenant: String) {
    if !member.knows_tenant(&tenant)
        && let Ok(queue) = member.broker.queue_of(&tenant).await
    {
        member.add_tenant(tenant, queue);
        member.wake.notify_one();
    }
}

/// Hears of callers and of new tasks.
async fn listen(member: &Member) {
    let client = &member.broker.client;
    loop {
        let heard = tokio::try_join!(
            client.subscribe(names::LEASES),
            client.subscribe(names::DEPARTURES),
            client.subscribe(names::WAKE),
        );
        // It fails only when the client is closed, or a subject may not be heard.
        if let Ok((mut leases, mut departures, mut wakes)) = heard {
            loop {
                tokio::select! {
                    Some(lease) = leases.next() => hear(member, &lease),
                    Some(departure) = departures.next() => {
                        let caller = departure.subject.rsplit('.').next().unwrap_or_default();
                        member.callers.leave(caller);
                        stop_unwanted(member);
                    }
                    Some(wake) = wakes.next() => {
                        member.wake.notify_one();
                        if let Ok(tenant) = String::from_utf8(wake.payload.to_vec())
                            && !tenant.is_empty()
                        {
                            meet(member, tenant).await;
                        }
                    }
                    else => break,
                }
            }
        }
        sleep(AGAIN).await;
    }
}

/// A caller is there, and says what it has cancelled.
fn hear(member: &Member, message: &async_nats::Message) {
    let caller = message.subject.rsplit('.').next().unwrap_or_default();
    let Ok(Lease { cancelled }) = wire::decode(&message.payload) else {
        return;
    };
    member.callers.hear(caller, cancelled);
    stop_unwanted(member);
}

/// Stops the tasks that nobody wants any more.
fn stop_unwanted(member: &Member) {
    for running in member.all_running() {
        if let Some(reason) = member.callers.unwanted(&running.id) {
            running.stop_for(reason);
        }
    }
}
