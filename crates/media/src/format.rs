//! Tells from a file's first bytes what it is; names and declared types are not believed.

/// A kind of file that can be hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A picture, which may move; decoded in this process.
    Picture(PictureFormat),
    /// A video, or sound in a container of videos; decoded in a sandboxed child.
    Video(Container),
    /// Sound alone, decoded in a sandboxed child.
    Sound(Container),
}

/// Formats of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the formats' own")]
pub enum PictureFormat {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
}

/// Containers of video and sound.
///
/// Playlists and scripts, with which a demuxer could be told to open other files, are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the formats' own")]
pub enum Container {
    /// MP4, QuickTime, 3GP and relatives.
    Mp4,
    /// Matroska and WebM.
    Matroska,
    Avi,
    Flv,
    MpegPs,
    MpegTs,
    Ogg,
    Asf,
    Wav,
    Mp3,
    Aac,
    Flac,
}

impl Container {
    /// The name of ffmpeg's demuxer for it.
    #[must_use]
    pub fn demuxer(self) -> &'static str {
        match self {
            Self::Mp4 => "mov",
            Self::Matroska => "matroska",
            Self::Avi => "avi",
            Self::Flv => "flv",
            Self::MpegPs => "mpeg",
            Self::MpegTs => "mpegts",
            Self::Ogg => "ogg",
            Self::Asf => "asf",
            Self::Wav => "wav",
            Self::Mp3 => "mp3",
            Self::Aac => "aac",
            Self::Flac => "flac",
        }
    }
}

/// The length of a packet of an MPEG transport stream, each of which starts with [`TS_SYNC`].
const TS_PACKET: usize = 188;
const TS_SYNC: u8 = 0x47;

/// Boxes with which a file of the MP4 family starts, at byte 4.
const MP4_BOXES: [&[u8]; 6] = [b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"];

/// Brands of still pictures that share the container of MP4; nothing here decodes them yet.
const STILL_BRANDS: [&[u8]; 6] = [b"heic", b"heix", b"mif1", b"msf1", b"avif", b"jxl "];

/// Tells what the bytes are; `None` if they are nothing that can be hashed.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<Format> {
    let video = || container(bytes).map(Format::Video);
    picture(bytes).map(Format::Picture).or_else(video).or_else(|| sound(bytes).map(Format::Sound))
}

/// Whether the bytes are a text as people write it: UTF-8 without control characters but those that
/// separate lines and columns.
#[must_use]
pub fn is_text(bytes: &[u8]) -> bool {
    let fits = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|text| !text.is_empty() && text.chars().all(fits))
}

fn picture(bytes: &[u8]) -> Option<PictureFormat> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some(PictureFormat::Jpeg),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(PictureFormat::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => {
            Some(PictureFormat::WebP)
        }
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(PictureFormat::Gif),
        // Two letters are little: the reserved words behind them must be zero as well.
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(PictureFormat::Bmp),
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Some(PictureFormat::Tiff),
        _ => None,
    }
}

fn container(bytes: &[u8]) -> Option<Container> {
    let at = |offset: usize, magic: &[u8]| {
        bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    if MP4_BOXES.iter().any(|name| at(4, name)) {
        let still = at(4, b"ftyp") && STILL_BRANDS.iter().any(|brand| at(8, brand));
        return (!still).then_some(Container::Mp4);
    }
    if at(0, &[0x1a, 0x45, 0xdf, 0xa3]) {
        return Some(Container::Matroska);
    }
    if at(0, b"RIFF") && at(8, b"AVI ") {
        return Some(Container::Avi);
    }
    if at(0, b"FLV\x01") {
        return Some(Container::Flv);
    }
    if at(0, &[0, 0, 1, 0xba]) {
        return Some(Container::MpegPs);
    }
    if at(0, b"OggS\0") {
        return Some(Container::Ogg);
    }
    if at(0, &[0x30, 0x26, 0xb2, 0x75, 0x8e, 0x66, 0xcf, 0x11]) {
        return Some(Container::Asf);
    }
    let packets = [0, 1, 2].map(|packet| bytes.get(packet * TS_PACKET));
    packets.iter().all(|first| *first == Some(&TS_SYNC)).then_some(Container::MpegTs)
}

fn sound(bytes: &[u8]) -> Option<Container> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some(Container::Wav),
        [b'f', b'L', b'a', b'C', ..] => Some(Container::Flac),
        [b'I', b'D', b'3', ..] => Some(Container::Mp3),
        // A frame's sync, then version, layer, and a bit rate and sample rate that exist.
        [0xff, second, third, ..] if second & 0xe0 == 0xe0 => match second & 0x06 {
            0 if second & 0xf0 == 0xf0 => Some(Container::Aac),
            0 => None,
            _ => (third & 0xf0 != 0xf0 && third & 0x0c != 0x0c).then_some(Container::Mp3),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide() {
        let cases: [(&[u8], Option<Format>); 11] = [
            (b"RIFF\0\0\0\0WAVEfmt ", Some(Format::Sound(Container::Wav))),
            (b"\xff\xfb\x90\x64", Some(Format::Sound(Container::Mp3))),
            (b"\xff\xff\xff\xff", None),
            (b"\xff\xd8\xff\xe0", Some(Format::Picture(PictureFormat::Jpeg))),
            (b"RIFF\0\0\0\0WEBPVP8 ", Some(Format::Picture(PictureFormat::WebP))),
            (b"RIFF\0\0\0\0AVI LIST", Some(Format::Video(Container::Avi))),
            (b"\0\0\0\x20ftypisom", Some(Format::Video(Container::Mp4))),
            (b"\0\0\0\x20ftypheic", None),
            (b"#EXTM3U\nfile:///etc/passwd", None),
            (b"BMnot a bitmap", None),
            (b"", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(sniff(bytes), expected, "{bytes:?}");
        }
    }
}
