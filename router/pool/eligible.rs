//! Whom requests may be given, as it was at one moment: the members in the best condition, and their rotation.
//!
//! It is an aid, not the truth: a request asks its target again, so a target that went out meanwhile is passed by.

use super::members::Member;
use super::rotation::Rotation;
use super::target::Use;

/// The members worth asking.
#[derive(Debug)]
pub(super) struct Eligible {
    pub(super) rotation: Rotation,
    /// The condition that they have: `Ready`, or `Unproven` when nobody is.
    pub(super) condition: Use,
    version: u64,
    made: u64,
    until: u64,
    /// The next one is made no sooner than this after it.
    patience: u64,
}

/// Making one looks at every target; a microsecond a target in between bounds what that takes of one core, however
/// many targets come and go at once.
const PATIENCE_EACH: u64 = 1;

impl Eligible {
    /// Of `members` at `now`; `version` counts the changes of their states so far.
    pub(super) fn new(members: &[Member], version: u64, now: u64) -> Self {
        let conditions = members.iter().map(|member| member.target.usable(now));
        let condition = conditions
            .clone()
            .max()
            .unwrap_or(Use::Out)
            .max(Use::Unproven);
        let eligible = (0u32..).zip(members).zip(conditions);
        let eligible = eligible.filter(|(_, usable)| *usable == condition);
        let weighted: Vec<_> = eligible
            .map(|((position, member), _)| (position, member.weight))
            .collect();
        let returns = members.iter().map(|member| member.target.ejected_until());
        Self {
            rotation: Rotation::new(&weighted),
            condition,
            version,
            made: now,
            until: returns
                .filter(|&moment| now < moment)
                .min()
                .unwrap_or(u64::MAX),
            patience: PATIENCE_EACH * members.len() as u64,
        }
    }

    /// Whether somebody may have come or gone since it was made, and it is time to look.
    pub(super) fn is_stale(&self, version: u64, now: u64) -> bool {
        (self.until <= now || self.version != version) && self.made + self.patience <= now
    }
}
