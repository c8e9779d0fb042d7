//! The little HTML the report is made of: escaped text, tables, and the blocks of a section.

use super::figure::Drawing;

/// Text that is safe between tags and in attributes.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            // Control characters are allowed neither in XML nor in HTML.
            control if control.is_control() && !matches!(control, '\n' | '\t') => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// The superscript digits of [`super::number`] as real superscripts: few fonts have them all in one size.
pub(super) fn raise_exponents(html: &str) -> String {
    const PLAIN: [(char, char); 11] = [
        ('⁰', '0'),
        ('¹', '1'),
        ('²', '2'),
        ('³', '3'),
        ('⁴', '4'),
        ('⁵', '5'),
        ('⁶', '6'),
        ('⁷', '7'),
        ('⁸', '8'),
        ('⁹', '9'),
        ('⁻', '−'),
    ];
    let mut raised = String::with_capacity(html.len());
    let mut is_raised = false;
    for character in html.chars() {
        let plain = PLAIN.iter().find(|(superscript, _)| *superscript == character).map(|(_, plain)| *plain);
        if plain.is_some() != is_raised {
            raised.push_str(if is_raised { "</sup>" } else { "<sup>" });
            is_raised = !is_raised;
        }
        raised.push(plain.unwrap_or(character));
    }
    if is_raised {
        raised.push_str("</sup>");
    }
    raised
}

/// One picture of the report.
pub(super) struct Figure {
    /// The stem of its files.
    pub name: String,
    pub drawing: Drawing,
    /// What it shows, for those who cannot see it: plain text.
    pub description: String,
    /// HTML.
    pub caption: String,
}

/// A table under construction.
pub(super) struct Table {
    caption: String,
    head: String,
    rows: String,
    /// Whether the table is folded until it is asked for.
    pub is_long: bool,
}

impl Table {
    /// Caption and heads are HTML.
    pub fn new(caption: impl Into<String>, heads: &[&str]) -> Self {
        let head = heads.iter().map(|head| format!("<th scope=\"col\">{head}</th>")).collect();
        Table { caption: caption.into(), head, rows: String::new(), is_long: false }
    }

    /// The cells are HTML, the first one is the head of the row.
    pub fn row(&mut self, cells: &[String]) {
        self.rows.push_str("<tr>");
        for (column, cell) in cells.iter().enumerate() {
            let tag = if column == 0 { "th scope=\"row\"" } else { "td" };
            let end = if column == 0 { "th" } else { "td" };
            self.rows.push_str(&format!("<{tag}>{cell}</{end}>"));
        }
        self.rows.push_str("</tr>\n");
    }

    /// A line across the table that names the rows below it.
    pub fn group(&mut self, title: &str, columns: usize) {
        self.rows.push_str(&format!("<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{columns}\">{title}</th></tr>\n"));
    }
}

/// What a section is made of, in order.
pub(super) enum Block {
    /// HTML of one paragraph.
    Paragraph(String),
    Figure(Figure),
    Table(Table),
}

/// One section of the page.
pub(super) struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
    /// Sentences (HTML) for the top of the page.
    pub findings: Vec<String>,
}

impl Section {
    pub fn new(title: &str) -> Self {
        Section { title: title.to_string(), blocks: Vec::new(), findings: Vec::new() }
    }

    pub fn paragraph(&mut self, html: impl Into<String>) {
        self.blocks.push(Block::Paragraph(html.into()));
    }

    pub fn figure(&mut self, name: impl Into<String>, drawing: Drawing, description: impl Into<String>, caption: impl Into<String>) {
        self.blocks.push(Block::Figure(Figure { name: name.into(), drawing, description: description.into(), caption: caption.into() }));
    }

    pub fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }
}

/// The table as HTML under its number.
pub(super) fn table_html(table: &Table, number: usize) -> String {
    let html = raise_exponents(&format!(
        "<div class=\"table\"><table>\n<caption><b>Table {number}.</b> {}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}</tbody></table></div>\n",
        table.caption, table.head, table.rows
    ));
    if !table.is_long {
        return html;
    }
    let rows = table.rows.matches("<tr>").count();
    format!("<details><summary>Table {number} with its {rows} rows</summary>\n{html}</details>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_text_becomes_markup() {
        assert_eq!(raise_exponents("4.1×10⁻¹⁶ nats"), "4.1×10<sup>−16</sup> nats");
        assert_eq!(escape("<script>\"&'</script>\u{0}"), "&lt;script&gt;&quot;&amp;&#39;&lt;/script&gt;\u{fffd}");
    }
}
