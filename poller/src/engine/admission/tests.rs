//! Admission, poll by poll, and its promise under random load: no cap is passed, and no capacity is lost.

use super::*;
use crate::key::PollKey;
use crate::state::Reach;

const NOW: Timestamp = Timestamp::from_micros(100);

fn control(total: usize, origin: usize, site: Option<usize>, scope: Option<usize>) -> AdmissionControl<u32> {
    let mut limits = Limits::default();
    (limits.in_flight, limits.per_origin) = (total, origin);
    (limits.per_site, limits.per_scope) = (site, scope);
    AdmissionControl::new(&limits)
}

fn queues(max: usize, max_per_origin: usize) -> AdmissionControl<u32> {
    control(max, max_per_origin, None, None)
}

fn a_hold(until: Timestamp) -> Hold {
    Hold { until, by: PollKey::new("", "a") }
}

fn hold(queues: &mut AdmissionControl<u32>, id: QueueId, until: Timestamp) -> bool {
    queues.hold(id, Reach::Scope, a_hold(until))
}

fn join(queues: &mut AdmissionControl<u32>, origin: u64, credentials: u64) -> QueueId {
    queues.join_key(Key { account: AccountKey { origin, credentials }, scope: 0 }, origin)
}

/// Starts all polls that may send. Poll `n` is in queue `n / 100`.
fn start(queues: &mut AdmissionControl<u32>, of: &[QueueId], now: Timestamp) -> Vec<u32> {
    std::iter::from_fn(|| {
        let (queue, poll) = queues.next(now)?;
        assert_eq!(queue, of[poll as usize / 100]);
        queues.begin(queue);
        Some(poll)
    })
    .collect()
}

#[test]
fn origins_take_turns_and_keep_their_caps() {
    let mut queues = queues(3, 2);
    let of = [join(&mut queues, 1, 1), join(&mut queues, 2, 1)];
    for poll in 0..5 {
        queues.enqueue(of[0], poll, NOW);
    }
    queues.enqueue(of[1], 100, NOW);
    assert_eq!(
        start(&mut queues, &of, NOW),
        [0, 100, 1],
        "two of the first origin, one of the second, three in all"
    );
    queues.end(of[1], Some(true));
    assert_eq!(
        start(&mut queues, &of, NOW),
        [] as [u32; 0],
        "there is capacity, but not for the first origin"
    );
    queues.end(of[0], Some(true));
    assert_eq!(start(&mut queues, &of, NOW), [2]);
}

#[test]
fn a_held_queue_waits_and_other_credentials_do_not() {
    let mut queues = queues(10, 10);
    let of = [join(&mut queues, 1, 1), join(&mut queues, 1, 2)];
    let until = Timestamp::from_micros(200);
    assert!(hold(&mut queues, of[0], until));
    assert!(!hold(&mut queues, of[0], NOW), "a shorter hold changes nothing");
    assert!(!queues.admits(of[0], NOW) && queues.admits(of[1], NOW) && queues.admits(of[0], until));
    queues.enqueue(of[0], 1, NOW);
    queues.enqueue(of[1], 102, NOW);
    assert_eq!(start(&mut queues, &of, NOW), [102]);
    queues.release_due(until);
    assert_eq!(start(&mut queues, &of, until), [1]);
}

#[test]
fn a_hold_applies_to_a_queue_that_is_listed_already() {
    let mut queues = queues(10, 10);
    let of = [join(&mut queues, 1, 1)];
    queues.enqueue(of[0], 1, NOW);
    let until = Timestamp::from_micros(200);
    hold(&mut queues, of[0], until);
    assert_eq!(start(&mut queues, &of, NOW), [] as [u32; 0]);
    queues.release_due(until);
    assert_eq!(start(&mut queues, &of, until), [1]);
}

#[test]
fn a_due_poll_does_not_overtake_waiting_polls() {
    let mut queues = queues(1, 1);
    let of = [join(&mut queues, 1, 1), join(&mut queues, 2, 1)];
    assert!(queues.admits(of[0], NOW));
    queues.begin(of[0]);
    queues.enqueue(of[0], 1, NOW);
    assert!(queues.next(NOW).is_none());
    queues.end(of[0], Some(true));
    assert!(!queues.admits(of[0], NOW) && !queues.admits(of[1], NOW), "a poll waits before it");
    assert_eq!(start(&mut queues, &of, NOW), [1]);
}

#[test]
fn capacity_that_one_queue_declines_goes_to_the_next() {
    let mut queues = queues(10, 1);
    let of = [1, 2, 3].map(|credentials| join(&mut queues, 1, credentials));
    queues.begin(of[0]);
    for poll in [1, 101, 201] {
        queues.enqueue(of[poll as usize / 100], poll, NOW);
    }
    assert!(queues.next(NOW).is_none(), "the origin of all three is at its cap");
    hold(&mut queues, of[1], Timestamp::from_micros(200));
    queues.end(of[0], Some(true));
    assert_eq!(queues.next(NOW), Some((of[0], 1)));
    queues.decline(of[0]);
    assert_eq!(start(&mut queues, &of, NOW), [201], "the first declined, the second is held back");
}

#[test]
fn idle_queues_and_origins_are_dropped() {
    let mut queues = queues(1, 1);
    for round in 0..100 {
        let of = [join(&mut queues, round, 1), join(&mut queues, round, 2)];
        queues.enqueue(of[0], 1, NOW);
        queues.enqueue(of[1], 102, NOW);
        assert_eq!(start(&mut queues, &of, NOW), [1]);
        queues.end(of[0], Some(true));
        assert_eq!(start(&mut queues, &of, NOW), [102]);
        queues.end(of[1], Some(true));
        of.into_iter().for_each(|queue| queues.leave(queue, NOW));
    }
    assert!(queues.next(NOW).is_none());
    assert_eq!((queues.queue_of.len(), queues.origins.all.len(), queues.account_of.len()), (0, 0, 0));
    let capacities = [queues.queues.capacity(), queues.accounts.capacity()];
    assert!(capacities.iter().all(|capacity| *capacity <= 4), "{capacities:?}");
}

#[test]
fn an_emptied_queue_gives_its_memory_back() {
    let mut queues = queues(1, 1);
    let queue = join(&mut queues, 1, 1);
    for _ in 0..10 * KEPT_CAPACITY {
        queues.enqueue(queue, 1, NOW);
    }
    while let Some((queue, _)) = queues.next(NOW) {
        queues.decline(queue);
    }
    assert!(queues.queue(queue).unwrap().waiting.capacity() <= KEPT_CAPACITY);
}

#[test]
fn a_hold_on_an_account_is_on_all_its_scopes_also_on_later_ones() {
    let mut queues = queues(10, 10);
    let scope = |scope, credentials| Key { account: AccountKey { origin: 1, credentials }, scope };
    let of = [scope(1, 1), scope(2, 1), scope(1, 2)].map(|key| queues.join_key(key, 1));
    let until = Timestamp::from_micros(200);
    assert!(queues.hold(of[0], Reach::Account, a_hold(until)));
    assert!(!hold(&mut queues, of[1], until), "the account is held as long already");
    let longer = Timestamp::from_micros(300);
    assert!(hold(&mut queues, of[1], longer));
    assert_eq!(queues.held(of[1]).unwrap().until, longer);
    assert!(queues.reaches(of[0], Reach::Account, of[1]) && !queues.reaches(of[0], Reach::Scope, of[1]));
    assert!(!queues.reaches(of[0], Reach::Account, of[2]));
    let late = queues.join_key(scope(3, 1), 1);
    assert!(!queues.admits(late, NOW) && !queues.admits(of[0], NOW) && queues.admits(of[2], NOW));
    let of = [of[0], of[1], of[2], late];
    for poll in [1, 101, 201, 301] {
        queues.enqueue(of[poll as usize / 100], poll, NOW);
    }
    assert_eq!(start(&mut queues, &of, NOW), [201]);
    queues.release_due(until);
    assert_eq!(start(&mut queues, &of, until), [1, 301]);
    queues.release_due(longer);
    assert_eq!(start(&mut queues, &of, longer), [101]);
    for queue in of {
        queues.end(queue, Some(true));
        queues.leave(queue, longer);
    }
    assert_eq!((queues.queue_of.len(), queues.account_of.len(), queues.held.len()), (0, 0, 0));
}

#[test]
fn a_hold_on_an_account_outlives_its_polls() {
    let mut queues = queues(10, 10);
    let first = join(&mut queues, 1, 1);
    let until = Timestamp::from_micros(200);
    queues.hold(first, Reach::Account, a_hold(until));
    queues.leave(first, NOW);
    assert_eq!(queues.queue_of.len(), 0);
    let next = join(&mut queues, 1, 1);
    assert!(!queues.admits(next, NOW) && queues.admits(next, until));
    queues.leave(next, NOW);
    queues.release_due(until);
    assert_eq!(queues.account_of.len(), 0);
}

#[test]
fn a_hold_outlives_the_polls_of_its_queue() {
    let mut queues = queues(1, 1);
    let until = Timestamp::from_micros(200);
    let first = join(&mut queues, 1, 1);
    hold(&mut queues, first, until);
    queues.leave(first, NOW);
    let next = join(&mut queues, 1, 1);
    assert!(!queues.admits(next, NOW));
    queues.leave(next, NOW);
    queues.release_due(until);
    assert_eq!(queues.queue_of.len(), 0);
}

fn shares(total: usize, site: usize, scope: usize) -> AdmissionControl<u32> {
    control(total, 16, Some(site), Some(scope))
}

fn join_as(queues: &mut AdmissionControl<u32>, origin: u64, site: u64, scope: u64) -> QueueId {
    queues.join_key(Key { account: AccountKey { origin, credentials: 0 }, scope }, site)
}

/// Fills a queue with due polls, of which as many begin as may.
fn flood(queues: &mut AdmissionControl<u32>, id: QueueId, polls: usize) -> usize {
    for _ in 0..polls {
        queues.enqueue(id, 0, NOW);
    }
    drain(queues)
}

fn drain(queues: &mut AdmissionControl<u32>) -> usize {
    let mut begun = 0;
    while let Some((id, _)) = queues.next(NOW) {
        queues.begin(id);
        begun += 1;
    }
    begun
}

/// Has the site of a queue answer.
fn answer(queues: &mut AdmissionControl<u32>, id: QueueId) {
    queues.begin(id);
    queues.end(id, Some(true));
}

#[test]
fn silent_origins_of_one_site_leave_room_for_others() {
    let mut queues = shares(256, 64, 128);
    let mut begun = 0;
    // Ports or subdomains: 16 origins with 16 polls each.
    for origin in 0..16 {
        let id = join_as(&mut queues, origin, 1, 0);
        begun += flood(&mut queues, id, 16);
    }
    assert_eq!(begun, 64 - 16 + 13, "each new origin gets one of the last sixteen");
    let beside = join_as(&mut queues, 16, 1, 0);
    assert!(queues.admits(beside, NOW), "an origin of the same site, on another port");
    let other = join_as(&mut queues, 17, 2, 0);
    assert!(queues.admits(other, NOW));
    assert!(!queues.is_saturated());
}

#[test]
fn silent_sites_of_one_scope_leave_room_for_other_scopes() {
    let mut queues = shares(256, 64, 128);
    let honest = join_as(&mut queues, 1000, 1000, 2);
    for site in 0..100 {
        let id = join_as(&mut queues, site, site, 1);
        flood(&mut queues, id, 16);
    }
    assert_eq!(queues.in_flight(), 128);
    assert!(queues.admits(honest, NOW));
}

#[test]
fn the_reserve_is_for_sites_with_nothing_in_flight() {
    let mut queues = shares(256, 64, 256);
    for site in 0..14 {
        let id = join_as(&mut queues, site, site, 1);
        answer(&mut queues, id);
        flood(&mut queues, id, 40);
    }
    assert_eq!(queues.in_flight(), 14 * 16);
    let more = join_as(&mut queues, 100, 13, 1);
    assert_eq!(flood(&mut queues, more, 40), 0, "its site has requests in flight");
    let new = join_as(&mut queues, 101, 101, 1);
    assert_eq!(flood(&mut queues, new, 40), 1);
    queues.end(new, Some(true));
    assert_eq!(drain(&mut queues), 1, "the site has nothing in flight again");
    assert!(queues.waiting() > 0 && !queues.is_saturated());
}

#[test]
fn silent_sites_leave_room_for_sites_that_answer() {
    let mut queues = shares(256, 64, 256);
    let known = join_as(&mut queues, 1000, 1000, 1);
    answer(&mut queues, known);
    let silent: Vec<QueueId> = (0..300).map(|site| join_as(&mut queues, site, site, 1)).collect();
    for id in &silent {
        flood(&mut queues, *id, 1);
    }
    assert_eq!(queues.in_flight(), 192);
    assert!(queues.is_saturated());
    assert_eq!(flood(&mut queues, known, 40), 16, "as many as one origin may have");
    let new = join_as(&mut queues, 1001, 1001, 1);
    assert_eq!(flood(&mut queues, new, 1), 0, "nobody knows whether it answers");
    // One answers, another one does not: the turn of the waiting requests comes, and then that of the new one.
    queues.end(silent[0], Some(true));
    queues.end(silent[1], Some(false));
    assert_eq!(drain(&mut queues), 2);
    queues.enqueue(silent[0], 0, NOW);
    assert_eq!(drain(&mut queues), 1, "it has answered");
    queues.end(silent[0], Some(false));
    queues.enqueue(silent[0], 0, NOW);
    assert_eq!(drain(&mut queues), 0, "it has not answered the last time");
    let waiting = queues.waiting();
    for id in &silent[2..=192] {
        queues.end(*id, Some(false));
    }
    assert_eq!(drain(&mut queues), waiting - 24, "all but those that wait for the one origin");
}

#[test]
fn queues_of_a_site_that_answers_wait_no_longer_for_room_of_silent_ones() {
    let mut queues = shares(64, 64, 64);
    let of_one_site: Vec<QueueId> = (0..4).map(|origin| join_as(&mut queues, origin, 0, 1)).collect();
    assert_eq!(flood(&mut queues, of_one_site[0], 1), 1);
    for site in 1..100 {
        let id = join_as(&mut queues, 100 + site, site, 1);
        flood(&mut queues, id, 1);
    }
    assert_eq!(queues.in_flight(), 48);
    let blocked: usize = of_one_site[1..].iter().map(|id| flood(&mut queues, *id, 1)).sum();
    assert_eq!(blocked, 0);
    queues.end(of_one_site[0], Some(true));
    assert_eq!(drain(&mut queues), 3 + 1, "its own, and one that takes the room");
}

#[test]
fn the_share_of_the_only_scope_is_all() {
    let mut queues = shares(64, 64, 8);
    let other = join_as(&mut queues, 99, 99, 2);
    let ids: Vec<QueueId> = (0..8).map(|site| join_as(&mut queues, site, site, 1)).collect();
    for id in &ids {
        flood(&mut queues, *id, 4);
    }
    assert_eq!(queues.in_flight(), 8);
    queues.leave(other, NOW);
    assert_eq!(drain(&mut queues), 24);
}

mod random {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Due(usize),
        End(usize, Option<bool>),
        Hold(usize, u64),
        Pass(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0usize..24).prop_map(Step::Due),
            3 => (0usize..24, any::<Option<bool>>()).prop_map(|(queue, answered)| Step::End(queue, answered)),
            1 => (0usize..24, 1u64..50).prop_map(|(queue, time)| Step::Hold(queue, time)),
            1 => (1u64..50).prop_map(Step::Pass),
        ]
    }

    /// The requests in flight to sites that do not answer, of queues of which each six are of one site.
    fn silent(flying: &[usize; 24], answers: &[bool; 4]) -> usize {
        (0..24).filter(|queue| !answers[queue / 6]).map(|queue| flying[queue]).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn no_cap_is_passed_and_no_capacity_is_lost(
            caps in (1usize..12, 1usize..4, 1usize..6, 1usize..8),
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let (total, origin, site, scope) = caps;
            let mut queues = control(total, origin, Some(site), Some(scope));
            // 12 origins of 4 sites, in two scopes.
            let of = |queue: usize| (queue as u64 / 2, queue as u64 / 6, queue as u64 % 2);
            let ids: Vec<QueueId> = (0..24)
                .map(|queue| {
                    let (origin, site, scope) = of(queue);
                    join_as(&mut queues, origin, site, scope)
                })
                .collect();
            let mut now = NOW;
            let mut flying = [0usize; 24];
            let mut answers = [false; 4];
            let mut held = [NOW; 24];
            for step in steps {
                match step {
                    Step::Due(queue) => {
                        if queues.admits(ids[queue], now) {
                            queues.begin(ids[queue]);
                            flying[queue] += 1;
                        } else {
                            queues.enqueue(ids[queue], queue as u32, now);
                        }
                    }
                    Step::End(queue, answered) if flying[queue] > 0 => {
                        flying[queue] -= 1;
                        queues.end(ids[queue], answered);
                        answers[queue / 6] = answered.unwrap_or(answers[queue / 6]);
                    }
                    Step::End(..) => {}
                    Step::Hold(queue, time) => {
                        let until = now + std::time::Duration::from_micros(time);
                        if hold(&mut queues, ids[queue], until) {
                            held[queue] = until;
                        }
                    }
                    Step::Pass(time) => {
                        now = now + std::time::Duration::from_micros(time);
                        queues.release_due(now);
                    }
                }
                while let Some((id, queue)) = queues.next(now) {
                    prop_assert_eq!(id, ids[queue as usize]);
                    prop_assert!(held[queue as usize] <= now, "a held queue sends");
                    prop_assert!(answers[queue as usize / 6] || silent(&flying, &answers) < queues.caps.silent);
                    queues.begin(id);
                    flying[queue as usize] += 1;
                }
                let sum = |same: &dyn Fn(usize) -> bool| -> usize {
                    (0..24).filter(|queue| same(*queue)).map(|queue| flying[queue]).sum()
                };
                prop_assert!(sum(&|_| true) <= total);
                prop_assert_eq!(queues.silent_in_flight, silent(&flying, &answers));
                for queue in 0..24 {
                    let (mine, waits) = (of(queue), !queues.queue(ids[queue]).unwrap().waiting.is_empty());
                    let in_origin = sum(&|other| of(other).0 == mine.0);
                    let in_site = sum(&|other| of(other).1 == mine.1);
                    let in_scope = sum(&|other| of(other).2 == mine.2);
                    prop_assert!(in_origin <= queues.caps.origin);
                    prop_assert!(in_site <= queues.caps.site);
                    prop_assert!(in_scope <= queues.caps.scope);
                    if waits && held[queue] <= now {
                        let cap = queues.reached(queues.queue(ids[queue]).unwrap());
                        prop_assert!(cap.is_some(), "queue {queue} may send and waits");
                    }
                }
            }
        }
    }
}
