//! The links that stand in a text.

/// The most links of one text that are looked at.
pub const MAX_LINKS: usize = 16;
/// How a link in a text begins.
const BEGINNINGS: [&str; 2] = ["http://", "https://"];
/// Signs that end a sentence or a bracket, and not a link.
const AFTER: &str = ".,;:!?)]}>'\"»”’…";

/// The links in a text that begin with `http://` or `https://`, in their order, each once, at most
/// [`MAX_LINKS`] of them.
#[must_use]
pub fn links_in(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let breaks = |c: char| c.is_whitespace() || c.is_control() || "<>\"“”„«»`|".contains(c);
    for word in text.split(breaks) {
        let Some(place) = BEGINNINGS.iter().filter_map(|begin| find(word, begin)).min() else {
            continue;
        };
        let link = word[place..].trim_end_matches(|c| AFTER.contains(c));
        if !links.contains(&link) {
            links.push(link);
        }
        if links.len() == MAX_LINKS {
            break;
        }
    }
    links
}

/// Where a text in lower case begins in another of any case.
fn find(word: &str, lower: &str) -> Option<usize> {
    let mut parts = word.as_bytes().windows(lower.len());
    parts.position(|part| part.eq_ignore_ascii_case(lower.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_in_sentences_and_brackets() {
        let text = "Look (https://a.example/x), or HTTP://b.example/?q=1. And <https://a.example/x>! \
                    \u{201e}https://c.example/\u{e9}\u{201c}https:// ftp://d.example";
        assert_eq!(
            links_in(text),
            ["https://a.example/x", "HTTP://b.example/?q=1", "https://c.example/é", "https://"]
        );
    }

    #[test]
    fn no_more_links_than_the_limit_are_looked_at() {
        let many: String = (0..100).map(|number| format!("http://a.example/{number} ")).collect();
        assert_eq!(links_in(&many).len(), MAX_LINKS);
    }
}
