//! Takes CBOR apart and writes it again in ways that mean the same and must be refused.

/// A data item of the subset that records use.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Uint(u64),
    Bytes(Vec<u8>),
    Text(String),
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Bool(bool),
}

/// One way to write an item that is not the deterministic one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Twist {
    /// An integer or length in a longer form than it needs.
    LongHead,
    /// An array, map or string of indefinite length.
    Indefinite,
    /// A tag before the item.
    Tag,
    /// The last two entries of a map the other way round.
    Swap,
    /// The last entry of a map twice.
    Twice,
    /// An entry with a key that nobody knows.
    Unknown,
    /// An integer as a float.
    Float,
    /// An integer as a negative one.
    Negative,
    /// A letter with its accent as two characters.
    Decomposed,
    /// A length that no memory holds.
    Huge,
    /// `null`.
    Null,
}

pub(crate) const TWISTS: [Twist; 11] = [
    Twist::LongHead,
    Twist::Indefinite,
    Twist::Tag,
    Twist::Swap,
    Twist::Twice,
    Twist::Unknown,
    Twist::Float,
    Twist::Negative,
    Twist::Decomposed,
    Twist::Huge,
    Twist::Null,
];

/// Reads one item that is known to be well formed.
pub(crate) fn parse(bytes: &[u8]) -> Node {
    let (node, rest) = item(bytes);
    assert!(rest.is_empty());
    node
}

fn item(bytes: &[u8]) -> (Node, &[u8]) {
    let (major, low) = (bytes[0] >> 5, bytes[0] & 31);
    let wide = if low < 24 { 0 } else { 1 << (low - 24) };
    let (argument, mut rest) = bytes[1..].split_at(wide);
    let wider = argument.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let value = if low < 24 { u64::from(low) } else { wider };
    let length = usize::try_from(value).unwrap();
    let node = match major {
        0 => Node::Uint(value),
        2 | 3 => {
            let (string, after) = rest.split_at(length);
            rest = after;
            if major == 2 {
                Node::Bytes(string.to_vec())
            } else {
                Node::Text(String::from_utf8(string.to_vec()).unwrap())
            }
        }
        4 => Node::Array((0..length).map(|_| take(&mut rest)).collect()),
        5 => Node::Map((0..length).map(|_| (take(&mut rest), take(&mut rest))).collect()),
        7 => Node::Bool(bytes[0] == 0xf5),
        _ => panic!("not of the subset"),
    };
    (node, rest)
}

fn take(rest: &mut &[u8]) -> Node {
    let (node, after) = item(rest);
    *rest = after;
    node
}

/// Writes the item as it should be.
pub(crate) fn plain(node: &Node) -> Vec<u8> {
    let mut writer = Twister { site: usize::MAX, twist: Twist::Tag, done: false, bytes: vec![] };
    writer.write(node);
    writer.bytes
}

/// Writes the item once for every place and twist that goes with it.
pub(crate) fn twisted(node: &Node) -> Vec<(Twist, Vec<u8>)> {
    let mut all = Vec::new();
    for site in 0..count(node) {
        for twist in TWISTS {
            let mut writer = Twister { site, twist, done: false, bytes: vec![] };
            writer.write(node);
            if writer.done {
                all.push((twist, writer.bytes));
            }
        }
    }
    all
}

fn count(node: &Node) -> usize {
    1 + match node {
        Node::Array(items) => items.iter().map(count).sum(),
        Node::Map(entries) => entries.iter().map(|(k, v)| count(k) + count(v)).sum(),
        _ => 0,
    }
}

struct Twister {
    /// Items to pass before the one that is twisted.
    site: usize,
    twist: Twist,
    done: bool,
    bytes: Vec<u8>,
}

impl Twister {
    fn write(&mut self, node: &Node) {
        let here = self.site == 0;
        self.site = self.site.wrapping_sub(1);
        let twist = here.then_some(self.twist);
        match (node, twist) {
            (_, Some(Twist::Tag)) => self.bytes.push(0xc1),
            (_, Some(Twist::Null)) => return self.finish(&[0xf6]),
            (Node::Uint(_), Some(Twist::Float)) => {
                return self.finish(&[0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
            }
            (Node::Uint(value), Some(Twist::Negative)) => {
                self.done = true;
                return self.head(1, *value, false);
            }
            _ => {}
        }
        self.done |= twist == Some(Twist::Tag);
        match node {
            Node::Uint(value) => self.head(0, *value, twist == Some(Twist::LongHead)),
            Node::Bool(value) => self.bytes.push(if *value { 0xf5 } else { 0xf4 }),
            Node::Bytes(bytes) => self.string(2, bytes, twist),
            Node::Text(text) if twist == Some(Twist::Decomposed) => {
                self.done = true;
                self.string(3, format!("{text}e\u{301}").as_bytes(), None);
            }
            Node::Text(text) => self.string(3, text.as_bytes(), twist),
            Node::Array(items) => {
                self.open(4, items.len(), twist);
                items.iter().for_each(|item| self.write(item));
                self.close(twist);
            }
            Node::Map(entries) => self.map(entries, twist),
        }
    }

    fn map(&mut self, entries: &[(Node, Node)], twist: Option<Twist>) {
        let mut entries = entries.to_vec();
        let last = entries.len().saturating_sub(1);
        match twist {
            Some(Twist::Swap) if last >= 1 => {
                entries.swap(last - 1, last);
                self.done = true;
            }
            Some(Twist::Twice) if !entries.is_empty() => {
                entries.push(entries[last].clone());
                self.done = true;
            }
            Some(Twist::Unknown) => {
                entries.push((Node::Uint(99), Node::Uint(0)));
                self.done = true;
            }
            _ => {}
        }
        self.open(5, entries.len(), twist);
        for (key, value) in &entries {
            self.write(key);
            self.write(value);
        }
        self.close(twist);
    }

    fn string(&mut self, major: u8, bytes: &[u8], twist: Option<Twist>) {
        if twist == Some(Twist::Indefinite) {
            self.bytes.push(major << 5 | 31);
        }
        let length = if twist == Some(Twist::Huge) { u64::MAX } else { bytes.len() as u64 };
        self.done |= twist == Some(Twist::Huge);
        self.head(major, length, twist == Some(Twist::LongHead));
        self.bytes.extend_from_slice(bytes);
        self.close(twist);
    }

    fn open(&mut self, major: u8, length: usize, twist: Option<Twist>) {
        match twist {
            Some(Twist::Indefinite) => self.bytes.push(major << 5 | 31),
            Some(Twist::Huge) => {
                self.done = true;
                self.head(major, u64::MAX, false);
            }
            _ => self.head(major, length as u64, twist == Some(Twist::LongHead)),
        }
    }

    fn close(&mut self, twist: Option<Twist>) {
        if twist == Some(Twist::Indefinite) {
            self.finish(&[0xff]);
        }
    }

    fn finish(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.done = true;
    }

    /// Writes a head, in the next longer form if asked and there is one.
    fn head(&mut self, major: u8, value: u64, longer: bool) {
        let bytes = value.to_be_bytes();
        let needed = match value {
            0..=23 => 0,
            24..=0xff => 1,
            0x100..=0xffff => 2,
            0x1_0000..=0xffff_ffff => 4,
            _ => 8,
        };
        let wide = if !longer { needed } else { (needed * 2).clamp(1, 8) };
        self.done |= longer && wide != needed;
        let low = match wide {
            0 => bytes[7],
            1 => 24,
            2 => 25,
            4 => 26,
            _ => 27,
        };
        self.bytes.push(major << 5 | low);
        self.bytes.extend_from_slice(&bytes[8 - wide..]);
    }
}
