//! A span while it waits: the record of its request, without what is not told. What it becomes is made by whoever sends it.

use std::sync::Arc;

use config::snapshot::{Snapshot, Structure};

use super::context::Context;
use crate::record::{Head, Record, Text};

/// Bytes of one text that are kept: a queue of them must stay small, whatever clients send.
const LONGEST_TEXT: usize = 1024;

/// What is told of one request.
pub struct Span {
    pub(super) context: Context,
    pub(super) record: Record,
    /// Has the names of what the record names by number.
    pub(super) structure: Arc<Structure>,
    pub(super) revision: u64,
}

impl Span {
    /// The span of the request of `record`, which `snapshot` decided.
    pub fn new(context: Context, record: Record, snapshot: &Snapshot) -> Self {
        let text = |text| {
            let text = record.head.get(text)?;
            Some(&text[..text.len().min(LONGEST_TEXT)])
        };
        // Queries, referers and cookies are nobody's business but the target's.
        let head = Head::copy([
            text(Text::RequestId),
            None,
            text(Text::Method),
            text(Text::Host),
            text(Text::Path),
            None,
            text(Text::UserAgent),
            None,
            None,
        ]);
        Self {
            context,
            record: Record {
                head,
                rewritten: None,
                retries: Vec::new(),
                cookie_dup: None,
                ..record
            },
            structure: Arc::clone(&snapshot.structure),
            revision: snapshot.revision,
        }
    }
}
