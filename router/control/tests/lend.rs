//! A state that is lent: what waits for it, and what takes it back.

use super::*;
use crate::journal::JournalFile;

#[tokio::test]
async fn while_the_state_is_lent_changes_wait_and_a_loan_that_is_dropped_brings_it_back() {
    let rig = rig();
    rig.ask(weights(30)).await.unwrap();
    let loan = rig.control.lend().await.unwrap();
    assert_eq!(loan.revision, 2);
    let control = rig.control.clone();
    let waiting = tokio::spawn(async move { control.order(order(weights(40))).await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(loan);
    assert_eq!(waiting.await.unwrap().unwrap().revision, 3);
}

#[tokio::test]
async fn a_rollback_takes_the_state_back_unless_the_borrower_was_told_to_go() {
    let rig = rig();
    let mut loan = rig.control.lend().await.unwrap();
    let (done, ()) = tokio::join!(rig.ask(ROLLBACK), loan.terms.called_back());
    assert_eq!(done.unwrap().revision, 2);
    assert!(loan.terms.settle().is_none());
    let loan = rig.control.lend().await.unwrap();
    let settled = loan.terms.settle().unwrap();
    let control = rig.control.clone();
    let waiting = tokio::spawn(async move { control.order(order(ROLLBACK)).await });
    tokio::task::yield_now().await;
    settled.taken();
    assert_eq!(waiting.await.unwrap(), Err(Rejection::Closed));
}

#[tokio::test]
async fn a_borrower_that_dies_after_it_was_told_to_go_brings_the_state_back() {
    let rig = rig();
    let loan = rig.control.lend().await.unwrap();
    drop(loan.terms.settle().unwrap());
    assert_eq!(rig.ask(weights(40)).await.unwrap().revision, 2);
}

#[tokio::test]
async fn the_folder_of_a_state_that_was_taken_stays_locked_for_as_long_as_one_has_it() {
    let rig = rig();
    let loan = rig.control.lend().await.unwrap();
    loan.terms.settle().unwrap().taken();
    assert_eq!(rig.ask(ROLLBACK).await, Err(Rejection::Closed));
    assert!(JournalFile::open(&rig.state_dir()).is_err());
    drop(loan.lock);
    assert!(JournalFile::open(&rig.state_dir()).is_ok());
}

#[tokio::test]
async fn what_is_not_written_down_is_not_lent() {
    let rig = rig();
    std::fs::remove_dir_all(rig.state_dir()).unwrap();
    std::fs::write(rig.state_dir(), "").unwrap();
    assert_eq!(rig.ask(ROLLBACK).await.unwrap().durable, Some(false));
    let refused = rig.control.lend().await.err().unwrap();
    assert!(refused.contains("not written down"), "{refused}");
}
