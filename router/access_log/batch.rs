//! Lines on their way out: which are written, and what may be forgotten when the rest cannot be.

/// Lines to write: `ends` are their ends in `bytes`, `written` says how far it got.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    written: usize,
}

impl Batch {
    pub(super) fn add(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.ends.push(self.bytes.len());
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn done(&self) -> bool {
        self.written == self.bytes.len()
    }

    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Whether no line is half written.
    pub(super) fn is_between_lines(&self) -> bool {
        self.written == self.complete().1
    }

    /// The next line in full will be written once more: nothing of it is left.
    pub(super) fn begin_anew(&mut self) {
        self.written = self.complete().1;
    }

    /// Bytes of the next line, or of what is left of it; 0 when there is none.
    pub(super) fn next_line(&self) -> usize {
        let next = self.ends.get(self.complete().0);
        next.map_or(0, |end| end - self.written)
    }

    /// What is left up to the last line that ends within `most` bytes, but at least one line.
    pub(super) fn whole_lines(&self, most: usize) -> &[u8] {
        let limit = self.written.saturating_add(most);
        let n_lines = self.ends.partition_point(|&end| end <= limit);
        let last = n_lines.max(self.complete().0 + 1).min(self.ends.len());
        let end = last.checked_sub(1).map_or(0, |last| self.ends[last]);
        &self.bytes[self.written..end]
    }

    /// `n` further bytes are written: says how many lines that completes, and their bytes.
    pub(super) fn advance(&mut self, n: usize) -> (usize, usize) {
        let before = self.complete();
        self.written += n;
        let after = self.complete();
        (after.0 - before.0, after.1 - before.1)
    }

    /// Complete lines written, and their bytes.
    fn complete(&self) -> (usize, usize) {
        let n_lines = self.ends.partition_point(|&end| end <= self.written);
        (
            n_lines,
            n_lines.checked_sub(1).map_or(0, |last| self.ends[last]),
        )
    }

    /// Forgets all lines; says how many were not written in full, and their bytes.
    pub(super) fn clear(&mut self) -> (usize, usize) {
        let (n_lines, bytes) = self.complete();
        let lost = (self.ends.len() - n_lines, self.bytes.len() - bytes);
        self.bytes.clear();
        self.ends.clear();
        self.written = 0;
        lost
    }

    /// Forgets all lines but the one whose beginning is written; says how many were forgotten, and their bytes.
    pub(super) fn keep_begun(&mut self) -> (usize, usize) {
        let (n_lines, bytes) = self.complete();
        if self.written == bytes {
            return self.clear();
        }
        let end = self.ends[n_lines];
        let lost = (self.ends.len() - n_lines - 1, self.bytes.len() - end);
        self.bytes.truncate(end);
        self.bytes.drain(..bytes);
        self.written -= bytes;
        self.ends = vec![self.bytes.len()];
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lines: &[&str], written: usize) -> Batch {
        let mut batch = Batch::default();
        lines.iter().for_each(|line| batch.add(line.as_bytes()));
        batch.advance(written);
        batch
    }

    #[test]
    fn lines_count_once_they_are_written_in_full() {
        let mut batch = batch(&["one\n", "two\n", "three\n"], 0);
        assert_eq!(batch.advance(3), (0, 0));
        assert_eq!(batch.advance(6), (2, 8));
        assert!(!batch.done());
        assert_eq!(batch.advance(5), (1, 6));
        assert!(batch.done());
    }

    #[test]
    fn as_many_lines_are_taken_as_fit_but_one_in_any_case() {
        let mut batch = batch(&["one\n", "two\n", "three\n"], 4);
        assert!(batch.is_between_lines());
        assert_eq!(batch.next_line(), 4);
        for (most, expected) in [
            (0, "two\n"),
            (4, "two\n"),
            (9, "two\n"),
            (10, "two\nthree\n"),
        ] {
            assert_eq!(batch.whole_lines(most), expected.as_bytes(), "{most}");
        }
        assert_eq!(batch.whole_lines(usize::MAX), b"two\nthree\n");
        batch.advance(1);
        assert!(!batch.is_between_lines());
        assert_eq!(batch.next_line(), 3);
        batch.begin_anew();
        assert_eq!(batch.rest(), b"two\nthree\n");
        batch.advance(10);
        assert_eq!((batch.next_line(), batch.whole_lines(9)), (0, &[][..]));
    }

    #[test]
    fn giving_up_keeps_the_line_that_was_begun() {
        let mut begun = batch(&["one\n", "two\n", "three\n"], 5);
        assert_eq!(begun.keep_begun(), (1, 6));
        assert_eq!(begun.rest(), b"wo\n");
        assert_eq!(begun.advance(3), (1, 4));
        let mut between = batch(&["one\n", "two\n"], 4);
        assert_eq!(between.keep_begun(), (1, 4));
        assert!(between.done());
    }

    #[test]
    fn the_end_forgets_the_line_that_was_begun_too() {
        assert_eq!(batch(&["one\n", "two\n"], 5).clear(), (1, 4));
    }
}
