//! What is played through: that the promise is kept, and that it breaks without each of the rules.

use stateright::{Checker, Model};

use super::{Broken, Can, PROMISE, Scope};

/// A node that runs when time begins.
const RUNNING: Can = Can {
    run: true,
    renew: 0,
    register: 0,
    fill: 0,
    lose: 0,
};

/// A node that is started while all this goes on.
const STARTING: Can = Can {
    run: false,
    renew: 1,
    register: 1,
    fill: 0,
    lose: 0,
};

/// A node that does whatever nodes do.
const BUSY: Can = Can {
    run: true,
    renew: 2,
    register: 1,
    fill: 1,
    lose: 1,
};

/// A small world: terminators read the nodes as soon as they have committed, and hear of them at once.
fn scope(nodes: &[Can], sessions: usize, time: u64) -> Scope {
    Scope {
        broken: Broken::Nothing,
        nodes: nodes.to_vec(),
        sessions,
        time,
        prompt: true,
        near: true,
        silent: 0,
        failovers: 0,
        prunings: 0,
    }
}

/// How many threads play one world through; tests run beside each other anyway.
const THREADS: usize = 2;

/// Plays everything through that can happen in `scope`.
fn keeps(scope: Scope) {
    let checker = scope.checker().threads(THREADS).spawn_dfs().join();
    checker.assert_properties();
}

/// Plays `scope` through without the rule, until the promise breaks.
fn breaks(broken: Broken, scope: Scope) {
    let scope = Scope { broken, ..scope };
    let checker = scope.checker().threads(THREADS).spawn_bfs().join();
    let broken_by = checker.discovery(PROMISE);
    assert!(broken_by.is_some(), "the promise is kept without it");
}

#[test]
fn three_nodes_of_which_one_renews_keep_the_promise_for_two_sessions() {
    keeps(scope(
        &[
            Can {
                renew: 1,
                ..RUNNING
            },
            RUNNING,
            RUNNING,
        ],
        2,
        2,
    ));
}

#[test]
fn three_nodes_of_which_one_starts_keep_the_promise_for_two_sessions() {
    keeps(scope(&[RUNNING, RUNNING, STARTING], 2, 2));
}

#[test]
fn a_node_that_starts_and_remembers_beside_two_others_keeps_the_promise() {
    let renewing = Can {
        renew: 1,
        ..RUNNING
    };
    let starting = Can {
        fill: 1,
        ..STARTING
    };
    keeps(Scope {
        prompt: false,
        ..scope(&[renewing, RUNNING, starting], 1, 3)
    });
}

#[test]
fn a_node_that_does_everything_keeps_the_promise_whatever_comes_late() {
    keeps(Scope {
        prompt: false,
        near: false,
        silent: 1,
        prunings: 1,
        ..scope(&[BUSY], 1, 4)
    });
}

#[test]
fn a_node_that_does_everything_keeps_the_promise_for_two_sessions() {
    keeps(Scope {
        silent: 1,
        ..scope(&[BUSY], 2, 3)
    });
}

#[test]
fn a_primary_that_takes_over_keeps_the_promise() {
    let renewing = Can {
        renew: 1,
        fill: 1,
        register: 1,
        ..RUNNING
    };
    keeps(Scope {
        failovers: 1,
        ..scope(&[renewing, STARTING], 1, 3)
    });
}

#[test]
fn a_log_that_is_pruned_keeps_the_promise() {
    let renewing = Can {
        renew: 2,
        ..RUNNING
    };
    keeps(Scope {
        prunings: 1,
        silent: 1,
        ..scope(&[renewing, renewing], 1, 3)
    });
}

#[test]
fn rule_1_counting_a_lease_from_the_answer_breaks_the_promise() {
    breaks(Broken::LeaseFromAnswer, scope(&[BUSY], 1, 3));
}

#[test]
fn rule_2_renewing_without_applying_breaks_the_promise() {
    breaks(Broken::RenewedWithoutApplying, scope(&[BUSY], 1, 3));
}

#[test]
fn rule_3_following_numbers_breaks_the_promise() {
    breaks(
        Broken::FollowedByNumber,
        scope(
            &[Can {
                renew: 2,
                ..RUNNING
            }],
            2,
            3,
        ),
    );
}

#[test]
fn rule_4_a_read_from_before_the_lease_breaks_the_promise() {
    breaks(Broken::FilledFromAnotherTerm, scope(&[BUSY], 1, 3));
}

#[test]
fn rule_4_a_read_from_before_a_change_breaks_the_promise() {
    breaks(Broken::FilledAfterChange, scope(&[BUSY], 1, 3));
}

#[test]
fn rule_5_reading_the_nodes_before_the_commit_breaks_the_promise() {
    breaks(Broken::NodesReadBeforeCommit, scope(&[RUNNING], 1, 3));
}

#[test]
fn rule_7_remembering_past_a_lost_connection_breaks_the_promise() {
    breaks(Broken::RememberedAfterLoss, scope(&[BUSY], 1, 3));
}

#[test]
fn rule_8_answering_a_commit_that_nobody_was_told_of_breaks_the_promise() {
    breaks(
        Broken::SilentCommitAnswered,
        Scope {
            silent: 1,
            ..scope(&[RUNNING], 1, 3)
        },
    );
}

#[test]
fn rule_10_trusting_a_new_primary_breaks_the_promise() {
    breaks(
        Broken::NewPrimaryTrusted,
        Scope {
            prompt: false,
            failovers: 1,
            ..scope(&[RUNNING], 1, 3)
        },
    );
}

#[test]
fn acknowledging_before_applying_breaks_the_promise() {
    breaks(
        Broken::AcknowledgedFirst,
        Scope {
            near: false,
            ..scope(&[RUNNING], 1, 3)
        },
    );
}

#[test]
fn evicting_a_lease_after_the_commit_breaks_the_promise() {
    breaks(
        Broken::EvictedByCommit,
        Scope {
            prompt: false,
            near: false,
            ..scope(
                &[Can {
                    renew: 2,
                    ..RUNNING
                }],
                2,
                4,
            )
        },
    );
}

#[test]
fn evicting_a_node_that_has_renewed_breaks_the_promise() {
    breaks(
        Broken::EvictedAlive,
        Scope {
            near: false,
            ..scope(
                &[Can {
                    renew: 1,
                    ..RUNNING
                }],
                2,
                4,
            )
        },
    );
}

#[test]
fn evicting_a_node_while_its_lease_runs_breaks_the_promise() {
    breaks(Broken::EvictedAtOnce, scope(&[RUNNING], 2, 4));
}

#[test]
fn pruning_what_one_node_has_not_applied_breaks_the_promise() {
    breaks(
        Broken::PrunedEarly,
        Scope {
            silent: 1,
            prunings: 1,
            ..scope(
                &[
                    Can {
                        renew: 1,
                        ..RUNNING
                    },
                    Can {
                        renew: 2,
                        ..RUNNING
                    },
                ],
                1,
                3,
            )
        },
    );
}
