//! Reads the two kinds of items of a homeserver: media and messages.

use crate::segment::segment;

/// What an order can be about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    Media(Media<'a>),
    Message(Message),
}

/// `mxc://SERVER/MEDIA`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Media<'a> {
    server: &'a str,
    media: &'a str,
}

/// `matrix:roomid/ROOM/e/EVENT`, both without their sigils and percent-encoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// With its `!`.
    pub(super) room: String,
    /// With its `$`.
    pub(super) event: String,
}

impl<'a> Item<'a> {
    /// Reads an item's id; nothing when it is none of Matrix.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("mxc://") {
            let (server, media) = rest.split_once('/')?;
            let whole = is_name(server) && is_name(media) && !media.contains('/');
            return whole.then_some(Item::Media(Media { server, media }));
        }
        let (room, event) = text.strip_prefix("matrix:roomid/")?.split_once("/e/")?;
        let (room, event) = (decoded(room)?, decoded(event)?);
        let whole = is_name(&room) && is_name(&event);
        whole.then(|| {
            Item::Message(Message { room: format!("!{room}"), event: format!("${event}") })
        })
    }
}

impl Media<'_> {
    /// Both names as two segments of a path.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", segment(self.server), segment(self.media))
    }
}

/// Even percent-encoded, `.` and `..` mean "here" and "one up".
fn is_name(text: &str) -> bool {
    !matches!(text, "" | "." | "..") && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn media_and_messages_are_told_apart() {
        let Some(Item::Media(media)) = Item::parse("mxc://zoo.example:8448/Ab-1") else {
            panic!("no media");
        };
        assert_eq!(media.path(), "zoo.example%3A8448/Ab-1");
        let message = Item::parse("matrix:roomid/abc:zoo.example/e/x%2Fy_z");
        let room = "!abc:zoo.example".to_owned();
        let event = "$x/y_z".to_owned();
        assert_eq!(message, Some(Item::Message(Message { room, event })));
    }

    #[test]
    fn an_id_that_would_ask_for_something_else_is_none() {
        for text in [
            "mxc://zoo.example",
            "mxc:///x",
            "mxc://zoo.example/",
            "mxc://zoo.example/../x",
            "mxc://../x",
            "mxc://zoo.example/a/b",
            "mxc://zoo.example/a b",
            "at://x/y",
            "matrix:roomid/abc",
            "matrix:roomid//e/x",
            "matrix:roomid/a/e/%2",
            "matrix:roomid/a/e/%ff",
            "matrix:u/alice:zoo.example",
        ] {
            assert_eq!(Item::parse(text), None, "{text}");
        }
    }
}
