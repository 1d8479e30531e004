//! What an error message names: ports, hosts, paths, variables. Messages differ, the shapes of these things do not, so
//! each is looked for by its shape.

#![forbid(unsafe_code)]

use crate::evidence::tail::Claim;

/// What kind of claim a message makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Nothing,
    InUse,
    MayNotBind,
    Refused,
    Name,
    NameLater,
    NoSpace,
    NoWatches,
    NoInstances,
    /// Whose name is not a path: it lies in /dev/shm (shm_open(3)).
    SharedMemory,
    ReadOnly,
    Denied,
    Missing,
    Command,
    NotExecutable,
    Files,
    NotPermitted,
    Memory,
    Threads,
    Heap,
    /// It counts only if a variable is named.
    Variable,
    Library,
    User,
    PidFile,
}

/// The claim of `text`, in which what was recognized ends at `at`.
pub(super) fn claim(kind: Kind, text: &[u8], at: usize) -> Option<Claim> {
    Some(match kind {
        Kind::Nothing => return None,
        Kind::InUse => {
            let port = port(text);
            Claim::AddressInUse { port, path: if port.is_none() { path(text, at) } else { None } }
        }
        Kind::MayNotBind => Claim::MayNotBind { port: port(text) },
        Kind::Refused => {
            let (host, port) = address(text);
            Claim::ConnectionRefused { host, port }
        }
        Kind::Name => Claim::NameResolution { name: host_name(text), temporary: false },
        Kind::NameLater => Claim::NameResolution { name: host_name(text), temporary: true },
        Kind::NoSpace => Claim::NoSpace { path: path(text, at), watches: false },
        Kind::NoWatches => Claim::NoSpace { path: None, watches: true },
        Kind::NoInstances => Claim::NoInstances,
        Kind::SharedMemory => Claim::NoSpace { path: Some(b"/dev/shm".to_vec()), watches: false },
        Kind::ReadOnly => Claim::ReadOnly { path: path(text, at) },
        Kind::Denied => Claim::Denied { path: path(text, at) },
        Kind::Missing => Claim::Missing { path: path(text, at) },
        Kind::Command => match command(text)? {
            path if path.contains(&b'/') => Claim::Missing { path: Some(path) },
            name => Claim::NoCommand { name },
        },
        Kind::NotExecutable => Claim::NotExecutable { path: path(text, at) },
        Kind::Files => Claim::TooManyFiles,
        Kind::NotPermitted => Claim::NotPermitted,
        Kind::Memory => Claim::NoMemory,
        Kind::Threads => Claim::NoThreads,
        Kind::Heap => Claim::HeapLimit { bytes: bytes(text) },
        Kind::Variable => Claim::NoVariable { name: variable(text)? },
        Kind::Library => Claim::NoLibrary { name: library(text)? },
        Kind::User => Claim::NoUser,
        Kind::PidFile => Claim::StalePidFile { path: path(text, at) },
    })
}

/// `text` behind the first of `words`.
#[inline(never)]
fn after<'a>(text: &'a [u8], words: &[&str]) -> Option<&'a [u8]> {
    words.iter().find_map(|word| text.get(super::pattern::find(word, text)?..))
}

#[inline(never)]
fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok()
}

fn port(text: &[u8]) -> Option<u16> {
    address(text).1
}

/// A host with a port, or a port: `10.0.0.1:80`, `:::8080`, `tcp :80`, `("0.0.0.0", 80)`, `"db" (10.0.0.3), port 5432`.
#[inline(never)]
fn address(text: &[u8]) -> (Option<Vec<u8>>, Option<u16>) {
    let as_port = |text: &[u8]| number(text).and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0);
    let quoted_host = || {
        let host = after(text, &["server at \"", "host='", "host \"", "connect(2) for \"", "bind(2) for \"", "('"])?;
        let end = host.iter().position(|byte| matches!(byte, b'"' | b'\''))?;
        host.get(..end).filter(|host| is_host(host)).map(<[u8]>::to_vec)
    };
    let said_host = || {
        let host = after(text, &["connect to host ", "ailed to connect to "])?;
        host.split(|byte| *byte == b' ').next().filter(|host| is_host(host)).map(<[u8]>::to_vec)
    };
    let named = || after(text, &[" port ", "port=", "Port ", "port: ", "', "]).and_then(as_port);
    // The last colon with a port behind it; a time of day, a line of a file and a part of an IPv6 address are none.
    let mut best = None;
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| **byte == b':') {
        let (Some(before), Some(behind)) = (text.get(..at), text.get(at + 1..)) else { break };
        let digits = behind.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let ends = match (behind.get(digits), behind.get(digits + 1)) {
            (Some(b'.'), Some(next)) => !next.is_ascii_alphanumeric(),
            (Some(next), _) => {
                !(next.is_ascii_alphanumeric()
                    || *next == b':' && behind.get(digits + 1).is_some_and(u8::is_ascii_digit))
            }
            (None, _) => true,
        };
        let start = before.iter().rposition(|byte| !(byte.is_ascii_alphanumeric() || b".-_:[]*".contains(byte)));
        let host = before.get(start.map_or(0, |start| start + 1)..).unwrap_or_default();
        let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
        let file = before.ends_with(b".js")
            || before.ends_with(b".py")
            || before.ends_with(b".rb")
            || before.ends_with(b".go");
        if ends
            && !file
            && is_host(host)
            && let Some(port) = as_port(behind)
        {
            best = Some((host.to_vec(), port));
        }
    }
    match best {
        Some((host, port)) => (Some(host).filter(|host| !host.is_empty() && host != b"*"), Some(port)),
        None => (quoted_host().or_else(said_host), named()),
    }
}

/// Whether a port may stand behind it: a name, an address, nothing (Go's `:80`), `*`. Digits alone are a time of day, and a
/// name with a colon is a file with a line.
#[inline(never)]
fn is_host(text: &[u8]) -> bool {
    let of_name = |byte: &u8| byte.is_ascii_alphanumeric() || b".-_*".contains(byte);
    let of_address = |byte: &u8| byte.is_ascii_hexdigit() || b".:".contains(byte);
    match text.iter().filter(|byte| **byte == b':').count() {
        0 => text.iter().all(of_name) && (text.is_empty() || !text.iter().all(u8::is_ascii_digit)),
        colons => text.iter().all(of_address) && (colons == 7 || text.windows(2).any(|two| two == b"::")),
    }
}

/// The name that was not resolved.
fn host_name(text: &[u8]) -> Option<Vec<u8>> {
    const BEFORE: &[&str] = &[
        "ENOTFOUND ",
        "EAI_AGAIN ",
        "lookup ",
        "upstream \"",
        "host name \"",
        "resolve host: ",
        "resolve host '",
        "Failed to resolve '",
        "host='",
        "getaddrinfo for ",
        "resolve hostname ",
        "UnknownHostException: ",
        "unknown host ",
        "Unknown host: ",
        "getaddrinfo(",
        "connecting to ",
        "getaddresses: getaddrinfo for ",
    ];
    let rest = after(text, BEFORE)?;
    let end =
        rest.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b".-_".contains(byte))).unwrap_or(rest.len());
    let name = rest.get(..end)?.trim_ascii();
    let name = name.strip_suffix(b".").unwrap_or(name);
    let word = |word: &[u8]| name.eq_ignore_ascii_case(word);
    (!name.is_empty() && !word(b"address") && !word(b"failed")).then(|| name.to_vec())
}

/// The path that the message is about: behind the recognized words first (`: 'x'`, ` @ rb_sysopen - x`), else the last
/// one before them.
#[inline(never)]
fn path(text: &[u8], at: usize) -> Option<Vec<u8>> {
    let (before, behind) = text.split_at_checked(at)?;
    // `open() "/etc/x" failed (2: No such file or directory) in /etc/nginx.conf:3`
    let elsewhere = [&b")"[..], b" in ", b" at "].iter().any(|other| behind.starts_with(other));
    let behind = if elsewhere { b"" } else { behind };
    quoted(behind, false)
        .or_else(|| bare(behind, false, true))
        .or_else(|| bare(behind, false, false))
        .or_else(|| quoted(before, true))
        .or_else(|| bare(before, true, true))
        .or_else(|| bare(before, true, false))
}

/// What stands between two quotation marks and looks like a path; the last one, or the first.
#[inline(never)]
fn quoted(text: &[u8], last: bool) -> Option<Vec<u8>> {
    let mut pieces = text.split(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    // Neither what comes before the first mark nor what follows the last.
    _ = (pieces.next(), pieces.next_back());
    let mut fitting = pieces.filter(|piece| looks_like_path(piece) && !piece.contains(&b' '));
    let piece = if last { fitting.next_back() } else { fitting.next() };
    piece.map(<[u8]>::to_vec)
}

/// A word that looks like a path.
#[inline(never)]
fn bare(text: &[u8], last: bool, absolute: bool) -> Option<Vec<u8>> {
    let words = text.split(|byte| byte.is_ascii_whitespace() || b"=,;()[]{}<>\"'`".contains(byte));
    let mut fitting = words.filter_map(|word| {
        let end = word.iter().rposition(|byte| !b":.".contains(byte))? + 1;
        word.get(..end).filter(|word| looks_like_path(word) && (!absolute || word.starts_with(b"/")))
    });
    let word = if last { fitting.next_back() } else { fitting.next() };
    word.map(<[u8]>::to_vec)
}

/// A slash in it or a dot; no address, no number, no name of a class.
#[inline(never)]
fn looks_like_path(word: &[u8]) -> bool {
    let letters = word.iter().any(u8::is_ascii_alphabetic);
    let dotted = word.iter().filter(|byte| **byte == b'.').count() == 1 && !word.iter().any(u8::is_ascii_uppercase);
    letters
        && !word.windows(3).any(|three| three == b"://")
        && !word.iter().any(u8::is_ascii_control)
        && (word.contains(&b'/') || dotted && !word.contains(&b':'))
}

/// `DATABASE_URL`: capitals, of which a log has others. A name without `_` counts only where it is said to be a variable, or
/// is itself what is not set; one with a colon behind it may be the code of an error.
fn variable(text: &[u8]) -> Option<Vec<u8>> {
    const NONE: [&[u8]; 14] = [
        b"ERROR",
        b"FATAL",
        b"WARNING",
        b"WARN",
        b"INFO",
        b"DEBUG",
        b"CRITICAL",
        b"PANIC",
        b"JSON",
        b"URL",
        b"HTTP",
        b"HTTPS",
        b"NULL",
        b"ENV",
    ];
    const SAID: &str = "^ is |^ not |^ must |^ environment |^: unbound |^: parameter |^: is |^: not |^: must |^: missing |^: required ";
    let of_variables = super::pattern::occurs("env|Env|ENV|KeyError|key not found|array key", text);
    let words = || {
        let mut next = 0;
        text.split(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'_')).filter(move |word| {
            let behind = text.get(next + word.len()..).unwrap_or_default();
            next += word.len() + 1;
            let said = super::pattern::occurs(SAID, behind);
            word.len() > 2
                && word.first().is_some_and(u8::is_ascii_uppercase)
                && !word.iter().any(u8::is_ascii_lowercase)
                && !NONE.contains(word)
                && !(word.starts_with(b"ERR_") || word.starts_with(b"E") && !word.contains(&b'_') && word.len() > 4)
                && (said || (of_variables || word.contains(&b'_')) && !behind.starts_with(b": "))
        })
    };
    words().find(|word| word.contains(&b'_')).or_else(|| words().next()).map(<[u8]>::to_vec)
}

/// `libpq.so.5`.
fn library(text: &[u8]) -> Option<Vec<u8>> {
    let is_library = |word: &&[u8]| word.ends_with(b".so") || word.windows(4).any(|four| four == b".so.");
    text.split(|byte| byte.is_ascii_whitespace() || b"'\",()".contains(byte))
        .map(|word| word.strip_suffix(b":").unwrap_or(word))
        .rfind(is_library)
        .map(<[u8]>::to_vec)
}

/// The command that a shell or env did not find.
fn command(text: &[u8]) -> Option<Vec<u8>> {
    const AFTER: &[&str] = &["command not found: ", "no such file or directory: "];
    if let Some(name) = after(text, AFTER) {
        return Some(name.to_vec());
    }
    let end =
        [": command not found", ": not found", ": inaccessible or not found", ": No such file", ": cannot execute"]
            .iter()
            .find_map(|words| text.windows(words.len()).position(|part| part == words.as_bytes()))?;
    let name = text.get(..end)?;
    let start = name.windows(2).rposition(|two| two == b": ").map_or(0, |at| at + 2);
    let name = name.get(start..)?.trim_ascii();
    // GNU's quotation marks, in ASCII and in UTF-8.
    let name = name.strip_prefix("\u{2018}".as_bytes()).unwrap_or(name);
    let name = name.strip_suffix("\u{2019}".as_bytes()).unwrap_or(name);
    let name = name.strip_prefix(b"'").and_then(|name| name.strip_suffix(b"'")).unwrap_or(name);
    (!name.is_empty()).then(|| name.to_vec())
}

/// PHP's `Allowed memory size of N bytes`.
fn bytes(text: &[u8]) -> Option<u64> {
    number(after(text, &["memory size of "])?)
}
