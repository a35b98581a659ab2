//! Changes a policy file where it is written, so that its comments and order stay.

use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
struct File {
    version: Option<Spanned<u32>>,
    #[serde(default)]
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    id: String,
    mode: Option<Spanned<String>>,
}

/// The file with one rule live and the next version; `None` when the rule has no mode written, which
/// is live already, or the file has no version.
pub(crate) fn promoted(text: &str, rule: &str) -> Option<String> {
    let file = toml::from_str::<File>(text).ok()?;
    let version = file.version?;
    let mode = file.rule.into_iter().find(|known| known.id == rule)?.mode?;
    let mut edits = [
        (version.span(), version.get_ref().checked_add(1)?.to_string()),
        (mode.span(), "\"live\"".to_owned()),
    ];
    // The last first, so that the places before it stay right.
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut changed = text.to_owned();
    for (span, with) in edits {
        changed.replace_range(span, &with);
    }
    Some(changed)
}
