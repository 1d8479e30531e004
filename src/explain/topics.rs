//! What exit codes and signals mean: texts alone. Every sentence must be true wherever it is shown.

use crate::signals::Signo;

/// A code or a signal, explained. What is empty is left out.
#[derive(Debug)]
pub(super) struct Topic {
    /// A few words for the table.
    pub title: &'static str,
    pub means: &'static str,
    /// What is often mistaken, put right.
    pub not: &'static str,
    /// The likeliest first.
    pub causes: &'static [&'static str],
    pub apart: &'static [&'static str],
    pub todo: &'static str,
}

const fn short(title: &'static str, means: &'static str) -> Topic {
    Topic { title, means, not: "", causes: &[], apart: &[], todo: "" }
}

/// The codes of the table, and where there is more to say than that a program chose them.
pub(super) static CODES: [(u8, Topic); 9] = [
    (
        0,
        Topic {
            title: "success",
            means: "The program ended by itself and reported success.",
            not: "No proof that its work is done: exit(256), or any other multiple of 256, arrives as 0 as well, and so does exit(\"text\") in PHP.",
            causes: &[
                "it had finished: a job, a migration, a command",
                "it was asked to stop and did so cleanly, as nginx, redis, PostgreSQL and gunicorn do on SIGTERM",
                "it put itself into the background: the first process ends, and the container with it",
                "the last command of a script succeeded although an earlier one had failed (no set -e)",
            ],
            apart: &[
                "Was it meant to end? The report lists the signals that came before, and the processes that were left.",
                "A server that ended within a second went into the background, or did what its arguments said and no more.",
            ],
            todo: "Nothing, for a job. A server stays in the foreground: nginx -g 'daemon off;', --foreground, exec in scripts. restartPolicy: Always and docker run --restart=always restart whatever ends, successes included.",
        },
    ),
    (
        1,
        Topic {
            title: "failure of the program's own",
            means: "The program ended by itself and reported a failure. Most runtimes give 1 for an error that nothing handled.",
            not: "No signal is involved, and the system did not end it. A program that is not in the image gives 127. A CPU limit only slows a program down, and one that hits its memory limit is mostly killed (137).",
            causes: &[
                "an exception that nothing caught, a failed check: Python, Node.js, Java, Ruby, log.Fatal in Go, an Err from main in Rust",
                "configuration: a variable, a flag or a file with a value that it does not take, or with none",
                "a file that it opens is not there, or may not be read",
                "a service that it needs did not answer: database, DNS",
                "its port is taken, or is below 1024 and it may not bind that",
                "something that it depends on is missing or too old: a module, \"version GLIBC_... not found\"",
                "a shortage: threads, file descriptors, disk",
                "set -e in a script, where a command failed",
            ],
            apart: &[
                "The end of its output says which: kubectl logs POD --previous, docker logs CONTAINER.",
                "At once: configuration, files, modules. After hours: data, a peer, a shortage.",
                "Verify what the message names: is the file there, the variable set, the port free, the host known?",
            ],
            todo: "Run the same command by hand in the same image (docker run -it --entrypoint sh IMAGE) with the same variables, then without optional flags. Compare versions and limits with a place where it works.",
        },
    ),
    (
        2,
        Topic {
            title: "wrong arguments, shell syntax, Go panic: by program",
            means: "In bash, dash and busybox sh: a syntax error, or a misused builtin. Many programs give 2 for wrong arguments, Go programs for a panic, make for a failed target, grep for trouble.",
            not: "It has no meaning that all programs share.",
            causes: &[
                "arguments: an option that does not exist, a variable in the command that is empty",
                "a script that its shell cannot read: bash syntax under sh, a missing quote, Windows line ends",
                "a Go program that panicked, by a nil pointer too, or that got SIGQUIT",
                "a file that is not there: the script of python or dash, the input of grep",
                "a binary for another architecture, which a shell tried to read as a script",
            ],
            apart: &[
                "\"panic:\", \"fatal error:\" or \"goroutine\" in its output: Go.",
                "\"usage:\" or the name of an option: its arguments.",
                "\"syntax error\" or \"unexpected\": the shell. If that file is a binary: its architecture (file FILE, uname -m).",
            ],
            todo: "sh -n SCRIPT, or bash -n, reads a script without running it. Compare command and args with what the program takes (--help).",
        },
    ),
    (
        124,
        Topic {
            title: "timeout: the time was up",
            means: "timeout(1) gives it when it had to end its command. xargs gives it when a command ended with 255.",
            not: "With -s KILL, or when -k had to strike, timeout ends as 137. busybox's timeout passes on the death of its command: 143.",
            causes: &["the command needed longer than it was given", "it waited for something that did not come"],
            apart: &["Look at what the command did last: its output, its connections."],
            todo: "Give it more time, or timeout --preserve-status to see the command's own status.",
        },
    ),
    (
        125,
        Topic {
            title: "a wrapper, rinit or the engine failed itself",
            means: "The command was not run: env, nice, nohup, chroot, stdbuf or timeout failed before it, or rinit did (a wrong flag, no descriptor, no fork). docker run and podman run give 125 for a container that the engine could not make: then rinit never ran.",
            not: "It says nothing about the program inside.",
            causes: &[
                "seen from outside: an option of docker run, a missing image, a name in use, no rights on the socket, an engine that does not fit the host",
                "an option of a wrapper, or of rinit, that is wrong",
                "xargs: a command of its was ended by a signal",
            ],
            apart: &[
                "There is a report or a line of rinit's: the container ran, look inside it.",
                "There is none: the engine's own message (docker run prints it, docker events, journalctl -u docker).",
            ],
            todo: "Correct what the message names. rinit names the flag or variable that it did not take.",
        },
    ),
    (
        126,
        Topic {
            title: "found, and could not be executed",
            means: "The file was found, and execve(2) refused it. rinit gives it for PROGRAM, shells and wrappers for a command of theirs.",
            not: "A file, an interpreter or a library that is missing is 127.",
            causes: &[
                "it has no x permission for this user: COPY keeps modes, git may have lost it, volumes and ConfigMaps have 0644",
                "it is built for another architecture, or is no program: a script without #!, an archive, a saved error page, an empty file (\"Exec format error\")",
                "it is a directory",
                "it lies on a file system that is mounted noexec",
                "SELinux or AppArmor forbid it, or it carries file capabilities that the container may not grant",
            ],
            apart: &[
                "The report names PROGRAM and what was found. If it names a shell, the file is in the line that the shell printed.",
                "\"Permission denied\": ls -l of the file, x on each directory above it, noexec in /proc/mounts, in this order.",
                "\"Exec format error\": file FILE against uname -m, and its first bytes.",
            ],
            todo: "COPY --chmod=0755, or git update-index --chmod=+x. docker build --platform for the architecture. A script can be given to its interpreter: sh FILE.",
        },
    ),
    (
        127,
        Topic {
            title: "not found",
            means: "The program, its interpreter, its loader or a library was not found. rinit gives it for PROGRAM, shells and wrappers for a command of theirs, the loader for a library.",
            not: "A syntax error is 2 (in some shells 1 or 3). A missing permission and a wrong architecture are 126. Kubernetes RBAC cannot cause it: it decides about requests to the API server. A missing module of Python or Node.js is 1.",
            causes: &[
                "it is not installed in the image",
                "a wrong name or path: a typo, an extension, a whole command line as one word",
                "a script's first line names an interpreter that is not there: /bin/bash on Alpine, a relative one",
                "the same with Windows line ends: the interpreter's name then ends in a carriage return",
                "a binary's loader is not there: one for glibc on Alpine, a dynamic one in a scratch image",
                "a shared library or a symbol of one is missing (\"error while loading shared libraries\")",
                "a volume lies over the directory, or is empty (a subPath that did not exist is created empty)",
                "PATH was replaced by ENV or a profile",
                "in a script: an unset variable under set -u in bash -c, a file for \".\" that is not there",
                "Elasticsearch uses it for itself: out of memory",
            ],
            apart: &[
                "rinit says that it cannot start PROGRAM: the report names what is missing. It names a shell: its output has the line.",
                "ls shows the file, and still \"not found\": its interpreter or loader. head -n 1 FILE | od -c shows a \\r, ldd FILE the libraries.",
            ],
            todo: "Install it, or give the absolute path. Look inside: docker run --rm --entrypoint ls IMAGE -l DIR. Check volumeMounts and subPath against that path, and PATH in the manifest.",
        },
    ),
    (
        128,
        Topic {
            title: "git: fatal error; engines: not started",
            means: "git gives it for fatal errors. containerd and dockerd give it for a container that they could not start (StartError): then rinit never ran.",
            not: "No signal: 128+n begins at 129. Shells do not give it for a strange argument of exit: bash, dash and busybox give 2 there, mksh 1, and ksh93 and zsh cut 3.5 down to 3.",
            causes: &[
                "git: no repository, another owner (safe.directory), no network, no credentials",
                "seen from outside: the engine could not start the container",
            ],
            apart: &[
                "\"fatal:\" in its output: git. No report of rinit's, Reason StartError: the engine, see its message.",
            ],
            todo: "Correct what the message names.",
        },
    ),
    (
        255,
        Topic {
            title: "-1, the program's own worst failure",
            means: "The last code there is: a program that exits with -1 ends here. PHP uses it for fatal errors, Perl for die, ssh for its own failures, Dart for an uncaught exception. runc gives it when execve fails after the start (\"exec format error\"), and engines where they lost the true status (a reboot, a restart of theirs): then rinit never ran.",
            not: "It is in range: the kernel keeps the low 8 bits of whatever a program asks for. It does not point to networks or virtual machines.",
            causes: &[
                "the failure that this program has 255 for",
                "exit(-1), or exit(511) and the like",
                "seen from outside: wrong architecture of the whole image, or a node that restarted",
            ],
            apart: &[
                "A report of rinit's tells which program ended so: read the end of its output. PHP may log to a file alone.",
                "No report: the engine's log, kubectl describe node, and whether ENTRYPOINT names a file for this architecture.",
            ],
            todo: "Correct what the output names. php -d display_errors=stderr, perl -Mdiagnostics, ssh -v say more.",
        },
    ),
];

/// What a process does that neither handles nor ignores a signal (signal(7)).
pub(super) fn default_action(signal: Signo) -> &'static str {
    match signal.raw() {
        libc::SIGCHLD | libc::SIGURG | libc::SIGWINCH => "is ignored unless the program handles it",
        libc::SIGCONT => "continues a stopped program, and is ignored otherwise",
        libc::SIGSTOP => "always stops a program, which stays there until SIGCONT",
        libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => "stops a program that does not handle it, until SIGCONT",
        libc::SIGKILL => "always ends a program: it cannot be handled, blocked or ignored",
        libc::SIGQUIT
        | libc::SIGILL
        | libc::SIGTRAP
        | libc::SIGABRT
        | libc::SIGBUS
        | libc::SIGFPE
        | libc::SIGSEGV
        | libc::SIGXCPU
        | libc::SIGXFSZ
        | libc::SIGSYS => "ends a program that does not handle it, with a core dump where the limits allow one",
        _ => "ends a program that does not handle it",
    }
}

/// What there is to say of a signal.
pub(super) fn of_signal(signal: Signo) -> &'static Topic {
    static NPTL: Topic = short(
        "used by the C library",
        "The C library uses it for its threads (cancelling, changing ids). No program should ever die of it.",
    );
    static REALTIME: Topic = Topic {
        title: "real-time signal",
        means: "A signal without a fixed meaning that queues and carries a value. Numbers are counted from SIGRTMIN = 34, as glibc does (musl counts from 35).",
        not: "",
        causes: &[
            "a stop signal for another init: SIGRTMIN+3 (37) halts systemd, and Podman or STOPSIGNAL may send it",
            "a timer or a message queue of the program's own whose handler was not there yet",
        ],
        apart: &["The report says whether it came through rinit, and from whom."],
        todo: "Give the container the stop signal that its program knows (STOPSIGNAL, docker run --stop-signal), or rinit --rewrite RTMIN+3:TERM.",
    };
    usize::from(signal.as_u8()).checked_sub(1).and_then(|n| SIGNALS.get(n)).unwrap_or(match signal.raw() {
        32 | 33 => &NPTL,
        _ => &REALTIME,
    })
}

/// Signals 1 to 31 in the order of x86 and ARM.
static SIGNALS: [Topic; 31] = [
    Topic {
        title: "hangup",
        means: "Sent when the controlling terminal goes away or the process that leads its session ends. Many daemons take it as a request to read their configuration again.",
        not: "It is signal 1 on every machine. An exit code of 1 has nothing to do with it.",
        causes: &[
            "the terminal was closed: docker run -t without its client, a lost ssh session",
            "a reload was meant (kill -HUP), and the program has no handler",
        ],
        apart: &["The report says whether the terminal or a process sent it. A JVM ends with 129 by itself after it."],
        todo: "Start without a terminal, or let the program handle it; do not send it to programs that cannot reload.",
    },
    Topic {
        title: "interrupt",
        means: "Ctrl-C at the terminal, or somebody's kill -INT. Python turns it into KeyboardInterrupt and then dies of it.",
        not: "",
        causes: &["Ctrl-C in docker run -it", "docker kill -s INT, or STOPSIGNAL SIGINT"],
        apart: &["The report says whether it came from the terminal."],
        todo: "Nothing, if it was meant.",
    },
    Topic {
        title: "quit",
        means: "Ctrl-\\ at the terminal. The images of nginx and php-fpm have it as their stop signal. A JVM prints its threads and goes on, a Go program prints its goroutines and exits with 2.",
        not: "",
        causes: &["STOPSIGNAL SIGQUIT for a program that does not know it", "Ctrl-\\"],
        apart: &["The report says where it came from."],
        todo: "Check that STOPSIGNAL fits the program.",
    },
    Topic {
        title: "illegal instruction",
        means: "The CPU did not know an instruction, or met one that compilers put in where a program must not go on.",
        not: "",
        causes: &[
            "built for a newer CPU (x86-64-v3, AVX2, AVX-512) than the node has",
            "a trap that was compiled in: Chromium, V8, Swift, sanitizers",
            "emulation of another architecture",
        ],
        apart: &[
            "At the start, and on some nodes only: the CPU (grep flags /proc/cpuinfo). A failed check in its output: the trap.",
        ],
        todo: "Build for x86-64-v2 or lower, use the image of the native architecture, or place it on other nodes.",
    },
    Topic {
        title: "trap",
        means: "A breakpoint instruction. Some programs end so after a failed check (Chromium, V8, Swift, .NET).",
        not: "",
        causes: &["a failed check, which is mostly printed before", "emulation of another architecture"],
        apart: &["Look for CHECK, \"Fatal error\" or \"rosetta\" in its output."],
        todo: "Correct what the check names, or use the native architecture.",
    },
    Topic {
        title: "abort",
        means: "The program gave up by itself with abort(), mostly after printing why. What it had buffered for its files may be lost: abort() does not flush it (since glibc 2.27).",
        not: "Unlike SIGKILL it can be handled. assert() is only one of many ways there.",
        causes: &[
            "an uncaught C++ or .NET exception (\"terminate called\", \"Unhandled exception\")",
            "a failed assert()",
            "a damaged heap or stack that the C library found (\"free(): invalid pointer\", \"stack smashing detected\")",
            "Node.js or another runtime at its own heap limit (\"heap out of memory\")",
            "a JVM or Ruby that crashed by SIGSEGV and ends so after its crash report (hs_err_pid*.log)",
            "Rust with panic=abort, a stack overflow, or an allocation that failed",
        ],
        apart: &[
            "The last lines of its output, with the library's or runtime's own words, tell these apart. A debug build may check what a release build does not.",
        ],
        todo: "Correct what the message names. A core dump (ulimit -c unlimited, core_pattern) shows the place.",
    },
    Topic {
        title: "bus error",
        means: "A memory mapping could not be read or written, though its address is valid.",
        not: "",
        causes: &[
            "/dev/shm or another tmpfs is full (Docker gives 64 MiB)",
            "a mapped file was truncated or overwritten in place while in use",
            "no huge page was left",
            "an I/O error of the disk behind a mapping",
        ],
        apart: &["df /dev/shm /tmp right after. The files that it maps: who writes them?"],
        todo: "--shm-size, or an emptyDir of medium Memory at /dev/shm. Replace files by rename, never in place.",
    },
    short(
        "arithmetic fault",
        "On x86 an integer was divided by zero, or the result did not fit. ARM does not raise it for a division: the result there is 0.",
    ),
    Topic {
        title: "kill",
        means: "The program was ended at once, and nothing was cleaned up. The kernel does not record who asked.",
        not: "Memory is one cause of several, and an OOM kill does not always show as 137: where a child was the victim, the program itself may end with 0 or 1. The OOM killer asks nobody first: it sends SIGKILL at once. And 137 can be an ordinary exit: a shell that passes on the death of a command, or .NET, which exits with 137 when its runtime cannot be initialised.",
        causes: &[
            "out of memory: the container reached its limit, or the pod or the node ran out",
            "the grace period was over: SIGTERM came first, and 10 s (Docker) or 30 s (Kubernetes) later SIGKILL, because the program had not ended. A failed liveness or startup probe, a rollout, an eviction and a node shutdown go this way",
            "an eviction at a hard threshold, which leaves no grace period",
            "docker kill, kill -9, pkill, a supervisor or a watchdog, inside or on the host",
            "the hard limit on CPU time (ulimit -t)",
        ],
        apart: &[
            "memory.events of the cgroup: oom and oom_kill moved: the container's own limit. oom_kill alone: the pod or the node. Neither: no OOM kill here. (cgroup v1: oom_kill in memory.oom_control, max_usage against limit.)",
            "kubectl describe pod: Last State, Reason, Exit Code, Started, Finished, and Events (Unhealthy, Killing, Evicted). docker inspect: State.OOMKilled, true for any OOM kill in the container.",
            "Did a SIGTERM come before? Then: does the program handle it (SigCgt in /proc/PID/status), or does a shell in front keep it?",
            "When the node runs out, oom_score_adj decides who goes first: BestEffort pods have 1000, Burstable 3 to 999 by their request, Guaranteed -997. kubectl get pod POD -o jsonpath='{.status.qosClass}'",
        ],
        todo: "Memory: a steady climb is a leak (memory profiler), a step is a limit too low (heap size, number of workers), a container far below its limit means that the node is overcommitted (requests, spread the load). Grace: exec the program, handle SIGTERM, or raise terminationGracePeriodSeconds or docker stop -t.",
    },
    short(
        "the program's own, 1",
        "Free for every program. Death by it: it came before the handler was there (log rotation, profilers). Node.js starts its debugger on it.",
    ),
    Topic {
        title: "segmentation fault",
        means: "The program accessed memory that it may not access: a fault in native code, its own or a library's.",
        not: "No setting lets a program go on after it. A program that runs as PID 1 and calls abort() can end as 139 as well; under rinit that is 134. A nil pointer in Go is a panic: 2.",
        causes: &[
            "a bug in native code: the program, an extension module, a JIT",
            "the stack overflowed: deep recursion, or musl's small thread stacks on Alpine (128 KiB)",
            "a library of another version or libc than the program was built for",
            "a file that was truncated on its way into the image",
            "bad memory, if different programs crash on one node",
        ],
        apart: &[
            "Does it happen with the same input, with the same image on a Debian base, on another node? Those three tell bug, musl and hardware apart.",
            "The node's kernel log has \"segfault at\" with the library.",
        ],
        todo: "Get a core dump (ulimit -c unlimited, /proc/sys/kernel/core_pattern) or a trace: PYTHONFAULTHANDLER=1, a build with -fsanitize=address.",
    },
    short("the program's own, 2", "Free for every program. Death by it: it came before the handler was there."),
    Topic {
        title: "broken pipe",
        means: "The program wrote to a pipe or socket whose reader was gone.",
        not: "",
        causes: &[
            "the reader of a pipeline ended first (cmd | head); under set -o pipefail the script then exits with 141",
            "a log collector or client went away",
        ],
        apart: &["Which reader ended first, and with what status?"],
        todo: "Find out why the reader ended. A server ignores SIGPIPE and handles EPIPE.",
    },
    short(
        "alarm",
        "A timer of the program's own ran out (alarm, setitimer) and nothing handled it: a time limit or a watchdog inside it.",
    ),
    Topic {
        title: "request to stop",
        means: "The usual request to stop: docker stop, docker compose down, a pod that terminates, a failed liveness probe. By default Docker waits 10 s and Kubernetes 30 s, then SIGKILL follows.",
        not: "143 does not prove a graceful end: a death by SIGTERM means that its default action struck and nothing was cleaned up, unless the program handled it and then raised it again. Servers that stop cleanly mostly exit with 0.",
        causes: &[
            "a stop that was asked for: rollout, scale-down, drain, docker stop",
            "a failed liveness or startup probe, an eviction",
            "a process inside: kill, a supervisor, an exec session",
        ],
        apart: &[
            "The report says who sent it (outside, an exec session, a process), when, and how long the end took.",
            "Killed by SIGTERM: no handler. Exited with 143: a JVM or .NET after its shutdown hooks, or a shell whose command died of it.",
            "kubectl get events tells a probe from a rollout.",
        ],
        todo: "Nothing, if a stop was due; where 143 counts as a failure: rinit -e 143. A program without a handler that runs as PID 1 itself ignores SIGTERM and is killed after the grace period; under rinit it is not PID 1, so the default action works, and orphans are reaped. A shell in front keeps the signal: exec the program.",
    },
    short("stack fault", "The kernel never sends it: a process did."),
    short("child changed", "A child ended or stopped. Nothing dies of it."),
    short("continue", "Continues a stopped process."),
    short(
        "stop",
        "The process stands still and answers nothing, stop requests included, until SIGCONT or SIGKILL comes.",
    ),
    short("stop from the terminal", "Ctrl-Z. The process stands still until SIGCONT."),
    short(
        "background read",
        "It read from the terminal while in the background: start it without -t, or in the foreground group.",
    ),
    short(
        "background write",
        "It wrote to the terminal or changed it while in the background, and stands still until SIGCONT.",
    ),
    short("urgent data", "Urgent data on a socket. Go programs send it to their own threads. Nothing dies of it."),
    short(
        "CPU time limit",
        "The soft limit on CPU time was reached (ulimit -t): raise it, or look for a loop that does not end.",
    ),
    short("file size limit", "A file grew past the limit (ulimit -f)."),
    short("virtual timer", "A timer over CPU time ran out and nothing handled it, mostly a profiler's."),
    short(
        "profiling timer",
        "A profiler's timer ran out and nothing handled it. A program started by a profiled one can inherit that timer.",
    ),
    short(
        "window size",
        "The terminal changed its size. Apache httpd takes it as its stop signal. Nothing dies of it.",
    ),
    short("I/O possible", "A descriptor with O_ASYNC was ready, and the program has no handler."),
    short("power failure", "A request to halt an init (lxc-stop sends it)."),
    Topic {
        title: "bad system call",
        means: "A system call was refused by a filter that kills or traps, or does not exist.",
        not: "The default profiles of Docker and Kubernetes do not kill: they answer EPERM or ENOSYS.",
        causes: &[
            "a seccomp profile made for this workload (Localhost)",
            "a sandbox of the program's own: Chromium, sshd, bubblewrap",
        ],
        apart: &[
            "Seccomp: 3 in the dead process's status, which the report has: a filter killed it. The host's audit log (type=1326) names the call.",
        ],
        todo: "Allow that call in the profile, or update the program's sandbox for the libc that it runs with.",
    },
];
