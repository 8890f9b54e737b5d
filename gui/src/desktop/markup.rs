//! Text for notification servers, which read a body as markup (`<b>`, `<a href>`, `<img>`) where they say so.

/// The text as it is, for a server with `body-markup`.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // One broken character, and a server shows the whole text as it came or not at all.
            character if character.is_control() && character != '\n' => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        assert_eq!(
            escaped("<a href=\"https://evil.example\">Click</a> & 'ok'\u{1b}\n"),
            "&lt;a href=&quot;https://evil.example&quot;&gt;Click&lt;/a&gt; &amp; &#39;ok&#39; \n"
        );
        assert_eq!(escaped("aspect ends in 12 days"), "aspect ends in 12 days");
        assert_eq!(escaped("&amp;"), "&amp;amp;");
    }
}
