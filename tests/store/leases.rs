//! Several replicas share the work: each piece is somebody's, and what a holder that was given up does is harmless.

use std::collections::BTreeSet;

use drift_gate::store::{Claim, Fenced, Kept, Level, NewSight};

use crate::world::{Db, claim, comment, decision, decision_on, push, repo};

on_both!(
    a_repository_is_looked_at_by_one_replica_at_a_time,
    a_dead_replicas_repository_is_taken_over_after_its_lease,
    a_renewed_lease_is_not_taken_over,
    a_lease_that_is_given_back_can_be_claimed_at_once,
    a_lease_that_ended_but_nobody_took_is_still_good,
    a_replica_that_stalled_cannot_decide_or_settle,
    what_a_look_sees_is_judged_by_it_or_by_whoever_looks_now,
    what_is_put_off_is_due_at_once_behind_what_waits,
    a_repository_of_another_configuration_is_left_to_others,
    the_other_sides_of_a_gate_are_claimed_by_name,
    the_leases_of_a_process_that_is_known_to_be_dead_end_at_once,
    what_is_on_its_way_stays_a_process_s_own_while_it_gives_its_looks_back,
    a_status_is_sent_by_one_replica_at_a_time,
    a_status_that_was_taken_over_is_read_before_and_once_more_after,
    a_replica_that_stalled_cannot_say_what_it_sent,
    a_repository_with_thousands_of_statuses_holds_up_nobody,
    a_comment_is_read_by_one_replica_at_a_time,
    many_who_claim_at_once_never_share,
);

async fn a_repository_is_looked_at_by_one_replica_at_a_time(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(push("core")).await.expect("accepted");
    let looking = one.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    assert!(!looking.lease.taken_over);
    assert!(other.claim(&claim("other", 1_000)).await.expect("claimed").is_empty());
    assert_eq!(other.next_due().await.expect("next"), Some(11_000), "when the lease ends");
    assert_eq!(one.settle_held(&looking, None).await.expect("settled"), Fenced::Done);
    assert!(other.claim(&claim("other", 20_000)).await.expect("claimed").is_empty(), "nothing is left to do");
}

async fn a_dead_replicas_repository_is_taken_over_after_its_lease(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(push("core")).await.expect("accepted");
    assert_eq!(one.claim(&claim("one", 1_000)).await.expect("claimed").len(), 1);
    assert!(other.claim(&claim("other", 10_999)).await.expect("claimed").is_empty());
    let taken = other.claim(&claim("other", 11_000)).await.expect("claimed").remove(0);
    assert!(taken.lease.taken_over);
    assert_eq!(other.settle_held(&taken, None).await.expect("settled"), Fenced::Done);
    other.accept(push("core")).await.expect("accepted");
    let next = other.claim(&claim("other", 30_000)).await.expect("claimed").remove(0);
    assert!(!next.lease.taken_over, "that was the lease before");
}

async fn a_renewed_lease_is_not_taken_over(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.hint(&[repo("core"), repo("template")], Level::Read, 1_000).await.expect("hinted");
    let looking = one.claim(&claim("one", 1_000)).await.expect("claimed");
    assert_eq!(one.renew(&[&looking[0].lease], 50_000).await.expect("renewed"), [true]);
    let taken = other.claim(&claim("other", 12_000)).await.expect("claimed");
    assert_eq!(taken.len(), 1, "the one that was not renewed");
    assert_eq!(taken[0].due, looking[1].due);
    let both = [&looking[0].lease, &looking[1].lease];
    assert_eq!(one.renew(&both, 60_000).await.expect("renewed"), [true, false]);
}

async fn a_lease_that_is_given_back_can_be_claimed_at_once(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(push("core")).await.expect("accepted");
    let looking = one.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    one.release(&looking.lease).await.expect("released");
    let next = other.claim(&claim("other", 1_001)).await.expect("claimed").remove(0);
    assert!(!next.lease.taken_over);
    one.release(&looking.lease).await.expect("released");
    assert_eq!(
        other.renew(&[&next.lease], 50_000).await.expect("renewed"),
        [true],
        "it is not the first one's to give"
    );
}

async fn a_lease_that_ended_but_nobody_took_is_still_good(db: Db) {
    let store = db.replica().await;
    store.accept(push("core")).await.expect("accepted");
    let looking = store.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    // It took an hour, and nobody else was there.
    let decided = store.decide_held(&[decision("success", "in sync")], &[&looking.lease]).await.expect("decided");
    assert_eq!(decided, Fenced::Done);
    assert_eq!(store.settle_held(&looking, None).await.expect("settled"), Fenced::Done);
}

async fn what_a_look_sees_is_judged_by_it_or_by_whoever_looks_now(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    let sight = |base: i64, text: &'static str| NewSight {
        forge: "main",
        name: "core",
        base,
        sight: text,
        now: 2_000,
        delivery: None,
        judged_by: None,
    };
    let concerned = [repo("core"), repo("template")];
    one.accept(push("core")).await.expect("accepted");
    let looking = one.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    // The lease has ended, and nobody has taken it: what is decided by it counts still.
    let seen = NewSight { judged_by: Some(&looking.lease), ..sight(0, "first") };
    assert_eq!(one.keep_sight(&seen, &concerned).await.expect("kept"), Kept::Yes);
    let core = other.claim_named(&claim("other", 20_000), &["core"]).await.expect("claimed").remove(0);
    assert_eq!(core.due.hinted, looking.due.hinted, "the look judges it");
    let template = other.claim(&claim("other", 20_000)).await.expect("claimed").remove(0);
    assert_eq!(template.due.name, "template", "its other side is to be judged by others");
    // The other replica has read, judged and settled; only then does the stalled one keep what it read after that.
    assert_eq!(other.settle_held(&core, None).await.expect("settled"), Fenced::Done);
    let base = one.sights_since(0).await.expect("read")[0].version;
    let seen = NewSight { judged_by: Some(&looking.lease), ..sight(base, "later") };
    assert_eq!(one.keep_sight(&seen, &concerned).await.expect("kept"), Kept::Yes);
    let again = other.claim(&claim("other", 21_000)).await.expect("claimed");
    assert_eq!(again.len(), 1, "nobody has judged it by that");
    assert_eq!(again[0].due.name, "core");
}

async fn what_is_put_off_is_due_at_once_behind_what_waits(db: Db) {
    let store = db.replica().await;
    store.hint(&[repo("core")], Level::Decide, 1_000).await.expect("hinted");
    let core = store.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    assert!(!core.due.again);
    store.hint(&[repo("template")], Level::Decide, 1_500).await.expect("hinted");
    assert_eq!(store.put_off_held(&core, 2_000).await.expect("put off"), Fenced::Done);
    assert_eq!(store.put_off_held(&core, 2_000).await.expect("answered"), Fenced::Lost, "it was given back");
    assert_eq!(store.waiting().await.expect("counted").repositories, 2);
    let next = store.claim(&claim("one", 2_000)).await.expect("claimed");
    let order: Vec<(&str, bool)> = next.iter().map(|one| (one.due.name.as_str(), one.due.again)).collect();
    assert_eq!(order, [("template", false), ("core", true)]);
    assert_eq!(store.settle_held(&next[1], None).await.expect("settled"), Fenced::Done);
    assert_eq!(store.waiting().await.expect("counted").repositories, 1, "nothing of core is left");
}

async fn a_replica_that_stalled_cannot_decide_or_settle(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(push("core")).await.expect("accepted");
    let stalled = one.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    let taken = other.claim(&claim("other", 11_000)).await.expect("claimed").remove(0);
    let newer = decision("failure", "config.yaml differs");
    let decided = other.decide_held(&[newer], &[&taken.lease]).await.expect("decided");
    assert_eq!(decided, Fenced::Done);

    let older = decision("success", "in sync");
    let decided = one.decide_held(&[older], &[&stalled.lease]).await.expect("answered");
    assert_eq!(decided, Fenced::Lost);
    assert_eq!(one.heads_held(&stalled.lease, &[], 11_001).await.expect("answered"), Fenced::Lost);
    assert_eq!(one.settle_held(&stalled, None).await.expect("answered"), Fenced::Lost);
    assert_eq!(one.postpone_held(&stalled, 99_000).await.expect("answered"), Fenced::Lost);
    let row = one.wanted("key").await.expect("read").expect("a row");
    assert_eq!((row.state.as_str(), row.head), ("failure", true), "what the other decided stands");
    assert_eq!(other.settle_held(&taken, None).await.expect("settled"), Fenced::Done);
}

async fn a_repository_of_another_configuration_is_left_to_others(db: Db) {
    let old = db.replica().await;
    let new = db.replica().await;
    new.register(&[repo("template")]).await.expect("registered");
    old.hint(&[repo("core"), repo("template")], Level::Read, 1_000).await.expect("hinted");
    let claimed = new.claim(&claim("new", 1_000)).await.expect("claimed");
    assert_eq!(claimed.iter().map(|claimed| claimed.due.name.as_str()).collect::<Vec<_>>(), ["template"]);
    assert!(new.claim(&Claim { forge: "elsewhere", ..claim("new", 1_000) }).await.expect("claimed").is_empty());
    assert_eq!(old.claim(&claim("old", 1_000)).await.expect("claimed").len(), 1);
}

async fn the_other_sides_of_a_gate_are_claimed_by_name(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(push("core")).await.expect("accepted");
    assert_eq!(one.claim(&claim("one", 1_000)).await.expect("claimed").len(), 1);
    let sides = other.claim_named(&claim("other", 1_000), &["core", "template"]).await.expect("claimed");
    assert_eq!(sides.len(), 1, "one is somebody's already");
    assert_eq!(sides[0].due.name, "template");
    other.release(&sides[0].lease).await.expect("released");
    assert_eq!(other.waiting().await.expect("counted").repositories, 1, "nobody hinted at it");
}

async fn the_leases_of_a_process_that_is_known_to_be_dead_end_at_once(db: Db) {
    let store = db.replica().await;
    store.hint(&[repo("core"), repo("template")], Level::Read, 1_000).await.expect("hinted");
    let one = Claim { most: 1, ..claim("one", 1_000) };
    assert_eq!(store.claim(&one).await.expect("claimed").len(), 1);
    assert_eq!(store.claim(&claim("other", 1_000)).await.expect("claimed").len(), 1);
    store.expire_leases(Some("one"), 1_001).await.expect("ended");
    let taken = store.claim(&claim("new", 1_001)).await.expect("claimed");
    assert_eq!(taken.len(), 1);
    assert!(taken[0].lease.taken_over);
    store.expire_leases(None, 1_002).await.expect("ended");
    assert_eq!(store.claim(&claim("new", 1_002)).await.expect("claimed").len(), 2);
}

async fn what_is_on_its_way_stays_a_process_s_own_while_it_gives_its_looks_back(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(push("core")).await.expect("accepted");
    let looking = one.claim(&claim("one", 1_000)).await.expect("claimed").remove(0);
    let decided = one.decide_held(&[decision("failure", "drift")], &[&looking.lease]).await.expect("decided");
    assert_eq!(decided, Fenced::Done);
    let sending = one.claim_unsent(&claim("one", 1_000), 2_000).await.expect("claimed").remove(0);
    one.expire_looks("one", 1_001).await.expect("ended");
    assert_eq!(other.claim(&claim("other", 1_002)).await.expect("claimed").len(), 1, "the look is anybody's");
    assert!(other.claim_unsent(&claim("other", 1_002), 2_000).await.expect("claimed").is_empty(), "the status is not");
    assert_eq!(one.told_held(&sending, 1_003).await.expect("told"), Fenced::Done);
}

async fn a_status_is_sent_by_one_replica_at_a_time(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    assert_eq!(one.decide_held(&[decision("success", "in sync")], &[]).await.expect("decided"), Fenced::Done);
    let sending = one.claim_unsent(&claim("one", 1_000), 40_000).await.expect("claimed").remove(0);
    assert_eq!(
        (sending.row.doubt, sending.lease.taken_over),
        (0, false),
        "nobody can have said anything of a new head"
    );
    assert!(other.claim_unsent(&claim("other", 1_000), 40_000).await.expect("claimed").is_empty());
    // Decided anew while the old one is on its way: nobody overtakes it.
    let newer = decision("failure", "config.yaml differs");
    assert_eq!(other.decide_held(&[newer], &[]).await.expect("decided"), Fenced::Done);
    assert!(other.claim_unsent(&claim("other", 1_000), 40_000).await.expect("claimed").is_empty());
    assert_eq!(one.told_held(&sending, 1_100).await.expect("told"), Fenced::Done);
    let next = other.claim_unsent(&claim("other", 1_100), 40_000).await.expect("claimed").remove(0);
    assert_eq!(
        (next.row.state.as_str(), next.row.told.as_ref().map(|told| told.state.as_str())),
        ("failure", Some("success"))
    );
    assert_eq!(other.told_held(&next, 1_200).await.expect("told"), Fenced::Done);
    assert_eq!(one.waiting().await.expect("counted").unsent, 0);
}

async fn a_status_that_was_taken_over_is_read_before_and_once_more_after(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    assert_eq!(one.decide_held(&[decision("success", "in sync")], &[]).await.expect("decided"), Fenced::Done);
    assert_eq!(one.claim_unsent(&claim("one", 1_000), 41_000).await.expect("claimed").len(), 1);
    let taken = other.claim_unsent(&claim("other", 11_000), 41_000).await.expect("claimed").remove(0);
    assert!(taken.lease.taken_over);
    assert_ne!(taken.row.doubt, 0, "the forge is read before it is written");
    assert_eq!(other.told_held(&taken, 11_100).await.expect("told"), Fenced::Done);

    assert_eq!(other.waiting().await.expect("counted").unsent, 0);
    assert_eq!(other.next_due().await.expect("next"), Some(41_000));
    assert!(other.claim_unsent(&claim("other", 40_999), 0).await.expect("claimed").is_empty());
    let again = other.claim_unsent(&claim("other", 41_000), 0).await.expect("claimed").remove(0);
    assert_ne!(again.row.doubt, 0, "what the first one sent may have landed since");
    assert_eq!(other.told_held(&again, 41_100).await.expect("told"), Fenced::Done);
    assert_eq!(other.next_due().await.expect("next"), None);
}

async fn a_replica_that_stalled_cannot_say_what_it_sent(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    assert_eq!(one.decide_held(&[decision("success", "in sync")], &[]).await.expect("decided"), Fenced::Done);
    let stalled = one.claim_unsent(&claim("one", 1_000), 41_000).await.expect("claimed").remove(0);
    let newer = decision("failure", "config.yaml differs");
    assert_eq!(other.decide_held(&[newer], &[]).await.expect("decided"), Fenced::Done);
    let taken = other.claim_unsent(&claim("other", 11_000), 41_000).await.expect("claimed").remove(0);
    assert_eq!(one.told_held(&stalled, 11_001).await.expect("answered"), Fenced::Lost);
    assert_eq!(one.not_told_held(&stalled, "timed out", 99_000).await.expect("answered"), Fenced::Lost);
    // What it sent has reached the forge all the same, so it says that nobody knows what the forge has.
    one.doubt("main", 1, &stalled.row.sha).await.expect("doubted");
    assert_eq!(other.told_held(&taken, 11_002).await.expect("told"), Fenced::Done);
    let again = other.claim_unsent(&claim("other", 11_003), 41_000).await.expect("claimed").remove(0);
    assert_eq!(again.row.state, "failure");
    assert_ne!(again.row.doubt, 0, "the forge is read again");
}

async fn a_repository_with_thousands_of_statuses_holds_up_nobody(db: Db) {
    let store = db.replica().await;
    let mut decisions: Vec<_> = (0..2_000).map(|commit| decision_on(commit, "core", 1)).collect();
    let mut small = decision_on(1, "template", 2);
    small.decided_at = 6;
    decisions.push(small);
    assert_eq!(store.decide_held(&decisions, &[]).await.expect("decided"), Fenced::Done);
    let sending = store.claim_unsent(&claim("one", 1_000), 40_000).await.expect("claimed");
    assert_eq!(sending.len(), 10);
    assert!(sending.iter().any(|sending| sending.row.repository == "template"));
}

async fn a_comment_is_read_by_one_replica_at_a_time(db: Db) {
    let (one, other) = (db.replica().await, db.replica().await);
    one.accept(comment(12)).await.expect("accepted");
    let stalled = one.claim_commands(&claim("one", 1_000)).await.expect("claimed").remove(0);
    assert!(other.claim_commands(&claim("other", 1_000)).await.expect("claimed").is_empty());
    let taken = other.claim_commands(&claim("other", 11_000)).await.expect("claimed").remove(0);
    assert!(taken.lease.taken_over, "it may have acted");
    assert_eq!(one.acted_held(&stalled, "check", 11_001).await.expect("answered"), Fenced::Lost);
    assert_eq!(one.postpone_command_held(&stalled, 90_000).await.expect("answered"), Fenced::Lost);
    assert_eq!(other.acted_held(&taken, "check", 11_002).await.expect("acted"), Fenced::Done);
    assert!(one.claim_commands(&claim("one", 99_000)).await.expect("claimed").is_empty());
}

async fn many_who_claim_at_once_never_share(db: Db) {
    let replicas = [db.replica().await, db.replica().await, db.replica().await];
    let names: Vec<String> = (0..60).map(|n| format!("repository-{n}")).collect();
    let repositories: Vec<_> = names.iter().map(|name| repo(name)).collect();
    let decisions: Vec<_> = (0..60).map(|commit| decision_on(commit, "core", i64::from(commit % 7))).collect();
    assert_eq!(replicas[0].decide_held(&decisions, &[]).await.expect("decided"), Fenced::Done);
    for replica in &replicas {
        replica.register(&repositories).await.expect("registered");
    }
    replicas[0].hint(&repositories, Level::Read, 900).await.expect("hinted");
    let claiming = (0..12).map(|n| {
        let replica = replicas[n % replicas.len()].clone();
        tokio::spawn(async move {
            let holder = format!("holder {n}");
            let claim = claim(&holder, 1_000);
            let looks = replica.claim(&claim).await.expect("claimed").into_iter().map(|claimed| claimed.due.name);
            let statuses =
                replica.claim_unsent(&claim, 0).await.expect("claimed").into_iter().map(|sending| sending.row.id);
            looks.chain(statuses).collect::<Vec<_>>()
        })
    });
    let mut seen = BTreeSet::new();
    for claimed in claiming.collect::<Vec<_>>() {
        for one in claimed.await.expect("no panic") {
            assert!(seen.insert(one.clone()), "{one} was given to two");
        }
    }
    // Who came second at the same rows went away with less; nothing is held by nobody.
    let rest = Claim { most: 1_000, ..claim("rest", 1_000) };
    let looks = replicas[0].claim(&rest).await.expect("claimed").len();
    let statuses = replicas[0].claim_unsent(&rest, 0).await.expect("claimed").len();
    assert_eq!(seen.len() + looks + statuses, 120);
}
