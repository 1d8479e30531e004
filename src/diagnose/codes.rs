//! Exit codes and what programs mean by them: data alone, for the report and for `--explain`.
//!
//! A code is only a number that a program chose, so no row is ever certain: the program may have been made to exit with
//! that number for a reason of its own.

use super::Confidence::{Likely, Possible, Unknown};
use super::registry as cause;
use super::{Cause, Confidence, programs, wording};
use crate::evidence::Evidence;
use crate::evidence::death::Executed;

/// Programs that mean the same by a code.
#[derive(Debug)]
pub struct Program {
    /// What `--explain` calls them.
    pub label: &'static str,
    /// Names that it is found under, as [`plain`] leaves them. None: it cannot be told by its name.
    names: &'static [&'static str],
}

/// What a program means by a code, or by each of a few.
#[derive(Debug)]
pub struct Row {
    /// Whose meaning it is.
    pub who: &'static Program,
    /// The codes.
    pub codes: &'static [u8],
    /// The cause that a report names.
    pub cause: &'static Cause,
    /// How sure, if the program's name at its end was one of `who`.
    pub confidence: Confidence,
    /// A clause that can follow "most likely".
    pub means: &'static str,
    /// What to do; empty where the cause's own advice says it.
    pub next: &'static str,
}

macro_rules! programs {
    ($($name:ident $label:literal [$($program:literal)*];)*) => {
        $(static $name: Program = Program { label: $label, names: &[$($program),*] };)*
    };
}

macro_rules! rows {
    ($($who:ident [$($code:literal)*] $cause:ident $confidence:ident $means:literal $next:literal;)*) => {
        /// Every row; of one program and code, the first counts.
        pub static ROWS: &[Row] = &[$(Row {
            who: &$who,
            codes: &[$($code),*],
            cause: &cause::$cause,
            confidence: $confidence,
            means: $means,
            next: $next,
        }),*];
    };
}

programs! {
    SHELL "shells" ["sh" "bash" "dash" "ash" "rbash" "ksh" "mksh" "zsh" "busybox"];
    BASH "bash" ["bash"];
    PYTHON "Python" ["python" "pypy"];
    GUNICORN "gunicorn" ["gunicorn"];
    UVICORN "uvicorn" ["uvicorn"];
    CELERY "celery" ["celery"];
    NODE "Node.js" ["node" "nodejs"];
    NPM "npm" ["npm" "npx"];
    JAVA "Java" ["java"];
    SEARCH "Elasticsearch, OpenSearch" ["elasticsearch" "opensearch" "java"];
    DOTNET ".NET" ["dotnet"];
    PHP "PHP" ["php"];
    FPM "php-fpm" ["php-fpm"];
    PERL "Perl" ["perl"];
    RUBY "Ruby" ["ruby"];
    SERVER "nginx, redis, PostgreSQL" ["nginx" "redis-server" "postgres"];
    POSTGRES "PostgreSQL" ["postgres"];
    MONGOD "mongod" ["mongod" "mongos"];
    WRAPPER "env, nice, nohup, chroot, stdbuf, timeout" ["env" "nice" "nohup" "chroot" "stdbuf" "timeout"];
    TIMEOUT "timeout" ["timeout"];
    XARGS "xargs" ["xargs"];
    ENGINE "docker, podman" ["docker" "podman"];
    GIT "git" ["git"];
    SSH "ssh" ["ssh"];
    CURL "curl" ["curl"];
    WGET "wget" ["wget"];
    APT "apt" ["apt" "apt-get"];
    MAKE "make" ["make" "gmake"];
    GREP "grep" ["grep" "egrep" "fgrep"];
    PSQL "psql" ["psql"];
    MOUNT "mount" ["mount"];
    DART "Dart" ["dart"];
    GO "Go programs" [];
    RUST "Rust programs" [];
    HASKELL "Haskell programs (GHC)" [];
    SANITIZED "programs built with a sanitizer" [];
    SYSTEMD "systemd, of a service that it could not start" [];
}

// bash(1) EXIT STATUS; python: sys.exit and Modules/main.c; nodejs.org, process exit codes; dotnet/runtime
// host-error-codes.md; mongodb.com exit-codes; curl(1); wget(1); env(1), timeout(1), xargs(1); git(1); ssh(1);
// systemd.exec(5). Most were also reproduced.
rows! {
    SHELL [1] EXIT_ERROR Unknown "a shell ends with the status of its last command, under set -e of the first that fails" "";
    SHELL [2] SHELL_SYNTAX_ERROR Possible "its script has a syntax error or cannot be read, a builtin was misused, or its last command ended with 2" "";
    SHELL [126] COMMAND_NOT_EXECUTABLE_IN_SCRIPT Likely "a command of its script was found and could not be executed" "";
    SHELL [127] COMMAND_NOT_FOUND_IN_SCRIPT Likely "a command of its script, or what that command needs to start, was not found" "";
    BASH [254] RUNTIME_SPECIFIC Possible "it could not fork" "look at the limit on processes (pids.max, ulimit -u) and for processes that pile up";

    PYTHON [1] EXIT_ERROR Unknown "Python ends so after an uncaught exception or sys.exit(\"text\")" "";
    PYTHON [2] USAGE_ERROR Likely "its arguments were refused, or Python could not open the script" "";
    PYTHON [120] RUNTIME_SPECIFIC Likely "Python could not write out stdout or stderr at its end" "look at who reads its stdout (a pipe that closed early) and for a full disk behind it";
    GUNICORN [3] RUNTIME_SPECIFIC Likely "its workers failed to boot" "read the first traceback in its output: an import or the application's own start failed";
    GUNICORN [4] RUNTIME_SPECIFIC Likely "it could not load the application" "check the MODULE:NAME that it was given, and read the traceback in its output";
    UVICORN [3] RUNTIME_SPECIFIC Likely "the application could not be loaded or failed to start" "read the error above in its output, and check MODULE:NAME";
    CELERY [64] USAGE_ERROR Likely "its arguments were refused" "";
    CELERY [69] SYSEXITS Likely "no worker replied" "check the broker's address, and that workers run";
    CELERY [73] SYSEXITS Likely "it could not create its pid file" "remove a stale pid file, or use --pidfile= to have none";
    NODE [1] EXIT_ERROR Unknown "Node.js ends so after an uncaught exception or an unhandled rejection" "";
    NODE [5] RUNTIME_SPECIFIC Possible "its V8 engine met a fatal error" "";
    NODE [7] RUNTIME_SPECIFIC Likely "its own handler for uncaught exceptions threw one" "read both errors in its output: the first is the cause";
    NODE [9] USAGE_ERROR Likely "an option, or one in NODE_OPTIONS, was not accepted" "read the first line of its output: it names the option. A newer or older Node.js may know it";
    NODE [3 4 6 10 12 14] RUNTIME_SPECIFIC Possible "Node.js failed inside itself before it ran the script" "";
    NODE [13] RUNTIME_SPECIFIC Likely "an await at the top of a module was never settled and nothing else was left to do" "look for a promise that is never resolved: a connection that was never opened, a callback that does not come";
    NPM [254] RUNTIME_SPECIFIC Likely "a file was not found, mostly package.json" "check WORKDIR, and what COPY put there";
    NPM [243] RUNTIME_SPECIFIC Likely "a file or directory could not be accessed (EACCES)" "check owner and mode of its cache (HOME, npm_config_cache) and of node_modules against the user";
    NPM [228] RUNTIME_SPECIFIC Likely "no space was left (ENOSPC)" "look for a full file system or its inodes: df, df -i";

    JAVA [1] EXIT_ERROR Unknown "a JVM ends so after an uncaught exception in main, or if it could not start" "";
    JAVA [3] RUNTIME_SPECIFIC Possible "a Java OutOfMemoryError ended it (-XX:+ExitOnOutOfMemoryError)" "look for \"Terminating due to java.lang.OutOfMemoryError\" in its stdout, then raise -Xmx or -XX:MaxRAMPercentage, or look for a leak";
    JAVA [129 130 143] RUNTIME_SPECIFIC Possible "the JVM ran its shutdown hooks after a SIGHUP, SIGINT or SIGTERM" "if none came through rinit: look for what sends it inside the container (kill, a supervisor), or for System.exit with that number";
    SEARCH [78] RUNTIME_SPECIFIC Possible "bootstrap checks of Elasticsearch or OpenSearch failed" "read \"bootstrap checks failed\" in its output. For vm.max_map_count: sysctl -w vm.max_map_count=262144 on the node";
    SEARCH [124 125 126 127 128] RUNTIME_SPECIFIC Possible "Elasticsearch ended by a fatal error (127 out of memory, 126 stack overflow, 124 I/O, 128 internal)" "read the fatal error in its log, for 127 compare the heap (-Xmx) with what it needs";
    DOTNET [131] RUNTIME_SPECIFIC Likely "the .NET host found no hostfxr or hostpolicy library" "use an image with the .NET runtime that the application needs, or publish self-contained";
    DOTNET [137] RUNTIME_SPECIFIC Likely "the .NET runtime could not be initialised, often for lack of memory" "look for \"GC heap initialization failed\" in its output: raise the memory limit, or set DOTNET_GCHeapHardLimit";
    DOTNET [145 155] RUNTIME_SPECIFIC Likely "it found no .NET SDK" "a runtime image has no SDK: run the built DLL (dotnet APP.dll), or use an SDK image";
    DOTNET [147] RUNTIME_SPECIFIC Likely "APP.runtimeconfig.json is missing or wrong" "copy the whole output of dotnet publish";
    DOTNET [150] RUNTIME_SPECIFIC Likely "the .NET framework version that it asks for is not installed" "use the runtime image of that version (aspnet and not runtime, if it asks for Microsoft.AspNetCore.App)";
    DOTNET [154] RUNTIME_SPECIFIC Likely "the .NET host did not find the application's DLL" "check WORKDIR and the name of the DLL in the command";
    DOTNET [129 130 132 133 135 136 138 139 140 141 142 144 146 148 149 151 152 156 159 160] RUNTIME_SPECIFIC Possible "the .NET host could not start the application" "read the line of the host in its output. dotnet/runtime has all codes in host-error-codes.md";
    PHP [1] EXIT_ERROR Unknown "PHP ends so where its script calls exit(1), or is not there" "";
    PHP [255] STATUS_255 Likely "PHP met a fatal error, a parse error or an uncaught exception" "read \"PHP Fatal error\" in its output or error_log (display_errors and log_errors may both be off)";
    FPM [78] SYSEXITS Likely "its configuration is wrong" "php-fpm -t names file and line";
    FPM [64] USAGE_ERROR Likely "its arguments were refused" "";
    FPM [70] SYSEXITS Likely "it failed while it started or reloaded" "read its error_log (ERROR, ALERT)";
    PERL [255] STATUS_255 Likely "it died with a message, or did not compile" "read the last line of its output: it names file and line";
    RUBY [1] EXIT_ERROR Unknown "Ruby ends so after an uncaught exception or abort" "";
    SERVER [1] EXIT_ERROR Unknown "it ends so where it cannot start: configuration, port, rights, data directory" "";
    POSTGRES [2] RUNTIME_SPECIFIC Likely "its data directory or its configuration file could not be read" "check -D and PGDATA, that the volume is mounted there, and that it belongs to the server's user";
    MONGOD [2] USAGE_ERROR Likely "an option, on the command line or in its configuration file, was not accepted" "";
    MONGOD [14] RUNTIME_SPECIFIC Likely "it met an error that it cannot recover from" "read the last lines of severity F in its log: disk, data files, memory";
    MONGOD [48] RUNTIME_SPECIFIC Likely "it could not listen on its address" "look for another process on that port, and check bindIp";
    MONGOD [62] RUNTIME_SPECIFIC Likely "its data files are of another version" "start the version that wrote them, and upgrade step by step (featureCompatibilityVersion)";
    MONGOD [100] RUNTIME_SPECIFIC Likely "it met an exception that nothing handled" "read the last lines of its log: a data directory that is missing or locked is a common one";

    TIMEOUT [124] TIMEOUT_EXPIRED Likely "the time was up before its command had ended" "";
    WRAPPER [125] WRAPPER_FAILED Likely "it failed itself, before it ran the command" "";
    WRAPPER [126] COMMAND_NOT_EXECUTABLE_IN_SCRIPT Likely "the command that it was to run could not be executed" "";
    WRAPPER [127] COMMAND_NOT_FOUND_IN_SCRIPT Likely "the command that it was to run was not found" "";
    XARGS [123] RUNTIME_SPECIFIC Likely "a command that it ran failed (status 1 to 125)" "read the end of the output: that command's own error stands there";
    XARGS [124] RUNTIME_SPECIFIC Likely "a command that it ran ended with 255, which stops xargs" "read the end of the output: that command's own error stands there";
    XARGS [125] RUNTIME_SPECIFIC Likely "a command that it ran was ended by a signal" "xargs prints which signal. For SIGKILL compare the memory limit with what the command used";
    XARGS [126] COMMAND_NOT_EXECUTABLE_IN_SCRIPT Likely "the command that it was to run could not be executed" "";
    XARGS [127] COMMAND_NOT_FOUND_IN_SCRIPT Likely "the command that it was to run was not found" "";
    ENGINE [125] WRAPPER_FAILED Likely "the engine refused to make the container" "read its message: a bad option, a missing image, a name in use, no rights on the socket";
    GIT [128] EXIT_128 Likely "git ended with a fatal error" "";
    GIT [129] USAGE_ERROR Likely "git did not accept an option" "";
    SSH [255] STATUS_255 Likely "ssh itself failed (connection, host key, authentication)" "run it with -v. What the remote command returned comes out as it is";
    CURL [2] RUNTIME_SPECIFIC Likely "curl could not initialise, or an option was not accepted" "";
    CURL [3] RUNTIME_SPECIFIC Likely "the URL is malformed" "check the variable that should have filled it";
    CURL [5 6] RUNTIME_SPECIFIC Likely "a host name was not resolved (6 the server's, 5 the proxy's)" "check the name and /etc/resolv.conf: getent hosts NAME";
    CURL [7] RUNTIME_SPECIFIC Likely "the connection was refused or could not be made" "check that something listens there: localhost means this container itself";
    CURL [22] RUNTIME_SPECIFIC Likely "the server answered with an HTTP error (400 or above, with -f)" "run it without -f to see the answer";
    CURL [23] RUNTIME_SPECIFIC Likely "what it received could not be written" "look for a full disk, a read-only file system, or a reader that closed the pipe";
    CURL [28] RUNTIME_SPECIFIC Likely "the time was up (--max-time, --connect-timeout, or the system's)" "a silent drop is a firewall or a network policy, a slow answer is the server";
    CURL [35] RUNTIME_SPECIFIC Likely "the TLS handshake failed" "compare protocol versions (a plain HTTP port gives this too)";
    CURL [47] RUNTIME_SPECIFIC Likely "there were too many redirects" "";
    CURL [51 60] RUNTIME_SPECIFIC Likely "the server's certificate was not accepted" "install ca-certificates, add a private CA, or correct the clock or the host name";
    CURL [52] RUNTIME_SPECIFIC Likely "the server closed the connection without an answer" "";
    CURL [56] RUNTIME_SPECIFIC Likely "the connection broke while it received" "";
    WGET [4] RUNTIME_SPECIFIC Likely "the network failed (name, connection)" "";
    WGET [5] RUNTIME_SPECIFIC Likely "the server's certificate was not accepted" "install ca-certificates, or add a private CA";
    WGET [8] RUNTIME_SPECIFIC Likely "the server answered with an error" "";
    APT [100] RUNTIME_SPECIFIC Likely "apt met an error" "read its lines with E: (a package that does not exist, no network, stale lists: apt-get update first)";
    MAKE [2] RUNTIME_SPECIFIC Likely "a target failed, or there is none to make" "read the first line with *** in its output: it names target and status";
    GREP [1] RUNTIME_SPECIFIC Likely "no line matched" "if that is no failure: grep ... || true";
    GREP [2] RUNTIME_SPECIFIC Likely "a file could not be read, or the pattern is wrong" "";
    PSQL [2] RUNTIME_SPECIFIC Likely "the connection to the server failed" "check host and port, and that the server is up";
    PSQL [3] RUNTIME_SPECIFIC Likely "a statement of its script failed (ON_ERROR_STOP)" "read the first ERROR in its output";
    MOUNT [32] RUNTIME_SPECIFIC Likely "the mount failed" "read its message, and the kernel log";
    DART [253] USAGE_ERROR Likely "the program could not be started with these arguments" "";
    DART [254] RUNTIME_SPECIFIC Likely "the program does not compile" "read the errors in its output";
    DART [255] STATUS_255 Likely "an exception was not caught" "read the exception in its output";

    GO [2] GO_PANIC Possible "a panic or another fatal error of the Go runtime ended it" "";
    RUST [101] RUST_PANIC Possible "a panic of its main thread ended it" "";
    HASKELL [250 251 252 253 254] RUNTIME_SPECIFIC Possible "the runtime ended it (251 heap exhausted, 252 interrupted, 253 deadlock, 254 internal)" "";
    SANITIZED [1 23 66] RUNTIME_SPECIFIC Possible "the sanitizer found an error (1 address, 23 leak, 66 thread)" "";
    SYSTEMD [200 203 204 205 216 217 218 226 228 233 234 235 236 237 238 239 240 241] RUNTIME_SPECIFIC Possible "a step before the start failed (200 directory, 203 execute, 216 group, 217 user, 226 namespace, 228 seccomp)" "";
}

/// What a code means whoever exits with it, as a report puts it: possible at most.
pub(super) fn generic(code: u8) -> Option<(&'static Cause, &'static str)> {
    Some(match code {
        2 => (&cause::USAGE_ERROR, "its arguments were refused, which is what many programs use 2 for"),
        101 => (&cause::RUST_PANIC, "it is a Rust program that panicked"),
        124 => (&cause::TIMEOUT_EXPIRED, "it passed on the 124 of a timeout command whose time was up"),
        125 => (&cause::WRAPPER_FAILED, "a wrapper such as env, nohup or timeout failed itself"),
        126 => (&cause::COMMAND_NOT_EXECUTABLE_IN_SCRIPT, "a command that it ran was found and could not be executed"),
        127 => {
            (&cause::COMMAND_NOT_FOUND_IN_SCRIPT, "a command that it ran, or a library that it needs, was not found")
        }
        128 => (&cause::EXIT_128, "it passed on a fatal error of git, which uses 128"),
        255 => (&cause::STATUS_255, "it asked for -1, which comes out as 255"),
        _ => return None,
    })
}

/// sysexits(3): the codes 64 to 78, for programs that follow them.
#[must_use]
pub fn sysexit(code: u8) -> Option<(&'static str, &'static str)> {
    const NAMES: [(&str, &str); 15] = [
        ("EX_USAGE", "its arguments were refused"),
        ("EX_DATAERR", "its input was wrong"),
        ("EX_NOINPUT", "an input file could not be read"),
        ("EX_NOUSER", "a user does not exist"),
        ("EX_NOHOST", "a host name was not found"),
        ("EX_UNAVAILABLE", "a service that it needs was not available"),
        ("EX_SOFTWARE", "it found an error inside itself"),
        ("EX_OSERR", "the system refused something (fork, pipe)"),
        ("EX_OSFILE", "a system file is missing or wrong"),
        ("EX_CANTCREAT", "an output file could not be created"),
        ("EX_IOERR", "reading or writing failed"),
        ("EX_TEMPFAIL", "something failed that may work later"),
        ("EX_PROTOCOL", "the other side of a protocol answered wrongly"),
        ("EX_NOPERM", "it lacked a right"),
        ("EX_CONFIG", "its configuration is wrong"),
    ];
    NAMES.get(usize::from(code.checked_sub(64)?)).copied()
}

/// How a program's name came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Its comm at its end: the file that was executed last, or what it called itself.
    Comm,
    /// The file that was executed first, of a script its interpreter, and nothing shows that another came after it.
    File,
    /// What was executed first, and it may have become something else since.
    Start,
}

/// What Node.js calls its main thread.
const MAIN_THREAD: &[u8] = b"MainThread";

/// The name that the program that ended is to be matched on: of those that it had, the strongest that is in the table.
/// The one place that decides it.
pub(super) fn who(evidence: &Evidence) -> Option<(Source, &[u8])> {
    let argv0 = programs::base(&evidence.command.program);
    let comm = evidence.zombie.as_ref().and_then(|zombie| zombie.name.as_deref());
    let file = evidence.executed.as_ref().and_then(Executed::name);
    // execve(2) sets the comm to the name of the file that it was given, which of a script is the script's.
    let unchanged = comm.is_some_and(|comm| programs::same(comm, argv0) || comm == MAIN_THREAD);
    let file_source = if unchanged { Source::File } else { Source::Start };
    [(Source::Comm, comm), (file_source, file), (Source::Start, Some(argv0))]
        .into_iter()
        .filter_map(|(source, name)| Some((source, name?)))
        .find(|(_, name)| ROWS.iter().any(|row| row.who.is(name)))
}

/// The name under which the program ended, if that is not the one that it was started with: a script's `exec`, or an
/// interpreter that took its own.
pub(super) fn name_at_end(evidence: &Evidence) -> Option<String> {
    let comm = evidence.zombie.as_ref()?.name.as_deref()?;
    let argv0 = programs::base(&evidence.command.program);
    // npm and others put their arguments behind their names.
    let name = comm.split(u8::is_ascii_whitespace).next().filter(|name| !name.is_empty())?;
    (comm != MAIN_THREAD && !programs::same(name, argv0)).then(|| wording::name(name))
}

/// A name without what says nothing: a login shell's dash, what a title adds behind a blank, a version.
fn plain(name: &[u8]) -> &[u8] {
    let name = name.strip_prefix(b"-").unwrap_or(name);
    let name = name.split(u8::is_ascii_whitespace).next().unwrap_or(name);
    let end = name.iter().rposition(|byte| !matches!(byte, b'0'..=b'9' | b'.' | b'-')).map_or(0, |last| last + 1);
    name.get(..end).unwrap_or(name)
}

impl Program {
    /// The names that it is found under.
    #[cfg(test)]
    pub fn names(&self) -> &'static [&'static str] {
        self.names
    }

    /// Whether `name` is one of its names.
    fn is(&self, name: &[u8]) -> bool {
        self.names.iter().any(|known| known.as_bytes() == plain(name))
    }
}

/// What a program prints before it aborts, and where, if that is known.
pub(super) fn abort_message(evidence: &Evidence) -> Option<&'static str> {
    let messages = [
        (
            &NODE,
            "read the line \"FATAL ERROR\" in its output. If it speaks of the heap, that is V8's own limit, whatever the container's: raise it with NODE_OPTIONS=--max-old-space-size=MIB, or look for a leak",
        ),
        (
            &JAVA,
            "read the lines with # in its stdout, or hs_err_pid*.log in its working directory: they name the signal (a JVM that gets SIGSEGV aborts) and the library",
        ),
        (
            &RUBY,
            "read the line with [BUG] in its output: Ruby aborts so after a fault in itself or in a native extension",
        ),
    ];
    let (_, name) = who(evidence)?;
    messages.into_iter().find(|(program, _)| program.is(name)).map(|(_, message)| message)
}

/// Whether `name` is a shell's.
pub(super) fn is_shell(name: &[u8]) -> bool {
    SHELL.is(name)
}

/// Whether `name` is perl's.
pub(super) fn is_perl(name: &[u8]) -> bool {
    PERL.is(name)
}

/// The row for `code` of the program that ended, and how sure its name makes it: by
/// what it was at its start alone never more than possible.
pub(super) fn row(evidence: &Evidence, code: u8) -> Option<(&'static Row, Confidence)> {
    let (source, name) = who(evidence)?;
    let row = ROWS.iter().find(|row| row.codes.contains(&code) && row.who.is(name))?;
    let confidence = match (source, row.confidence) {
        // A habit of what it was is no fact about what it became.
        (Source::Start, Unknown) => return None,
        (Source::Start, Likely) => Possible,
        (_, confidence) => confidence,
    };
    Some((row, confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_login_dash_title_and_version() {
        for (name, known) in [
            (&b"python3.11"[..], &b"python"[..]),
            (b"-bash", b"bash"),
            (b"npm run start", b"npm"),
            (b"php-fpm8.2", b"php-fpm"),
            (b"apt-get", b"apt-get"),
            (b"12", b""),
            (b"", b""),
            (b"--", b""),
            (b" x", b""),
        ] {
            assert_eq!(plain(name), known, "{name:?}");
        }
        for program in ROWS.iter().flat_map(|row| row.who.names) {
            assert_eq!(plain(program.as_bytes()), program.as_bytes());
        }
    }

    #[test]
    fn no_row_hides_another_and_none_is_certain() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(row.confidence != Confidence::Certain, "{row:?}");
            assert!(!row.codes.is_empty() && !row.codes.contains(&0), "{row:?}");
            assert!(row.means.is_ascii() && row.means.len() < 130 && !row.means.contains("; "), "{row:?}");
            assert!(row.next.is_ascii() && !row.next.contains('\\'), "{row:?}");
            for earlier in &ROWS[..i] {
                let same = |name: &&&str| earlier.who.names.contains(name);
                let hidden = row.who.names.iter().find(same).is_some_and(|_| !std::ptr::eq(row.who, earlier.who));
                let code = row.codes.iter().find(|code| earlier.codes.contains(code));
                let own = std::ptr::eq(row.who, earlier.who);
                assert!(code.is_none() || !(hidden || own), "{row:?} behind {earlier:?}");
            }
        }
    }

    #[test]
    fn sysexits_go_from_64_to_78() {
        let known: Vec<u8> = (0..=255).filter(|code| sysexit(*code).is_some()).collect();
        assert_eq!(known, (64..=78).collect::<Vec<_>>());
        assert_eq!([64, 70, 78].map(|code| sysexit(code).unwrap().0), ["EX_USAGE", "EX_SOFTWARE", "EX_CONFIG"]);
    }
}
