//! Why a pool's part of the requests is another one than was asked for, and how much chance could do.
//!
//! Every request counts to one kind: who chose its pool, which one that was, and which one served in its place. What a
//! kind brings beyond the share that was asked for is what it moves the whole by, so the causes together are the
//! difference, to the last request. Plain values: it does not know how they were counted.

use canary::clustered::{self, GROUPS};
use canary::compare::{Interval, rate};
use config::decision::{Choice, Reason, Sticky};

/// How far the shares of a pool can be off by chance, and what moves its part of the requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// Of users, with 95 %.
    pub users: Interval,
    /// Of requests, with 95 %.
    pub requests: Interval,
    /// By cause; their sum is what the part of the requests differs by from the share asked for.
    pub parts: [(&'static str, Part); 8],
}

/// What one cause does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    /// By how much it moves the pool's part of the requests, as a part of 1.
    pub moves: f64,
    /// Requests of its kind that were sent to the pool; of `cap`, `failover` and `fallback` those that others served in
    /// its place, and that it served in place of others.
    pub requests: u64,
}

/// What all requests of one kind have in common. Pools by position; `None` is one without a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    chosen: Option<usize>,
    served: Option<usize>,
    by: By,
    /// Why another pool served than the one chosen.
    instead: Option<Reason>,
}

/// What chose a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Flag,
    Pin,
    /// The weights, for a request that came without an id.
    Cookieless,
    /// The weights, for a client that had one.
    Known,
}

/// Requests of one kind, by groups of clients.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) kind: Kind,
    pub(super) groups: [u64; GROUPS],
}

/// All that was counted of a route.
pub(super) struct Sample<'a> {
    pub(super) lines: &'a [Counted],
    /// Users that were served by each pool.
    pub(super) users: &'a [u64],
    /// Users who were seen, by the pool that the weights give them.
    pub(super) homes: &'a [u64],
}

impl Kind {
    /// Requests decided as `choice` says, for the pools at these positions.
    pub(super) fn of(choice: &Choice, chosen: Option<usize>, served: Option<usize>) -> Self {
        let by = match (choice.reason, choice.sticky) {
            _ if choice.flag.is_some() => By::Flag,
            (Reason::Flag, _) => By::Flag,
            (Reason::Pin, _) => By::Pin,
            (_, Sticky::Hit) => By::Known,
            (_, Sticky::New | Sticky::Invalid | Sticky::None) => By::Cookieless,
        };
        Self {
            chosen,
            served,
            by,
            instead: Some(choice.reason).filter(|reason| *reason > Reason::Weight),
        }
    }

    /// Whether a flag chose the pool.
    pub(super) fn is_flagged(self) -> bool {
        self.by == By::Flag
    }
}

impl Counted {
    fn n(&self) -> u64 {
        self.groups.iter().sum()
    }
}

impl Sample<'_> {
    /// The part of the pool at `pool` of the users seen.
    pub(super) fn users(&self, pool: usize) -> Option<f64> {
        ratio(self.users[pool], self.users.iter().sum())
    }

    /// Its part of the requests.
    pub(super) fn requests(&self, pool: usize) -> Option<f64> {
        ratio(
            self.count(|kind| kind.served == Some(pool)),
            self.count(|_| true),
        )
    }

    /// Why that is not `asked`.
    pub(super) fn drift(&self, pool: usize, asked: f64) -> Option<Drift> {
        let n = self.count(|_| true);
        let known = By::Known;
        // Before anybody was seen the weights say who would come.
        let homes = ratio(self.homes[pool], self.homes.iter().sum()).unwrap_or(asked);
        let n_known = ratio(self.count(|kind| kind.by == known), n)?;
        let came = Part {
            moves: (homes - asked) * n_known,
            requests: self.sent(pool, known),
        };
        let n_users = self.users.iter().sum();
        let served = self.count(|kind| kind.served == Some(pool));
        Some(Drift {
            users: rate(self.users[pool], n_users),
            requests: clustered::rate(served, n, &self.placed(), n_users),
            parts: [
                ("flags", self.chosen(pool, By::Flag, asked, n)),
                ("pins", self.chosen(pool, By::Pin, asked, n)),
                ("cookieless", self.chosen(pool, By::Cookieless, asked, n)),
                ("users", came),
                ("heavy_users", self.chosen(pool, known, homes, n)),
                ("cap", self.instead(pool, Reason::Cap, n)),
                ("failover", self.instead(pool, Reason::Failover, n)),
                ("fallback", self.instead(pool, Reason::Fallback, n)),
            ],
        })
    }

    /// What is chosen `by` beyond the `expected` part of it.
    fn chosen(&self, pool: usize, by: By, expected: f64, n: u64) -> Part {
        let requests = self.sent(pool, by);
        let all = self.count(|kind| kind.by == by);
        Part {
            moves: (requests as f64 - expected * all as f64) / n as f64,
            requests,
        }
    }

    /// What other pools served in its place, and it in theirs.
    fn instead(&self, pool: usize, reason: Reason, n: u64) -> Part {
        let pool = Some(pool);
        let stood_in = |kind: &Kind| kind.instead == Some(reason) && kind.chosen != kind.served;
        let gained = self.count(|kind| stood_in(kind) && kind.served == pool);
        let lost = self.count(|kind| stood_in(kind) && kind.chosen == pool);
        Part {
            moves: (gained as f64 - lost as f64) / n as f64,
            requests: gained + lost,
        }
    }

    fn sent(&self, pool: usize, by: By) -> u64 {
        self.count(|kind| kind.by == by && kind.chosen == Some(pool))
    }

    fn count(&self, is_meant: impl Fn(&Kind) -> bool) -> u64 {
        let lines = self.lines.iter().filter(|line| is_meant(&line.kind));
        lines.map(Counted::n).sum()
    }

    /// What the weights placed, by groups of clients: neither flags nor pins draw lots.
    fn placed(&self) -> [u64; GROUPS] {
        let placed = |line: &&Counted| matches!(line.kind.by, By::Cookieless | By::Known);
        let mut groups = [0; GROUPS];
        for line in self.lines.iter().filter(placed) {
            for (group, n) in groups.iter_mut().zip(line.groups) {
                *group += n;
            }
        }
        groups
    }
}

fn ratio(k: u64, n: u64) -> Option<f64> {
    (n > 0).then(|| k as f64 / n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EC2: Option<usize> = Some(0);
    const ECS: Option<usize> = Some(1);

    /// `n` requests, spread over all groups.
    fn line(kind: (Option<usize>, Option<usize>, By, Option<Reason>), n: u64) -> Counted {
        let (chosen, served, by, instead) = kind;
        let groups = std::array::from_fn(|group| {
            n / GROUPS as u64 + u64::from((group as u64) < n % GROUPS as u64)
        });
        let kind = Kind {
            chosen,
            served,
            by,
            instead,
        };
        Counted { kind, groups }
    }

    #[track_caller]
    fn check(sample: &Sample<'_>, pool: usize, asked: f64, expected: &[(&str, f64, u64)]) {
        let drift = sample.drift(pool, asked).unwrap();
        for (cause, part) in drift.parts {
            let known = expected.iter().find(|(known, ..)| *known == cause);
            let (moves, requests) = known.map_or((0.0, 0), |(_, moves, n)| (*moves, *n));
            assert!((part.moves - moves).abs() < 1e-12, "{cause}: {part:?}");
            assert_eq!(part.requests, requests, "{cause}");
        }
        let sum: f64 = drift.parts.iter().map(|(_, part)| part.moves).sum();
        let difference = sample.requests(pool).unwrap() - asked;
        assert!((sum - difference).abs() < 1e-12, "{sum} {difference}");
    }

    #[test]
    fn every_cause_is_told_by_its_part_and_all_are_the_difference() {
        let (failover, cap) = (Some(Reason::Failover), Some(Reason::Cap));
        let lines = [
            line((EC2, EC2, By::Known, None), 500),
            line((ECS, ECS, By::Known, None), 200),
            line((ECS, EC2, By::Known, failover), 50),
            line((ECS, EC2, By::Cookieless, cap), 10),
            line((EC2, EC2, By::Cookieless, None), 90),
            line((ECS, ECS, By::Pin, None), 20),
            line((ECS, ECS, By::Flag, None), 90),
            line((ECS, EC2, By::Flag, failover), 10),
            line((None, None, By::Flag, None), 30),
        ];
        let sample = Sample {
            lines: &lines,
            users: &[80, 20],
            homes: &[70, 30],
        };
        // 1,000 requests, 310 of them at the canary, of which 10 % were asked for.
        assert_eq!(sample.requests(1), Some(0.31));
        check(
            &sample,
            1,
            0.1,
            &[
                ("flags", 0.087, 100),
                ("pins", 0.018, 20),
                ("cookieless", 0.0, 10),
                ("users", 0.2 * 0.75, 250),
                ("heavy_users", 0.25 - 0.3 * 0.75, 250),
                ("cap", -0.01, 10),
                ("failover", -0.06, 60),
            ],
        );
        assert_eq!(sample.requests(0), Some(0.66));
        check(
            &sample,
            0,
            0.9,
            &[
                ("flags", -0.117, 0),
                ("pins", -0.018, 0),
                ("cookieless", 0.0, 90),
                ("users", -0.2 * 0.75, 500),
                ("heavy_users", 0.5 - 0.7 * 0.75, 500),
                ("cap", 0.01, 10),
                ("failover", 0.06, 60),
            ],
        );
    }

    #[test]
    fn nothing_is_said_before_the_first_request() {
        let sample = Sample {
            lines: &[],
            users: &[0, 0],
            homes: &[0, 0],
        };
        assert_eq!((sample.requests(0), sample.users(0)), (None, None));
        assert_eq!(sample.drift(0, 0.5), None);
    }

    #[test]
    fn flags_are_no_chance() {
        let lines = [
            line((EC2, EC2, By::Known, None), 1_600),
            line((ECS, ECS, By::Flag, None), 400),
        ];
        let sample = Sample {
            lines: &lines,
            users: &[1_000, 0],
            homes: &[1_000, 0],
        };
        let Interval { low, high } = sample.drift(1, 0.001).unwrap().requests;
        assert!(
            0.17 < low && low < 0.2 && 0.2 < high && high < 0.23,
            "{low} {high}"
        );
    }
}
