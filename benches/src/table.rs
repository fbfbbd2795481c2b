//! Figures as people read them.

use comfy_table::{CellAlignment, Table, presets};

/// A Markdown table. The first column is for names, the others for figures.
#[derive(Debug)]
pub struct Markdown(Table);

impl Markdown {
    /// A table without rows.
    pub fn new(columns: &[&str]) -> Self {
        let mut table = Table::new();
        table
            .load_style(presets::ASCII_MARKDOWN)
            .set_header(columns);
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        Self(table)
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl ToString, figures: impl IntoIterator<Item = String>) {
        let name = std::iter::once(name.to_string());
        self.0.add_row(name.chain(figures));
    }
}

impl std::fmt::Display for Markdown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The middle one of some values, or the mean of the two in the middle; `None` where there are none.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().checked_sub(1)? / 2, values.len() / 2);
    Some((values[low] + values[high]) / 2.0)
}

/// A figure with as many decimals as mean something: three digits in all, no more than two decimals.
pub fn figure(value: f64) -> String {
    let decimals = match value.abs() {
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

/// A figure that may be unknown.
pub fn known(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), figure)
}

/// Bytes in MB of a million bytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.126, 9.5, 12.34, 123.4].map(figure);
        assert_eq!(figures, ["0.13", "9.50", "12.3", "123"]);
        assert_eq!(known(None), "–");
    }

    #[test]
    fn a_table_is_markdown() {
        let mut table = Markdown::new(&["", "wall (s)"]);
        table.row("ofm", [figure(3.2)]);
        let text = table.to_string();
        let lines: Vec<_> = text.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "|     | wall (s) |",
                "|-----|----------|",
                "| ofm |     3.20 |"
            ]
        );
    }
}
