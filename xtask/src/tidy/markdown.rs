//! Reads tables, code words and links out of Markdown.

/// A row of a table: its line, and its cells without the bars around them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) line: usize,
    pub(super) cells: Vec<&'a str>,
}

/// The rows of the first table whose head has all these cells, each cut to these cells in order.
/// Nothing when there is no such table.
pub(super) fn table<'a>(text: &'a str, head: &[&str]) -> Option<Vec<Row<'a>>> {
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    let places = lines.by_ref().find_map(|(_, line)| {
        let cells = cells(line)?;
        head.iter()
            .map(|name| cells.iter().position(|cell| cell == name))
            .collect::<Option<Vec<_>>>()
    })?;
    let rows = lines.map_while(|(line, text)| cells(text).map(|cells| (line, cells)));
    let cut = |(line, cells): (usize, Vec<&'a str>)| Row {
        line,
        cells: places.iter().map(|&at| cells.get(at).copied().unwrap_or_default()).collect(),
    };
    let is_rule =
        |row: &Row<'_>| row.cells.iter().all(|cell| cell.starts_with('-') || cell.starts_with(':'));
    Some(rows.map(cut).filter(|row| !is_rule(row)).collect())
}

fn cells(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(str::trim).collect())
}

/// What stands between single backticks, with its line; fenced blocks are left out.
pub(super) fn code_words(text: &str) -> Vec<(usize, &str)> {
    prose(text)
        .flat_map(|(number, line)| {
            line.split('`').skip(1).step_by(2).map(move |word| (number, word))
        })
        .collect()
}

/// The targets of inline links, with their lines; fenced blocks are left out.
pub(super) fn links(text: &str) -> Vec<(usize, &str)> {
    prose(text)
        .flat_map(|(number, line)| {
            let behind = line.split("](").skip(1);
            behind.filter_map(move |rest| rest.split_once(')').map(|(target, _)| (number, target)))
        })
        .collect()
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((at + 1, line))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_its_head_and_cut_to_it() {
        let text = "x\n| a | b |\n|---|---|\n| 1 | 2 |\n\n| floor | crate | may use |\n|---|---|---|\n| 1 | signal | – |\n| 2 | index | signal |\nend\n| 3 | no | no |\n";
        let rows = table(text, &["crate", "may use"]).unwrap();
        assert_eq!(
            rows,
            [
                Row { line: 8, cells: vec!["signal", "–"] },
                Row { line: 9, cells: vec!["index", "signal"] },
            ]
        );
        assert_eq!(table(text, &["crate", "owner"]), None);
    }

    #[test]
    fn code_words_and_links_are_read_outside_of_fences() {
        let text = "see `a/b.rs` and [x](docs/y.md)\n```\n`no` [no](no)\n```\n`c`";
        assert_eq!(code_words(text), [(1, "a/b.rs"), (5, "c")]);
        assert_eq!(links(text), [(1, "docs/y.md")]);
    }
}
