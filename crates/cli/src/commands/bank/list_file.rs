//! Reads lists of signals from files, in the forms that the field's tools write.
//!
//! **Invariant:** a line is bounded before it is held, and what is wrong is named by file and line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Seek, Write},
    path::Path,
};

use clap::ValueEnum;
use watchfire_api::wire::{BankContentRequest, SignalJson};
use watchfire_signal::{
    link::{LinkPrint, LinkScope},
    value::{Kind, Signal, Value},
};

use crate::exit::{Failure, OrEnvironment, environment, failed};

/// The longest line; that of a node (`line_bytes`).
const MAX_LINE_BYTES: usize = 512 << 10;
/// The longest note of a content, in characters; file names are cut to it.
const MAX_NOTE_CHARS: usize = 255;
/// The most columns of a line of CSV; `tx dataset` writes five.
const MAX_COLUMNS: usize = 64;
/// What `tx dataset --csv` calls its columns.
const TX_COLUMNS: [&str; 5] = ["collab", "signal_type", "signal_str", "category", "tags"];

/// What is no text is mostly a picture that somebody wants in a bank.
const NO_LIST: &str = "the line is not UTF-8: lists are expected; for pictures and videos: \
                       watchfire hash FILE | watchfire bank add BANK -";

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A signal or a content a line, as JSON.
    Ndjson,
    /// A signal a line: KIND VALUE QUALITY NAME, or VALUE.
    Lines,
    /// The CSV of `tx dataset -P --csv`.
    Csv,
}

/// A file with a list.
pub(super) struct ListFile {
    name: String,
    file: File,
    reader: LineReader,
}

/// What a line is turned into: a content, or nothing where it is left out.
type Line = Result<Option<BankContentRequest>, Failure>;

impl ListFile {
    /// Opens a list. Standard input is copied first, since a list is read twice.
    pub(super) fn open(
        path: &Path,
        format: Option<Format>,
        kind: Option<Kind>,
        skip_other_kinds: bool,
    ) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = if path == Path::new("-") {
            let mut copy = tempfile::tempfile()?;
            io::copy(&mut io::stdin().lock(), &mut copy)?;
            copy.flush()?;
            copy
        } else {
            File::open(path).or_environment(&name)?
        };
        let format = format.unwrap_or_else(|| format_of(path));
        if kind.is_some_and(|kind| !kind.is_listed()) {
            return Err(environment("--kind is one of sha256, md5, pdq, vpdq, text and url"));
        }
        Ok(Self { name, file, reader: LineReader { format, kind, skip_other_kinds } })
    }

    /// Reads all of it; answers how many contents there are, and how many lines are left out.
    pub(super) fn check(&self) -> Result<(u64, u64), Failure> {
        let (mut contents, mut skipped) = (0, 0);
        for content in self.contents()? {
            if content?.is_some() { contents += 1 } else { skipped += 1 }
        }
        Ok((contents, skipped))
    }

    /// The contents from the beginning.
    pub(super) fn contents(&self) -> Result<impl Iterator<Item = Line>, Failure> {
        (&self.file).seek(io::SeekFrom::Start(0))?;
        let mut lines = BufReader::with_capacity(1 << 16, &self.file);
        let (mut number, mut columns) = (0_u64, None);
        let mut buffer = Vec::new();
        Ok(std::iter::from_fn(move || {
            loop {
                number += 1;
                let line = match next_line(&mut lines, &mut buffer) {
                    Ok(Some(line)) => line,
                    Ok(None) => return None,
                    Err(error) => return Some(Err(self.wrong(number, &error))),
                };
                if line.is_empty() {
                    continue;
                }
                match self.reader.read(line, &mut columns) {
                    // The first line of CSV names its columns.
                    Ok(Read::Header) => {}
                    Ok(Read::Other) => return Some(Ok(None)),
                    Ok(Read::Content(content)) => return Some(Ok(Some(*content))),
                    Err(error) => return Some(Err(self.wrong(number, &error))),
                }
            }
        }))
    }

    fn wrong(&self, number: u64, error: &str) -> Failure {
        failed(format!("{}:{number}: {error}", self.name))
    }
}

fn format_of(path: &Path) -> Format {
    let extension = path.extension().map(|text| text.to_ascii_lowercase());
    match extension.as_ref().and_then(|text| text.to_str()) {
        Some("ndjson" | "jsonl" | "json") => Format::Ndjson,
        Some("csv") => Format::Csv,
        _ => Format::Lines,
    }
}

/// The next line without its end and without blanks around it.
fn next_line<'b>(
    lines: &mut impl BufRead,
    buffer: &'b mut Vec<u8>,
) -> Result<Option<&'b str>, String> {
    buffer.clear();
    let most = MAX_LINE_BYTES as u64 + 1;
    let read =
        io::Read::take(lines, most).read_until(b'\n', buffer).map_err(|error| error.to_string())?;
    if read == 0 {
        return Ok(None);
    }
    if buffer.len() > MAX_LINE_BYTES {
        return Err(format!("the line is longer than {MAX_LINE_BYTES} bytes"));
    }
    let text = std::str::from_utf8(buffer).map_err(|_| NO_LIST.to_owned())?;
    Ok(Some(text.trim_start_matches('\u{feff}').trim()))
}

/// What a line is.
enum Read {
    Header,
    Other,
    Content(Box<BankContentRequest>),
}

/// Where in a line of CSV the things stand that count.
struct Columns {
    kind: usize,
    value: usize,
    collab: Option<usize>,
    category: Option<usize>,
    tags: Option<usize>,
}

struct LineReader {
    format: Format,
    kind: Option<Kind>,
    skip_other_kinds: bool,
}

impl LineReader {
    fn read(&self, line: &str, columns: &mut Option<Columns>) -> Result<Read, String> {
        let content = match self.format {
            Format::Ndjson => {
                BankContentRequest::read_line(line.as_bytes()).map_err(|error| error.to_string())?
            }
            Format::Lines => self.signal(line)?,
            Format::Csv => {
                let fields = fields(line)?;
                let Some(columns) = columns else {
                    *columns = Some(header(&fields)?);
                    return Ok(Read::Header);
                };
                let field = |place: usize| fields.get(place).map(String::as_str);
                let (Some(kind), Some(value)) = (field(columns.kind), field(columns.value)) else {
                    return Err("a line with too few columns".to_owned());
                };
                let Some(kind) = kind_of(kind) else { return self.other(kind) };
                let signal = SignalJson {
                    kind,
                    value: print_of(kind, value)?,
                    quality: None,
                    span: None,
                    rule: None,
                };
                let mut content = BankContentRequest::from(signal);
                let said = [
                    ("collab", columns.collab),
                    ("category", columns.category),
                    ("tags", columns.tags),
                ];
                for (name, place) in said {
                    let text = place.and_then(field).filter(|text| !text.is_empty());
                    content.metadata.extend(text.map(|text| (name.to_owned(), text.into())));
                }
                content
            }
        };
        if let Some(signal) = content.signals.iter().find(|signal| !signal.kind.is_listed()) {
            return self.other(signal.kind.as_str());
        }
        if content.signals.is_empty() {
            return Err("a content without a signal".to_owned());
        }
        for signal in &content.signals {
            Signal::try_from(signal).map_err(|error| error.to_string())?;
        }
        Ok(Read::Content(Box::new(content)))
    }

    fn other(&self, kind: &str) -> Result<Read, String> {
        if self.skip_other_kinds {
            return Ok(Read::Other);
        }
        let kind: String = kind.chars().take(40).collect();
        Err(format!(
            "signals of the kind {kind:?} are not matched here; --skip-other-kinds leaves them out"
        ))
    }

    /// `KIND VALUE QUALITY NAME` as `watchfire hash` prints it, the last two as may be; or `VALUE` of the
    /// kind that was said.
    fn signal(&self, line: &str) -> Result<BankContentRequest, String> {
        let (first, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let (kind, rest) = match (kind_of(first), self.kind) {
            (Some(kind), _) if !rest.is_empty() => (kind, rest.trim_start()),
            (_, Some(kind)) => (kind, line),
            _ => return Err("a line is KIND VALUE, or VALUE with --kind".to_owned()),
        };
        // A vPDQ in JSON may have blanks in it.
        let end = if rest.starts_with('[') { rest.find(']').map(|end| end + 1) } else { None };
        let end = end.or_else(|| rest.find(char::is_whitespace)).unwrap_or(rest.len());
        let (value, rest) = rest.split_at(end);
        let (quality, name) = rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        // Exact hashes have a dash for a quality; that of a video stands with its frames.
        let quality = Some(quality).filter(|word| !matches!(*word, "" | "-"));
        let quality = quality.map(str::parse).transpose();
        let quality = quality.map_err(|_| "a quality is 0 to 100".to_owned())?;
        let quality = quality.filter(|_| kind != Kind::Vpdq);
        let value = print_of(kind, value)?;
        let signal = SignalJson { kind, value, quality, span: None, rule: None };
        let note = name.trim().chars().take(MAX_NOTE_CHARS).collect();
        Ok(BankContentRequest { note, ..signal.into() })
    }
}

/// The value of a signal in its text form: other lists have links as they are, and the link itself is
/// meant.
fn print_of(kind: Kind, value: &str) -> Result<String, String> {
    if kind != Kind::Url || !value.contains("://") {
        return Ok(value.to_owned());
    }
    let print = LinkPrint::named(value, LinkScope::Exact).map_err(|error| error.to_string())?;
    Ok(Value::Url(print).to_text())
}

/// A kind by our name for it, or by that of python-threatexchange.
fn kind_of(text: &str) -> Option<Kind> {
    match text {
        "video_md5" => Some(Kind::Md5),
        _ => text.parse::<Kind>().ok().filter(|kind| kind.is_listed()),
    }
}

fn header(fields: &[String]) -> Result<Columns, String> {
    let place = |name: &str| fields.iter().position(|field| field == name);
    let need = |name: &str| {
        let columns = TX_COLUMNS.join(",");
        place(name).ok_or_else(|| format!("no column {name}; `tx dataset --csv` writes {columns}"))
    };
    Ok(Columns {
        kind: need("signal_type")?,
        value: need("signal_str")?,
        collab: place("collab"),
        category: place("category"),
        tags: place("tags"),
    })
}

/// The fields of a line of CSV (RFC 4180); a field never goes over the end of a line here.
fn fields(line: &str) -> Result<Vec<String>, String> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        if fields.len() == MAX_COLUMNS {
            return Err(format!("a line has at most {MAX_COLUMNS} columns"));
        }
        let (field, after) = field(rest)?;
        fields.push(field);
        match after {
            None => return Ok(fields),
            Some(after) => rest = after,
        }
    }
}

/// The first field, and what stands after its comma.
fn field(text: &str) -> Result<(String, Option<&str>), String> {
    let Some(mut quoted) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((field, rest)) => (field.to_owned(), Some(rest)),
            None => (text.to_owned(), None),
        });
    };
    let mut field = String::new();
    loop {
        let (part, rest) = quoted.split_once('"').ok_or("a quoted field that does not end")?;
        field.push_str(part);
        if let Some(after) = rest.strip_prefix('"') {
            field.push('"');
            quoted = after;
        } else if rest.is_empty() {
            return Ok((field, None));
        } else {
            let after = rest.strip_prefix(',').ok_or("something stands behind a quoted field")?;
            return Ok((field, Some(after)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    fn read(text: &[u8], format: Format, kind: Option<Kind>) -> Result<Vec<String>, String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let reader = LineReader { format, kind, skip_other_kinds: false };
        let list = ListFile { name: "list".to_owned(), file, reader };
        let contents = list.contents().unwrap().map(|content| match content {
            Ok(content) => Ok(content
                .unwrap()
                .signals
                .iter()
                .map(|s| s.kind.as_str())
                .collect::<Vec<_>>()
                .join(" ")),
            Err(failure) => Err(failure.to_string()),
        });
        contents.collect()
    }

    fn hex(length: usize) -> String {
        "a1".repeat(length / 2)
    }

    #[test]
    fn every_form_is_read() {
        let (long, short) = (hex(64), hex(32));
        let json = format!(
            "{{\"kind\":\"pdq\",\"value\":\"{long}\"}}\n\n{{\"signals\":[{{\"kind\":\"md5\",\"value\":\"{short}\"}},{{\"kind\":\"sha256\",\"value\":\"{long}\"}}],\"note\":\"n\"}}"
        );
        assert_eq!(read(json.as_bytes(), Format::Ndjson, None).unwrap(), ["pdq", "md5 sha256"]);
        let lines = format!(
            "pdq {long} 97\r\nsha256 {long} - my cat.png\nmd5 {short}\nvpdq [\"{long},100,0.0\", \"{long},99,1.0\"] 99 clip.mp4\n"
        );
        let read_lines = read(lines.as_bytes(), Format::Lines, None).unwrap();
        assert_eq!(read_lines, ["pdq", "sha256", "md5", "vpdq"]);
        let alone = format!("{short}\n{short}");
        assert_eq!(read(alone.as_bytes(), Format::Lines, Some(Kind::Md5)).unwrap(), ["md5", "md5"]);
        // As Python's csv module writes it.
        let csv = format!(
            "collab,signal_type,signal_str,category,tags\r\n\"Sample, Data\",pdq,{long},MALICIOUS_CONTENT,a b\r\nx,video_md5,{short},,\r\nx,vpdq,\"[\"\"{long},100,0.0\"\"]\",,\r\nx,url,https://example.com/a,,\r\n"
        );
        let read_csv = read(csv.as_bytes(), Format::Csv, None).unwrap();
        assert_eq!(read_csv, ["pdq", "md5", "vpdq", "url"]);
    }

    #[test]
    fn hostile_lists_are_refused_by_file_and_line() {
        let good = format!("pdq {}\n", hex(64));
        let head = "collab,signal_type,signal_str,category,tags\n";
        let long = "a".repeat(MAX_LINE_BYTES + 1);
        let cases: &[(Format, String, &str)] = &[
            (Format::Lines, format!("{good}{long}"), "list:2: the line is longer"),
            (Format::Lines, format!("{good}\npdq {}", hex(62)), "list:3: pdq: expected 64"),
            (Format::Lines, format!("{good}pdq {}", "G".repeat(64)), "list:2: pdq: character 0"),
            (Format::Lines, format!("{good}{}", hex(64)), "list:2: a line is KIND VALUE"),
            (Format::Lines, format!("pdq {} much", hex(64)), "list:1: a quality is 0 to 100"),
            (Format::Lines, format!("pdq {} 101", hex(64)), "list:1: a quality is 0 to 100"),
            (Format::Ndjson, "{\"kind\":\"pdq\"}".to_owned(), "list:1: missing field `value`"),
            (Format::Ndjson, "{\"signals\":[]}".to_owned(), "list:1: a content without"),
            (
                Format::Ndjson,
                "{\"signals\":[],\"nte\":1}".to_owned(),
                "list:1: unknown field `nte`",
            ),
            (Format::Ndjson, "[".repeat(100_000), "list:1: "),
            (
                Format::Csv,
                format!("{head}{}", "a,".repeat(250_000)),
                "list:2: a line has at most 64",
            ),
            (Format::Csv, format!("a,b\nc,{}", hex(64)), "list:1: no column signal_type"),
            (Format::Csv, format!("{head}x,raw_text,hello,,"), "list:2: signals of the kind"),
            (Format::Csv, format!("{head}x,pdq"), "list:2: a line with too few"),
            (Format::Csv, format!("{head}x,pdq,\"abc"), "list:2: a quoted field that"),
        ];
        for (format, text, expected) in cases {
            let error = read(text.as_bytes(), *format, None).unwrap_err();
            assert!(error.starts_with(expected), "{error:.200} instead of {expected}");
        }
        let error = read(b"\xff\xfe\n", Format::Lines, None).unwrap_err();
        assert!(error.starts_with("list:1: the line is not UTF-8: lists are expected"), "{error}");
    }
}
