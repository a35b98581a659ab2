//! Turns texts and links into signals; the words end here.
//!
//! **Invariant:** what is met may be too short to say anything, what is spoken of may not.

use watchfire_api::problem::{Problem, ProblemKind};
use watchfire_media::hash::digests;
use watchfire_signal::alert::ContentKind;
use watchfire_signal::link::{LinkError, LinkPrint, LinkScope};
use watchfire_signal::text_print::{TextError, TextPrint};
use watchfire_signal::value::Signal;

use crate::answer::Failure;
use crate::input::cut;
use crate::limits::{SCAN_URLS, TEXT_BYTES};

/// The media type of a body that is a text.
const PLAIN: &str = "text/plain";

/// Whether a body says that it is a text.
pub(crate) fn is_text(media_type: Option<&str>) -> bool {
    media_type.is_some_and(|kind| kind.eq_ignore_ascii_case(PLAIN))
}

/// A body as the text that it is.
pub(crate) fn read_text(bytes: &[u8]) -> Result<&str, Failure> {
    let wrong = |_| Failure::new(ProblemKind::Malformed, "a text has to be UTF-8");
    std::str::from_utf8(bytes).map_err(wrong)
}

/// The signals of a text and of links that somebody posts: of the links in the text too. A text that is too short
/// to be recognised has none.
pub(crate) fn met(text: Option<&str>, urls: &[String]) -> Result<Vec<Signal>, Failure> {
    if urls.len() > SCAN_URLS.value {
        return Err(SCAN_URLS.exceeded());
    }
    let mut signals = Vec::new();
    if let Some(text) = text {
        match TextPrint::of(text) {
            Ok(prints) => signals.extend(prints.into_iter().map(Signal::new)),
            Err(TextError::TooShort(_)) => {}
            Err(error) => return Err(refused_text(&error)),
        }
        signals.extend(LinkPrint::in_text(text).into_iter().map(Signal::new));
    }
    for (place, url) in urls.iter().enumerate() {
        let link = LinkPrint::met(url);
        let link = link.map_err(|error| refused_link(&error, &format!("url {place}: ")))?;
        signals.push(Signal::new(link));
    }
    Ok(signals)
}

/// The signals of a whole text that came as a file.
pub(crate) fn met_file(bytes: &[u8]) -> Result<Vec<Signal>, Failure> {
    let text = met(Some(read_text(bytes)?), &[])?;
    let (sha256, md5) = digests(bytes);
    Ok([Signal::new(sha256), Signal::new(md5)].into_iter().chain(text).collect())
}

/// The signals by which a text that came as a file is to be known.
pub(crate) fn named_file(bytes: &[u8]) -> Result<Vec<Signal>, Failure> {
    let text = named_text(read_text(bytes)?)?;
    let (sha256, md5) = digests(bytes);
    Ok([Signal::new(sha256), Signal::new(md5)].into_iter().chain(text).collect())
}

/// What a text or a link is to be known by: its kind, and its signals.
pub(crate) fn named(
    text: Option<&str>,
    url: Option<&str>,
    scope: Option<LinkScope>,
) -> Result<Option<(ContentKind, Vec<Signal>)>, Failure> {
    let invalid = |detail| Err(Failure::new(ProblemKind::Invalid, detail));
    match (text, url) {
        (Some(_), Some(_)) => invalid("a text and a link are two things: say one of them"),
        (_, None) if scope.is_some() => invalid("url_scope says what a url stands for"),
        (Some(text), None) => Ok(Some((ContentKind::Text, named_text(text)?))),
        (None, Some(url)) => {
            let link = LinkPrint::named(url, scope.unwrap_or(LinkScope::Exact));
            let link = link.map_err(|error| refused_link(&error, ""))?;
            Ok(Some((ContentKind::Url, vec![Signal::new(link)])))
        }
        (None, None) => Ok(None),
    }
}

fn named_text(text: &str) -> Result<Vec<Signal>, Failure> {
    let prints = TextPrint::of(text).map_err(|error| refused_text(&error))?;
    Ok(prints.into_iter().map(Signal::new).collect())
}

fn refused_text(error: &TextError) -> Failure {
    let limit = match error {
        TextError::TooShort(_) => "text_least_characters",
        TextError::TooManyChars(_) => "text_characters",
        _ => TEXT_BYTES.name,
    };
    named_limit(limit, error.to_string())
}

fn refused_link(error: &LinkError, place: &str) -> Failure {
    let detail = cut(&format!("{place}{error}"));
    match error {
        LinkError::TooLong(_) => named_limit("link_bytes", detail),
        _ => Failure::new(ProblemKind::Invalid, detail),
    }
}

fn named_limit(limit: &str, detail: String) -> Failure {
    let Failure(problem) = Failure::new(ProblemKind::Invalid, detail);
    Failure(Problem { limit: Some(limit.to_owned()), ..problem })
}
