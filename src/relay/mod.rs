//! `--tail`: PROGRAM writes into pipes of rinit's, which passes on what comes and keeps the last of it.
//!
//! Nothing is read before there is room for what was read last: a reader of stderr that stalls stalls PROGRAM, as it would
//! without rinit, and never rinit itself.

#![forbid(unsafe_code)]

mod output;
pub mod ring;

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::{Mode, fchmod};

use crate::evidence::tail::{Line, MOST_LINES, Tail};
use crate::sys::descriptor::{self, above_stdio};
use crate::sys::heap;
use output::Output;
use ring::Ring;

/// Kept of both streams together.
const KEPT: usize = 64 * 1024;
/// What a pipe holds.
const PIPE: usize = 64 * 1024;
/// From here on a copy costs more than the calls that avoid it.
const MUCH: usize = 16 * 1024;
/// So many times a stream may be served before signals are looked at.
const BURST: usize = 16;

/// The streams that pass through rinit: none without `--tail`.
///
/// What is not inlined here would lie on the stack for as long as PROGRAM runs.
#[derive(Debug, Default)]
pub struct Relay {
    streams: [Option<Box<Stream>>; 2],
    /// Bytes that came in both.
    arrived: u64,
    /// The streams that are not read, and why.
    left_alone: Vec<(&'static str, &'static str)>,
}

/// What poll(2) is to look for, two descriptors for each stream.
pub type Interests<'a> = [Option<(BorrowedFd<'a>, PollFlags)>; 4];

impl Relay {
    /// Makes the pipes: of stderr, and of stdout too if `stdout`.
    #[must_use]
    #[inline(never)]
    pub fn new(stdout: bool) -> Self {
        let (out, err) = (descriptor::stdout(), descriptor::stderr());
        let mut relay = Self::default();
        let shared = stdout && output::lead_to_the_same(out, err);
        let size = if stdout && !shared { KEPT / 2 } else { KEPT };
        let mut open = |name, stdio, also| match Stream::new(stdio, also, size) {
            Ok(stream) => Some(stream),
            Err(why) => {
                relay.left_alone.push((name, why));
                None
            }
        };
        let streams = [
            open("stderr", err, shared.then_some(out)),
            if stdout && !shared { open("stdout", out, None) } else { None },
        ];
        relay.streams = streams;
        relay
    }

    /// Nothing passes through rinit, and this is why.
    #[must_use]
    pub fn none(why: &'static str) -> Self {
        Self { left_alone: vec![("stderr", why)], ..Self::default() }
    }

    /// In the child: PROGRAM writes into the pipes from now on. Nothing is allocated.
    pub fn take_stdio(&self) {
        for stream in self.streams.iter().flatten() {
            let Some(end) = &stream.programs_end else { continue };
            for stdio in [Some(stream.stdio), stream.also].into_iter().flatten() {
                let _ = descriptor::put(end.as_fd(), stdio.as_raw_fd());
            }
        }
    }

    /// In rinit: only PROGRAM is to have the ends to write to, or they would never be closed.
    #[inline(never)]
    pub fn started(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            stream.programs_end = None;
        }
        for (name, why) in self.left_alone.drain(..) {
            log::info!("{name} does not pass through rinit, and its last lines are not kept: {why}");
        }
    }

    /// The descriptors that have to stay open; `other` stands for those that there are not.
    #[must_use]
    pub fn descriptors(&self, other: i32) -> [i32; 4] {
        self.streams
            .each_ref()
            .map(|stream| {
                let ends = stream.as_ref().and_then(|stream| stream.ends.as_ref());
                ends.map_or([other; 2], |ends| [ends.input.as_raw_fd(), ends.output.as_fd().as_raw_fd()])
            })
            .as_flattened()
            .try_into()
            .unwrap_or([other; 4])
    }

    /// What to wait for.
    #[must_use]
    pub fn interests(&self) -> Interests<'_> {
        let [err, out] =
            self.streams.each_ref().map(|stream| stream.as_ref().map_or([None; 2], |stream| stream.interests()));
        let ([a, b], [c, d]) = (err, out);
        [a, b, c, d]
    }

    /// Passes on what has come, as far as there is room. `ready` says what of the interests has happened.
    pub fn pass(&mut self, ready: [PollFlags; 4]) {
        let [a, b, c, d] = ready;
        for (stream, [input, output]) in self.streams.iter_mut().zip([[a, b], [c, d]]) {
            if let Some(stream) = stream
                && !(input | output).is_empty()
            {
                stream.pass(input, output, &mut self.arrived);
            }
        }
    }

    /// The last lines of each stream, of which `wanted` are to be shown, in the order in which they came. PROGRAM has ended: what it wrote
    /// last is passed on first, but nothing waits. `None` if no stream passes through rinit.
    #[inline(never)]
    pub fn tail(&mut self, wanted: usize) -> Option<Tail> {
        self.streams.iter().flatten().next()?;
        let mut cut = false;
        let arrived = &mut self.arrived;
        let [stderr, stdout] = self.streams.each_mut().map(|stream| {
            let Some(stream) = stream else { return Vec::new() };
            stream.pass_rest(arrived, 2 * PIPE);
            let (kept, more) = stream.ring.lines(&stream.still_there(), MOST_LINES.max(wanted));
            cut |= more;
            kept
        });
        let mut lines = Vec::with_capacity(stderr.len() + stdout.len());
        let mut stdout = stdout.into_iter().peekable();
        for kept in stderr {
            while let Some(before) = stdout.next_if(|line| line.arrived < kept.arrived) {
                lines.push(Line { text: before.text, stdout: true });
            }
            lines.push(Line { text: kept.text, stdout: false });
        }
        lines.extend(stdout.map(|line| Line { text: line.text, stdout: true }));
        Some(Tail { lines, wanted: Some(wanted), cut })
    }

    /// Whether what PROGRAM wrote to stderr last is no whole line.
    #[must_use]
    pub fn is_within_a_line(&self) -> bool {
        let [stderr, _] = &self.streams;
        stderr.as_ref().is_some_and(|stderr| !matches!(stderr.ring.newest(1), [b'\n'] | []))
    }

    /// Passes on what is there until there is nothing more, or `deadline` is over. Whoever has the pipe open does not
    /// matter: a daemon may have it for ever.
    #[inline(never)]
    pub fn finish(&mut self, deadline: Instant) {
        loop {
            let mut room = Vec::new();
            for stream in self.streams.iter_mut().flatten() {
                while stream.pass_rest(&mut self.arrived, PIPE) && Instant::now() < deadline {}
                if let Some(ends) = stream.ends.as_ref().filter(|_| stream.pending > 0) {
                    room.push(PollFd::new(ends.output.as_fd(), PollFlags::POLLOUT));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let milliseconds = u16::try_from(left.as_millis()).unwrap_or(u16::MAX);
            if room.is_empty() || milliseconds == 0 {
                return;
            }
            if !matches!(poll(&mut room, PollTimeout::from(milliseconds)), Ok(1..) | Err(Errno::EINTR)) {
                return;
            }
        }
    }
}

/// One stream of PROGRAM's on its way.
#[derive(Debug)]
struct Stream {
    /// What PROGRAM has instead of its own: rinit's of the same number stays the container's.
    stdio: BorrowedFd<'static>,
    /// The other one that leads to the same place.
    also: Option<BorrowedFd<'static>>,
    /// Where PROGRAM writes; until it has been started.
    programs_end: Option<OwnedFd>,
    /// Until the last writer, or the reader, is gone.
    ends: Option<Ends>,
    ring: Ring<'static>,
    /// So many of the newest bytes in the ring are not passed on yet.
    pending: usize,
    /// There is something to read, but no room for it.
    full: bool,
    /// Much came last time.
    much: bool,
}

#[derive(Debug)]
struct Ends {
    /// rinit's own description: O_NONBLOCK is not PROGRAM's.
    input: OwnedFd,
    output: Output,
}

/// What became of an attempt to pass something on.
enum Step {
    Passed(usize),
    /// There is nothing to read.
    Empty,
    /// There is no room.
    Full,
    /// The last writer is gone, and everything is passed on.
    Ended,
    /// The reader is gone.
    Broken,
}

impl Stream {
    fn new(
        stdio: BorrowedFd<'static>,
        also: Option<BorrowedFd<'static>>,
        size: usize,
    ) -> Result<Box<Self>, &'static str> {
        let mut output = Output::to(stdio)?;
        let (input, programs_end) = nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(Errno::desc)?;
        let input = above_stdio(input).map_err(Errno::desc)?;
        let programs_end = above_stdio(programs_end).map_err(Errno::desc)?;
        fcntl(&input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map_err(Errno::desc)?;
        // A program that has dropped its privileges may open /dev/stderr, too.
        let _ = fchmod(&programs_end, Mode::from_bits_truncate(0o666));
        output.compare(&input);
        let ring = Ring::new(heap::zeroed(size).ok_or("no memory")?);
        let ends = Some(Ends { input, output });
        let programs_end = Some(programs_end);
        Ok(Box::new(Self { stdio, also, programs_end, ends, ring, pending: 0, full: false, much: false }))
    }

    fn interests(&self) -> [Option<(BorrowedFd<'_>, PollFlags)>; 2] {
        let Some(Ends { input, output }) = &self.ends else { return [None; 2] };
        if self.pending > 0 || self.full {
            return [None, Some((output.as_fd(), PollFlags::POLLOUT))];
        }
        // That its reader is gone is told without being asked.
        [
            Some((input.as_fd(), PollFlags::POLLIN)),
            output.tells_its_end().then_some((output.as_fd(), PollFlags::empty())),
        ]
    }

    #[inline(never)]
    fn pass(&mut self, input: PollFlags, output: PollFlags, arrived: &mut u64) {
        if output.intersects(PollFlags::POLLERR | PollFlags::POLLHUP) {
            return self.end();
        }
        self.full = false;
        for attempt in 0..BURST {
            match self.step(true, arrived) {
                // Probably there is more.
                Step::Passed(MUCH..) => {}
                Step::Passed(_) | Step::Empty => return,
                Step::Full => {
                    // tee(2) does not say which of the two it waits for, but poll(2) has.
                    self.full = self.pending == 0 && attempt == 0 && !input.is_empty();
                    return;
                }
                Step::Ended => self.ends = None,
                Step::Broken => return self.end(),
            }
        }
    }

    /// Passes on what is there, as far as there is room and not much more than `most`. Says whether there may be more.
    fn pass_rest(&mut self, arrived: &mut u64, most: usize) -> bool {
        let mut passed = 0;
        while passed < most {
            match self.step(false, arrived) {
                Step::Passed(count) => passed += count,
                Step::Empty | Step::Full => return false,
                Step::Ended | Step::Broken => {
                    self.end();
                    return false;
                }
            }
        }
        true
    }

    fn step(&mut self, may_tee: bool, arrived: &mut u64) -> Step {
        let Some(Ends { input, output }) = &mut self.ends else { return Step::Empty };
        if self.pending == 0 {
            if may_tee && output.wants_tee(self.much) {
                match output.tee_from(input, PIPE.min(self.ring.size())) {
                    Ok(0) => return Step::Ended,
                    Ok(count) => return Step::Passed(self.keep(count, arrived)),
                    Err(Errno::EAGAIN | Errno::EINTR) => return Step::Full,
                    Err(Errno::EPIPE) => return Step::Broken,
                    // Not here.
                    Err(_) => output.refuses_tee(),
                }
            }
            let room = self.ring.room(if output.may_tee() { MUCH } else { PIPE });
            match nix::unistd::read(&*input, room) {
                Ok(0) => return Step::Ended,
                Ok(count) => {
                    self.ring.add(count, *arrived);
                    *arrived += count as u64;
                    self.pending = count;
                    self.much = count >= MUCH;
                }
                Err(_) => return Step::Empty,
            }
        }
        let mut passed = 0;
        while self.pending > 0 {
            match output.write_now(self.ring.newest(self.pending)) {
                Ok(count) => {
                    self.pending = self.pending.saturating_sub(count);
                    passed += count;
                }
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Step::Full,
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Step::Broken,
                // A full disk and the like. PROGRAM would have lost it, too, and most programs go on.
                Err(_) => self.pending = 0,
            }
        }
        Step::Passed(passed)
    }

    /// `count` bytes are passed on by tee(2), and still there. Returns how many of them could be read.
    fn keep(&mut self, count: usize, arrived: &mut u64) -> usize {
        let mut left = count;
        while let Some(ends) = self.ends.as_ref().filter(|_| left > 0) {
            // EAGAIN: somebody else has read from PROGRAM's stderr.
            let Ok(read @ 1..) = nix::unistd::read(&ends.input, self.ring.room(left)) else { break };
            self.ring.add(read, *arrived);
            *arrived += read as u64;
            left -= read;
        }
        self.much = count >= MUCH;
        count
    }

    /// What is in the pipe, without taking it out.
    fn still_there(&self) -> Vec<u8> {
        let Some(ends) = &self.ends else { return Vec::new() };
        output::copy_of(&ends.input, PIPE)
    }

    /// The reader is gone. PROGRAM has to see it at its next write, and what it wrote until now may say why it ends.
    fn end(&mut self) {
        self.pending = 0;
        self.keep(PIPE, &mut 0);
        self.ends = None;
    }
}
