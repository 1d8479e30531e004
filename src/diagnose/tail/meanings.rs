//! What a message says, whoever says it: errno's names and words, those of resolvers, loaders, databases and runtimes.

#![forbid(unsafe_code)]

use super::extract::{self, Kind};
use super::pattern;
use crate::diagnose::Cause;
use crate::diagnose::registry as cause;
use crate::evidence::tail::Claim;

/// Of a message, no more is looked at.
const LONGEST: usize = 2048;

/// A row of the table; the first that fits counts. The patterns are in small letters, and messages are compared so,
/// but where `!` says that capitals count.
struct Meaning {
    pattern: &'static str,
    cause: &'static Cause,
    kind: Kind,
    next: &'static str,
}

/// What a message was found to say.
pub(super) struct Meant {
    pub cause: &'static Cause,
    pub claim: Option<Claim>,
    pub next: &'static str,
}

/// What `text` says, if it says something that is known.
pub(super) fn read(text: &[u8]) -> Option<Meant> {
    let text = text.get(..LONGEST).unwrap_or(text);
    let small = text.to_ascii_lowercase();
    MEANINGS.iter().find_map(|row| {
        let at = row.pattern.split('|').find_map(|one| {
            let end = match one.strip_prefix('!') {
                Some(exact) => pattern::find(exact, text),
                None => pattern::find(one, &small),
            };
            // A slash at a pattern's end is the first of a path.
            end.map(|end| end.saturating_sub(usize::from(one.ends_with('/'))))
        })?;
        let claim = extract::claim(row.kind, text, at);
        let counts = row.kind != Kind::Variable || claim.is_some();
        counts.then_some(Meant { cause: row.cause, claim, next: row.next })
    })
}

macro_rules! meanings {
    ($($cause:ident $kind:ident $pattern:literal $($next:literal)?;)*) => {
        static MEANINGS: &[Meaning] = &[$(Meaning {
            pattern: $pattern,
            cause: &cause::$cause,
            kind: Kind::$kind,
            next: concat!($($next)?),
        }),*];
    };
}

// errno(3); getaddrinfo(3); x509 of Go, OpenSSL and Java; libpq, MySQL and Redis clients; the runtimes' own sources.
meanings! {
    // Before what they also contain.
    EXIT_ERROR Memory "failed to map segment" "the library lies on a noexec mount, or the limit on address space (ulimit -v) leaves no room for it";
    MISSING_SHARED_LIBRARY Library "cannot open shared object file|error loading shared library *: no such file|java.library.path|unable to load shared library";
    LIBRARY_INCOMPATIBLE Nothing "version `g*' not found|version 'g*' not found|symbol lookup error: |undefined symbol: |error relocating |symbol not found|invalid elf header|wrong elf class|file too short|cannot read file data|was compiled against a different node.js version|in static tls|kernel too old|cannot import name |unsupported system page size|unsatisfiedlinkerror|nosuchmethoderror|incompatible library version|exec format error (needed";
    // Node.js says the same of the file that it is to start with. An absolute path is no package.
    FILE_MISSING Missing "cannot find module '/";
    MISSING_MODULE Nothing "could not find or load main class|noclassdeffounderror|classnotfoundexception" "check the class path (-cp) and the name of the main class, and that the JAR with that class is in the image";
    MISSING_MODULE Nothing "no module named |cannot find module |cannot find package |cannot load such file -- |gemnotfound|in locally installed gems|in any of the sources|could not find gem |can't locate * in @inc|^*module '*' not found|could not load file or assembly|could not import module |^the module * was not found|no matching distribution found|could not find driver|package * does not exist";
    MISSING_MODULE Nothing "failed opening required '*vendor/|failed to open stream*vendor/autoload" "run composer install in the stage that is shipped, and check that a volume does not hide vendor/";
    WRONG_RUNTIME_VERSION Nothing "unsupportedclassversionerror|a more recent version of the java runtime|you must install or update .net|the framework '*', version '*' was not found|compatible framework version|composer detected issues in your platform|your ruby version is |requires a different python|unsupported engine";
    STACK_OVERFLOW Nothing "stackoverflowerror|maximum call stack size exceeded|stack level too deep|maximum recursion depth exceeded|goroutine stack exceeds|overflowed its stack|^stack overflow|^fatal error: stack overflow|maximum function nesting level";
    THREAD_LIMIT Threads "unable to create native thread|unable to create new native thread|can't start new thread|can't create thread|failed to create new os thread|failed to spawn thread|cannot fork|can't fork|fork: retry|fork*resource temporarily unavailable|pthread_create|thread*resource temporarily unavailable|spawn * eagain|clone*resource temporarily unavailable";
    RUNTIME_HEAP_LIMIT Heap "java heap space|gc overhead limit|outofmemoryerror: metaspace|direct buffer memory|array size exceeds vm limit|compressed class space|javascript heap out of memory|reached heap limit|ineffective mark-compacts|allowed memory size of |heap exhausted|heap overflow|gc heap initialization failed|array buffer allocation failed";
    ALLOCATION_FAILED Memory "bad_alloc|^memoryerror|failed to allocate memory|memory allocation of * failed|cannot allocate memory|enomem|out of memory|outofmemory|insufficient memory|could not reserve enough space|nomemoryerror|cannot allocate * bytes|unable to allocate";
    CERTIFICATE_REJECTED Nothing "certificate verify failed|certificate_verify_failed|x509: |unable to get local issuer|self signed certificate|self-signed certificate|certificate has expired|pkix path|unable_to_verify_leaf|certificate is not yet valid|certificate is not trusted|hostname mismatch, certificate|ssl certificate problem";
    AUTHENTICATION_FAILED Nothing "password authentication failed|access denied for user|authentication failed|wrongpass|!NOAUTH|invalid username-password|login failed for user|access_refused|no pg_hba.conf entry|no password supplied|fatal: *role \"*\" does not exist|access to the resource is denied|permission denied (publickey";
    STALE_PID_FILE PidFile "server is already running|instance is already running|pid*already running|pid file*already exist|pid file*exists|pidfile*exists|lock file \"*\" already exists|.pid*already exists|already running?|another process is already running|lock file*already|unable to lock";
    ADDRESS_IN_USE InUse "address already in use|eaddrinuse|address in use|port is already in use|port * was already in use|port * is in use|port * is already in use|port * already in use|connection in use: |failed listening on port|port is already allocated";
    PERMISSION_DENIED MayNotBind "bind*permission denied|listen eacces|bind*eacces|permission denied*bind|bind*access denied|listen tcp*permission denied" "listen on a port from 1024 on, or allow it: docker run --sysctl net.ipv4.ip_unprivileged_port_start=0, or the capability NET_BIND_SERVICE";
    NAME_RESOLUTION NameLater "temporary failure in name resolution|eai_again|server misbehaving|lookup *i/o timeout|lookup *: dial udp|getaddrinfo*try again";
    NAME_RESOLUTION Name "name or service not known|enotfound |no such host|name does not resolve|unknownhostexception|unknown host|could not translate host name|host not found|could not resolve host|failed to resolve host|failed to resolve address|failed to lookup address|nodename nor servname|no address associated with|getaddrinfo fail|getaddresses|nxdomain|name has no usable address";
    CONNECTION_REFUSED Refused "connection refused|econnrefused|actively refused|couldn't connect to server|can't connect to mysql server|can't connect to local mysql";
    CONNECTION_TIMED_OUT Nothing "connection timed out|etimedout|no route to host|ehostunreach|network is unreachable|enetunreach|connect timeout|connecttimeout|dial tcp*i/o timeout|connect timed out|connection timeout|timeout expired|host is unreachable|server selection timed out";
    INOTIFY_LIMIT NoWatches "enospc: *, watch '|limit for number of file watchers|inotify*no space|inotify watch limit|number of inotify watches|limit of inotify watches|file watch limit reached";
    // Node.js; fsnotify and those who use it; .NET, watchdog.
    TOO_MANY_OPEN_FILES NoInstances "too many open files, watch '|inotify*too many open files|watcher*too many open files|inotify instance|limit of inotify instances";
    TOO_MANY_OPEN_FILES Nothing "too many open files in system|!ENFILE|file table overflow" "raise fs.file-max on the node, or find what holds so many open there: /proc/sys/fs/file-nr counts them";
    TOO_MANY_OPEN_FILES Files "too many open files|!EMFILE";
    DISK_FULL SharedMemory "could not resize shared memory segment*no space left|/dev/shm*no space left";
    DISK_FULL NoSpace "no space left on device|enospc|disk quota exceeded|edquot|or disk is full|disk full";
    READ_ONLY_FILESYSTEM ReadOnly "read-only file system|read-only filesystem|!EROFS";
    UNKNOWN_USER User "uid not found|no matching entries in passwd|unable to find user|unknown user: |could not look up|no passwd entry|can't find user|cannot find user|getpwnam(|failed to find user|does not exist or the user entry|failed to parse reuid|invalid user: |unknown uid";
    ENV_VARIABLE_MISSING Variable "^keyerror: '|key not found: \"|environment variable|environment value|env var|unbound variable|parameter not set|parameter null or not set| not set| must be set|is required|required but|missing required|is missing|missing env|could not resolve placeholder|not provided|must be given|must be provided| is empty|undefined array key \"|not defined in env|not present";
    ENV_VARIABLE_MISSING Nothing "err` value: notpresent|environment variable not found|not in environment|database is uninitialized and ";
    SYNTAX_ERROR Nothing "^syntaxerror: |^*(syntaxerror)|^indentationerror: |^taberror: |syntax error at * line |syntax error, unexpected|cannot use import statement outside a module|err_require_esm";
    CONFIGURATION_ERROR Nothing "improperlyconfigured|validation error for *settings|validation errors for *settings|validation error for *config|validation errors for *config|invalid configuration|configuration error|config error|application failed to start|error in configuration|failed to bind properties|unmarshal error|invalid config|in configuration file|error*configuration file|failed*configuration file|unknown configuration|nosuchbeandefinition|failed to configure a datasource|bootstrap check failure";
    INCOMPATIBLE_DATA Nothing "files are incompatible with server|incompatible with the version|was initialized by postgresql version|unsupported redo log format|can't handle rdb format|bad file format reading the append only|upgrade after a crash is not supported|invalid superblock|database schema is newer|data directory was created by|database disk image is malformed|could not locate a valid checkpoint";
    ASSERTION_FAILED Nothing "^assertionerror|assertion `|assertion failed|assertion '|assertion \"|err_assertion|^assertion (";
    DEADLOCK Nothing "all goroutines are asleep|blocked indefinitely|^<<loop>>|: <<loop>>";
    COMMAND_NOT_EXECUTABLE_IN_SCRIPT NotExecutable "exec format error" "build that file for this machine (docker build --platform), or give a script its #! line";
    PERMISSION_DENIED NotPermitted "operation not permitted|!EPERM" "find the call that was refused: it needs a capability (--cap-add), another user, or a seccomp profile that allows it";
    PERMISSION_DENIED Denied "permission denied|!EACCES|eacces}|accessdeniedexception|access to the path '*' is denied";
    COMMAND_NOT_FOUND_IN_SCRIPT Command "executable file not found|spawn * enoent";
    FILE_MISSING Missing "no such file or directory|enoent|can't cd to |filenotfoundexception|nosuchfileexception|could not find file|no such file|cannot open shared|cannot find the file|can't open file|does not exist: ";
    BROKEN_PIPE Nothing "broken pipe|!EPIPE";
}
