//! TCP and UDP sockets, from /proc/PID/net (proc_pid_net(5)).

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A listening socket with connections that nobody has accepted yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Local TCP port.
    pub port: u16,
    /// Connections in the accept queue.
    pub waiting: u32,
    /// The socket's inode.
    pub inode: u64,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Socket {
    /// Local address, as IPv4 where it is one in IPv6's clothes.
    pub address: IpAddr,
    /// Local port.
    pub port: u16,
    /// State (include/net/tcp_states.h).
    pub state: u8,
    /// `rx_queue`: of a listening socket the connections in its accept queue (net/ipv4/tcp_ipv4.c, `get_tcp4_sock`).
    pub waiting: u32,
    /// The socket's inode; 0 for one that no process has any more.
    pub inode: u64,
}

/// `TCP_LISTEN`
pub const LISTEN: u8 = 0x0a;

/// Listening TCP sockets of the network namespace of `pid` with a queue of `least` at least. A pod's containers share
/// theirs: the sockets need not be PROGRAM's.
#[must_use]
pub fn backlogs(pid: i32, least: u32) -> Vec<Backlog> {
    let mut found = Vec::new();
    for name in ["tcp", "tcp6"] {
        if let Ok(file) = File::open(format!("/proc/{pid}/net/{name}")) {
            collect(file, least, &mut found);
        }
    }
    found
}

fn collect(file: impl Read, least: u32, found: &mut Vec<Backlog>) {
    each(file, &mut |Socket { port, state, waiting, inode, .. }| {
        if state == LISTEN && waiting >= least {
            found.push(Backlog { port, waiting, inode });
        }
        // A connection: the kernel lists all sockets that listen before the first of these.
        state == LISTEN
    });
}

/// At most this many rows of a table are read.
const MOST_ROWS: usize = 2048;

/// Hands `take` the rows of a table that parse, until it says no. Says whether it saw the table's end.
// Its buffer must not lie in the frame of the loop that waits.
#[inline(never)]
pub fn each(mut file: impl Read, take: &mut dyn FnMut(Socket) -> bool) -> bool {
    let mut buffer = [0; 4096];
    let mut kept = 0;
    let mut rows = 0;
    while let Some(room) = buffer.get_mut(kept..)
        && let Ok(read) = file.read(room)
    {
        if read == 0 {
            // Or a row that is longer than the buffer.
            return kept < buffer.len();
        }
        let filled = kept + read;
        let mut start = 0;
        while let Some(rest) = buffer.get(start..filled)
            && let Some(length) = rest.iter().position(|byte| *byte == b'\n')
        {
            if let Some(socket) = row(rest.get(..length).unwrap_or_default())
                && !take(socket)
            {
                return false;
            }
            rows += 1;
            start += length + 1;
        }
        if rows >= MOST_ROWS {
            return false;
        }
        buffer.copy_within(start..filled, 0);
        kept = filled - start;
    }
    false
}

/// `  0: 0100007F:1F90 00000000:0000 0A 00000000:00000032 00:00000000 00000000  1000  0 123 1 ...`
fn row(line: &[u8]) -> Option<Socket> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let waiting = u32::from_str_radix(fields.next()?.rsplit(':').next()?, 16).ok()?;
    let inode = fields.nth(4)?.parse().ok()?;
    Some(Socket { address: self::address(address)?, port: u16::from_str_radix(port, 16).ok()?, state, waiting, inode })
}

/// Words of 32 bits, each in the byte order of the machine (`%08X` of a `__be32`).
fn address(text: &str) -> Option<IpAddr> {
    let word = |at: usize| Some(u32::from_str_radix(text.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match text.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
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
        collect(text, 1, &mut found);
        found
    }

    #[test]
    fn only_listening_sockets_with_a_queue() {
        let text = [HEADING, IDLE, LISTENS, CONNECTED, LISTENS].concat();
        assert_eq!(read(text.as_bytes()), [Backlog { port: 8080, waiting: 50, inode: 4711 }]);
    }

    #[test]
    fn rows_across_pieces() {
        let text = [HEADING.to_owned(), IDLE.repeat(500 / crate::one_of(10)), LISTENS.to_owned()].concat();
        assert_eq!(read(text.as_bytes()).len(), 1);
    }

    #[test]
    fn broken_rows_are_none() {
        for end in (0..LISTENS.len()).step_by(crate::one_of(7)) {
            assert!(read(&LISTENS.as_bytes()[..end]).is_empty());
        }
        assert!(read(&vec![0xff; 10_000 / crate::one_of(10)]).is_empty());
        assert!(read(&vec![b'\n'; 10_000 / crate::one_of(10)]).is_empty());
    }

    #[test]
    fn addresses() {
        let of = |text: &str| address(text).map(|address| address.to_string());
        if cfg!(target_endian = "little") {
            assert_eq!(of("0100007F").as_deref(), Some("127.0.0.1"));
            assert_eq!(of("00000000000000000000000001000000").as_deref(), Some("::1"));
            assert_eq!(of("0000000000000000FFFF00000703000A").as_deref(), Some("10.0.3.7"));
            assert_eq!(row(CONNECTED.as_bytes()).map(|socket| (socket.state, socket.inode)), Some((1, 4712)));
        }
        for broken in ["", "0100007", "0100007G", "00000000000000000000000001000", "\u{e9}00000"] {
            assert_eq!(of(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_end_of_a_table_is_known() {
        assert!(each([HEADING, IDLE].concat().as_bytes(), &mut |_| true));
        assert!(!each([HEADING, IDLE].concat().as_bytes(), &mut |_| false));
        assert!(!each(IDLE.repeat(MOST_ROWS + 100).as_bytes(), &mut |_| true));
        // Nor behind a row that is longer than any.
        assert!(!each([IDLE, &"x".repeat(5000)].concat().as_bytes(), &mut |_| true));
    }
}
