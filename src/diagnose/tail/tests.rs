use std::fmt::Write;
use std::fs;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::super::tests::ran;
use super::*;
use crate::evidence::Evidence;
use crate::evidence::tail::Line;
use crate::report::escape;
use crate::signals::Signo;

/// Tails of programs that were not at hand, from their sources and manuals.
const DOCUMENTED: &[(&str, i16, &str, &str)] = &[
    // dotnet/runtime: clrex, docs/design/features/host-error-codes.md, corhost, gcheap.
    (
        "dotnet",
        -6,
        "Unhandled exception. System.InvalidOperationException: No connection string\n   at App.Db.Open() in /src/Db.cs:line 12\n   at Program.Main() in /src/Program.cs:line 3",
        "uncaught-exception (certain) uncaught | Unhandled exception. System.InvalidOperationException: No connection string | at /src/Db.cs:12 in App.Db.Open",
    ),
    (
        "dotnet",
        -6,
        "Unhandled exception. System.Exception: cannot start\n ---> System.Net.Sockets.SocketException (111): Connection refused\n   --- End of inner exception stack trace ---\n   at Program.Main()",
        "connection-refused (certain) uncaught | ---> System.Net.Sockets.SocketException (111): Connection refused | refused: - -",
    ),
    (
        "dotnet",
        -6,
        "Process terminated. Couldn't find a valid ICU package installed on the system. Please install libicu (or icu-libs) using your package manager and try again.\n   at System.Environment.FailFast(System.String)",
        "missing-shared-library (certain) | Process terminated. Couldn't find a valid ICU package installed on the system. Please install libicu (or icu-libs) using your package manager and try again. | next",
    ),
    (
        "dotnet",
        -6,
        "Stack overflow.\n   at App.F(Int32)\n   at App.F(Int32)",
        "stack-overflow (certain) | Stack overflow.",
    ),
    (
        "dotnet",
        137,
        "GC heap initialization failed with error 0x8007000E\nFailed to create CoreCLR, HRESULT: 0x8007000E",
        "runtime-heap-limit (certain) | Failed to create CoreCLR, HRESULT: 0x8007000E | heap: None | next",
    ),
    (
        "app",
        150,
        "You must install or update .NET to run this application.\n\nApp: /app/app\nArchitecture: x64\nFramework: 'Microsoft.AspNetCore.App', version '8.0.0' (x64)\n.NET location: /usr/share/dotnet/\n\nNo frameworks were found.",
        "wrong-runtime-version (certain) | Framework: 'Microsoft.AspNetCore.App', version '8.0.0' (x64) | next",
    ),
    // GHC: rts/RtsMessages.c, GHC.Stack.
    (
        "app",
        1,
        "app: no database configured\nCallStack (from HasCallStack):\n  error, called at src/Main.hs:7:11 in main:Main",
        "uncaught-exception (certain) uncaught | app: no database configured | at src/Main.hs:7:11",
    ),
    (
        "app",
        251,
        "app: Heap exhausted;\napp: Current maximum heap size is 1048576 bytes (1 MB).\napp: Use `+RTS -M<size>' to increase it.",
        "runtime-heap-limit (certain) | app: Heap exhausted; | heap: None",
    ),
    (
        "app",
        1,
        "app: thread blocked indefinitely in an MVar operation",
        "deadlock (certain) | app: thread blocked indefinitely in an MVar operation",
    ),
    (
        "app",
        1,
        "app: /etc/app.yaml: openFile: does not exist (No such file or directory)",
        "file-missing (likely) | app: /etc/app.yaml: openFile: does not exist (No such file or directory) | missing: /etc/app.yaml",
    ),
    // Spring Boot: LoggingFailureAnalysisReporter, PortInUseFailureAnalyzer.
    (
        "java",
        1,
        "***************************\nAPPLICATION FAILED TO START\n***************************\n\nDescription:\n\nWeb server failed to start. Port 8080 was already in use.\n\nAction:\n\nIdentify and stop the process that's listening on port 8080 or configure this application to listen on another port.\n",
        "address-in-use (certain) uncaught | Web server failed to start. Port 8080 was already in use. | in use: 8080 -",
    ),
    (
        "java",
        1,
        "APPLICATION FAILED TO START\n\nDescription:\n\nFailed to configure a DataSource: 'url' attribute is not specified and no embedded datasource could be configured.\n\nReason: Failed to determine a suitable driver class\n\n\nAction:\n\nConsider the following:",
        "configuration-error (certain) uncaught | Failed to configure a DataSource: 'url' attribute is not specified and no embedded datasource could be configured.",
    ),
    // Elasticsearch: BootstrapChecks.
    (
        "java",
        78,
        "ERROR: [1] bootstrap checks failed. You must address the points described in the following [1] lines before starting Elasticsearch.\nbootstrap check failure [1] of [1]: max virtual memory areas vm.max_map_count [65530] is too low, increase to at least [262144]\nERROR: Elasticsearch did not exit normally - check the logs at /usr/share/elasticsearch/logs/docker-cluster.log",
        "configuration-error (certain) | bootstrap check failure [1] of [1]: max virtual memory areas vm.max_map_count [65530] is too low, increase to at least [262144] | next",
    ),
    (
        "java",
        1,
        "# There is insufficient memory for the Java Runtime Environment to continue.\n# Native memory allocation (mmap) failed to map 253755392 bytes for committing reserved memory.",
        "allocation-failed (certain) | # There is insufficient memory for the Java Runtime Environment to continue. | NoMemory",
    ),
    // MySQL's and PostgreSQL's entrypoints.
    (
        "bash",
        1,
        "2026-11-22 10:00:00+00:00 [ERROR] [Entrypoint]: Database is uninitialized and password option is not specified\n    You need to specify one of the following as an environment variable:\n    - MYSQL_ROOT_PASSWORD\n    - MYSQL_ALLOW_EMPTY_PASSWORD\n    - MYSQL_RANDOM_ROOT_PASSWORD",
        "env-variable-missing (likely) | 2026-11-22 10:00:00+00:00 [ERROR] [Entrypoint]: Database is uninitialized and password option is not specified",
    ),
    (
        "bash",
        1,
        "Error: Database is uninitialized and superuser password is not specified.\n       You must specify POSTGRES_PASSWORD to a non-empty value for the\n       superuser. For example, \"-e POSTGRES_PASSWORD=password\" on \"docker run\".",
        "env-variable-missing (likely) | Error: Database is uninitialized and superuser password is not specified.",
    ),
    (
        "mysqld",
        1,
        "2026-11-22T10:00:00.000000Z 0 [ERROR] [MY-010119] [Server] Aborting",
        "exit-error (likely) | 2026-11-22T10:00:00.000000Z 0 [ERROR] [MY-010119] [Server] Aborting",
    ),
    // Rails: rack/server, puma: binder.
    (
        "ruby",
        1,
        "A server is already running. Check /app/tmp/pids/server.pid.\nExiting",
        "stale-pid-file (certain) | A server is already running. Check /app/tmp/pids/server.pid. | pid file: /app/tmp/pids/server.pid",
    ),
    (
        "ruby",
        1,
        "/usr/local/bundle/gems/puma-6.4.0/lib/puma/binder.rb:334:in `initialize': Address already in use - bind(2) for \"0.0.0.0\" port 3000 (Errno::EADDRINUSE)\n\tfrom /app/bin/rails:4:in `<main>'",
        "address-in-use (certain) uncaught | /usr/local/bundle/gems/puma-6.4.0/lib/puma/binder.rb:334:in `initialize': Address already in use - bind(2) for \"0.0.0.0\" port 3000 (Errno::EADDRINUSE) | at /app/bin/rails:4 | in use: 3000 -",
    ),
    // Ruby 3.4 writes its quotes otherwise.
    (
        "ruby",
        1,
        "app.rb:2:in 'Object#connect': no url given (ArgumentError)\n\tfrom app.rb:4:in '<main>'",
        "uncaught-exception (certain) uncaught | app.rb:2:in 'Object#connect': no url given (ArgumentError) | at app.rb:2 in Object#connect",
    ),
    // Rust before 1.73 and 1.88.
    (
        "app",
        101,
        "thread 'main' panicked at 'no database', src/main.rs:3:5\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        "rust-panic (certain) uncaught | thread 'main' panicked at 'no database', src/main.rs:3:5 | at src/main.rs:3:5",
    ),
    (
        "app",
        101,
        "thread 'main' panicked at src/main.rs:3:5:\nno database\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
        "rust-panic (certain) uncaught | no database | at src/main.rs:3:5",
    ),
    // libc++, qemu-user, jemalloc, Elixir, celery, torch, dpkg's gcc.
    (
        "app",
        -6,
        "libc++abi: terminating due to uncaught exception of type std::runtime_error: no database",
        "uncaught-exception (certain) | libc++abi: terminating due to uncaught exception of type std::runtime_error: no database",
    ),
    (
        "app",
        1,
        "<jemalloc>: Unsupported system page size",
        "library-incompatible (likely) | <jemalloc>: Unsupported system page size",
    ),
    (
        "beam.smp",
        1,
        "** (RuntimeError) environment variable DATABASE_URL is missing.\nFor example: ecto://USER:PASS@HOST/DATABASE\n",
        "env-variable-missing (likely) | ** (RuntimeError) environment variable DATABASE_URL is missing. | variable: DATABASE_URL",
    ),
    (
        "python3",
        0,
        "billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 0.",
        "descendant-killed (possible) part | billiard.exceptions.WorkerLostError: Worker exited prematurely: signal 9 (SIGKILL) Job: 0. | next",
    ),
    (
        "python3",
        1,
        "[2026-11-22 10:00:00 +0000] [1] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory?",
        "descendant-killed (possible) part | [2026-11-22 10:00:00 +0000] [1] [ERROR] Worker (pid:9) was sent SIGKILL! Perhaps out of memory? | next",
    ),
    (
        "php-fpm",
        0,
        "[22-Nov-2026 10:00:00] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.2 seconds from start",
        "descendant-killed (possible) part | [22-Nov-2026 10:00:00] WARNING: [pool www] child 12 exited on signal 11 (SIGSEGV) after 3.2 seconds from start | next",
    ),
    // A log in colours; JSON; a time of day is no port.
    (
        "app",
        1,
        "\x1b[31mFATAL\x1b[0m cannot connect to redis:6379: connection refused",
        "connection-refused (likely) | FATAL cannot connect to redis:6379: connection refused | refused: redis 6379",
    ),
    (
        "app",
        1,
        "{\"level\":\"fatal\",\"time\":\"2026-11-22T10:00:00Z\",\"error\":\"dial tcp [::1]:5432: connect: connection refused\"}",
        "connection-refused (likely) | {\"level\":\"fatal\",\"time\":\"2026-11-22T10:00:00Z\",\"error\":\"dial tcp [::1]:5432: connect: connection refused\"} | refused: ::1 5432",
    ),
    (
        "app",
        1,
        "10:00:05 ERROR bind: address already in use",
        "address-in-use (likely) | 10:00:05 ERROR bind: address already in use | in use: - -",
    ),
    (
        "node",
        1,
        "[10:00:05] Error: ENOSPC: System limit for number of file watchers reached, watch '/app/src'",
        "inotify-limit (likely) | [10:00:05] Error: ENOSPC: System limit for number of file watchers reached, watch '/app/src' | no space: - true",
    ),
    (
        "python3",
        1,
        "Traceback (most recent call last):\n  File \"/app/w.py\", line 3, in watch\nOSError: [Errno 28] inotify watch limit reached",
        "inotify-limit (certain) uncaught | OSError: [Errno 28] inotify watch limit reached | at /app/w.py:3 in watch | no space: - true",
    ),
    (
        "node",
        1,
        "[10:00:05] Error: EMFILE: too many open files, watch '/app/src'",
        "too-many-open-files (likely) | [10:00:05] Error: EMFILE: too many open files, watch '/app/src' | NoInstances",
    ),
    (
        "app",
        1,
        "failed to create fsnotify watcher: too many open files",
        "too-many-open-files (likely) | failed to create fsnotify watcher: too many open files | NoInstances",
    ),
    // A path that happens to have such a word in it.
    (
        "node",
        1,
        "[10:00:05] Error: ENOSPC: no space left on device, open '/data/watch.log'",
        "disk-full (likely) | [10:00:05] Error: ENOSPC: no space left on device, open '/data/watch.log' | no space: /data/watch.log false",
    ),
    // libpq, the MySQL and Redis servers, PostgreSQL, supervisord.
    (
        "python3",
        1,
        "Traceback (most recent call last):\n  File \"/app/db.py\", line 14, in connect\n    return psycopg2.connect(dsn)\npsycopg2.OperationalError: connection to server at \"db\" (10.0.3.7), port 5432 failed: FATAL:  password authentication failed for user \"app\"",
        "authentication-failed (certain) uncaught | psycopg2.OperationalError: connection to server at \"db\" (10.0.3.7), port 5432 failed: FATAL:  password authentication failed for user \"app\" | at /app/db.py:14 in connect",
    ),
    (
        "app",
        1,
        "ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.2' (using password: YES)",
        "authentication-failed (likely) | ERROR 1045 (28000): Access denied for user 'app'@'10.0.0.2' (using password: YES)",
    ),
    (
        "app",
        1,
        "redis: WRONGPASS invalid username-password pair or user is disabled.",
        "authentication-failed (likely) | redis: WRONGPASS invalid username-password pair or user is disabled.",
    ),
    (
        "postgres",
        1,
        "2026-11-22 10:00:00 UTC [1] FATAL:  could not resize shared memory segment \"/PostgreSQL.2013671\" to 8388608 bytes: No space left on device",
        "disk-full (certain) | 2026-11-22 10:00:00 UTC [1] FATAL:  could not resize shared memory segment \"/PostgreSQL.2013671\" to 8388608 bytes: No space left on device | no space: /dev/shm false",
    ),
    (
        "supervisord",
        0,
        "2026-11-22 10:00:00,000 INFO gave up: web entered FATAL state, too many start retries too quickly",
        "exit-error (possible) part | 2026-11-22 10:00:00,000 INFO gave up: web entered FATAL state, too many start retries too quickly",
    ),
    (
        "python3",
        120,
        "Exception ignored in: <_io.TextIOWrapper name='<stdout>' mode='w' encoding='utf-8'>\nBrokenPipeError: [Errno 32] Broken pipe",
        "broken-pipe (certain) | BrokenPipeError: [Errno 32] Broken pipe",
    ),
    (
        "app",
        1,
        "panic: open /app/data: read-only file system",
        "read-only-filesystem (likely) | panic: open /app/data: read-only file system | read-only: /app/data",
    ),
    (
        "app",
        1,
        "accept: Too many open files in system",
        "too-many-open-files (likely) | accept: Too many open files in system | next",
    ),
    // The exact words, of another program than the one that owns them.
    (
        "app",
        1,
        "2026/11/22 10:00:00 [emerg] 1#1: unknown directive \"listn\"",
        "configuration-error (likely) | 2026/11/22 10:00:00 [emerg] 1#1: unknown directive \"listn\"",
    ),
    ("app", 127, "run: foo: not found", "command-not-found-in-script (likely) | run: foo: not found | no command: foo"),
];

fn ended(end: i16) -> Outcome {
    match u8::try_from(end) {
        Ok(code) => Outcome::Exited(code),
        Err(_) => Outcome::Signaled { signal: Signo::new(i32::from(-end)).unwrap(), core_dumped: true },
    }
}

/// All of these ends, with what rinit has of them.
pub(in crate::diagnose) fn ends() -> Vec<(Outcome, Evidence)> {
    let documented = DOCUMENTED.iter().map(|(name, end, text, _)| (*name, ended(*end), tail(text.as_bytes(), false)));
    let of = |name: &str, outcome, tail| (outcome, Evidence { tail: Some(tail), ..ran(name.as_bytes()) });
    let documented = documented.map(|(name, outcome, tail)| of(name, outcome, tail));
    documented.chain(recorded().into_iter().map(|one| of(&one.program, one.outcome, one.tail))).collect()
}

#[test]
fn documented_tails() {
    for (name, end, text, expected) in DOCUMENTED.iter().step_by(crate::one_of(9)) {
        let found = recognize(&tail(text.as_bytes(), false), &ended(*end), &[name.as_bytes()]);
        assert_eq!(show(found.as_ref()).replace("\\\\", "\\"), *expected, "{text}");
    }
}

const DIRECTORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/tails");

/// A recorded tail: `# PROGRAM VERSION, NOTE: exit N` or a signal's name, perhaps `, on stdout`, then what was written.
struct Recorded {
    name: String,
    program: String,
    outcome: Outcome,
    tail: Tail,
}

fn recorded() -> Vec<Recorded> {
    let mut paths: Vec<_> = fs::read_dir(DIRECTORY).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    paths.iter().map(|path| read(path.file_stem().unwrap().to_str().unwrap(), &fs::read(path).unwrap())).collect()
}

fn read(name: &str, bytes: &[u8]) -> Recorded {
    let newline = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    let head = std::str::from_utf8(&bytes[2..newline]).unwrap();
    let program = head.split([' ', ',', ':']).next().unwrap().to_owned();
    let end = head.rsplit_once(": ").unwrap().1;
    let (end, stdout) = end.strip_suffix(", on stdout").map_or((end, false), |end| (end, true));
    let outcome = match end.strip_prefix("exit ") {
        Some(code) => Outcome::Exited(code.parse().unwrap()),
        None => Outcome::Signaled { signal: Signo::parse(end).unwrap(), core_dumped: false },
    };
    Recorded { name: name.to_owned(), program, outcome, tail: tail(&bytes[newline + 1..], stdout) }
}

fn tail(bytes: &[u8], stdout: bool) -> Tail {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let lines = text.split(|byte| *byte == b'\n').map(|line| Line { text: line.to_vec(), stdout }).collect();
    Tail { lines, wanted: None, cut: false }
}

fn show(found: Option<&Signature>) -> String {
    let Some(found) = found else { return "nothing".to_owned() };
    let mut text = format!("{} ({})", found.cause.id, found.confidence.as_str());
    for (word, holds) in [("uncaught", found.uncaught), ("part", found.part), ("stdout", found.stdout)] {
        if holds {
            write!(text, " {word}").unwrap();
        }
    }
    write!(text, " | {}", escape(&found.quote)).unwrap();
    if let Some(place) = &found.place {
        write!(text, " | at {}", escape(place)).unwrap();
    }
    if let Some(claim) = &found.claim {
        write!(text, " | {}", claimed(claim)).unwrap();
    }
    if !found.next.is_empty() {
        text += " | next";
    }
    text
}

fn claimed(claim: &Claim) -> String {
    let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or("-".to_owned(), |bytes| escape(bytes));
    let port = |port: &Option<u16>| port.map_or("-".to_owned(), |port| port.to_string());
    match claim {
        Claim::AddressInUse { port: number, path } => format!("in use: {} {}", port(number), bytes(path)),
        Claim::MayNotBind { port: number } => format!("may not bind: {}", port(number)),
        Claim::ConnectionRefused { host, port: number } => format!("refused: {} {}", bytes(host), port(number)),
        Claim::NameResolution { name, temporary } => format!("name: {} {temporary}", bytes(name)),
        Claim::NoSpace { path, watches } => format!("no space: {} {watches}", bytes(path)),
        Claim::ReadOnly { path } => format!("read-only: {}", bytes(path)),
        Claim::Denied { path } => format!("denied: {}", bytes(path)),
        Claim::Missing { path } => format!("missing: {}", bytes(path)),
        Claim::NoCommand { name } => format!("no command: {}", escape(name)),
        Claim::NotExecutable { path } => format!("not executable: {}", bytes(path)),
        Claim::HeapLimit { bytes } => format!("heap: {bytes:?}"),
        Claim::NoVariable { name } => format!("variable: {}", escape(name)),
        Claim::NoLibrary { name } => format!("library: {}", escape(name)),
        Claim::StalePidFile { path } => format!("pid file: {}", bytes(path)),
        other => format!("{other:?}"),
    }
}

/// What every recorded tail says: the file `expected`, a line each. RECOGNIZED=FILE writes what is found there, to be
/// read by a person and put in its place.
#[test]
fn recorded_tails() {
    let mut found = String::new();
    for one in recorded() {
        let names = [one.program.as_bytes()];
        let signature = recognize(&one.tail, &one.outcome, &names);
        writeln!(found, "{}: {}", one.name, show(signature.as_ref())).unwrap();
    }
    if let Some(path) = std::env::var_os("RECOGNIZED") {
        fs::write(path, &found).unwrap();
    }
    let expected = fs::read_to_string(format!("{DIRECTORY}/expected")).unwrap_or_default();
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count());
}

/// A ring keeps what it can: a tail may begin and end anywhere.
#[test]
fn any_piece_of_a_tail_can_be_read() {
    for one in recorded().into_iter().step_by(crate::one_of(50)) {
        let names = [one.program.as_bytes()];
        let lines = &one.tail.lines;
        for at in 0..=lines.len() {
            for piece in [&lines[at..], &lines[..at]] {
                let tail = Tail { lines: piece.to_vec(), wanted: None, cut: true };
                let found = recognize(&tail, &one.outcome, &names);
                assert!(found.is_none_or(|found| found.line < piece.len()), "{}", one.name);
            }
        }
        let last = lines.last().unwrap();
        for at in (0..=last.text.len().min(300)).step_by(9) {
            for text in [&last.text[..at], &last.text[at..]] {
                let mut tail = one.tail.clone();
                tail.lines.last_mut().unwrap().text = text.to_vec();
                _ = recognize(&tail, &one.outcome, &names);
            }
        }
    }
}

/// What is not why: ordinary logs, what came before, what does not go with the end.
#[test]
fn what_explains_nothing() {
    for (end, text) in [
        (1, "INFO  listening on :8080\nINFO  GET /health 200\nINFO  GET /error 200 no errors found"),
        (1, "2026-11-22 01:44:32 INFO processed 17 rows, 0 failed"),
        (1, ""),
        (1, "\n\n\n"),
        (3, "Usage: app [OPTIONS]"),
        (1, "shutting down: bye"),
        (0, "Traceback (most recent call last):\n  File \"/a.py\", line 1, in <module>\nKeyError: 'A'"),
        (0, "ERROR: Connection refused, will retry\nINFO: connected\nINFO: done"),
        (0, "sh: 1: foo: not found"),
        // By far not the last words, and nothing but a warning.
        (
            1,
            "ERROR: ld.so: object '/x.so' from LD_PRELOAD cannot be preloaded: ignored.\nok\nok\nok\nok\nok\nok\nok\nok",
        ),
        (7, "panic attack\nfatality: none"),
        // Words that others use too, of something else.
        (1, "starting\nUsing configuration file /etc/app.yml"),
        (1, "INFO cannot reach db:5432: connection refused, trying the next one"),
        (1, "ERROR login: user does not exist"),
        (1, "Failed password for invalid user admin from 10.0.0.9"),
        (1, "ERROR job 12 is already running"),
        (1, "ERROR pid file /run/app.pid does not exist"),
        (1, "ERROR Failed to resolve module specifier left-pad"),
        (1, "ERROR redis: OOM command not allowed when used memory > 'maxmemory'."),
        (1, "ERROR JSON parse error: Unexpected token"),
        (1, "ERROR 400 GET /api/items: field name is required"),
        (1, "ERROR rpc error: INVALID_ARGUMENT: name is required"),
        (1, "ERROR TLS certificate is missing"),
    ] {
        let found = recognize(&tail(text.as_bytes(), false), &Outcome::Exited(end), &[b"app"]);
        let generic = found.as_ref().is_none_or(|found| found.cause.id == "exit-error");
        assert!(generic, "{text}: {}", show(found.as_ref()));
    }
    let error = tail(b"MemoryError", false);
    for signal in [Signo::KILL, Signo::TERM, Signo::INT, Signo::HUP, Signo::PIPE] {
        assert_eq!(recognize(&error, &Outcome::Signaled { signal, core_dumped: false }, &[]), None);
    }
    let segfault = Outcome::Signaled { signal: Signo::SEGV, core_dumped: false };
    assert_eq!(recognize(&tail(b"ERROR: Connection refused", false), &segfault, &[]), None);
}

/// Of a log, the last lines count: what a program lived on after is a possibility, where nothing else is there.
#[test]
fn what_lies_far_back_or_only_warns() {
    let refused = "ERROR redis:6379: connection refused, retrying";
    let busy = "INFO step done\n".repeat(20);
    for (text, expected) in [
        (format!("{refused}\n{busy}FATAL license expired"), "exit-error (likely) | FATAL license expired"),
        (
            format!("{refused}\n{busy}"),
            "connection-refused (possible) | ERROR redis:6379: connection refused, retrying",
        ),
        (format!("INFO up\n{refused}"), "connection-refused (likely) | ERROR redis:6379: connection refused, retrying"),
        (
            "WARN a.yml: No such file or directory, using defaults\nERROR boom".into(),
            "exit-error (likely) | ERROR boom",
        ),
        ("WARN redis:6379: connection refused".into(), "nothing"),
        ("ERROR PORT is not set".into(), "env-variable-missing (likely) | ERROR PORT is not set | variable: PORT"),
        (
            "ERROR missing env variable TOKEN".into(),
            "env-variable-missing (likely) | ERROR missing env variable TOKEN | variable: TOKEN",
        ),
        (
            "ERROR config: API_TOKEN: must be set".into(),
            "env-variable-missing (likely) | ERROR config: API_TOKEN: must be set | variable: API_TOKEN",
        ),
        // A shell reads its script, which the kernel does not.
        (
            "dash: 0: cannot open /app/run.sh: Permission denied".into(),
            "permission-denied (likely) | dash: 0: cannot open /app/run.sh: Permission denied | denied: /app/run.sh",
        ),
        (
            "/bin/true: error while loading shared libraries: libc.so.6: failed to map segment from shared object"
                .into(),
            "exit-error (likely)",
        ),
    ] {
        let found = show(recognize(&tail(text.as_bytes(), false), &Outcome::Exited(1), &[b"app"]).as_ref());
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

/// A table's text and what is found there, by exit code or signal.
fn found(name: &str, end: i16, text: &str) -> String {
    show(recognize(&tail(text.as_bytes(), false), &ended(end), &[name.as_bytes()]).as_ref())
}

/// Ports, hosts, paths and variables as messages name them, and what only looks like one.
#[test]
fn what_a_line_names() {
    for (text, expected) in [
        // A port has a host before it, and nothing glued to it.
        ("ERROR dial tcp 10.0.0.1:0: connect: connection refused", "refused: - -"),
        ("ERROR dial tcp :5432: connect: connection refused", "refused: - 5432"),
        ("ERROR redis://redis:6379/0: connection refused", "refused: redis 6379"),
        ("ERROR cannot connect to redis:6379. connection refused", "refused: redis 6379"),
        ("ERROR probe of postgres:16.2: connection refused", "refused: - -"),
        ("ERROR pulling sha256:4fd1: connection refused", "refused: - -"),
        ("ERROR server.py:12: connection refused", "refused: - -"),
        ("ERROR worker[3]:12 connection refused", "refused: - -"),
        ("ERROR client.js:8: connection refused", "refused: - -"),
        ("ERROR client.ts:8:15 connection refused", "refused: - -"),
        ("ERROR [2001:db8::7]:5432: connection refused", "refused: 2001:db8::7 5432"),
        ("ERROR [fd00:10:244:1:2:3:4:5]:5432: connection refused", "refused: fd00:10:244:1:2:3:4:5 5432"),
        // What stands behind the word is no name.
        ("ERROR DNS lookup failed: Name or service not known", "name: - false"),
        ("ERROR failed to lookup address information: Name or service not known", "name: - false"),
        // A path may hold what elsewhere stands between words; of several it is the last before the reason, or the first
        // behind it.
        ("ERROR open \"/app/pages/[slug].js\": no such file or directory", "missing: /app/pages/[slug].js"),
        ("ERROR can't read '/srv/[old]/run.conf': no such file or directory", "missing: /srv/[old]/run.conf"),
        ("ERROR cannot stat `/srv/[a]/x': No such file or directory", "missing: /srv/[a]/x"),
        ("ERROR rename '/a/[b]/old' -> '/a/[b]/new': no such file or directory", "missing: /a/[b]/new"),
        ("ERROR No such file or directory: '/a/[b]/old' -> '/a/[b]/new'", "missing: /a/[b]/old"),
        ("ERROR open 'a b' and '/c/[d]/e': no such file or directory", "missing: /c/[d]/e"),
        ("ERROR cannot stat /etc/app/config as app.service: No such file or directory", "missing: /etc/app/config"),
        ("ERROR step 3/12: no such file or directory", "missing: -"),
        ("ERROR GET http://files/a.txt: no such file or directory", "missing: -"),
        // Capitals are a variable where they are said to be one.
        ("2026-11-22 ERROR environment variable TOKEN is not set", "variable: TOKEN"),
        ("ERROR ECONNRESET environment variable TOKEN is not set", "variable: TOKEN"),
        ("ERROR ERR_NO_CONFIG environment variable TOKEN is not set", "variable: TOKEN"),
        ("ERROR EDGE is not set", "variable: EDGE"),
        ("ERROR EMAIL_HOST is not set", "variable: EMAIL_HOST"),
        ("ERROR ID is not set", "nothing"),
    ] {
        let signature = recognize(&tail(text.as_bytes(), false), &Outcome::Exited(1), &[b"app"]);
        let claim =
            signature.and_then(|signature| signature.claim).map_or("nothing".to_owned(), |claim| claimed(&claim));
        assert_eq!(claim, expected, "{text}");
    }
}

const PANIC: &str = "panic: no database\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:8 +0x25";
const RAISED: &str =
    "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in <module>\nAppError: no database";
const REFUSED: &str = "ERROR redis:6379: connection refused";

/// Of several lines that may be the reason, which one is it, and how sure is that?
#[test]
fn what_counts_most() {
    let lines = |line: &str, count: usize| format!("\n{line}").repeat(count);
    for (name, end, text, expected) in [
        // Last words are certain with their own status; with another one only if what ran the program vouches for it.
        ("app", 2, PANIC.into(), "go-panic (certain) uncaught | panic: no database | at /app/main.go:8 in main.main"),
        // GOTRACEBACK=crash, panic = "abort".
        ("app", -6, PANIC.into(), "go-panic (certain) uncaught | panic: no database | at /app/main.go:8 in main.main"),
        (
            "app",
            -6,
            "thread 'main' panicked at src/main.rs:2:5:\nno database".into(),
            "rust-panic (certain) uncaught | no database | at src/main.rs:2:5",
        ),
        ("app", 1, PANIC.into(), "go-panic (likely) uncaught | panic: no database | at /app/main.go:8 in main.main"),
        ("python3", 7, RAISED.into(), "uncaught-exception (likely) uncaught | AppError: no database | at /app/a.py:3"),
        (
            "gunicorn",
            3,
            format!("{RAISED}\nReason: Worker failed to boot."),
            "uncaught-exception (certain) uncaught | AppError: no database | at /app/a.py:3",
        ),
        (
            "gunicorn",
            7,
            format!("{RAISED}\nReason: Worker failed to boot."),
            "uncaught-exception (likely) uncaught | AppError: no database | at /app/a.py:3",
        ),
        ("python3", -11, RAISED.into(), "nothing"),
        (
            "app",
            -6,
            REFUSED.into(),
            "connection-refused (likely) | ERROR redis:6379: connection refused | refused: redis 6379",
        ),
        // With 128 and the number somebody passes on which signal ended what it ran.
        ("start", 134, "free(): invalid pointer".into(), "heap-corruption (certain) | free(): invalid pointer"),
        ("sh", 134, "free(): invalid pointer".into(), "heap-corruption (likely) | free(): invalid pointer"),
        (
            "sh",
            2,
            "app.py: error: unrecognized arguments: -x".into(),
            "usage-error (likely) | app.py: error: unrecognized arguments: -x",
        ),
        (
            "python3",
            2,
            "app.py: error: unrecognized arguments: -x".into(),
            "usage-error (certain) | app.py: error: unrecognized arguments: -x",
        ),
        // Eight lines may follow, blank ones and those of wrappers uncounted; after more of them the program lived on.
        (
            "python3",
            1,
            format!("{RAISED}{}", lines("bye", 8)),
            "uncaught-exception (certain) uncaught | AppError: no database | at /app/a.py:3",
        ),
        (
            "python3",
            1,
            format!("{RAISED}{}", lines("bye", 9)),
            "uncaught-exception (likely) uncaught | AppError: no database | at /app/a.py:3",
        ),
        (
            "python3",
            1,
            format!("{RAISED}{}", lines("\nbye", 8)),
            "uncaught-exception (certain) uncaught | AppError: no database | at /app/a.py:3",
        ),
        (
            "python3",
            1,
            format!("{RAISED}{}", lines("npm ERR! code 1", 20)),
            "uncaught-exception (certain) uncaught | AppError: no database | at /app/a.py:3",
        ),
        // What tells more than that it failed; a part's end before a line that says nothing, and that before a wrapper.
        (
            "app",
            1,
            format!("{REFUSED}\nFATAL giving up"),
            "connection-refused (likely) | ERROR redis:6379: connection refused | refused: redis 6379",
        ),
        (
            "app",
            1,
            "[22-Nov-2026 10:00:00] WARNING: [pool www] child 12 exited on signal 11\nFATAL giving up".into(),
            "descendant-killed (possible) part | [22-Nov-2026 10:00:00] WARNING: [pool www] child 12 exited on signal 11 | next",
        ),
        ("npm", 1, "FATAL giving up\nnpm ERR! code 1".into(), "exit-error (possible) | FATAL giving up"),
    ] {
        let found = found(name, end, &text);
        assert_eq!(found, expected, "{name} {end} {text}");
    }
}

/// Where a trace begins and ends, and what only looks like one.
#[test]
fn the_bounds_of_a_trace() {
    let many = |line: &str| format!("\n{line}").repeat(12);
    let node = "Error: no database\n    at open (/app/a.js:3:9)\n    at main (/app/a.js:9:1)\n";
    for (name, end, text, expected) in [
        // Python: Ctrl-C is no fault; the exception before is the origin only where it is said to be; frames alone, or the
        // last line alone.
        ("python3", 1, RAISED.replace("AppError: no database", "KeyboardInterrupt"), "nothing"),
        ("python3", 1, format!("ConnectionRefusedError: [Errno 111] Connection refused\na\nb\nc\nd\n{RAISED}"), "uncaught-exception (certain) uncaught | AppError: no database | at /app/a.py:3"),
        ("python3", 1, "app.db.AppError: no database".into(), "uncaught-exception (likely) | app.db.AppError: no database"),
        ("python3", 1, "app.db.AppError: no database\nstarting".into(), "nothing"),
        ("python3", 1, "Traceback (most recent call last):\n  File \"/app/a.py\", line 3, in <module>\n    open(\"/x\")\nPermissionError: [Errno 13] Permission denied".into(), "permission-denied (certain) uncaught | PermissionError: [Errno 13] Permission denied | at /app/a.py:3 | denied: -"),
        ("python3", 1, format!("\n\n\n  | ExceptionGroup: several failed (2 sub-exceptions){}", many("    | ValueError: one")), "uncaught-exception (certain) uncaught | | ExceptionGroup: several failed (2 sub-exceptions)"),
        ("python3", 1, format!("\n\n\n  | ExceptionGroup: several failed (2 sub-exceptions){}{}", many("    | ValueError: one"), "\nbye".repeat(9)), "uncaught-exception (likely) uncaught | | ExceptionGroup: several failed (2 sub-exceptions)"),
        // Java: without frames, logged by somebody, cut off at its beginning, a message of two lines, two threads.
        ("java", 1, "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space".into(), "runtime-heap-limit (certain) uncaught | Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space | heap: None"),
        ("java", 1, "10:00:00 ERROR it broke\njava.lang.IllegalStateException: no database\n\tat app.Db.open(Db.java:7)".into(), "uncaught-exception (likely) | java.lang.IllegalStateException: no database | at Db.java:7 in app.Db.open"),
        ("java", 1, "\tat app.Db.open(Db.java:7)\nCaused by: java.net.ConnectException: Connection refused\n\tat app.Net.dial(Net.java:3)".into(), "connection-refused (likely) | Caused by: java.net.ConnectException: Connection refused | at Net.java:3 in app.Net.dial | refused: - -"),
        ("java", 1, "Exception in thread \"main\" app.Broken: no database\nafter an Error of the driver\n\tat app.Db.open(Db.java:7)".into(), "uncaught-exception (certain) uncaught | Exception in thread \"main\" app.Broken: no database"),
        ("java", 1, "Exception in thread \"worker\" app.Broken: no queue\nException in thread \"main\" app.Broken: no database".into(), "uncaught-exception (certain) uncaught | Exception in thread \"main\" app.Broken: no database"),
        // Node.js: logged before exit(1), after which another line may count more; before version 17; an older failure
        // far above.
        ("node", 1, node.into(), "uncaught-exception (likely) | Error: no database | at /app/a.js:3:9 in open"),
        ("node", 1, format!("{node}{REFUSED}"), "uncaught-exception (likely) | Error: no database | at /app/a.js:3:9 in open"),
        ("node", 1, format!("{node}{}{REFUSED}", "bye\n".repeat(9)), "connection-refused (likely) | ERROR redis:6379: connection refused | refused: redis 6379"),
        ("node", 1, format!("Error: no cache\n    at get (/app/c.js:1:2)\n{node}"), "uncaught-exception (likely) | Error: no database | at /app/a.js:3:9 in open"),
        ("node", 1, format!("/app/a.js:3\n    throw new Error('no database')\n    ^\n\n{node}"), "uncaught-exception (certain) uncaught | Error: no database | at /app/a.js:3:9 in open"),
        ("node", 1, format!("up\nready\nError: no database{}\n    at main (/app/a.js:9:1){}\nNode.js v20.1.0", many("ok"), many("ok").repeat(6)), "exit-error (possible) | Error: no database"),
        ("node", 1, "    at new AppError (/app/a.js:3:9)\n    at main (/app/a.js:9:1)\n\nNode.js v20.1.0".into(), "nothing"),
        // Go: log.Panic is not where it was called.
        ("app", 2, "panic: no database\n\ngoroutine 1 [running]:\nlog.Panic({0xc000012345?, 0x0?, 0x0?})\n\t/usr/lib/go/log/log.go:432 +0x5a\nmain.main()\n\t/app/main.go:8 +0x25".into(), "go-panic (certain) uncaught | panic: no database | at /app/main.go:8 in main.main"),
        // Rust: no message, much of a backtrace.
        ("app", 101, "thread 'main' panicked at src/main.rs:2:5:".into(), "rust-panic (certain) uncaught | thread 'main' panicked at src/main.rs:2:5: | at src/main.rs:2:5"),
        ("app", 101, format!("thread 'main' panicked at src/main.rs:2:5:\nno database\nstack backtrace:{}", many("   0: rust_begin_unwind")), "rust-panic (certain) uncaught | no database | at src/main.rs:2:5"),
        // Ruby warns in the same form. PHP, Lua and Haskell with long traces.
        ("ruby", 1, "app.rb:2:in `load': warning: already initialized constant X".into(), "nothing"),
        ("php", 255, format!("PHP Fatal error:  Uncaught AppError: no database in /app/a.php:3\nStack trace:{}\n  thrown in /app/a.php on line 3", many("#0 /app/a.php(5): f()")), "uncaught-exception (certain) uncaught | PHP Fatal error:  Uncaught AppError: no database in /app/a.php:3 | at /app/a.php:3"),
        ("lua", 1, format!("lua: app.lua:2: no database\nstack traceback:{}", many("\t[C]: in ?")), "uncaught-exception (certain) uncaught | lua: app.lua:2: no database | at app.lua:2"),
        ("lua", 1, "lua: app.lua:2: no database".into(), "nothing"),
        ("app", 1, format!("app: no database\nCallStack (from HasCallStack):\n  error, called at src/Main.hs:7:11 in main:Main{}", many("  open, called at src/Main.hs:9:1 in main:Main")), "uncaught-exception (certain) uncaught | app: no database | at src/Main.hs:7:11"),
        // Every parse error of PHP is one of syntax, and its own line is the last that it names.
        (
            "php",
            255,
            "PHP Parse error:  Unclosed '{' on line 3 in /app/a.php on line 10".into(),
            "syntax-error (certain) uncaught | PHP Parse error:  Unclosed '{' on line 3 in /app/a.php on line 10 | at /app/a.php:10",
        ),
        // Spring's report goes to the end, and its words are no others'.
        ("java", 1, format!("APPLICATION FAILED TO START\n\nDescription:\n\nThe bean 'db' could not be registered.\n\nAction:\n{}", many("Consider renaming it.")), "configuration-error (certain) uncaught | The bean 'db' could not be registered."),
        ("java", 1, "app 1.2\nDescription:\n\nThe bean of the day.".into(), "nothing"),
        // Others than perl say so, too.
        ("app", 1, "no database at app.pl line 3.".into(), "nothing"),
        // musl, for a reason that is not known.
        ("app", 127, "Error loading shared library libfoo.so.1: Operation not supported (needed by /app)".into(), "library-incompatible (certain) | Error loading shared library libfoo.so.1: Operation not supported (needed by /app)"),
    ] {
        let found = found(name, end, &text);
        assert_eq!(found, expected, "{name} {end} {text}");
    }
}

/// Of a tail that is longer than what is read, the line is still counted from its first.
#[test]
fn the_line_of_a_long_tail() {
    let mut tail = tail("ok\n".repeat(MOST_LINES + 5).as_bytes(), false);
    tail.lines.push(Line { text: REFUSED.into(), stdout: true });
    let found = recognize(&tail, &Outcome::Exited(1), &[b"app"]).unwrap();
    assert_eq!((found.line, found.stdout), (MOST_LINES + 5, true));
}

/// What a ring of 64 KiB can hold at worst takes no longer than its bytes ask for.
#[test]
#[cfg_attr(miri, ignore = "measures time")]
fn the_time_is_bounded() {
    for line in [
        "x",
        "",
        "a: 1: b: not found",
        "panic: x\ngoroutine 1 [",
        "  File \"x\", line 1",
        "Error: x",
        "Caused by: a\n\tat b",
        "make: *** x",
        "'''''''''''''' no such file or directory",
        "Exception in thread \"x",
        "APPLICATION FAILED TO START",
        "fatal: ::::::::::::::::::::::::::::::::::::::",
    ] {
        let text = format!("{line}\n").repeat(65_536 / (line.len() + 1));
        let tail = tail(text.as_bytes(), false);
        // Of this thread alone: others may have the processor.
        let used = || getrusage(UsageWho::RUSAGE_THREAD).unwrap().user_time().num_milliseconds();
        let start = used();
        _ = recognize(&tail, &Outcome::Exited(2), &[b"app"]);
        let taken = used() - start;
        assert!(taken < 10_000, "{line}: {taken} ms");
    }
    let long = tail(&[b"'".repeat(10_000_000), b"x: No such file".to_vec()].join(&b'\n'), false);
    _ = recognize(&long, &Outcome::Exited(1), &[b"app"]);
}
