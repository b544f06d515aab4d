//! Which faults only follow from something that has been reported: saying them would be noise.

use std::collections::HashSet;

use crate::problem::{Fault, Path, Step};

/// Values that were wrong or missing, and the tables and lists around them.
pub(super) struct Wrong<'a> {
    values: HashSet<&'a [Step]>,
    around: HashSet<&'a [Step]>,
}

impl<'a> Wrong<'a> {
    pub(super) fn new(paths: &'a [Path]) -> Self {
        let prefixes = |path: &'a Path| (0..path.0.len()).map(|n| &path.0[..n]);
        Self {
            values: paths.iter().map(|path| &path.0[..]).collect(),
            around: paths.iter().flat_map(prefixes).collect(),
        }
    }

    /// Whether a fault is about a wrong value, about a table that lacks it, or about what is judged together with it.
    pub(super) fn explains(&self, fault: &Fault) -> bool {
        let path = &fault.path.0[..];
        (0..=path.len()).any(|n| self.values.contains(&path[..n]))
            || self.around.contains(path)
            || self.is_judged_with_wrong(path)
    }

    /// Weights are judged against `stable`.
    fn is_judged_with_wrong(&self, path: &[Step]) -> bool {
        let key = |name: &str| Step::Key(name.to_owned());
        match path.split_last() {
            Some((last, around)) if *last == key("weights") => {
                let stable = [around, &[key("stable")]].concat();
                self.values.contains(&stable[..])
            }
            _ => false,
        }
    }
}
