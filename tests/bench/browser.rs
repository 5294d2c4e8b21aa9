//! The page in a real browser: what a reader sees on a phone and on a desk, by day and by night.

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process_group};
use serde::Deserialize;
use wasmpool_bench::{Report, html};

use crate::sample;

/// Longer than a browser takes for one page on a busy machine. Only ever an upper bound.
const LONG: Duration = Duration::from_secs(60);
/// How much of the page is on the picture, in pixels.
const HEIGHT: u32 = 2800;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scheme {
    Light,
    Dark,
}

/// What `measure.js` found.
#[derive(Debug, Deserialize)]
struct Measured {
    width: u32,
    scroll_width: u32,
    background: Vec<f64>,
    /// Elements with a text of their own that can be seen.
    texts: usize,
    /// The text as it is rendered.
    text: String,
    /// Labels in each of the charts.
    labels: Vec<usize>,
    /// Labels of one chart that lie on each other.
    overlaps: Vec<String>,
    /// Labels that stick out of their chart.
    outside: Vec<String>,
    /// Texts with a contrast below 4.5.
    pale: Vec<String>,
    /// Bars and markers with a contrast below 3.
    faint_marks: Vec<String>,
}

#[test]
fn a_phone_shows_it_by_day() {
    check(&sample::report(), 360, Scheme::Light);
}

#[test]
fn a_phone_shows_it_by_night() {
    check(&sample::report(), 360, Scheme::Dark);
}

#[test]
fn a_desk_shows_it_by_day() {
    check(&sample::report(), 1280, Scheme::Light);
}

#[test]
fn a_desk_shows_it_by_night() {
    check(&sample::report(), 1280, Scheme::Dark);
}

#[test]
fn odd_names_do_not_break_it() {
    check(&sample::hostile(), 360, Scheme::Light);
    check(&sample::hostile(), 1280, Scheme::Dark);
}

/// That the page can be read at that width, by day or by night.
#[track_caller]
fn check(report: &Report, width: u32, scheme: Scheme) {
    let Some(browser) = BROWSER.as_deref() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (measured, picture) = look(browser, folder.path(), report, width, scheme);

    assert_eq!(measured.width, width);
    assert!(
        measured.scroll_width <= width,
        "the page is {} wide",
        measured.scroll_width
    );
    let nothing: [String; 0] = [];
    assert_eq!(measured.overlaps, nothing);
    assert_eq!(measured.outside, nothing);
    assert_eq!(measured.pale, nothing);
    assert_eq!(measured.faint_marks, nothing);
    let is_dark = measured.background.iter().sum::<f64>() < 3.0 * 64.0;
    assert_eq!(is_dark, scheme == Scheme::Dark, "{:?}", measured.background);

    for question in &report.questions {
        assert!(
            measured.text.contains(&question.title),
            "{}",
            question.title
        );
    }
    assert!(measured.texts > 100 && measured.labels.iter().sum::<usize>() > 50);
    assert!(measured.labels.iter().all(|labels| *labels > 1));

    // Painted, too: text and marks, on a background that is most of the picture.
    let background: Vec<u8> = measured.background.iter().map(|it| *it as u8).collect();
    let pixels = picture.len();
    let painted = picture
        .iter()
        .filter(|it| it[..] != background[..3])
        .count();
    assert!(
        painted * 20 > pixels,
        "{painted} of {pixels} pixels are painted"
    );
    let mut colours = picture;
    colours.sort_unstable();
    colours.dedup();
    assert!(colours.len() > 100, "{} colours", colours.len());
}

/// What the browser measures of the page, and the pixels of its picture.
///
/// The page is in a frame: a window cannot be as narrow as a phone, and the page itself, which
/// lets no script run, stays as it is.
fn look(
    browser: &Path,
    folder: &Path,
    report: &Report,
    width: u32,
    scheme: Scheme,
) -> (Measured, Vec<[u8; 3]>) {
    let frame = maud::html! {
        (maud::DOCTYPE)
        meta charset="utf-8";
        style {
            (maud::PreEscaped(format!(
                ":root {{ color-scheme: light dark }} body {{ margin: 0 }} \
                 iframe {{ display: block; border: 0; width: {width}px; height: {HEIGHT}px }} \
                 #measured {{ display: none }}"
            )))
        }
        iframe srcdoc=(html(report)) {}
        pre #measured {}
        script { (maud::PreEscaped(include_str!("measure.js"))) }
    };
    let (page, picture) = (folder.join("frame.html"), folder.join("picture.png"));
    fs::write(&page, frame.into_string()).unwrap();

    let mut screenshot = OsString::from("--screenshot=");
    screenshot.push(&picture);
    let mut profile = OsString::from("--user-data-dir=");
    profile.push(folder.join("profile"));
    let scheme = match scheme {
        Scheme::Dark => 0,
        Scheme::Light => 1,
    };
    let mut command = Command::new(browser);
    command
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--dump-dom",
        ])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        // The headless window has a bar of its own above the page.
        .arg(format!("--window-size={},{}", width.max(500), HEIGHT + 200))
        .args([screenshot, profile, page.into_os_string()]);
    let (dom, log) = Running::start(&mut command).output();

    let dom = scraper::Html::parse_document(&dom);
    let measured = dom
        .select(&scraper::Selector::parse("#measured").unwrap())
        .map(|it| it.text().collect::<String>())
        .find(|it| !it.is_empty())
        .unwrap_or_else(|| panic!("the browser measured nothing: {log}"));
    (
        serde_json::from_str(&measured).unwrap(),
        pixels(&picture, width),
    )
}

/// The part of the picture that shows the frame.
fn pixels(picture: &Path, width: u32) -> Vec<[u8; 3]> {
    let file = BufReader::new(fs::File::open(picture).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(info.bit_depth, png::BitDepth::Eight);
    let samples = info.color_type.samples();
    assert!(info.width >= width && info.height >= HEIGHT && samples >= 3);
    bytes
        .chunks_exact(info.line_size)
        .take(HEIGHT as usize)
        .flat_map(|line| line.chunks_exact(samples).take(width as usize))
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .collect()
}

/// A program with all that it starts, as one process group that ends with it.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// What it wrote to its output and to its log. Returns when the last of its processes is gone.
    fn output(mut self) -> (String, String) {
        let output = read(self.0.stdout.take().unwrap());
        let log = read(self.0.stderr.take().unwrap());
        let deadline = Instant::now() + LONG;
        // Each process of the group has the streams open until it ends.
        let [output, log] = [output, log].map(|stream| {
            stream
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .expect("the browser ends in time")
        });
        assert!(self.0.wait().unwrap().success(), "{log}");
        (output, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where nothing is left of the group, which is as well.
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

fn read(mut stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        // Nobody may be waiting any more.
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// The browser, or nothing, after a line that says why.
static BROWSER: LazyLock<Option<PathBuf>> = LazyLock::new(|| match find_or_install() {
    Ok(browser) => Some(browser),
    Err(reason) => {
        // Not `eprintln!`, which tests that pass keep to themselves.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: the report was not looked at in a browser: {reason}"
        );
        None
    }
});

fn find_or_install() -> Result<PathBuf, String> {
    if let Some(browser) = find() {
        return Ok(browser);
    }
    let what = "`chromium` is not on the PATH";
    if std::env::var_os("CI").is_none_or(|ci| ci != "true") {
        return Err(format!("{what} (with CI=true, root installs it)"));
    }
    if !geteuid().is_root() {
        return Err(format!("{what} and only root can install it"));
    }
    // The lists of packages of a new machine may be old, or missing.
    for arguments in [["update", "-y"].as_slice(), &["install", "-y", "chromium"]] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(status) => return Err(format!("{what}, and `apt-get {arguments:?}`: {status}")),
            Err(error) => return Err(format!("{what}, and there is no apt-get: {error}")),
        }
    }
    find().ok_or_else(|| format!("{what}, not even after its installation"))
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|folder| ["chromium", "chromium-browser"].map(|name| folder.join(name)))
        .find(|file| file.is_file())
}
