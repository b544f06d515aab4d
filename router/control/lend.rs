//! Lending the live state to a new process: while it is lent nothing is changed, and if it is taken this task ends.
//!
//! A rollback does not wait for an upgrade: it ends the loan, unless the new process was already told to go; then it waits
//! until that one serves or is ended, which `handover` bounds.

use std::fs::File;

use tokio::sync::oneshot;

use super::task::Task;
use super::{Control, Event};

/// What a new process needs to go on with the state.
pub struct Loan {
    /// The revision that the journal ends with.
    pub revision: u64,
    /// The lock of the state folder, to be held by both.
    pub lock: File,
    /// How it ends; dropping it brings the state back.
    pub terms: Terms,
}

/// The lender's side of the end of a loan.
pub struct Terms {
    settle: oneshot::Sender<()>,
    taken: oneshot::Sender<()>,
}

/// A loan whose borrower was told to go.
pub struct Settled(oneshot::Sender<()>);

/// Control's side.
pub(crate) struct Wish {
    reply: oneshot::Sender<Result<Loan, String>>,
}

impl Control {
    /// Lends the state as it is, once what is asked for already is done.
    ///
    /// # Errors
    /// When it cannot be lent: a restart would lose changes.
    pub async fn lend(&self) -> Result<Loan, String> {
        let (reply, answer) = oneshot::channel();
        let ending = || "the router is ending".to_owned();
        let asked = self.inbox.send(Event::Lend(Wish { reply })).await;
        asked.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }
}

impl Terms {
    /// Waits until a rollback, or the end of the router, wants the state back.
    pub async fn called_back(&mut self) {
        self.settle.closed().await;
    }

    /// From now on only the death of the borrower brings the state back; `None` when it was called back before.
    pub fn settle(self) -> Option<Settled> {
        self.settle.send(()).ok().map(|()| Settled(self.taken))
    }
}

impl Settled {
    /// The borrower has it for good.
    pub fn taken(self) {
        // Control waits for this as long as it takes.
        let _ = self.0.send(());
    }
}

impl Task {
    /// Whether the state is gone for good.
    pub(super) async fn lend(&mut self, wish: Wish) -> bool {
        self.retry().await;
        let (settle, settled) = oneshot::channel();
        let (taken, is_taken) = oneshot::channel();
        let loan = self.loan(Terms { settle, taken }).await;
        let is_lent = loan.is_ok();
        // Who asked may have gone: then the loan is back at once.
        let told = wish.reply.send(loan).is_ok();
        is_lent && told && self.is_settled(settled).await && is_taken.await.is_ok()
    }

    async fn loan(&self, terms: Terms) -> Result<Loan, String> {
        let standing = self.standing();
        if !standing.unwritten.is_empty() {
            return Err("the last changes are not written down, and would be lost".into());
        }
        Ok(Loan {
            revision: standing.revision(),
            lock: self
                .writer
                .lock()
                .await
                .map_err(|error| error.to_string())?,
            terms,
        })
    }

    async fn is_settled(&mut self, mut settled: oneshot::Receiver<()>) -> bool {
        tokio::select! {
            biased;
            outcome = &mut settled => outcome.is_ok(),
            Some(event) = self.wiring.urgent.recv() => {
                self.early.push_back(event);
                settled.close();
                settled.try_recv().is_ok()
            }
        }
    }
}
