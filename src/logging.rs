//! log and env_logger, with stderr as a place that may be full, closed or gone: a line that has no room is dropped.

#![forbid(unsafe_code)]

use std::io::{self, Write};

use env_logger::{Builder, Target};

use crate::sink::stderr;

/// Starts logging with env_logger's `filter`, which was found valid.
pub fn start(filter: &str) {
    let started = Builder::new()
        .parse_filters(filter)
        .format(|line, record| {
            writeln!(line, "rinit: {}: {}", record.level().as_str().to_ascii_lowercase(), record.args())
        })
        .target(Target::Pipe(Box::new(Lines)))
        .try_init();
    // A second logger is the only reason to fail.
    debug_assert!(started.is_ok());
}

/// env_logger hands over whole lines.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        stderr::log_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
