//! A switch that turns once, watched by many connections over many turns each.

use std::pin::Pin;
use std::task::Context;

use tokio::sync::watch;

/// Says whether a switch was turned, and wakes the task that asked as soon as it is.
///
/// The wait is begun at the first question and then left alone, which is enough for it to wake its task whenever the
/// switch turns; a `select!` would ask it anew at each of the five turns that a request takes. So one alarm belongs to
/// one task, and `waiting` must end when `switch` turns.
pub(super) struct Alarm<'a, S> {
    switch: &'a watch::Receiver<bool>,
    waiting: Pin<&'a mut S>,
    begun: bool,
}

impl<'a, S: Future> Alarm<'a, S> {
    /// An alarm for `switch`, a receiver that has not seen it turned.
    pub(super) const fn new(switch: &'a watch::Receiver<bool>, waiting: Pin<&'a mut S>) -> Self {
        Self {
            switch,
            waiting,
            begun: false,
        }
    }

    /// Whether the switch was turned, or nobody is left to turn it.
    pub(super) fn rang(&mut self, context: &mut Context<'_>) -> bool {
        if !self.begun {
            self.begun = true;
            if self.waiting.as_mut().poll(context).is_ready() {
                return true;
            }
        }
        self.switch.has_changed().unwrap_or(true)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_asked_once_is_woken_however_late_the_switch_turns() {
        let (turn, switch) = watch::channel(false);
        let asking = tokio::spawn(async move {
            let mut waiting = switch.clone();
            let waiting = pin!(waiting.wait_for(|turned| *turned));
            let mut alarm = Alarm::new(&switch, waiting);
            let mut questions = 0;
            poll_fn(|context| {
                questions += 1;
                match alarm.rang(context) {
                    true => Poll::Ready(questions),
                    false => Poll::Pending,
                }
            })
            .await
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        turn.send_replace(true);
        assert_eq!(asking.await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_switch_turned_before_the_first_question_is_seen() {
        let (turn, switch) = watch::channel(false);
        turn.send_replace(true);
        let mut waiting = switch.clone();
        let waiting = pin!(waiting.wait_for(|turned| *turned));
        let mut alarm = Alarm::new(&switch, waiting);
        assert!(poll_fn(|context| Poll::Ready(alarm.rang(context))).await);
    }
}
