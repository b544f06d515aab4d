//! Minutes that are over, and paths of stretches that are: a ring of each, of the last hour.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use canary::guard::BINS;

use super::counts::Totals;
use super::sketch::{Bad, Sketch};

/// What may be asked for.
pub const LONGEST: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: u64 = 60;
/// Length of a stretch in seconds: paths may be older than what was asked for by as much.
pub const STRETCH: u64 = 300;

/// What is over.
#[derive(Debug, Default)]
pub(super) struct Past {
    minutes: VecDeque<Minute>,
    paths: VecDeque<(u64, Sketch)>,
}

#[derive(Debug)]
struct Minute {
    start_s: u64,
    partitions: Box<[(Arc<str>, Totals)]>,
    bins: Box<[(u16, u32)]>,
}

/// What one pool did in one route, over some time.
#[derive(Clone, Debug)]
pub struct Summary {
    /// By partition.
    pub partitions: Vec<(Arc<str>, Totals)>,
    /// Times to the head of the answer, by bin.
    pub bins: Vec<u64>,
    /// Paths on which things went wrong.
    pub paths: Vec<Bad>,
    /// How often a path that is not among them may have gone wrong.
    pub unseen: u64,
    /// Requests, since the start, whose path was not noted.
    pub missed: u64,
    /// Requests of each whole minute that is over, by when it began.
    pub minutes: Vec<(u64, u64)>,
}

impl Past {
    pub(super) fn add_minute(
        &mut self,
        start_s: u64,
        partitions: Box<[(Arc<str>, Totals)]>,
        bins: Box<[(u16, u32)]>,
    ) {
        let oldest = start_s.saturating_sub(LONGEST.as_secs() - MINUTE);
        self.minutes.retain(|minute| minute.start_s >= oldest);
        self.paths.retain(|(start, _)| start + STRETCH > oldest);
        if partitions.iter().any(|(_, totals)| totals.requests > 0) {
            self.minutes.push_back(Minute {
                start_s,
                partitions,
                bins,
            });
        }
    }

    /// Whether a stretch ends with the minute that began at `start_s`.
    pub(super) const fn ends_a_stretch(&self, start_s: u64) -> bool {
        (start_s + MINUTE).is_multiple_of(STRETCH)
    }

    /// Adds the paths of the stretch that ends with the minute that began at `start_s`.
    pub(super) fn add_paths(&mut self, start_s: u64, paths: Sketch) {
        if !paths.is_empty() {
            self.paths.push_back((start_s + MINUTE - STRETCH, paths));
        }
    }

    /// What is over of the time from `from_s` on: whole minutes, and whole stretches for the paths.
    pub(super) fn summary(&self, from_s: u64) -> Summary {
        let mut summary = Summary {
            partitions: Vec::new(),
            bins: vec![0; BINS],
            paths: Vec::new(),
            unseen: 0,
            missed: 0,
            minutes: Vec::new(),
        };
        let minutes = self.minutes.iter();
        for minute in minutes.filter(|minute| minute.start_s + MINUTE > from_s) {
            let requests = minute.partitions.iter().map(|(_, totals)| totals.requests);
            summary.minutes.push((minute.start_s, requests.sum()));
            for (name, totals) in &minute.partitions {
                summary.add_partition(name, totals);
            }
            for (bin, count) in &minute.bins {
                summary.bins[usize::from(*bin)] += u64::from(*count);
            }
        }
        let stretches = self.paths.iter();
        for (_, paths) in stretches.filter(|(start, _)| start + STRETCH > from_s) {
            summary.add_paths(paths);
        }
        summary
    }
}

impl Summary {
    pub(super) fn add_partition(&mut self, name: &Arc<str>, totals: &Totals) {
        match self.partitions.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.add(totals),
            None if totals.requests > 0 => self.partitions.push((Arc::clone(name), *totals)),
            None => {}
        }
    }

    pub(super) fn add_paths(&mut self, paths: &Sketch) {
        paths.add_to(&mut self.paths, self.unseen);
        self.unseen += paths.unseen();
    }

    /// All partitions together.
    pub fn totals(&self) -> Totals {
        let mut all = Totals::default();
        self.partitions
            .iter()
            .for_each(|(_, totals)| all.add(totals));
        all
    }
}
