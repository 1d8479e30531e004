//! Whose line it is: the runtimes, loaders, shells and servers that say in one line why they end, and with which status.

#![forbid(unsafe_code)]

use super::Weight;
use super::extract::Kind;
use crate::diagnose::Cause;
use crate::diagnose::registry as cause;

/// A row of the table; the first that fits counts.
pub(super) struct Speaker {
    pub pattern: &'static str,
    /// Exit codes, or signals as negative numbers, that go with the line. None: any failure does.
    pub ends: &'static [i16],
    pub weight: Weight,
    pub cause: &'static Cause,
    /// Whether the message itself is read first, and `cause` only stands where that says nothing.
    pub read: bool,
    pub kind: Kind,
    pub next: &'static str,
}

macro_rules! speakers {
    (@read read) => { true };
    (@read is) => { false };
    ($($weight:ident $read:ident $cause:ident $kind:ident [$($end:literal)*] $pattern:literal $($next:literal)?;)*) => {
        pub(super) static SPEAKERS: &[Speaker] = &[$(Speaker {
            pattern: $pattern,
            ends: &[$($end),*],
            weight: Weight::$weight,
            cause: &cause::$cause,
            read: speakers!(@read $read),
            kind: Kind::$kind,
            next: concat!($($next)?),
        }),*];
    };
}

// glibc elf/dl-*.c, assert/assert.c, malloc/malloc.c; musl ldso/dynlink.c; bash, dash, busybox, zsh, ksh, mksh as they were
// seen to write; hotspot's arguments.cpp, vmError.cpp; src/node_errors.cc; Modules/main.c, Python/pylifecycle.c;
// dotnet/runtime host-error-codes.md; nginx, redis, postgres, httpd, haproxy, gunicorn, uvicorn as they were seen to write.
speakers! {
    // Loaders.
    Own read MISSING_SHARED_LIBRARY Library [127] ": error while loading shared libraries: ";
    Own is LIBRARY_INCOMPATIBLE Nothing [127] ": symbol lookup error: ";
    Own is LIBRARY_INCOMPATIBLE Nothing [1] ": version `*' not found (required by |: version '*' not found (required by " "the program was built against a newer C library: build it in the image that it runs in, or use a newer base image";
    Own is ILLEGAL_INSTRUCTION Nothing [127] "CPU ISA level is lower than required" "the library was built for a newer CPU (x86-64-v2, -v3): use an image for this one, or another node";
    Own is LIBRARY_INCOMPATIBLE Nothing [127 1] "FATAL: kernel too old";
    // C and C++.
    Own is ASSERTION_FAILED Nothing [-6] ": Assertion `*' failed.$|: Assertion '*' failed.$|^Assertion failed: ";
    Own is HEAP_CORRUPTION Nothing [-6] "^free(): |^malloc(): |^malloc_consolidate(): |^double free or corruption|^corrupted |^munmap_chunk(): |^realloc(): |^~~~ ";
    Dump is HEAP_CORRUPTION Nothing [1 23 66 77 -6] "ERROR: AddressSanitizer: |ERROR: LeakSanitizer: |ThreadSanitizer: |MemorySanitizer: |HWAddressSanitizer: ";
    Own read UNCAUGHT_EXCEPTION Nothing [-6] "terminating due to uncaught exception |terminating with uncaught exception ";
    Own is ABORTED Nothing [-6] "^terminate called without an active exception" "look for a std::thread that goes out of scope without join() or detach(), or, if the line before says so, for a pure virtual call from a constructor or destructor";
    Own is ABORTED Nothing [-6] "^pure virtual method called|^terminate called recursively";
    Only is ASSERTION_FAILED Nothing [1 -6 -4] "*:%*:%*: runtime error: ";
    Own is WRONG_ARCHITECTURE Nothing [] "qemu: uncaught target signal |^rosetta error: |Invalid ELF image for this architecture" "the program runs in an emulator, and it crashed there: use an image for this machine's architecture";
    // Python.
    Own is FILE_MISSING Missing [2] "python*: can't open file '*': [Errno 2] No such file";
    Own read PERMISSION_DENIED Denied [2] "python*: can't open file '";
    Own is MISSING_MODULE Nothing [1] "python*: No module named |python*: Error while finding module specification for ";
    Dump is SEGFAULT Nothing [-11] "^Fatal Python error: Segmentation fault";
    Dump is ABORTED Nothing [-6] "^Fatal Python error: Aborted";
    Dump is BUS_ERROR Nothing [-7] "^Fatal Python error: Bus error";
    Dump is ILLEGAL_INSTRUCTION Nothing [-4] "^Fatal Python error: Illegal instruction";
    Dump is CONFIGURATION_ERROR Nothing [1] "^Fatal Python error: init" "check PYTHONHOME and PYTHONPATH: Python does not find its own library there";
    Dump read ABORTED Nothing [-6 1] "^Fatal Python error: ";
    Only read BROKEN_PIPE Nothing [120] "^BrokenPipeError: |^OSError: [Errno ";
    Only is USAGE_ERROR Nothing [2] ": error: the following arguments are required: |: error: unrecognized arguments: |: error: argument |: error: too few arguments|: error: invalid choice|: error: no such option|: error: one of the arguments |^Error: No such option|^Error: Missing option|^Error: Missing argument|^Error: Missing parameter|^Error: Invalid value for|^Error: Got unexpected|^Error: No such command";
    Own read MISSING_MODULE Nothing [1 3] "^ERROR:*Error loading ASGI app. Could not import module";
    Own is CONFIGURATION_ERROR Nothing [1 3 4] "^ERROR:*Error loading ASGI app. |Failed to find attribute '*' in '|Failed to parse '*' as an attribute name" "correct MODULE:NAME: the module was found, the name in it was not";
    Own is MISSING_MODULE Nothing [2] "^Error: Could not import '|^The module * was not found.$|^Error: Could not locate a Flask application";
    Own is ADDRESS_IN_USE InUse [1] "Connection in use: ('|^Error: That port is already in use.";
    Own read CONFIGURATION_ERROR Nothing [1] "^CommandError: ";
    Wrapper is EXIT_ERROR Nothing [3 4] "Reason: Worker failed to boot.|Reason: App failed to load.|^ERROR:*Application startup failed. Exiting.";
    Part is TIMEOUT_EXPIRED Nothing [] "[CRITICAL] WORKER TIMEOUT (pid:" "a request took longer than gunicorn's --timeout: look at what it waited for";
    Part is DESCENDANT_KILLED Nothing [] ") was sent SIGKILL! Perhaps out of memory?" "without an OOM kill, gunicorn killed it itself after --timeout (WORKER TIMEOUT): see what that request waited for. Else compare the memory limit with what all workers use";
    Part is DESCENDANT_KILLED Nothing [] "WorkerLostError: |is killed by signal: |BrokenProcessPool|TerminatedWorkerError" "SIGKILL: compare the memory limit with what all workers use. Bus error: /dev/shm is full. SIGSEGV: a fault of native code";
    // Node.js and npm.
    Own is USAGE_ERROR Nothing [9] ": bad option: | is not allowed in NODE_OPTIONS|: requires an argument";
    Dump is RUNTIME_HEAP_LIMIT Heap [-6] "^FATAL ERROR: *heap" "raise --max-old-space-size (NODE_OPTIONS=--max-old-space-size=MIB), below the container's limit, or look for a leak";
    Dump read ABORTED Nothing [-6 -5 -4] "^FATAL ERROR: |^# Fatal error in ";
    Own is DEADLOCK Nothing [13] "Warning: Detected unsettled top-level await";
    Own is CONFIGURATION_ERROR Nothing [1] "^npm *issing script: " "npm run lists the scripts that package.json has";
    Own is FILE_MISSING Missing [254] "^npm * enoent *no such file or directory, open '|^npm * enoent Could not read package.json" "check WORKDIR, and what COPY put there";
    Wrapper read EXIT_ERROR Nothing [] "^npm ERR! |^npm error |^error Command failed with exit code| ELIFECYCLE ";
    // Java.
    Own is MISSING_MODULE Nothing [1] "^Error: Could not find or load main class " "check the class path (-cp) and the name of the main class, and that the JAR with that class is in the image";
    Own is FILE_MISSING Missing [1] "^Error: Unable to access jarfile |^Error opening zip file or JAR manifest missing : ";
    Own is CONFIGURATION_ERROR Nothing [1] "^Error: Invalid or corrupt jarfile |^no main manifest attribute, in |^Error: Main method not found in class |^Error: Main method is not static" "look into the file with: jar tf FILE. A COPY of the wrong artefact (the plain JAR and not the bundled one) is the usual reason";
    Own is WRONG_RUNTIME_VERSION Nothing [1] "UnsupportedClassVersionError";
    Own is USAGE_ERROR Nothing [1] "^Unrecognized VM option |^Unrecognized option: |^Invalid maximum heap size|^Invalid initial heap size|^Initial heap size set to a larger value|^Conflicting collector combinations|^Improperly specified VM option" "an option in the command, JAVA_OPTS or JAVA_TOOL_OPTIONS is of another Java version or misspelt";
    Own is ALLOCATION_FAILED Memory [1] "^Could not reserve enough space for " "lower -Xmx, or raise the limit that refuses it (ulimit -v, the container's memory)";
    Dump is ALLOCATION_FAILED Memory [1 -6] "^# There is insufficient memory for the Java Runtime Environment to continue";
    Own read RUNTIME_HEAP_LIMIT Heap [3] "^Terminating due to java.lang.OutOfMemoryError";
    Dump read RUNTIME_HEAP_LIMIT Heap [-6] "^Aborting due to java.lang.OutOfMemoryError";
    Dump is SEGFAULT Nothing [-6] "^#  SIGSEGV (0x" "read the \"Problematic frame\" in its output and the hs_err file: outside libjvm.so it is native code of a library. A Debian-built library on Alpine is a common one";
    Dump is BUS_ERROR Nothing [-6] "^#  SIGBUS (0x";
    Dump is ILLEGAL_INSTRUCTION Nothing [-6] "^#  SIGILL (0x";
    Dump is DIVIDE_BY_ZERO Nothing [-6] "^#  SIGFPE (0x";
    Dump read ABORTED Nothing [-6] "^#  Internal Error (|^# fatal error: |^#  fatal error: |^#  guarantee(|^#  Out of Memory Error";
    Own read CONFIGURATION_ERROR Nothing [2] "^JDWP exit error |^ERROR: transport error |^ERROR: JDWP ";
    Own is CONFIGURATION_ERROR Nothing [78 1] "max virtual memory areas vm.max_map_count [*] is too low" "sysctl -w vm.max_map_count=262144 on the node (it cannot be set in the container)";
    Own read CONFIGURATION_ERROR Nothing [78] "bootstrap check failure [";
    Wrapper is USAGE_ERROR Nothing [1] "^Error: Could not create the Java Virtual Machine|^Error: A fatal exception has occurred|^Error occurred during initialization of VM";
    // Go.
    Only is USAGE_ERROR Nothing [2] "^flag provided but not defined: |^flag needs an argument: |^invalid value \"*\" for flag |^invalid boolean value \"";
    // Rust.
    Own is ALLOCATION_FAILED Memory [-6] "^memory allocation of * bytes failed";
    Own is STACK_OVERFLOW Nothing [-6] "^thread '*' has overflowed its stack|^thread '*' (%*) has overflowed its stack";
    Wrapper is ABORTED Nothing [-6] "^fatal runtime error: |^thread caused non-unwinding panic";
    // Ruby.
    Own is FILE_MISSING Missing [1] "ruby: No such file or directory -- ";
    Dump is SEGFAULT Nothing [-6] "[BUG] Segmentation fault at";
    Dump read ABORTED Nothing [-6] "[BUG] ";
    Own is STALE_PID_FILE PidFile [1] "^A server is already running. Check ";
    Own is MISSING_MODULE Nothing [127 7 10] "^bundler: command not found: |^Could not find * in locally installed gems|^Could not locate Gemfile";
    // PHP.
    Own read SYNTAX_ERROR Nothing [255] "^PHP Parse error: |^Parse error: ";
    Own read UNCAUGHT_EXCEPTION Nothing [255] "^PHP Fatal error: |^Fatal error: ";
    Own is FILE_MISSING Missing [1] "^Could not open input file: ";
    Wrapper is CONFIGURATION_ERROR Nothing [78] "ERROR: FPM initialization failed|ERROR: failed to post process the configuration|ERROR: failed to load configuration file";
    Server read CONFIGURATION_ERROR Nothing [78] "^[%*] ERROR: |^[%*] ALERT: ";
    Part is DESCENDANT_KILLED Nothing [] "] child % exited on signal |] child %* exited on signal |worker process %* exited on signal |server process (PID %*) was terminated by signal |DAMN ! worker %* died, killed by signal |child pid %* exit signal " "signal 9: look at memory, the OOM killer ends workers so. Signal 11: a fault of native code in the worker";
    // .NET.
    Own is MISSING_SHARED_LIBRARY Nothing [-6] "Couldn't find a valid ICU package" "install libicu (icu-libs on Alpine), or set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1";
    Own read ABORTED Nothing [-6] "^Process terminated. ";
    Own is STACK_OVERFLOW Nothing [-6] "^Stack overflow.";
    Own is ALLOCATION_FAILED Memory [-6] "^Out of memory.$";
    Own is RUNTIME_HEAP_LIMIT Heap [137] "GC heap initialization failed|^Failed to create CoreCLR" "raise the memory limit or ulimit -v, or set DOTNET_GCHeapHardLimit";
    Own is WRONG_RUNTIME_VERSION Nothing [150 131 145 155] "^You must install or update .NET to run this application|^Framework: '|^The framework '*', version '|compatible framework version|No .NET SDKs were found|libhostfxr|libhostpolicy|compatible .NET SDK was not found" "use the runtime image of that version (aspnet and not runtime, if it asks for Microsoft.AspNetCore.App)";
    Own is FILE_MISSING Missing [] "^The application to execute does not exist: '";
    // Erlang, Perl, Lua, Haskell.
    Dump read UNCAUGHT_EXCEPTION Nothing [1] "init terminating in do_boot|^Kernel pid terminated |^~~ (";
    Own is FILE_MISSING Missing [2] "^Can't open perl script \"";
    Own is FILE_MISSING Missing [1] "lua*: cannot open ";
    Own is RUNTIME_HEAP_LIMIT Heap [251] "Heap exhausted|heap overflow";
    Own is STACK_OVERFLOW Nothing [2] "^stack overflow$|: stack overflow$|Stack space overflow: current size";
    Own is DEADLOCK Nothing [1] ": <<loop>>$|: thread blocked indefinitely in an ";
    Wrapper is SYNTAX_ERROR Nothing [] "^BEGIN failed--compilation aborted|^Execution of * aborted due to compilation errors";
    // Shells and env.
    Command is SHEBANG_CRLF Nothing [127 126] "\r': No such file|\\r': No such file|\\r\u{2019}: No such file|\r\u{2019}: No such file|^M: bad interpreter|: bad interpreter: *^M: ";
    Shell is SHELL_SYNTAX_ERROR Nothing [] "$'\\r': command not found|$'*\\r'|\r: invalid option|: set: Illegal option -$|: set: line %*: illegal option -$|: set: line %*: illegal option -o pipefail$|: \r: not found|\r: command not found|\r: not found" "the script has Windows line ends: sed -i 's/\\r$//' FILE and rebuild. To keep it so: \"*.sh text eol=lf\" in .gitattributes";
    Shell is SHEBANG_INTERPRETER_MISSING Nothing [126 127] ": bad interpreter: |: cannot execute: required file not found";
    Wrapper is EXIT_ERROR Nothing [127] "use -[v]S to pass options in shebang lines";
    Command is USAGE_ERROR Nothing [127] "env: '* *': No such file|env: \u{2018}* *\u{2019}: No such file" "env takes one word in a first line: write #!/usr/bin/env -S WORDS";
    Shell is COMMAND_NOT_FOUND_IN_SCRIPT Command [127] ": command not found|: not found$|: inaccessible or not found|: not found [No such file|: command not found: ";
    Command is COMMAND_NOT_FOUND_IN_SCRIPT Command [127] ": No such file or directory|: no such file or directory: |: No such file|: cannot execute [No such file|: cannot execute: No such file";
    Command is COMMAND_NOT_EXECUTABLE_IN_SCRIPT NotExecutable [126 2] ": Exec format error|: exec format error|: cannot execute binary file";
    Command is COMMAND_NOT_EXECUTABLE_IN_SCRIPT Denied [126] ": Permission denied|: permission denied: |: can't execute: Permission denied|: cannot execute [Permission denied]|: Is a directory|: is a directory";
    Shell is SHELL_SYNTAX_ERROR Nothing [2 1 3] ": syntax error near unexpected token|: syntax error: |: Syntax error: |: syntax error at line |: unexpected EOF while looking for|: unexpected end of file|: parse error near " "sh -n SCRIPT reads it without running it. Bash's own syntax fails under sh, Windows line ends everywhere, and a binary for another architecture that a shell takes for a script";
    Shell is SHELL_SYNTAX_ERROR Nothing [2] "Illegal option -o pipefail|: set: illegal option" "the script is for bash: write #!/bin/bash, or start it with bash";
    Shell is ENV_VARIABLE_MISSING Variable [1 2 127] ": unbound variable|: parameter not set|: parameter null or not set|^*: line %*: *: must be";
    Shell is FILE_MISSING Missing [127 2] ": cannot open *: No such file|: can't open '*': No such file|: can't open: No such file|: 0: Can't open ";
    Shell is PERMISSION_DENIED Denied [2] ": cannot open *: Permission denied|: can't open '*': Permission denied" "a shell has to read its script: COPY --chmod=0755";
    Shell is THREAD_LIMIT Threads [254 2] ": fork: |: Cannot fork|: can't fork";
    Wrapper is DESCENDANT_KILLED Nothing [137 139 134 135 132 136 143 133] ": line %*: *%* Killed |: line %*: *%* Segmentation fault |: line %*: *%* Aborted |: line %*: *%* Bus error |: line %*: *%* Illegal instruction |: line %*: *%* Floating point exception |: line %*: *%* Trace/breakpoint trap |: line %*: *%* Terminated |^Killed$|^Segmentation fault$|^Aborted$|^Bus error$|^Illegal instruction$|^Terminated$|^Segmentation fault (core dumped)$|^Aborted (core dumped)$|: %*: Killed$|: line %*: %*: Killed|: line %*: %*: Memory fault";
    Part is EXIT_ERROR Nothing [] " exited: * (*; not expected)| entered FATAL state";
    Wrapper is EXIT_ERROR Nothing [2] "^make: ~~~ |^gmake: ~~~ ";
    Part is DESCENDANT_KILLED Nothing [] "Killed signal terminated program |signal: killed|(signal: 9, SIGKILL" "compare the container's memory limit with what this step of the build needs, or let it run fewer jobs at once";
    // Servers.
    Server is CONFIGURATION_ERROR Nothing [1] "\"root\" execution of the PostgreSQL server is not permitted|to find out how to run *d as root" "run it as its own user (USER, runAsUser, gosu in the entrypoint)";
    Server is FILE_MISSING Missing [2] "could not access directory \"|could not access the server configuration file \"|cannot access the server configuration file \"";
    Wrapper is CONFIGURATION_ERROR Nothing [1] "FATAL:  could not create any TCP/IP sockets|[emerg] *still could not bind()";
    Server read ADDRESS_IN_USE InUse [1] "LOG:  could not bind IPv|AH00072: make_sock: could not bind to address";
    Server read CONFIGURATION_ERROR Nothing [1] "[emerg] |FATAL:  ";
    Server is CONFIGURATION_ERROR Nothing [1] "^~~~ FATAL CONFIG FILE ERROR|^>>> '|AH00526: |^Invalid command '|AH00534: ";
    Server is CONFIGURATION_ERROR Nothing [64 71] "can't run as root without the -u switch" "run it as its own user (USER, runAsUser), or with -u USER";
    Server is FILE_MISSING Missing [1] "Fatal error, can't open config file '";
    Server is ADDRESS_IN_USE InUse [1] "Failed listening on port % |Failed listening on port ";
    Server read CONFIGURATION_ERROR Nothing [1] "[ALERT] ";
    Wrapper is EXIT_ERROR Nothing [1 2 7] "[ERROR] Aborting|[ERROR] Unknown/unsupported storage engine|AH00015: Unable to open logs|no listening sockets available, shutting down|[ERROR] Plugin 'InnoDB' |[ALERT] *Fatal errors found in configuration";
    Line read CONFIGURATION_ERROR Nothing [1 2 7] "[ERROR] *mariadbd: |[ERROR] *mysqld: |[ERROR] *unknown option|[ERROR] *unknown variable";
    Own read EXIT_ERROR Nothing [2] "^psql: error: ";
    Own read EXIT_128 Nothing [128] "^fatal: ";
    Line read EXIT_ERROR Nothing [3 5 6 7 22 23 26 28 35 47 51 52 56 60 67 77] "^curl: (%";
    Own read STATUS_255 Nothing [255] "^ssh: ";
    // Anybody's log: the first is Go's.
    Line read EXIT_ERROR Nothing [1] "^%%%%/%%/%% %%:%%:%%";
    Line read EXIT_ERROR Nothing [] "FATAL|fatal: |fatal error|Fatal error|CRITICAL|PANIC|\"level\":\"fatal\"|level=fatal|[CRIT]|[crit]|[FTL]";
    Line read EXIT_ERROR Nothing [] "^ERROR|^Error|^error: |: error: | ERROR |[ERROR]|[error]|:ERROR:|\"level\":\"error\"|level=error|[ERR]| ERR |^E: |^E%%%% |^npm ERR|^Cannot |^cannot |^Failed to |^failed to |^Could not |^could not |^Unable to |^unable to ";
}
