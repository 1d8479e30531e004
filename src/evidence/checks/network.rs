//! Ports, addresses and names. Nothing is sent: what the kernel's tables and three files say.

#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::net::{IpAddr, UdpSocket};
use std::time::Instant;

use super::Context;
use super::names::{read_file, read_number, words};
use crate::evidence::files::{LONGEST_MOUNTINFO, read_whole};
use crate::evidence::listing::Listing;
use crate::evidence::process::{hides_processes, number};
use crate::evidence::sockets::{LISTEN, Socket, backlogs, each};
use crate::signals::Sender;

/// Processes that are looked at to find whose a socket is, and all of their descriptors together.
const MOST_PROCESSES: usize = 4096;
const MOST_DESCRIPTORS: usize = 65_536;
/// Holders of one port that are kept: one for each address, at most these.
const MOST_HOLDERS: usize = 16;
/// Longest /proc/net/unix that is read.
const LONGEST_TABLE: u64 = 1 << 20;

/// Who has a port now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortUse {
    /// The sockets that listen on it, of UDP those that are bound to it.
    pub holders: Vec<Holder>,
    /// Whether that is UDP.
    pub udp: bool,
    /// Connections that have it as their own port, `TIME_WAIT` included.
    pub connections: usize,
    /// Whether the tables were read to their ends.
    pub complete: bool,
    /// How many processes but rinit there are, if each of them could be looked at.
    pub looked_at: Option<usize>,
}

/// A socket and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Where it listens.
    pub address: IpAddr,
    /// The first process that was seen to have it; `None` if none was.
    pub process: Option<Sender>,
}

impl PortUse {
    /// Looks at this network namespace, which a pod's containers share. `None` if its tables cannot be read.
    #[must_use]
    pub fn of(port: u16, context: &Context<'_>) -> Option<Self> {
        let (mut found, connections, complete) = local_sockets(&["tcp", "tcp6"], port, LISTEN, context.until)?;
        let udp = found.is_empty();
        if udp {
            // `TCP_CLOSE` is what an unconnected one is in.
            found =
                local_sockets(&["udp", "udp6"], port, 7, context.until).map(|(found, ..)| found).unwrap_or_default();
        }
        let inodes: Vec<u64> = found.iter().map(|socket| socket.inode).collect();
        let (owners, looked_at) = owners(&inodes, context);
        let owner = |inode| owners.iter().find(|(of, _)| *of == inode).map(|(_, process)| process.clone());
        let holders: Vec<Holder> =
            found.iter().map(|socket| Holder { address: socket.address, process: owner(socket.inode) }).collect();
        Some(Self { udp: udp && !holders.is_empty(), holders, connections, complete, looked_at })
    }
}

/// The sockets in `state` with this local port, and how many in other states there are, and whether that is all.
fn local_sockets(tables: &[&str], port: u16, state: u8, until: Instant) -> Option<(Vec<Socket>, usize, bool)> {
    let (mut found, mut others, mut complete) = (Vec::new(), 0, true);
    let mut read = 0;
    for table in tables {
        let Ok(file) = File::open(format!("/proc/self/net/{table}")) else { continue };
        read += 1;
        complete &= each(file, &mut |socket| {
            match socket.port == port {
                // The kernel lists one twice where others come or go between two reads.
                true if found.iter().any(|known: &Socket| known.inode == socket.inode) => {}
                true if socket.state == state && found.len() < MOST_HOLDERS => found.push(socket),
                true => others += 1,
                false => {}
            }
            Instant::now() < until
        });
    }
    (read > 0).then_some((found, others, complete))
}

/// The TCP ports of this network namespace that something listens on, each once; those that can be seen.
pub(super) fn listening() -> Vec<u16> {
    let mut ports = Vec::new();
    for socket in backlogs(std::process::id().cast_signed(), 0) {
        if !ports.contains(&socket.port) {
            ports.push(socket.port);
        }
    }
    ports
}

/// Which process has which of the sockets. How many processes there are but rinit: only if each could be looked at, and
/// had to be.
fn owners(inodes: &[u64], context: &Context<'_>) -> (Vec<(u64, Sender)>, Option<usize>) {
    let mut found: Vec<(u64, Sender)> = Vec::new();
    let Some(proc) = context.proc else { return (found, None) };
    let Ok(mut entries) = Listing::of("/proc") else { return (found, None) };
    let (mut processes, mut descriptors) = (0, 0);
    let mounts = read_whole("/proc/self/mountinfo", LONGEST_MOUNTINFO);
    let mut all = mounts.is_some_and(|table| !hides_processes(&table));
    for pid in entries.by_ref().filter_map(|entry| entry.file_name().to_str()?.parse().ok()) {
        if proc.is_own(pid) {
            continue;
        }
        if found.len() == inodes.len()
            || processes >= MOST_PROCESSES
            || descriptors >= MOST_DESCRIPTORS
            || Instant::now() >= context.until
        {
            return (found, None);
        }
        let Some(process) = proc.process(pid).filter(|process| process.is_running()) else { continue };
        processes += 1;
        let Ok(mut list) = Listing::of(format!("/proc/{pid}/fd")) else {
            all = false;
            continue;
        };
        for entry in list.by_ref() {
            descriptors += 1;
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let Some(inode) = target.to_str().and_then(socket_inode).filter(|inode| inodes.contains(inode)) else {
                continue;
            };
            if found.iter().all(|(known, _)| *known != inode) {
                found.push((inode, Sender { pid, name: Some(process.name.clone()) }));
            }
        }
        all &= !list.broken_off();
    }
    all &= !entries.broken_off();
    (found, all.then_some(processes))
}

/// `socket:[4711]`
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// What the kernel knows of a Unix socket's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// Whether a socket is bound to it.
    pub bound: bool,
    /// The first process that was seen to have it.
    pub process: Option<Sender>,
}

/// Whether a socket of this network namespace is bound to `path`. `None` if the table is too long, or is not there.
pub(super) fn bound_to(path: &[u8], context: &Context<'_>) -> Option<Bound> {
    let table = read_whole("/proc/self/net/unix", LONGEST_TABLE).filter(|table| !table.is_empty())?;
    let inodes: Vec<u64> = table.split(|byte| *byte == b'\n').filter_map(|line| unix_row(line, path)).collect();
    if inodes.is_empty() {
        return Some(Bound { bound: false, process: None });
    }
    let (owners, _) = owners(&inodes, context);
    Some(Bound { bound: true, process: owners.into_iter().next().map(|(_, process)| process) })
}

/// `0000000000000000: 00000002 00000000 00010000 0001 01 4711 /run/x.sock`: the inode, if it is bound to `path`.
fn unix_row(line: &[u8], path: &[u8]) -> Option<u64> {
    let inode = number(words(line).nth(6)?)?;
    line.strip_suffix(path)?.ends_with(b" ").then_some(inode)
}

/// `net.ipv4.ip_unprivileged_port_start` (Linux 4.11), which counts for IPv6 too.
pub(super) fn first_unprivileged_port() -> Option<u16> {
    read_number("/proc/sys/net/ipv4/ip_unprivileged_port_start").and_then(|port| port.try_into().ok())
}

/// The other end of a connection that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Peer {
    /// Whether its address is known; not for a name that is not in /etc/hosts: no server is asked.
    pub is_known: bool,
    /// Whether it was a name, which /etc/hosts has.
    pub from_hosts: bool,
    /// Whether the address is one of this network namespace's own.
    pub own: Option<bool>,
    /// Who listens there by now; `None` where that is not known, or the address is not its own.
    pub listens: Option<PortUse>,
}

impl Peer {
    /// Looks at the host, a name or an address.
    #[must_use]
    pub fn of(host: &[u8], port: Option<u16>, context: &Context<'_>) -> Self {
        let literal = address(host);
        let from_hosts = literal.is_none();
        let hosts = || read_file("/etc/hosts").and_then(|hosts| find_host(&hosts, host));
        let Some(address) = literal.or_else(hosts) else { return Self::default() };
        let own = is_own(address);
        let port = port.filter(|_| own == Some(true));
        let listens = port.and_then(|port| PortUse::of(port, context)).map(|mut ports| {
            ports.holders.retain(|holder| !ports.udp && accepts(holder.address, address));
            ports
        });
        Self { is_known: true, from_hosts, own, listens }
    }
}

/// `10.0.0.1`, `::1`, `[::1]`
fn address(host: &[u8]) -> Option<IpAddr> {
    let host = std::str::from_utf8(host).ok()?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

/// Whether a socket that listens on `local` gets what is sent to `to`. `::` mostly takes IPv4 as well.
fn accepts(local: IpAddr, to: IpAddr) -> bool {
    local == to || (local.is_unspecified() && (local.is_ipv6() || to.is_ipv4())) || to.is_unspecified()
}

/// Whether `address` is one of this network namespace's: bind(2) takes no other. Nothing is sent.
fn is_own(address: IpAddr) -> Option<bool> {
    match UdpSocket::bind((address, 0)) {
        Ok(_) => Some(true),
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Some(false),
        Err(_) => None,
    }
}

/// The address that /etc/hosts (hosts(5)) has for `name`.
#[must_use]
pub fn find_host(hosts: &[u8], name: &[u8]) -> Option<IpAddr> {
    lines(hosts).find_map(|mut fields| {
        let address = address(fields.next()?)?;
        fields.any(|alias| alias.eq_ignore_ascii_case(name)).then_some(address)
    })
}

/// How names are resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resolver {
    /// Whether /etc/resolv.conf was read.
    pub readable: bool,
    /// Its name servers: the first three count (resolv.conf(5)).
    pub servers: Vec<Vec<u8>>,
    /// Its search list.
    pub search: Vec<Vec<u8>>,
    /// Whether /etc/hosts has the name; `None` if no name is known, or that file cannot be read.
    pub in_hosts: Option<bool>,
    /// Whether the network namespace has no device but the loopback.
    pub only_loopback: Option<bool>,
}

impl Resolver {
    /// Reads it.
    #[must_use]
    pub fn read(name: Option<&[u8]>) -> Self {
        let mut resolver = read_file("/etc/resolv.conf").map(|text| Self::parse(&text)).unwrap_or_default();
        resolver.in_hosts = name.and_then(|name| Some(find_host(&read_file("/etc/hosts")?, name).is_some()));
        resolver.only_loopback = read_whole("/proc/self/net/dev", 1 << 16).and_then(|devices| only_loopback(&devices));
        resolver
    }

    /// Reads the text of /etc/resolv.conf.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut resolver = Self { readable: true, ..Self::default() };
        for mut fields in lines(text) {
            match fields.next() {
                Some(b"nameserver") => resolver.servers.extend(fields.next().map(<[u8]>::to_vec)),
                Some(b"search" | b"domain") => resolver.search = fields.map(<[u8]>::to_vec).collect(),
                _ => {}
            }
        }
        resolver.servers.truncate(3);
        resolver
    }
}

/// Whether the text of /proc/net/dev, two lines of heading, then a device each, names none but the loopback.
#[must_use]
pub fn only_loopback(devices: &[u8]) -> Option<bool> {
    let mut names = devices.split(|byte| *byte == b'\n').skip(2).filter_map(|line| words(line).next()).peekable();
    names.peek()?;
    Some(names.all(|name| name.starts_with(b"lo:")))
}

/// The fields of each line, comments left out.
fn lines(text: &[u8]) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
    text.split(|byte| *byte == b'\n').map(|line| words(line.split(|byte| *byte == b'#').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let hosts = b"# 9.9.9.9 db\n127.0.0.1\tlocalhost lo # db\n::1 ip6-localhost\n10.0.0.5  db.prod DB\nx db\n";
        let find = |name: &str| find_host(hosts, name.as_bytes()).map(|address| address.to_string());
        assert_eq!(find("localhost").as_deref(), Some("127.0.0.1"));
        assert_eq!(find("db").as_deref(), Some("10.0.0.5"));
        assert_eq!(find("ip6-localhost").as_deref(), Some("::1"));
        assert_eq!(find("#"), None);
        assert_eq!(find("nothing"), None);
    }

    #[test]
    fn resolv_conf() {
        let text =
            b"; x\nnameserver 10.0.0.1\nnameserver\nnameserver ::1\nsearch a b\nsearch c d # e\noptions ndots:5\n\
            nameserver 10.0.0.3\nnameserver 10.0.0.4\n\xff\n";
        let resolver = Resolver::parse(text);
        assert_eq!(resolver.servers, [&b"10.0.0.1"[..], b"::1", b"10.0.0.3"]);
        assert_eq!(resolver.search, [b"c", b"d"]);
        assert_eq!(Resolver::parse(b""), Resolver { readable: true, ..Resolver::default() });
    }

    #[test]
    fn devices() {
        let heading = "Inter-| Receive\n face |bytes\n";
        let of = |devices: &str| only_loopback(format!("{heading}{devices}").as_bytes());
        assert_eq!(of("    lo:       0 0\n"), Some(true));
        assert_eq!(of("    lo: 0 0\n  eth0: 1 1\n"), Some(false));
        assert_eq!(of(""), None);
        assert_eq!(only_loopback(b""), None);
    }

    #[test]
    fn addresses_and_listeners() {
        let of = |text: &str| address(text.as_bytes()).map(|address| address.to_string());
        assert_eq!(of("[::1]").as_deref(), Some("::1"));
        assert_eq!(of("::ffff:10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(of("db"), None);
        let accepts = |local: &str, to: &str| accepts(local.parse().unwrap(), to.parse().unwrap());
        for (local, to, is) in [
            ("0.0.0.0", "127.0.0.1", true),
            ("0.0.0.0", "::1", false),
            ("::", "127.0.0.1", true),
            ("::", "::1", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("10.0.0.1", "127.0.0.1", false),
            ("10.0.0.1", "0.0.0.0", true),
        ] {
            assert_eq!(accepts(local, to), is, "{local} {to}");
        }
    }

    #[test]
    fn rows_of_unix_sockets() {
        let row = b"0000000000000000: 00000002 00000000 00010000 0001 01  4711 /run/my x.sock";
        assert_eq!(unix_row(row, b"/run/my x.sock"), Some(4711));
        assert_eq!(unix_row(row, b"x.sock"), Some(4711), "any name that stands behind a blank");
        assert_eq!(unix_row(row, b"/run/my"), None);
        assert_eq!(unix_row(b"Num RefCount Protocol Flags Type St Inode Path", b"Path"), None);
        assert_eq!(socket_inode("socket:[12]"), Some(12));
        assert_eq!(socket_inode("pipe:[12]"), None);
    }
}
