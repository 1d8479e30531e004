//! log and env_logger, with stderr as a place that may be full, closed or gone: a line that has no room is dropped.

#![forbid(unsafe_code)]

use env_logger::{Builder, Logger};
use log::{Log, Metadata, Record};

use crate::cli::Peer;
use crate::sink::stderr;

/// Starts logging with env_logger's `filter`, which was found valid, in the manner of `peer`.
pub fn start(filter: &str, peer: Option<Peer>) {
    let logger = Builder::new().parse_filters(filter).build();
    log::set_max_level(logger.filter());
    let started = log::set_boxed_logger(Box::new(Lines { logger, peer, pid: std::process::id().cast_signed() }));
    // A second logger is the only reason to fail.
    debug_assert!(started.is_ok());
}

/// env_logger decides, and does not write: its buffer is a thread's own, and what std notes of those comes from no
/// allocator of ours, so that it would abort where there is no memory.
struct Lines {
    logger: Logger,
    peer: Option<Peer>,
    pid: i32,
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.logger.matches(record) {
            let prefix = match self.peer {
                Some(peer) => peer.log_prefix(self.pid, record.level()),
                None => format!("rinit: {}: ", record.level().as_str().to_ascii_lowercase()),
            };
            stderr::log_line(format!("{prefix}{}\n", record.args()).as_bytes());
        }
    }

    fn flush(&self) {}
}
