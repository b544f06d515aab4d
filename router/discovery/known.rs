//! What is known of a pool's targets, and how one look changes that.

use std::time::{Duration, Instant};

use config::snapshot::Target;

use super::{Answer, Failure};

/// What is known of the pool's targets.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) targets: Vec<Target>,
    pub(super) began: Instant,
    pub(super) answered: Option<Instant>,
    pub(super) failing: Option<Failing>,
    pub(super) failures: u64,
    /// Its targets are no longer wanted.
    pub(super) ended: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Failing {
    pub(super) since: Instant,
    pub(super) why: Failure,
    /// Failures in a row.
    pub(super) n: u32,
}

/// What is worth a line of the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Tries fail from now on.
    Failing(Failure),
    /// They do not any more, after this time.
    Answered(Duration),
}

impl Known {
    pub(super) fn new(targets: Vec<Target>, now: Instant) -> Self {
        Self {
            targets,
            began: now,
            answered: None,
            failing: None,
            failures: 0,
            ended: false,
        }
    }

    /// A failure changes no target; each change of state is news once.
    pub(super) fn learn(&mut self, outcome: Result<Answer, Failure>, now: Instant) -> Option<News> {
        match outcome {
            Ok(answer) => {
                self.targets = answer.targets;
                self.answered = Some(now);
                let failing = self.failing.take()?;
                Some(News::Answered(now.duration_since(failing.since)))
            }
            Err(why) => {
                self.failures += 1;
                if let Some(failing) = &mut self.failing {
                    failing.why = why;
                    failing.n += 1;
                    return None;
                }
                self.failing = Some(Failing {
                    since: now,
                    why: why.clone(),
                    n: 1,
                });
                Some(News::Failing(why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(port: u16) -> Result<Answer, Failure> {
        let address = ([127, 0, 0, 1], port).into();
        Ok(Answer {
            targets: vec![Target { address, weight: 1 }],
            lifetime: Duration::from_secs(1),
        })
    }

    fn failure(why: &str) -> Result<Answer, Failure> {
        Err(Failure::Unsaid(why.into()))
    }

    #[test]
    fn each_change_of_state_is_news_once_and_the_last_good_answer_stays() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut known = Known::new(Vec::new(), start);
        let unsaid = |why: &str| Some(News::Failing(Failure::Unsaid(why.into())));
        assert_eq!(known.learn(failure("SERVFAIL"), at(1)), unsaid("SERVFAIL"));
        assert_eq!(known.learn(failure("silence"), at(2)), None);
        let news = known.learn(answer(1), at(5));
        assert_eq!(news, Some(News::Answered(Duration::from_secs(4))));
        assert_eq!(known.learn(answer(2), at(6)), None);
        assert_eq!(known.learn(failure("SERVFAIL"), at(7)), unsaid("SERVFAIL"));
        assert_eq!(known.learn(failure("SERVFAIL"), at(8)), None);
        assert_eq!(known.targets[0].address.port(), 2);
        assert_eq!((known.failures, known.answered), (4, Some(at(6))));
        assert_eq!(known.failing.map(|failing| failing.n), Some(2));
    }
}
