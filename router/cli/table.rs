//! Plain aligned tables, no wider than the terminal: the last column is cut, never wrapped.

use super::words::columns;

/// Rows under a header.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    right: &'static [usize],
}

/// Between two columns.
const GAP: usize = 2;

impl Table {
    /// A table whose columns `right` are numbers.
    pub(super) fn new(header: &[&str], right: &'static [usize]) -> Self {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Self {
            rows: vec![header],
            right,
        }
    }

    /// One row more.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Whether there is nothing but the header.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// The table as text, each line at most `width` columns wide.
    pub(super) fn print(&self, width: Option<usize>) -> String {
        let widths = self.widths();
        let mut text = String::new();
        for row in &self.rows {
            let line = self.line(row, &widths);
            let line = line.trim_end();
            match width {
                Some(width) => text.push_str(&cut(line, width)),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let n = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| columns(cell)).max().unwrap_or(0)
        };
        (0..n).map(width).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - columns(cell));
            if self.right.contains(&column) {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
            line.push_str(&" ".repeat(GAP));
        }
        line
    }
}

/// The beginning of `line` that fits into `width` columns.
pub(super) fn cut(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 1;
    for letter in line.chars() {
        taken += columns(letter.encode_utf8(&mut [0; 4]));
        if taken > width {
            break;
        }
        kept.push(letter);
    }
    kept.push('…');
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Table {
        let mut table = Table::new(&["POOL", "WEIGHT", "REASON"], &[1]);
        table.row(vec!["ec2".into(), "95".into(), "初回 first step".into()]);
        table.row(vec!["longer-name".into(), "5".into(), String::new()]);
        table
    }

    #[test]
    fn columns_line_up() {
        let expected = "POOL         WEIGHT  REASON\n\
                        ec2              95  初回 first step\n\
                        longer-name       5\n";
        assert_eq!(sample().print(None), expected);
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 1..60 {
            for line in sample().print(Some(width)).lines() {
                assert!(columns(line) <= width, "`{line}` at {width}");
            }
        }
        let narrow = sample().print(Some(26));
        assert!(narrow.contains("ec2              95  初回…"), "{narrow}");
    }
}
