//! What `--tail` costs the stream that passes through: with rinit between, with cat(1) between, and with nothing.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BULK: u64 = 5_000_000_000;
const LINES: u64 = 1_000_000;
/// A line each tenth of a millisecond, for three seconds.
const PACE: Duration = Duration::from_micros(100);
const PACED: u64 = 30_000;
/// The median of so many runs; of the 99th percentiles, the least.
const RUNS: usize = 3;

/// What stands between the writer and the reader.
#[derive(Clone, Copy)]
pub enum Between<'a> {
    Nothing,
    Cat,
    Rinit(&'a Path),
}

/// One row of the table.
pub struct Stream {
    /// Bytes in pieces of 64 KiB, in MB per second.
    pub bulk: f64,
    /// Lines of 40 bytes, each with its own write(2), in 1,000 per second.
    pub lines: f64,
    /// From before the write(2) to after the read(2), at 10,000 lines a second, in microseconds.
    pub median: f64,
    pub p99: f64,
}

/// The rows of `all`, measured in turns.
pub fn measure(all: &[Between<'_>]) -> Vec<Stream> {
    let mut samples = vec![[const { Vec::new() }; 4]; all.len()];
    for _ in 0..RUNS {
        for (between, samples) in all.iter().zip(&mut samples) {
            let start = Instant::now();
            assert_eq!(read(between, "bulk", |_| {}), BULK);
            samples[0].push(BULK as f64 / start.elapsed().as_secs_f64() / 1e6);
            let start = Instant::now();
            assert_eq!(read(between, "lines", |_| {}), LINES * 40);
            samples[1].push(LINES as f64 / start.elapsed().as_secs_f64() / 1e3);
            let mut took = Vec::with_capacity(PACED as usize);
            read(between, "paced", |lines| {
                let now = monotonic();
                took.extend(
                    lines.chunks_exact(8).map(|sent| (now - u64::from_ne_bytes(sent.try_into().unwrap())) as f64 / 1e3),
                );
            });
            assert_eq!(took.len() as u64, PACED);
            took.sort_by(f64::total_cmp);
            samples[2].push(took[took.len() / 2]);
            samples[3].push(took[took.len() * 99 / 100]);
        }
    }
    let row = |samples: [Vec<f64>; 4]| {
        let [bulk, lines, median, p99] = samples;
        // The slowest of a hundred is whom another process kept from its processor: the best run says what is ours.
        let p99 = p99.into_iter().fold(f64::INFINITY, f64::min);
        Stream { bulk: crate::median(bulk), lines: crate::median(lines), median: crate::median(median), p99 }
    };
    samples.into_iter().map(row).collect()
}

/// Runs a writer to its end. Returns how many bytes came.
fn read(between: &Between<'_>, what: &str, mut take: impl FnMut(&[u8])) -> u64 {
    let (reader, end) = std::io::pipe().expect("a pipe");
    let own = std::env::current_exe().expect("/proc/self/exe");
    let mut command = match between {
        Between::Rinit(rinit) => {
            let mut command = Command::new(rinit);
            command.args(["-q", "--tail", "20", "--"]).arg(own).env("RINIT_TERMINATION_LOG", "off");
            command
        }
        _ => Command::new(own),
    };
    command.args(["write", what]).stdin(Stdio::null()).stdout(Stdio::null());
    let mut cat = None;
    if let Between::Cat = between {
        let (from, to) = std::io::pipe().expect("a pipe");
        cat = Some(Command::new("cat").stdin(from).stdout(end).spawn().expect("cat runs"));
        command.stderr(to);
    } else {
        command.stderr(end);
    }
    let mut child = command.spawn().expect("the writer runs");
    // It holds this side's copies of the ends.
    drop(command);
    let (mut reader, mut buffer, mut total) = (File::from(OwnedFd::from(reader)), vec![0; 65536], 0);
    loop {
        match reader.read(&mut buffer).expect("a readable pipe") {
            0 => break,
            count => {
                total += count as u64;
                take(&buffer[..count]);
            }
        }
    }
    assert!(child.wait().expect("a child").success());
    cat.map(|mut cat| cat.wait());
    total
}

/// The writer: this program itself, called with `write WHAT`.
pub fn write(what: &str) {
    let mut stderr = std::io::stderr().lock();
    match what {
        "bulk" => {
            let piece = vec![b'x'; 65536];
            let mut left = BULK as usize;
            while left > 0 {
                let count = left.min(piece.len());
                stderr.write_all(&piece[..count]).expect("a reader");
                left -= count;
            }
        }
        "lines" => {
            let line = [&[b'x'; 39][..], b"\n"].concat();
            (0..LINES).for_each(|_| stderr.write_all(&line).expect("a reader"));
        }
        _ => {
            let start = Instant::now();
            for n in 0..PACED {
                std::thread::sleep((PACE * n as u32).saturating_sub(start.elapsed()));
                stderr.write_all(&monotonic().to_ne_bytes()).expect("a reader");
            }
        }
    }
}

/// CLOCK_MONOTONIC in nanoseconds, the same for all processes.
fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is valid for the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
