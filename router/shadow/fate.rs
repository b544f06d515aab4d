//! What becomes of a copy: exactly one of these, and each is counted.

/// What became of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The target answered, and the answer was read.
    Answered,
    /// The target answered at greater length than is read.
    Cut,
    /// The connection broke before the answer was read.
    Failed,
    /// The answer was not read in time.
    Timeout,
    /// No connection, so nothing was sent.
    Unreachable,
    /// Not made, or not sent: the shadow pool had failed several in a row, and is left alone for up to a second.
    DroppedBackoff,
    /// Not made: the body was too large, or did not arrive.
    DroppedBody,
    /// Not made: the copies at that time had all the bytes they may.
    DroppedBytes,
    /// Not sent: as many were underway as may.
    DroppedFull,
    /// Not sent: no target of the shadow pool was healthy.
    DroppedNoTarget,
    /// Not sent: the route had another shadow, or none, by then.
    DroppedOff,
    /// Not sent: there had been as many in this second as may.
    DroppedRate,
    /// Not made: the shadow pool served the request itself.
    DroppedSamePool,
}

impl Fate {
    /// Every fate.
    pub const ALL: [Self; 13] = [
        Self::Answered,
        Self::Cut,
        Self::Failed,
        Self::Timeout,
        Self::Unreachable,
        Self::DroppedBackoff,
        Self::DroppedBody,
        Self::DroppedBytes,
        Self::DroppedFull,
        Self::DroppedNoTarget,
        Self::DroppedOff,
        Self::DroppedRate,
        Self::DroppedSamePool,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Cut => "cut",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::DroppedBackoff => "dropped_backoff",
            Self::DroppedBody => "dropped_body",
            Self::DroppedBytes => "dropped_bytes",
            Self::DroppedFull => "dropped_full",
            Self::DroppedNoTarget => "dropped_no_target",
            Self::DroppedOff => "dropped_off",
            Self::DroppedRate => "dropped_rate",
            Self::DroppedSamePool => "dropped_same_pool",
        }
    }
}
