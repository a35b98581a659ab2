//! The parts of a link, written in one way however it came.
//!
//! Source: the URL Standard (WHATWG) by the crate `url`; percent-encoding by RFC 3986, section 6.2.2.
//! **Invariant:** two links that lead a browser to the same page by scheme, case, port, dots, tracking
//! parameters, order of parameters or a part of the page have the same parts.

use url::{Host, Url, form_urlencoded};

use super::{LinkError, MAX_HOST_PLACES, MAX_LINK_BYTES, MAX_PATH_PLACES, extract};

/// What the host of many sites begins with beside its bare form.
const WWW: &str = "www.";
/// Ports that go without saying.
const STANDARD_PORTS: [u16; 2] = [80, 443];
/// Parameters that say where a visitor came from, not what the page is.
const TRACKING: [&str; 18] = [
    "_ga", "_gl", "dclid", "fbclid", "gbraid", "gclid", "gclsrc", "igsh", "igshid", "mc_cid",
    "mc_eid", "mkt_tok", "msclkid", "si", "ttclid", "twclid", "wbraid", "yclid",
];
/// What a whole family of such parameters begins with.
const TRACKING_FAMILY: &str = "utm_";

/// Hosts whose pages all stand behind the `#`, whatever it begins with.
const FRAGMENT_HOSTS: [&str; 1] = ["web.telegram.org"];
/// What begins a fragment that names a page: no heading of a page has an anchor that begins so.
const PAGE_MARKS: &str = "/!@";
/// Browsers look from here on for words on the page, and show no page of it.
const DIRECTIVE: &str = ":~:";

/// The parts of a link that count.
#[derive(Debug)]
pub(super) struct Parts {
    /// Lower case, punycode, without `www.` and without a dot at the end.
    host: String,
    /// `:8080` where a port is said and not standard.
    port: String,
    /// None empty, percent-encoded where it has to be.
    segments: Vec<String>,
    /// Parameters in order, encoded; empty where there are none.
    query: String,
    /// The segments of a fragment that names a page, encoded, none empty.
    fragment: Vec<String>,
    /// The parameters in such a fragment, as those of the link.
    fragment_query: String,
    is_name: bool,
}

impl Parts {
    pub(super) fn of(link: &str) -> Result<Self, LinkError> {
        if link.len() > MAX_LINK_BYTES {
            return Err(LinkError::TooLong(link.len()));
        }
        let link = link.trim();
        let url = match Url::parse(link) {
            // `example.com:8080/x` reads as a scheme of its own.
            Ok(url) if url.has_host() || !url.scheme().contains('.') => url,
            Err(error) if extract::has_scheme(link) => return Err(address(&error)),
            _ => Url::parse(&format!("https://{link}")).map_err(|error| address(&error))?,
        };
        if !["http", "https"].contains(&url.scheme()) {
            return Err(LinkError::Scheme(url.scheme().chars().take(32).collect()));
        }
        let host = url.host().ok_or_else(|| LinkError::Address("it has no host".to_owned()))?;
        let is_name = matches!(host, Host::Domain(_));
        let host = host.to_string();
        let bare = host.trim_end_matches('.');
        let bare = bare.strip_prefix(WWW).filter(|rest| rest.contains('.')).unwrap_or(bare);
        let port = url.port().filter(|port| !STANDARD_PORTS.contains(port));
        let segments = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty());
        let (fragment, fragment_query) = page(bare, url.fragment().unwrap_or_default());
        Ok(Self {
            host: bare.to_owned(),
            port: port.map(|port| format!(":{port}")).unwrap_or_default(),
            segments: segments.map(percent).collect(),
            query: query(url.query().unwrap_or_default()),
            fragment,
            fragment_query,
            is_name,
        })
    }

    /// The whole link.
    pub(super) fn whole(&self) -> String {
        let mut whole = self.prefix(self.segments.len());
        push_query(&mut whole, &self.query);
        if !(self.fragment.is_empty() && self.fragment_query.is_empty()) {
            whole.push('#');
            whole.push_str(&self.fragment.join("/"));
            push_query(&mut whole, &self.fragment_query);
        }
        whole
    }

    /// The link without its parameters.
    pub(super) fn path(&self) -> String {
        self.prefix(self.depth())
    }

    /// Segments of the path, and of a fragment that goes on with it.
    pub(super) fn depth(&self) -> usize {
        self.segments.len() + self.fragment.len()
    }

    /// The bare host and every beginning of the path, the longest first; of a very deep path the
    /// shortest ones.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = String> {
        (0..=self.depth().min(MAX_PATH_PLACES)).rev().map(|count| self.prefix(count))
    }

    fn prefix(&self, segments: usize) -> String {
        let mut prefix = format!("{}{}", self.host, self.port);
        let path = self.segments.iter().map(|segment| ('/', segment));
        let marks = std::iter::once('#').chain(std::iter::repeat('/'));
        for (mark, segment) in path.chain(marks.zip(&self.fragment)).take(segments) {
            prefix.push(mark);
            prefix.push_str(segment);
        }
        prefix
    }

    /// The host.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Whether strangers have names of their own under the host: `com`, `co.uk`, `github.io`.
    pub(super) fn is_public(&self) -> bool {
        self.is_name && (!self.host.contains('.') || watchfire_suffix::is_public(&self.host))
    }

    /// The host, and the names above it of at least two parts; of very many the shortest ones. No public
    /// suffix is one of them.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &str> {
        let dots = self.host.match_indices('.').map(|(place, _)| &self.host[place + 1..]);
        let above: Vec<&str> = dots.filter(|name| self.is_name && name.contains('.')).collect();
        let skipped = above.len().saturating_sub(MAX_HOST_PLACES - 1);
        let hosts = std::iter::once(&*self.host).chain(above.into_iter().skip(skipped));
        hosts.filter(|host| !self.is_name || !watchfire_suffix::is_public(host))
    }
}

fn address(error: &url::ParseError) -> LinkError {
    LinkError::Address(error.to_string())
}

/// The segments and the parameters of a fragment that names a page; nothing of any other.
fn page(host: &str, fragment: &str) -> (Vec<String>, String) {
    let fragment = fragment.split_once(DIRECTIVE).map_or(fragment, |(before, _)| before);
    let beginning = decoded(fragment.as_bytes());
    let names = match beginning[..] {
        [mark, ..] if PAGE_MARKS.contains(char::from(mark)) => true,
        // Folders of a well-known file host: `#F!name!key`.
        [letter, b'!', ..] => letter.is_ascii_alphabetic(),
        _ => false,
    };
    if !names && !FRAGMENT_HOSTS.contains(&host) {
        return (Vec::new(), String::new());
    }
    let (path, parameters) = fragment.split_once('?').unwrap_or((fragment, ""));
    // `%21` is `!`: a site's first page is `#!/` as it is `#/`.
    let segments = path.split('/').map(encoded).filter(|part| !["", "%21"].contains(&&**part));
    (segments.collect(), query(parameters))
}

fn push_query(text: &mut String, query: &str) {
    if !query.is_empty() {
        text.push('?');
        text.push_str(query);
    }
}

/// The parameters that say what the page is, in order of their bytes, which need not be UTF-8.
fn query(parameters: &str) -> String {
    let pairs = parameters.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let pairs = pairs.map(|(name, value)| (form_bytes(name), form_bytes(value)));
    let mut pairs: Vec<_> = pairs.filter(|(name, _)| !is_tracking(name)).collect();
    pairs.sort();
    let mut query = String::new();
    for (name, value) in &pairs {
        if !query.is_empty() {
            query.push('&');
        }
        query.extend(form_urlencoded::byte_serialize(name));
        query.push('=');
        query.extend(form_urlencoded::byte_serialize(value));
    }
    query
}

/// What a name or a value of a form stands for.
fn form_bytes(text: &str) -> Vec<u8> {
    decoded(text.replace('+', " ").as_bytes())
}

fn is_tracking(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let family = name.starts_with(TRACKING_FAMILY.as_bytes());
    family || TRACKING.iter().any(|known| known.as_bytes() == name)
}

/// A segment in which only that is percent-encoded that has to be, in upper case.
fn percent(segment: &str) -> String {
    let bytes = segment.as_bytes();
    let mut normal = String::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let encoded = bytes.get(place + 1..place + 3).filter(|_| byte == b'%').and_then(hex);
        place += if encoded.is_some() { 3 } else { 1 };
        let byte = encoded.unwrap_or(byte);
        let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if plain || (encoded.is_none() && byte.is_ascii()) {
            normal.push(char::from(byte));
        } else {
            normal.push_str(&format!("%{byte:02X}"));
        }
    }
    normal
}

/// A segment of a fragment: scripts read it, and read `%3A` as `:`, so all but letters, digits and
/// `-._~` is percent-encoded.
fn encoded(segment: &str) -> String {
    let mut text = String::with_capacity(segment.len());
    for byte in decoded(segment.as_bytes()) {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The bytes that percent-encoded ones stand for.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let byte = after.get(..2).filter(|_| *first == b'%').and_then(hex);
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = digits else { return None };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}
