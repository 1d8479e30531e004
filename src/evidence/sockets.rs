//! Connections that wait to be accepted, from /proc/PID/net/tcp and tcp6 (proc_pid_net(5)).

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;

/// A listening socket with connections that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Local TCP port.
    pub port: u16,
    /// Connections in the accept queue (`rx_queue` of a listening socket; net/ipv4/tcp_ipv4.c, `get_tcp4_sock`).
    pub waiting: u32,
    /// The socket's inode.
    pub inode: u64,
}

/// What a row says.
enum Row {
    Listens(Backlog),
    /// A connection: the kernel lists all sockets that listen before the first of these.
    Other,
    /// The heading, or what does not parse.
    Unreadable,
}

/// state `0A`, `TCP_LISTEN`
const LISTEN: u8 = 0x0a;

/// Listening TCP sockets of PROGRAM's network namespace with a queue that is not empty. A pod's containers share theirs:
/// the sockets need not be PROGRAM's.
#[must_use]
pub fn backlogs(pid: i32) -> Vec<Backlog> {
    let mut found = Vec::new();
    for name in ["tcp", "tcp6"] {
        if let Ok(file) = File::open(format!("/proc/{pid}/net/{name}")) {
            collect(file, &mut found);
        }
    }
    found
}

/// At most this many rows of a table are read.
const MOST_ROWS: usize = 2048;

// Its buffer must not lie in the frame of the loop that waits.
#[inline(never)]
fn collect(mut file: impl Read, found: &mut Vec<Backlog>) {
    let mut buffer = [0; 4096];
    let mut kept = 0;
    let mut rows = 0;
    while let Some(room) = buffer.get_mut(kept..)
        && let Ok(read @ 1..) = file.read(room)
    {
        let filled = kept + read;
        let mut start = 0;
        while let Some(rest) = buffer.get(start..filled)
            && let Some(length) = rest.iter().position(|byte| *byte == b'\n')
        {
            match row(rest.get(..length).unwrap_or_default()) {
                Row::Listens(backlog) if backlog.waiting > 0 => found.push(backlog),
                Row::Listens(_) | Row::Unreadable => {}
                Row::Other => return,
            }
            rows += 1;
            start += length + 1;
        }
        if rows >= MOST_ROWS {
            return;
        }
        buffer.copy_within(start..filled, 0);
        kept = filled - start;
    }
}

/// `  0: 0100007F:1F90 00000000:0000 0A 00000000:00000032 00:00000000 00000000  1000  0 123 1 ...`
fn row(line: &[u8]) -> Row {
    let parse = || {
        let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let port = u16::from_str_radix(fields.nth(1)?.rsplit(':').next()?, 16).ok()?;
        let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
        let waiting = u32::from_str_radix(fields.next()?.rsplit(':').next()?, 16).ok()?;
        let inode = fields.nth(4)?.parse().ok()?;
        Some((state, Backlog { port, waiting, inode }))
    };
    match parse() {
        Some((LISTEN, backlog)) => Row::Listens(backlog),
        Some(_) => Row::Other,
        None => Row::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    const LISTENS: &str = "   0: 00000000:1F90 00000000:0000 0A 00000000:00000032 00:00000000 00000000  1000        0 4711 1 0 100 0 0 10 0\n";
    const IDLE: &str = "   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 9 1\n";
    const CONNECTED: &str = "   2: 0100007F:1F90 0100007F:9C40 01 00000000:00000007 00:00000000 00000000  1000        0 4712 1 0 20 4 30 10 -1\n";

    fn read(text: &[u8]) -> Vec<Backlog> {
        let mut found = Vec::new();
        collect(text, &mut found);
        found
    }

    #[test]
    fn only_listening_sockets_with_a_queue() {
        let text = [HEADING, IDLE, LISTENS, CONNECTED, LISTENS].concat();
        assert_eq!(read(text.as_bytes()), [Backlog { port: 8080, waiting: 50, inode: 4711 }]);
    }

    #[test]
    fn rows_across_pieces() {
        let text = [HEADING.to_owned(), IDLE.repeat(500), LISTENS.to_owned()].concat();
        assert_eq!(read(text.as_bytes()).len(), 1);
    }

    #[test]
    fn broken_rows_are_none() {
        for end in 0..LISTENS.len() {
            assert!(read(&LISTENS.as_bytes()[..end]).is_empty());
        }
        assert!(read(&[0xff; 10_000]).is_empty());
        assert!(read(&[b'\n'; 10_000]).is_empty());
    }
}
