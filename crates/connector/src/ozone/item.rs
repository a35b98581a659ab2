//! Reads the two kinds of items of an atproto network: records and accounts.

/// What an order can be about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// `at://DID/COLLECTION/RKEY`.
    Record { did: &'a str, collection: &'a str, rkey: &'a str },
    /// `at://DID`.
    Account { did: &'a str },
}

impl<'a> Item<'a> {
    /// Reads an item's id; nothing when it is none of atproto. A handle is no name for an account: it
    /// can belong to somebody else tomorrow.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.strip_prefix("at://")?.split('/');
        let did = parts.next().filter(|did| did.starts_with("did:") && is_name(did))?;
        let Some(collection) = parts.next() else { return Some(Item::Account { did }) };
        let rkey = parts.next()?;
        let whole = is_name(collection) && is_name(rkey) && parts.next().is_none();
        whole.then_some(Item::Record { did, collection, rkey })
    }

    /// The item's subject, as Ozone's queries name it.
    pub(super) fn uri(&self) -> String {
        match self {
            Item::Record { did, collection, rkey } => format!("at://{did}/{collection}/{rkey}"),
            Item::Account { did } => (*did).to_owned(),
        }
    }
}

/// The characters of DIDs, names of collections and keys of records.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:~-%".contains(&byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn records_and_accounts_are_told_apart() {
        let record = "at://did:plc:abc/app.bsky.feed.post/3k";
        let (did, collection, rkey) = ("did:plc:abc", "app.bsky.feed.post", "3k");
        assert_eq!(Item::parse(record), Some(Item::Record { did, collection, rkey }));
        assert_eq!(Item::parse(record).unwrap().uri(), record);
        assert_eq!(Item::parse("at://did:plc:abc"), Some(Item::Account { did }));
        assert_eq!(Item::parse("at://did:plc:abc").unwrap().uri(), did);
    }

    #[test]
    fn an_id_that_would_ask_for_something_else_is_none() {
        for text in [
            "at://",
            "at://alice.test/app.bsky.feed.post/3k",
            "at://did:plc:abc/",
            "at://did:plc:abc/x",
            "at://did:plc:abc/x/",
            "at://did:plc:abc/x/y/z",
            "at://did:plc:abc/x/y?z",
            "did:plc:abc",
            "at://did:plc:abc/x y/z",
            "mxc://h/m",
        ] {
            assert_eq!(Item::parse(text), None, "{text}");
        }
    }
}
