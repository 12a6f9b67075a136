//! Plain text tables for people: columns as wide as their widest cell, nothing cut off.

/// Rows of cells under a heading.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with its heading.
    pub(super) fn new(heading: &[&str]) -> Self {
        let heading = heading.iter().map(|&cell| cell.to_owned()).collect();
        Self {
            rows: vec![heading],
        }
    }

    /// Adds a row. Control characters are shown as `?`: cells hold text from the network.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let clean = |cell: String| -> String {
            cell.chars()
                .map(|c| if c.is_control() { '?' } else { c })
                .collect()
        };
        self.rows.push(cells.into_iter().map(clean).collect());
    }

    /// The text, each line indented by `indent` spaces.
    pub(super) fn render(&self, indent: usize) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(&format!("{cell:<width$}  "));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&["NAME", "STATE"]);
        table.row(["zwölf".to_owned(), "a\u{1b}[2J".to_owned()]);
        assert_eq!(table.render(1), " NAME   STATE\n zwölf  a?[2J\n");
    }
}
