//! Every cause that a report can name: its id, class and summary, what proves it and how far, and what to do where no
//! rule knows better. An id is public and stable: add where needed, never reuse one.

use super::{Cause, Class};

macro_rules! causes {
    ($($name:ident $id:literal $class:ident $summary:literal $proof:literal $next:literal;)*) => {
        $(
            #[doc = $summary]
            pub static $name: Cause =
                Cause { id: $id, class: Class::$class, summary: $summary, proof: $proof, next: $next };
        )*
        /// All of them, in the order of reasoning.
        pub static ALL: &[&Cause] = &[$(&$name),*];
    };
}

causes! {
    // Not started.
    FD_LIMIT "fd-limit" Limit "no file descriptor was free"
        "EMFILE or ENFILE from the call that failed: nothing else gives them"
        "raise the limit on open files (ulimit -n, docker run --ulimit nofile, for ENFILE fs.file-max on the node), and see what holds so many open";
    PROCESS_LIMIT "process-limit" Limit "a limit on processes was reached"
        "EAGAIN from fork or execve, which does not say which limit: likely. Certain if the container's pids.current was at pids.max right after fork failed"
        "look for processes or zombies that pile up, then raise the limit (docker run --pids-limit, podPidsLimit of the kubelet, ulimit -u)";
    NO_MEMORY_TO_START "no-memory-to-start" Limit "the kernel had no memory for a new process"
        "ENOMEM from the call that failed. A PID namespace without an init gives the same: likely"
        "compare the container's memory limit, and the memory that is free on the node, with what the program needs";
    COMMAND_LINE_AS_ONE_WORD "command-line-as-one-word" Config "a whole command line was given as the program's name"
        "no such file, and a blank in the name or a bracket at its beginning: likely"
        "give each word by itself ([\"PROGRAM\", \"ARGUMENT\"] in a Dockerfile or manifest, with double quotation marks), or run it through a shell: sh -c '...'";
    SHELL_SYNTAX_AS_COMMAND "shell-syntax-as-command" Config "what only a shell understands was given as the program"
        "ENOENT for a word of the shell's grammar or a builtin. Certain if every directory of PATH was looked at. Likely for $NAME and NAME=value"
        "run it through a shell, [\"sh\", \"-c\", \"...\"] in a Dockerfile or manifest: execve knows programs alone";
    COMMAND_NOT_FOUND "command-not-found" Image "no directory of PATH has the program"
        "ENOENT for a name without a slash. Certain if every directory of PATH was looked at"
        "check the spelling, install the program in the image (in the stage that is shipped), or give its absolute path. In Kubernetes command replaces ENTRYPOINT and args replaces CMD";
    VOLUME_HIDES_FILE "volume-hides-file" Config "an empty volume is mounted where the program should be"
        "ENOENT, and the directory that lacks the file is an empty mount. What the image has below it cannot be seen: likely"
        "mount the volume elsewhere, or fill it first (an init container that copies the files). A subPath that does not exist becomes an empty directory";
    DANGLING_SYMLINK "dangling-symlink" Image "the program's path is a symbolic link to nothing"
        "ENOENT. Certain if a symbolic link was seen on the path whose target does not exist"
        "correct the link, or put its target into the image: a link that points out of a copied directory, or into a build stage, breaks like this";
    PATH_MISSING "path-missing" Image "the program's path does not exist"
        "ENOENT for a path. Certain if a component of it was seen to be absent"
        "correct the command, or COPY the file. In Kubernetes command replaces ENTRYPOINT and args replaces CMD";
    SHEBANG_CRLF "shebang-crlf" Image "a script has Windows line ends, so its interpreter is not found"
        "ENOENT, and a first line that ends with a carriage return. Certain if the interpreter of that name was looked for and is absent"
        "sed -i 's/\\r$//' FILE and rebuild. To keep it so: \"*.sh text eol=lf\" in .gitattributes";
    SHEBANG_INTERPRETER_MISSING "shebang-interpreter-missing" Image "the interpreter of a script does not exist"
        "ENOENT for a script. Certain if the interpreter that its first line names was looked for and is absent. Likely for a relative one that was not looked for"
        "install the interpreter in the image (in the stage that is shipped), or name one in the first line that is there";
    LOADER_MISSING "loader-missing" Image "the dynamic loader of a program does not exist"
        "ENOENT for an ELF file. Certain if the loader that it names was looked for and is absent"
        "install the C library that it was built for (on amd64 a 32-bit one: libc6-i386), build it in the image that it runs in, or link it statically (CGO_ENABLED=0 for Go, Rust target *-musl, gcc -static)";
    IS_A_DIRECTORY "is-a-directory" Config "the program's path is a directory"
        "EACCES, and a directory is there. Certain if nothing else was found that could be meant"
        "name the program in it, or correct the path. A subPath or a file that does not exist on the host becomes an empty directory when it is mounted";
    NOEXEC_MOUNT "noexec-mount" Config "the program's file is on a noexec mount"
        "EACCES, and statvfs says that the mount of the file is noexec. Certain if nothing else was found that could be meant"
        "put the program into the image, or mount without noexec (docker run --tmpfs DIRECTORY:exec, mountOptions of a PersistentVolume). A script can also be given to its interpreter: sh FILE";
    PATH_NOT_TRAVERSABLE "path-not-traversable" Image "a directory on the way to the program may not be searched"
        "EACCES from execve and from stat of the path: likely. Certain if the mode of a directory denies it and no capability or access control list can allow it"
        "give that user the x permission on every directory of the path (chmod o+x or COPY --chown in the Dockerfile), or run as another user (USER, runAsUser). Programs under /root are out of reach for all but root";
    NOT_EXECUTABLE "not-executable" Image "the program's file may not be executed"
        "EACCES, and the mode of the file. Certain if it has no x at all, is no regular file, or denies this user and nothing can override that"
        "make it executable in the image (COPY --chmod=0755, in git: git update-index --chmod=+x, for a ConfigMap volume defaultMode: 0755). A script can also be given to its interpreter: sh FILE";
    INTERPRETER_NOT_EXECUTABLE "interpreter-not-executable" Image "the program's interpreter or loader may not be executed"
        "EACCES, and what the file needs is on a noexec mount, no regular file, or of a mode that denies it. Certain as for the file itself"
        "make the interpreter (the loader) executable, or name another one in the first line of the script";
    CAPABILITIES_NOT_GRANTED "capabilities-not-granted" Config "the file has capabilities that the container may not grant"
        "EPERM, and file capabilities that the bounding set (CapBnd) lacks. Certain if they count in this user namespace and on this mount"
        "give the container the capability (docker run --cap-add, securityContext.capabilities.add), or take the capabilities off the file in the image: setcap -r FILE";
    DENIED_BY_SECURITY_MODULE "denied-by-security-module" Platform "execution was denied although the mode allows it"
        "EACCES, and everything that was looked at allows it: possible"
        "look for a denial in the host's audit log (ausearch -m avc, dmesg), and for Docker and Podman volumes under SELinux use the option :z. To compare: docker run --security-opt label=disable, or apparmor=unconfined";
    NOT_A_DIRECTORY "not-a-directory" Config "a file stands where the path needs a directory"
        "ENOTDIR. Certain if stat of the path gives it too"
        "correct the path, or what is mounted there: a file mounted over a directory gives this (mountPath with subPath, -v FILE:DIRECTORY)";
    SYMLINK_LOOP "symlink-loop" Image "symbolic links lead in a circle"
        "ELOOP. Certain if stat of the path gives it too, or if more than five scripts name each other as interpreters"
        "follow the links by hand (ls -l, readlink), and the first lines of scripts whose interpreter is a script";
    NAME_TOO_LONG "name-too-long" Config "the program's path is longer than the system allows"
        "ENAMETOOLONG. Certain if stat of the path gives it too"
        "a name may have 255 bytes and a path 4,095: check what was put in the place of the program's name";
    ARGUMENTS_TOO_LARGE "arguments-too-large" Config "arguments and environment are larger than the kernel takes"
        "E2BIG from execve: nothing else gives it"
        "pass large values in a file. One string may have 32 pages (128 KiB), all of them a quarter of the stack limit (ulimit -s) and at most 6 MiB. In Kubernetes, enableServiceLinks: false takes the service variables out";
    EXECUTABLE_BUSY "executable-busy" Image "the program's file was open for writing"
        "ETXTBSY from execve: nothing else gives it"
        "finish and close the copy before the start, or copy to another name and rename it";
    BAD_LOADER "bad-loader" Image "the program's dynamic loader is damaged or for another machine"
        "ELIBBAD from execve, or EIO with a loader shorter than an ELF header: nothing else gives them"
        "install the C library of the image again (libc6, musl), for the image's own architecture. A COPY from an image of another platform, or over /lib, breaks it like this";
    WRONG_ARCHITECTURE "wrong-architecture" Image "the program is built for another kind of machine"
        "ENOEXEC. Certain if the ELF header is for another machine than uname names. Likely for 32-bit programs of the same family, and after ENOENT, where an emulator is missing"
        "build that file for the target: docker buildx build --platform linux/amd64,linux/arm64, with TARGETARCH handed to the compiler (GOARCH, --target). A COPY of a binary built on the host is the usual reason";
    EMPTY_FILE "empty-file" Image "the program's file is empty"
        "ENOEXEC. Certain if the file has no bytes"
        "check the COPY or the download that should have filled it (curl -f fails where curl writes an empty file), the build stage, or the key of the ConfigMap";
    NO_SHEBANG "no-shebang" Image "a script names no interpreter in its first line"
        "ENOEXEC. Certain if the file is a text whose first line names no interpreter: the kernel knows no other way to run a text"
        "make #!/bin/sh (or #!/usr/bin/env python3 and the like) its very first line, or start it as: sh FILE. A shell would have guessed, the kernel does not";
    SHEBANG_NOT_FIRST "shebang-not-first" Image "something stands before the #! of a script"
        "ENOEXEC. Certain if #! stands in the file, but not in its first two bytes"
        "move the #! line to the very top: it must be the first two bytes of the file (save as UTF-8 without BOM, no empty line, no comment above it)";
    NOT_A_PROGRAM "not-a-program" Image "the file is no program that this kernel can run"
        "ENOEXEC. Certain if the content was seen to be no program. Likely for ELF whose header looks right, and where nothing could be read"
        "look at it with: file PROGRAM, or head -c 64 PROGRAM. For another architecture: docker build --platform. A script needs #!/bin/sh or the like as its very first bytes";
    NOT_STARTED "not-started" Unknown "the program could not be started"
        "the errno of the call that failed, which alone does not say why"
        "execve(2) lists what this error can mean. Start the program by hand in the same image to see more";
    // Killed by a filter, or on request.
    SECCOMP_KILLED "seccomp-killed" Platform "seccomp killed it for a system call"
        "Seccomp: 3 in the status of the dead process. Certain with a SIGSYS that rinit did not pass on"
        "find it in the host's audit log (type=1326), then allow it in the seccomp profile, or change the program's own sandbox. The default profiles of Docker and Kubernetes refuse calls, they do not kill";
    KILLED_AFTER_STOP_TIMEOUT "killed-after-stop-timeout" App "asked to stop, it did not in time, and rinit killed it"
        "rinit's own SIGKILL after --stop-timeout, then death by it, or rinit's leave where that did not end it. Certain if the program lived right before, with no other SIGKILL on its way"
        "let the program stop when it is asked to, or give it more time: --stop-timeout, and a grace period of the platform that is longer still";
    SHELL_KEPT_SIGNAL "shell-kept-signal" Config "a shell took the signal, the program behind it did not get it"
        "a shell or the like with a child got the signal and died of it, the child did not get it. Certain if it had no handler, the signal was left pending and the end came at once"
        "start the program with exec in the script, or give it as CMD in exec form, or pass signals to the whole group: -g (RINIT_GROUP=1)";
    INTERRUPTED_FROM_TERMINAL "interrupted-from-terminal" Request "a key pressed at the terminal ended it"
        "SIGINT or SIGQUIT that the terminal sent, then death by it: likely. Death alone: possible"
        "nothing, if the key was meant for it";
    HANGUP "hangup" Request "its terminal went away"
        "SIGHUP that the terminal sent, then death by it: likely. Death alone, where rinit is not PID 1: possible"
        "with a terminal (-t): start it without one, or let it handle SIGHUP. Without: look for what sends SIGHUP (a reload, log rotation)";
    TERMINATED_FROM_INSIDE "terminated-from-inside" Request "SIGTERM that no request from outside explains"
        "death by SIGTERM from a process of this container, or by one that rinit never passed on: likely"
        "look for kill, pkill or a supervisor in scripts, exec probes and preStop hooks";
    STOPPED_BY_OWN_HANDLER "stopped-by-own-handler" Request "it handled the signal, then reported it by its status"
        "a signal was passed on and a handler was there, or the exit status was 128 plus its number: likely. Certain for a JVM without a child that took the signal with its handler and exited so"
        "nothing, if a stop was due";
    STOPPED_WITHOUT_HANDLER "stopped-without-handler" Request "the signal's default action ended it"
        "a signal was passed on, no handler was seen, and it died of that signal at once: likely"
        "nothing, if an end was due and the program holds no state. Otherwise let it handle the signal, or do not send it";
    // Faults.
    TRUNCATED_BINARY "truncated-binary" Image "the program's file is cut off"
        "death by SIGSEGV or SIGBUS at the start, and headers of the file that name bytes behind its end: likely"
        "copy or download the file again, and compare its size with the original";
    SHM_FULL "shm-full" Limit "shared memory or another tmpfs was full"
        "death by SIGBUS, and a tmpfs without a free block right after it: likely"
        "make it larger: docker run --shm-size=1g for /dev/shm (64 MiB by default), in Kubernetes an emptyDir with medium: Memory mounted there. Or find what fills it: df, ls -la";
    SEGFAULT "segfault" App "it accessed memory that it may not access"
        "death by SIGSEGV that rinit did not pass on. A process can send one: likely"
        "allow a core dump (ulimit -c unlimited, /proc/sys/kernel/core_pattern says where it goes) or run it under a debugger. The node's kernel log may hold the address and the library";
    ABORTED "aborted" App "it gave up by itself with abort()"
        "death by SIGABRT that rinit did not pass on: likely"
        "read the last lines of its output: a failed assertion, an uncaught exception or a damaged heap is mostly reported before abort()";
    BUS_ERROR "bus-error" App "a memory mapping could not be accessed"
        "death by SIGBUS that rinit did not pass on: likely"
        "look for a full /dev/shm or other tmpfs (df, Docker gives /dev/shm 64 MiB unless --shm-size says otherwise), and for a mapped file that was truncated or overwritten while in use";
    ILLEGAL_INSTRUCTION "illegal-instruction" App "the CPU refused an instruction"
        "death by SIGILL that rinit did not pass on: likely"
        "check for which CPU it was built (x86-64-v3, AVX and the like) against the flags in /proc/cpuinfo, and read the last lines of its output";
    TRAP "trap" App "it ran into a breakpoint instruction"
        "death by SIGTRAP that rinit did not pass on: likely"
        "read the last lines of its output: the failed check mostly stands there";
    DIVIDE_BY_ZERO "divide-by-zero" App "an arithmetic operation faulted"
        "death by SIGFPE that rinit did not pass on: likely"
        "look for a division whose divisor can be zero. A core dump names the place";
    BAD_SYSTEM_CALL "bad-system-call" Platform "a system call was refused with SIGSYS"
        "death by SIGSYS without the mark that seccomp killed. Likely if a filter was installed, else possible"
        "find the system call: the host's audit log (type=1326) may name it. Then look at the seccomp profile, or at the program's own sandbox";
    BROKEN_PIPE "broken-pipe" App "it wrote to a pipe or socket without a reader"
        "death by SIGPIPE with none pending for the process, as after a write: likely"
        "look for the reader that ended first: a pipeline, a log collector, a client. A program that must survive this ignores SIGPIPE and handles EPIPE";
    // Other signals.
    TIMER_EXPIRED "timer-expired" App "a timer ran out and nothing handled its signal"
        "death by SIGALRM, SIGVTALRM or SIGPROF that was sent to the process: likely"
        "look for alarm(), setitimer(), a profiler or a watchdog in the program, or in the one that started it, and let it handle the signal";
    CPU_TIME_LIMIT "cpu-time-limit" Limit "the limit on CPU time was reached"
        "death by SIGXCPU, or the limit in /proc/PID/limits against the CPU time that was used. Certain if that time is not below it"
        "raise the limit (ulimit -t in seconds, docker run --ulimit cpu=...), or look for a loop that does not end";
    FILE_SIZE_LIMIT "file-size-limit" Limit "the limit on file size was reached"
        "death by SIGXFSZ that rinit did not pass on: likely"
        "raise the limit on file size (ulimit -f, docker run --ulimit fsize=...), or look for the file that grew: a log, a dump, a database";
    OOM_CONTAINER_LIMIT "oom-container-limit" Limit "the OOM killer struck at a memory limit of the container"
        "death by SIGKILL, and oom and oom_kill of its memory cgroup moved. Certain if the one kill can only have been of the program"
        "raise the memory limit, or lower what the program uses (workers, caches, heap size)";
    OOM_OUTSIDE_CONTAINER "oom-outside-container" Platform "the OOM killer struck, not at the container's own limit"
        "death by SIGKILL, and oom_kill moved while oom did not: likely"
        "look at the memory of the node and at the limit of the pod or slice around the container";
    KILLED_BY_UNKNOWN "killed-by-unknown" Unknown "SIGKILL from a sender that cannot be seen"
        "death by SIGKILL that rinit did not send. The kernel does not record the sender"
        "Reason OOMKilled in kubectl describe pod, OOMKilled true in docker inspect, or \"Killed process\" in the node's kernel log point to memory: raise the limit or lower the use. Otherwise look for kill -9, pkill or a watchdog in scripts, exec probes and preStop";
    KILLED_WITHOUT_REPORT "killed-without-report" Unknown "rinit was killed before the program ended"
        "a report that was written while the program ran is still there: rinit got no chance to write another one. Who killed it cannot be seen from inside"
        "Reason OOMKilled: compare limits.memory with the peak in your metrics, then the pod and the node. Reason Error: kubectl describe node (reboot, MemoryPressure), the node's kernel log, docker or crictl kill, systemd-oomd, security agents";
    UNHANDLED_SIGNAL "unhandled-signal" App "a signal came that it does not handle"
        "death by a signal that no other rule explains: likely"
        "find out what sends the signal, and let the program handle it or have it sent only once its handler is there";
    // Asked to stop, and still there.
    SIGNAL_IGNORED "signal-ignored" App "it was asked to stop and ignored the signal"
        "a request to stop was passed on, the program ignored that signal then (SigIgn) and ran on: likely"
        "remove what ignores the signal (trap '' in a script, nohup, SIG_IGN), or have another one sent: STOPSIGNAL, --rewrite";
    SIGNAL_BLOCKED "signal-blocked" App "it was asked to stop and blocked the signal"
        "a request to stop was passed on, the signal was blocked and still pending later, and the program ran on: likely"
        "find out what blocks the signal (a mask that was inherited from a launcher, sigprocmask in the program), or have another one sent: STOPSIGNAL, --rewrite";
    PROCESS_FROZEN "process-frozen" Platform "it was asked to stop while it was stopped by a signal or a debugger"
        "a request to stop was passed on, all threads were stopped then, and the program ran on: likely"
        "find out what stopped it (SIGSTOP, a debugger, Ctrl-Z): a stopped process takes no signal but SIGKILL until SIGCONT";
    STOP_TOO_SLOW "stop-too-slow" App "it was asked to stop and took too long"
        "a request to stop was passed on, and the program ran on. Likely if it had a handler for the signal, else possible"
        "raise the grace period (terminationGracePeriodSeconds, docker stop -t), or find out what takes so long";
    // Exited.
    STOPPED_CLEANLY "stopped-cleanly" Request "it was asked to stop and ended with status 0"
        "a request to stop was passed on, exit 0 followed: likely"
        "nothing, if a stop was due";
    STOP_FAILED "stop-failed" App "it was asked to stop and ended with a failure"
        "a request to stop was passed on, another exit status than 0 followed: likely"
        "read the end of its own output. If it cannot handle the signal, give it the one that it knows (STOPSIGNAL, --rewrite)";
    OOM_OF_OTHER_PROCESS "oom-of-other-process" Limit "it failed after the OOM killer ended another process"
        "a failure, and oom_kill had moved. Likely with status 137 or right after the kill"
        "raise the memory limit, or lower what the processes of the container use (workers, caches, heap size)";
    DAEMONISED "daemonised" Config "it put itself in the background, and its first process ended"
        "exit 0 soon after the start without a signal, and processes that were left: likely"
        "run it in the foreground (nginx -g 'daemon off;', others: -F, --foreground, -D FOREGROUND)";
    COMPLETED "completed" App "it ended with status 0, not asked to stop through rinit"
        "exit 0. Certain if no signal came through rinit"
        "nothing, for a Job. If it restarts for ever: a Deployment, or docker run --restart=always, restarts whatever ends, so keep a server in the foreground (no daemon mode, no \"&\")";
    // From the tail (--tail): what its last lines say. That they say it is certain only where they are a runtime's own last
    // words and fit the end.
    MISSING_MODULE "missing-module" Image "a module or package that it needs is not installed"
        "the runtime's own words, and the code that follows them: certain. The same words in a log: likely"
        "install it in the image, in the stage that is shipped (requirements.txt, package.json without the dev group, Gemfile, composer install), and check the module path (PYTHONPATH, NODE_PATH, WORKDIR)";
    MISSING_SHARED_LIBRARY "missing-shared-library" Image "a shared library that it needs was not found"
        "the loader's own words and the code that follows them: certain. The same words of another program: likely"
        "install the package that has the library, in the stage that is shipped (ldd FILE lists what is missing), or point LD_LIBRARY_PATH to it";
    LIBRARY_INCOMPATIBLE "library-incompatible" Image "a library does not fit the program that loads it"
        "the loader's or the runtime's own words, and the code that follows them: certain. In a log: likely"
        "build the program in the image that it runs in: a newer glibc than the image's, a library built for glibc in an Alpine image, or native modules copied from another machine give this";
    WRONG_RUNTIME_VERSION "wrong-runtime-version" Image "the installed runtime is not the one that the program needs"
        "the runtime's own words, and the code that follows them: certain. In a log: likely"
        "use the base image with the version that the program was built for, or build it for the one in the image";
    SYNTAX_ERROR "syntax-error" App "its code could not be read: a syntax error"
        "the interpreter's own words, and the code that follows them: certain"
        "correct the line that is named. Code for a newer version of the language, and files that are no code at all, fail like this as well";
    ENV_VARIABLE_MISSING "env-variable-missing" Config "an environment variable that it needs is not set"
        "a line that says so, or a failed look-up of a name in capitals: likely. The shell's own words on an unset variable: certain"
        "set it with env or envFrom (docker run -e NAME=VALUE), or correct the name. Keys of a ConfigMap or Secret marked optional are left out in silence";
    CONFIGURATION_ERROR "configuration-error" Config "its configuration is wrong"
        "the server's or the framework's own words on its configuration, and a failure at the start: certain. In a log: likely"
        "correct the setting or the file that the line names, then test it in the same image (nginx -t, redis-server FILE, php-fpm -t)";
    AUTHENTICATION_FAILED "authentication-failed" Config "a server refused its name or password"
        "a line that quotes the server's refusal: likely. Uncaught by the runtime: certain"
        "compare user and password (a Secret, with a newline at its end or encoded twice) with what the server has. A database image takes its password from the environment only while its volume is empty";
    ADDRESS_IN_USE "address-in-use" Config "the address that it wants to listen on is in use"
        "EADDRINUSE in its last words: certain as an uncaught error or a server's own words. In a log: likely"
        "give one of the two another port. All containers of a pod share one port space, and with the host's network its programs share it too";
    CONNECTION_REFUSED "connection-refused" Platform "a server that it needs refused the connection"
        "ECONNREFUSED in its last words: certain as an uncaught error. In a log: likely"
        "check that something listens there: localhost means this container (in a pod, this pod) itself. If the server only comes up later, retry in the program";
    CONNECTION_TIMED_OUT "connection-timed-out" Platform "a server that it needs did not answer in time"
        "ETIMEDOUT or EHOSTUNREACH in its last words: certain as an uncaught error. In a log: likely"
        "check address and port, and what drops packets on the way: a NetworkPolicy, a firewall, a security group";
    NAME_RESOLUTION "name-resolution" Platform "a host name was not resolved"
        "the resolver's words in its last lines: certain as an uncaught error. In a log: likely"
        "check the name, its namespace and /etc/resolv.conf (getent hosts NAME). In Compose and Docker a name is known only on the same user-defined network, and only while its container runs";
    CERTIFICATE_REJECTED "certificate-rejected" Config "a TLS certificate was not accepted"
        "the TLS library's words in its last lines: certain as an uncaught error. In a log: likely"
        "install ca-certificates in the image, add a private CA, renew an expired certificate, or correct the host name or the clock";
    DISK_FULL "disk-full" Limit "no space was left on a device"
        "ENOSPC in its last words: certain as an uncaught error. In a log: likely"
        "look for the full file system, or for its inodes: df, df -i. Free or enlarge it (volume size, emptyDir sizeLimit, --shm-size)";
    INOTIFY_LIMIT "inotify-limit" Limit "the limit on watched files was reached"
        "the words of inotify's ENOSPC in its last words: certain as an uncaught error if no file system is seen to be full. In a log: likely"
        "raise fs.inotify.max_user_watches on the node, or watch less: leave out node_modules and .git, or poll";
    READ_ONLY_FILESYSTEM "read-only-filesystem" Config "it tried to write to a read-only file system"
        "EROFS in its last words: certain as an uncaught error. In a log: likely"
        "mount a volume or tmpfs where it has to write (emptyDir, docker run --tmpfs), or take readOnlyRootFilesystem or :ro away";
    PERMISSION_DENIED "permission-denied" Config "it was not permitted to do what it tried"
        "EACCES or EPERM in its last words: certain as an uncaught error. In a log, or by the mode of a shell's script: likely. By the mode of a file that may be a script: possible"
        "compare owner and mode of the file with the user that it runs as (COPY --chown, fsGroup), or grant the capability that it needs";
    FILE_MISSING "file-missing" Image "a file that it needs does not exist"
        "ENOENT in its last words: certain as an uncaught error. In a log: likely"
        "correct the path, COPY the file, or mount it: a relative path starts at WORKDIR. A subPath that does not exist becomes an empty directory";
    TOO_MANY_OPEN_FILES "too-many-open-files" Limit "a limit on open files was reached"
        "EMFILE or ENFILE in its last words: certain as an uncaught error. In a log: likely"
        "look for what it does not close, then raise the limit (ulimit -n, docker run --ulimit nofile)";
    THREAD_LIMIT "thread-limit" Limit "it could not create a thread or process"
        "the runtime's own words on a refused thread or fork: certain. In a log: likely"
        "look for threads or processes that pile up, then raise the limit (docker run --pids-limit, podPidsLimit of the kubelet, ulimit -u). More memory or heap does not help";
    ALLOCATION_FAILED "allocation-failed" Limit "memory that it asked for was refused"
        "ENOMEM, std::bad_alloc or the like in its last words: certain as the runtime's own. In a log: likely"
        "look for one allocation that is too large, and for what refuses it: ulimit -v, vm.overcommit_memory, vm.max_map_count. The container's memory limit kills, it refuses little";
    RUNTIME_HEAP_LIMIT "runtime-heap-limit" Limit "the runtime's own heap limit was reached"
        "the runtime's own words on its heap, and the end that follows them: certain. In a log: likely"
        "raise the runtime's limit, below the container's (-XX:MaxRAMPercentage, NODE_OPTIONS=--max-old-space-size=MIB, memory_limit, DOTNET_GCHeapHardLimit), or look for a leak";
    STACK_OVERFLOW "stack-overflow" App "its stack overflowed: a recursion without an end"
        "the runtime's own words, and the end that follows them: certain. In a log: likely"
        "look for the recursion that does not end: the repeated frames of its trace name it. Where the depth is meant, enlarge the stack (ulimit -s, -Xss, --stack-size)";
    ASSERTION_FAILED "assertion-failed" App "an assertion in it failed"
        "the assertion's own words, and the end that follows them: certain. In a log: likely"
        "the line names file, line and condition: something that its authors took for impossible has happened. Look it up in its issues, or give it a debugger";
    HEAP_CORRUPTION "heap-corruption" App "it damaged its own memory, and a check found out"
        "the words of the C library's or a sanitizer's check, and the end that follows them: certain"
        "run it under AddressSanitizer or valgrind: the write that did the damage happened earlier. After an upgrade of a library, rebuild what was built against it";
    DEADLOCK "deadlock" App "all of it waited for what never came"
        "the runtime's own words: certain"
        "look at what each thread (goroutine, promise) waits for: a lock taken twice, a channel or connection that nobody serves";
    INCOMPATIBLE_DATA "incompatible-data" Config "its data were written by another version, or are damaged"
        "the server's own words on its data, and a failure at the start: certain. In a log: likely"
        "start the version that wrote them and upgrade as its manual says (pg_upgrade, dump and restore), or restore a backup. Deleting the volume deletes the data";
    STALE_PID_FILE "stale-pid-file" Config "a pid or lock file says that it is running already"
        "the program's own words on the file, and the end that follows them: certain. In a log: likely"
        "delete the file before the start (rm -f FILE in the entrypoint), or keep it on a tmpfs: a restarted container still has what the killed one left";
    UNKNOWN_USER "unknown-user" Config "the user that it runs as, or wants, has no entry in /etc/passwd"
        "the words of a failed look-up: certain as the program's last, else likely"
        "add the user in the image (adduser, useradd), or run as one that it has (USER, runAsUser). Some programs need only HOME and a name in the environment";
    UNCAUGHT_EXCEPTION "uncaught-exception" App "an exception that nothing handled ended it"
        "the runtime's own report of an uncaught exception, and the end that follows it: certain. In a log: likely"
        "read the exception and the place that raised it. The whole trace stands in its output: kubectl logs POD -c CONTAINER --previous, or docker logs CONTAINER";
    // By the code alone.
    RUNTIME_SPECIFIC "runtime-specific" App "its status has a meaning of its own in that program"
        "exit with a code that the program of that name is documented to use: likely. Its argv[0] alone: possible"
        "read the end of its output: kubectl logs POD -c CONTAINER --previous, or docker logs CONTAINER";
    USAGE_ERROR "usage-error" Config "its arguments were refused"
        "exit with the code that the program of that name uses for it: likely. 2 from any other program: possible"
        "read the first lines of its output, which mostly name the argument, and check command, args and the variables in them. An empty variable leaves an empty argument";
    SHELL_SYNTAX_ERROR "shell-syntax-error" App "a shell could not read its script"
        "exit 2 of a shell, which its last command can have returned as well: possible"
        "bash -n SCRIPT, or sh -n, reads it without running it. A script for bash fails under sh ([[, arrays, pipefail), Windows line ends fail everywhere, dash gives 2 for an unset variable under set -u, and a binary for another architecture that a shell reads as a script gives 2 as well";
    GO_PANIC "go-panic" App "a Go program panicked"
        "its trace on stderr (--tail) and exit 2: certain. Exit 2 of a file that Go's linker made: likely if it lived for some seconds, since a wrong flag is 2 too"
        "read its output from \"panic:\" or \"fatal error:\" on: reason and stack follow. After SIGQUIT Go also ends so, with all stacks. GOTRACEBACK=all shows every goroutine";
    RUST_PANIC "rust-panic" App "a Rust program panicked"
        "the main thread's panic on stderr (--tail) and its end: certain. Exit 101 of a file with Rust's standard library in it: likely. 101 alone: possible"
        "read the line \"panicked at\" in its output: it names file and line. RUST_BACKTRACE=1 adds the way there";
    COMMAND_NOT_FOUND_IN_SCRIPT "command-not-found-in-script" Image "a command that it was to run was not found"
        "exit 127 of a shell or a wrapper: likely, with its own words on stderr (--tail) certain. Of any other program: possible"
        "read the line with \"not found\" or \"No such file\" in its output. Check spelling and PATH, install what is missing, look at the first line of scripts (interpreter, Windows line ends) and at the libraries of binaries (ldd FILE). bash -c under set -u gives 127 for an unset variable as well";
    COMMAND_NOT_EXECUTABLE_IN_SCRIPT "command-not-executable-in-script" Image "a command that it was to run could not be executed"
        "exit 126 of a shell or a wrapper: likely, with its own words on stderr (--tail) certain. Of any other program: possible"
        "read the line with \"Permission denied\", \"Exec format error\" or \"Is a directory\" in its output, then look at the mode (chmod +x, COPY --chmod), noexec mounts and the architecture of that file";
    WRAPPER_FAILED "wrapper-failed" Config "a wrapper failed before it ran its command"
        "exit 125 of env, nice, nohup, chroot, stdbuf or timeout: likely. Of any other program: possible"
        "read its message: a wrong option, a directory or a right that is missing. Run it by hand in the same image";
    TIMEOUT_EXPIRED "timeout-expired" Limit "a time limit set with timeout ran out"
        "exit 124 of timeout, or its death by SIGKILL: likely. 124 of a program that may have run one: possible"
        "see what the command waited for, then give it more time, or timeout --preserve-status to get the command's own status";
    EXIT_128 "exit-128" App "its status is 128, which git uses for fatal errors"
        "exit 128 of git: likely. Of any other program: possible"
        "read the line \"fatal:\" in its output: no repository, no rights (safe.directory), no network, no credentials. Not git: look 128 up in the program's documentation";
    STATUS_255 "status-255" App "its status is 255, the last one there is"
        "exit 255 of a program that uses it for its own failures (PHP, Perl, ssh): likely. Of any other: possible"
        "read the end of its output: kubectl logs POD -c CONTAINER --previous, or docker logs CONTAINER";
    SYSEXITS "sysexits" App "its status is one of sysexits.h"
        "exit 64 to 78: possible, few programs follow that list. Likely where it is known of the program"
        "read the end of its output, and look the code up in its documentation";
    DESCENDANT_KILLED "descendant-killed" Unknown "its status is one that shells use for a command killed by a signal"
        "exit 129 to 192. Likely of a shell, possible of any other program"
        "a shell often prints which command was ended: read the end of its output. Not a shell: look its code up in its documentation";
    EXIT_ERROR "exit-error" App "it ended with a failure of its own"
        "exit with a code that has no meaning outside the program: unknown. Likely or possible where its last lines have an error"
        "read the end of its output: kubectl logs POD -c CONTAINER --previous, or docker logs CONTAINER";
}

/// Those that an exit code alone can name.
#[must_use]
pub fn from_code() -> &'static [&'static Cause] {
    between(&RUNTIME_SPECIFIC, &EXIT_ERROR)
}

fn between(first: &Cause, last: &Cause) -> &'static [&'static Cause] {
    let at = |cause: &Cause| ALL.iter().position(|other| other.id == cause.id).unwrap_or_default();
    ALL.get(at(first)..=at(last)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_words_and_summaries_fit_the_smallest_report() {
        for (i, cause) in ALL.iter().enumerate() {
            assert!(
                cause.id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                cause.id
            );
            assert!(ALL.iter().skip(i + 1).all(|other| other.id != cause.id), "{} twice", cause.id);
            assert!(cause.summary.is_ascii() && !cause.summary.contains(['"', '\\']), "{}", cause.summary);
            // 256 bytes of JSON hold the whole cause, the outcome and the exit status.
            assert!(cause.id.len() + cause.summary.len() <= 100, "{}", cause.id);
            for text in [cause.proof, cause.next] {
                assert!(text.len() > 10 && text.is_ascii() && !text.contains("; ") && !text.ends_with('.'), "{text}");
            }
        }
    }
}
