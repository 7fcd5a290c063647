//! Text as HTML.

/// Text with everything escaped that means something in HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for symbol in text.chars() {
        match symbol {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A line of a description: what stands between backticks is code.
pub(super) fn inline(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    // An odd number of backticks leaves the last one what it is.
    let closed = text.matches('`').count() / 2 * 2;
    pieces
        .map(|(place, piece)| match place {
            place if place > closed => format!("`{}", escape(piece)),
            place if place % 2 == 1 => format!("<code>{}</code>", escape(piece)),
            _ => escape(piece),
        })
        .collect()
}

/// Paragraphs and lists of a description.
pub(super) fn prose(text: &str) -> String {
    let blocks = text.split("\n\n").filter(|block| !block.trim().is_empty());
    blocks
        .map(|block| {
            if block.starts_with("- ") {
                let items = block.lines().map(|line| {
                    let item = line.strip_prefix("- ").unwrap_or(line);
                    format!("<li>{}</li>", inline(item))
                });
                format!("<ul>{}</ul>\n", items.collect::<String>())
            } else {
                format!("<p>{}</p>\n", inline(block))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_markup_in_a_description() {
        assert_eq!(escape("<a href=\"x\">'&'</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
        for text in ["<script>", "`<script>`", "- <script>", "a\n\n- `<script>`\n- b"] {
            assert!(!prose(text).contains("<script"), "{text}");
        }
    }

    #[test]
    fn code_lists_and_paragraphs() {
        assert_eq!(inline("say `a` and `b`"), "say <code>a</code> and <code>b</code>");
        assert_eq!(inline("one ` only"), "one ` only");
        assert_eq!(prose("a\n\n- `b`: c\n- d"), "<p>a</p>\n<ul><li><code>b</code>: c</li><li>d</li></ul>\n");
    }
}
