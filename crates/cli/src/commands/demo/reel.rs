//! The clips of the demo: the reported one, copies of it, an edited re-upload, and unrelated ones.
//!
//! **Invariant:** where a clip comes from is said; generated ones are never passed off as real.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::exit::{Failure, OrEnvironment, environment, failed};

/// The published conformance set, beside the repository in which `make demo` runs.
const CONFORMANCE: &str = "../shared/conformance";
/// How much of a caller's own clip is played: ten nodes decode it and its copies some thirty times.
const EXCERPT_S: &str = "60";
/// The clip of the set that is reported.
const ORIGINAL: &str = "chair-orig-22-sd-bar.mp4";
/// An edited version of it, as it was published.
const REUPLOAD: &str = "chair-22-with-large-logo-bar.mp4";
/// Clips of other scenes.
const OTHERS: [&str; 3] =
    ["pattern-hd-no-bar.mp4", "doorknob-hd-no-bar.mp4", "pattern-sd-grey-bar.mp4"];
/// A Debian package with a real clip.
const PACKAGE: &str = "python3-imageio";
/// That clip.
const PACKAGED: &str = "cockatoo.mp4";
/// How each of the three copies is re-encoded and resized.
const COPIES: [&[&str]; 3] = [
    &["-vf", "scale=trunc(iw*0.75/2)*2:-2", "-c:v", "libx264", "-preset", "veryfast", "-crf", "30"],
    &["-vf", "scale=trunc(iw*0.5/2)*2:-2", "-c:v", "libx264", "-preset", "veryfast", "-crf", "26"],
    &["-vf", "scale=trunc(iw*0.9/2)*2:-2", "-c:v", "mpeg4", "-q:v", "9"],
];
/// How the re-upload is edited where none was published: a logo in the corner, smaller, re-encoded.
const EDIT: &[&str] = &[
    "-vf",
    "drawbox=x=iw*0.86:y=ih*0.86:w=iw*0.12:h=ih*0.10:color=white:t=fill,scale=trunc(iw*0.6/2)*2:-2",
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-crf",
    "32",
];
/// How much of the reported clip is spliced into another one, and how much of that goes before and after.
const SPLICED_S: &str = "5";
const BEFORE_S: &str = "30";
const AFTER_S: &str = "25";
/// What ffmpeg draws where there is no other clip.
const DRAWN: [(&str, &str); 3] = [
    ("mandelbrot.mp4", "mandelbrot=size=640x360:rate=25"),
    (
        "life.mp4",
        "life=size=320x180:rate=12:mold=10:ratio=0.2:death_color=#C83232:life_color=#00ff00,scale=640:360",
    ),
    ("testsrc.mp4", "testsrc2=size=640x360:rate=25"),
];

/// The clips.
#[derive(Debug, Clone)]
pub(super) struct Reel {
    /// The clip that is reported.
    pub original: PathBuf,
    /// An edited version that is uploaded again afterwards.
    pub reupload: PathBuf,
    /// Re-encoded, resized copies that three members hold.
    pub copies: Vec<PathBuf>,
    /// At most five seconds of the clip inside a minute of an unrelated one.
    pub splice: PathBuf,
    /// Clips that have nothing to do with it; at least one.
    pub unrelated: Vec<PathBuf>,
    /// Where all this comes from, for people.
    pub source: String,
}

/// What the caller asks for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// A clip of the caller's own.
    pub media: Option<PathBuf>,
    /// The folder of the conformance set.
    pub conformance: Option<PathBuf>,
}

/// Finds or makes the clips; new files go into `place`.
pub(super) async fn choose(wanted: &Wanted, place: &Path) -> Result<Reel, Failure> {
    fs::create_dir_all(place)?;
    ffmpeg(["-version"]).await?;
    let published = conformance(wanted.conformance.as_deref())?;
    let make = Making { place, published: published.as_deref() };
    if let Some(own) = &wanted.media {
        let own = own.canonicalize().or_environment(own.display())?;
        let clip = excerpt(&own, place).await?;
        let which = if clip == own { "" } else { "the first minute of " };
        let source = format!("{which}{}; its edited versions are made by ffmpeg", own.display());
        return make.edited(clip, source).await;
    }
    if let Some(reel) = make.published().await? {
        return Ok(reel);
    }
    if let Some(clip) = packaged(place).await {
        let source = format!(
            "{PACKAGED} of the Debian package {PACKAGE}; its edited versions are made by ffmpeg"
        );
        return make.edited(clip, source).await;
    }
    let clip = drawn(0, place).await?;
    let source = "no real clip was found (--media FILE takes one of yours): all clips are GENERATED \
                  by ffmpeg";
    make.edited(clip, source.to_owned()).await
}

/// Where clips are made, and what is there already.
struct Making<'a> {
    place: &'a Path,
    published: Option<&'a Path>,
}

impl Making<'_> {
    /// The conformance set: one scene in several published edits, and two other scenes.
    async fn published(&self) -> Result<Option<Reel>, Failure> {
        let Some(folder) = self.published else { return Ok(None) };
        let original = folder.join(ORIGINAL);
        let reupload = folder.join(REUPLOAD);
        let unrelated = self.others();
        if !original.is_file() || !reupload.is_file() || unrelated.is_empty() {
            return Ok(None);
        }
        let copies = copies(&original, self.place).await?;
        let splice = spliced(&original, &unrelated[0], self.place).await?;
        let source = format!(
            "{} (published with facebook/ThreatExchange); the held copies are re-encoded by ffmpeg",
            folder.display()
        );
        Ok(Some(Reel { original, reupload, copies, splice, unrelated, source }))
    }

    /// Published clips of other scenes.
    fn others(&self) -> Vec<PathBuf> {
        let clips =
            self.published.into_iter().flat_map(|folder| OTHERS.map(|name| folder.join(name)));
        clips.filter(|clip| clip.is_file()).collect()
    }

    /// A reel around one clip: its edits by ffmpeg, and unrelated clips, published or drawn.
    async fn edited(&self, original: PathBuf, source: String) -> Result<Reel, Failure> {
        let reupload = self.place.join("edited.mp4");
        transcode(&original, EDIT, &reupload).await?;
        let copies = copies(&original, self.place).await?;
        let mut unrelated = self.others();
        let mut source = source;
        if unrelated.is_empty() {
            unrelated = vec![drawn(1, self.place).await?, drawn(2, self.place).await?];
            source.push_str("; the unrelated clips are GENERATED by ffmpeg");
        }
        let splice = spliced(&original, &unrelated[0], self.place).await?;
        Ok(Reel { original, reupload, copies, splice, unrelated, source })
    }
}

/// The folder of the conformance set's videos: where the caller says, else where `make demo` finds it, if it is there.
fn conformance(named: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let videos = |place: &Path| place.join("vpdq/videos").canonicalize();
    match named {
        Some(place) => Ok(Some(videos(place).or_environment(place.display())?)),
        None => Ok(videos(Path::new(CONFORMANCE)).ok()),
    }
}

/// The beginning of a clip that is longer than the demo plays, else the clip itself.
async fn excerpt(clip: &Path, place: &Path) -> Result<PathBuf, Failure> {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(clip);
    let told = probe.output().await.or_environment("ffprobe")?;
    let seconds: Option<f64> = String::from_utf8_lossy(&told.stdout).trim().parse().ok();
    let most: f64 = EXCERPT_S.parse()?;
    if seconds.is_none_or(|seconds| seconds <= most) {
        return Ok(clip.to_path_buf());
    }
    let part = place.join("excerpt.mkv");
    let (from, to) = (clip.to_string_lossy(), part.to_string_lossy());
    let cut = ["-y", "-i", &from, "-t", EXCERPT_S, "-map", "0:V:0", "-c", "copy", &to];
    ffmpeg(cut).await?;
    Ok(part)
}

/// Unpacks the clip from its Debian package, without installing it.
async fn packaged(place: &Path) -> Option<PathBuf> {
    let folder = place.join("package");
    fs::create_dir_all(&folder).ok()?;
    let mut download = Command::new("apt-get");
    download.args(["-qq", "download", PACKAGE]).current_dir(&folder);
    run(&mut download).await.ok()?;
    let archive =
        files(&folder).into_iter().find(|path| path.extension() == Some(OsStr::new("deb")))?;
    let mut unpack = Command::new("dpkg-deb");
    unpack.arg("-x").arg(archive).arg(&folder);
    run(&mut unpack).await.ok()?;
    files(&folder).into_iter().find(|path| path.file_name() == Some(OsStr::new(PACKAGED)))
}

/// All files under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let entries = entries.filter_map(|entry| Some(entry.ok()?.path()));
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

async fn copies(original: &Path, place: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut copies = Vec::new();
    for (number, arguments) in COPIES.iter().enumerate() {
        let copy = place.join(format!("copy-{}.mp4", number + 1));
        transcode(original, arguments, &copy).await?;
        copies.push(copy);
    }
    Ok(copies)
}

/// The beginning of a clip, inside a minute of another one, which is played again and again for that.
async fn spliced(clip: &Path, other: &Path, place: &Path) -> Result<PathBuf, Failure> {
    let splice = place.join("splice.mp4");
    let (clip, other) = (clip.to_string_lossy(), other.to_string_lossy());
    let alike = |number: u32| format!("[{number}:v]scale=640:360,setsar=1,fps=25[v{number}];");
    let joined = (0..3).map(alike).collect::<String>() + "[v0][v1][v2]concat=n=3:v=1:a=0";
    let mut all = vec!["-y", "-stream_loop", "-1", "-t", BEFORE_S, "-i", &other];
    all.extend(["-t", SPLICED_S, "-i", &clip]);
    all.extend(["-stream_loop", "-1", "-t", AFTER_S, "-i", &other, "-filter_complex", &joined]);
    let out = splice.to_string_lossy();
    all.extend(["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p"]);
    all.push(&out);
    ffmpeg(all).await?;
    Ok(splice)
}

async fn drawn(number: usize, place: &Path) -> Result<PathBuf, Failure> {
    let (name, picture) = DRAWN[number];
    let clip = place.join(name);
    let out = clip.to_string_lossy().into_owned();
    let input = ["-y", "-f", "lavfi", "-i", picture, "-t", "8", "-pix_fmt", "yuv420p", &out];
    ffmpeg(input).await?;
    Ok(clip)
}

async fn transcode(from: &Path, arguments: &[&str], to: &Path) -> Result<(), Failure> {
    let (from, to) = (from.to_string_lossy(), to.to_string_lossy());
    let mut all = vec!["-y", "-i", &from, "-an", "-pix_fmt", "yuv420p"];
    all.extend(arguments);
    all.push(&to);
    ffmpeg(all).await
}

async fn ffmpeg<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<(), Failure> {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "error"]).args(arguments);
    run(&mut command).await
}

/// Runs a program to its end; its words become the error.
async fn run(command: &mut Command) -> Result<(), Failure> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let output = match command.kill_on_drop(true).output().await {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(environment(format!("{name} is not installed: apt-get install {name}")));
        }
        Err(error) => return Err(error.into()),
    };
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(format!("{name} failed: {}", words.lines().last().unwrap_or_default())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_clip_the_first_minute_is_played() {
        let place = tempfile::tempdir().unwrap();
        let seconds = |clip: &Path| {
            let mut probe = std::process::Command::new("ffprobe");
            probe.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]);
            let told = probe.arg(clip).output().unwrap().stdout;
            String::from_utf8(told).unwrap().trim().parse::<f64>().unwrap()
        };
        for (length, plays) in [(5, 5.0), (90, 60.0)] {
            let clip = place.path().join(format!("{length}.mp4"));
            let picture = format!("testsrc2=size=64x64:rate=10:duration={length}");
            let played = crate::runtime::block_on(async {
                let out = clip.to_string_lossy();
                ffmpeg(["-f", "lavfi", "-i", &picture, &out]).await?;
                excerpt(&clip, place.path()).await
            });
            let played = played.unwrap().unwrap();
            assert!((seconds(&played) - plays).abs() < 1.0, "{}", played.display());
            assert_eq!(played == clip, length == 5);
        }
    }
}
