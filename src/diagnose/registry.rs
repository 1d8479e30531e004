//! Every cause that a report can name. An id is public and stable: add where needed, never reuse one.

use super::{Cause, Class};

macro_rules! causes {
    ($($name:ident $id:literal $class:ident $summary:literal;)*) => {
        $(
            #[doc = $summary]
            pub const $name: Cause = Cause { id: $id, class: Class::$class, summary: $summary };
        )*
        /// All of them, in the order of reasoning.
        pub const ALL: &[Cause] = &[$($name),*];
    };
}

causes! {
    // Not started.
    FD_LIMIT "fd-limit" Limit "no file descriptor was free";
    PROCESS_LIMIT "process-limit" Limit "a limit on processes was reached";
    NO_MEMORY_TO_START "no-memory-to-start" Limit "the kernel had no memory for a new process";
    COMMAND_LINE_AS_ONE_WORD "command-line-as-one-word" Config "a whole command line was given as the program's name";
    COMMAND_NOT_FOUND "command-not-found" Image "no directory of PATH has the program";
    SHELL_SYNTAX_AS_COMMAND "shell-syntax-as-command" Config "what only a shell understands was given as the program";
    VOLUME_HIDES_FILE "volume-hides-file" Config "an empty volume is mounted where the program should be";
    DANGLING_SYMLINK "dangling-symlink" Image "the program's path is a symbolic link to nothing";
    PATH_MISSING "path-missing" Image "the program's path does not exist";
    SHEBANG_CRLF "shebang-crlf" Image "a script has Windows line ends, so its interpreter is not found";
    SHEBANG_INTERPRETER_MISSING "shebang-interpreter-missing" Image "the interpreter of a script does not exist";
    LOADER_MISSING "loader-missing" Image "the dynamic loader of a program does not exist";
    IS_A_DIRECTORY "is-a-directory" Config "the program's path is a directory";
    NOEXEC_MOUNT "noexec-mount" Config "the program's file is on a noexec mount";
    PATH_NOT_TRAVERSABLE "path-not-traversable" Image "a directory on the way to the program may not be searched";
    NOT_EXECUTABLE "not-executable" Image "the program's file may not be executed";
    INTERPRETER_NOT_EXECUTABLE "interpreter-not-executable" Image "the program's interpreter or loader may not be executed";
    CAPABILITIES_NOT_GRANTED "capabilities-not-granted" Config "the file has capabilities that the container may not grant";
    DENIED_BY_SECURITY_MODULE "denied-by-security-module" Platform "execution was denied although the mode allows it";
    NOT_A_DIRECTORY "not-a-directory" Config "a file stands where the path needs a directory";
    SYMLINK_LOOP "symlink-loop" Image "symbolic links lead in a circle";
    NAME_TOO_LONG "name-too-long" Config "the program's path is longer than the system allows";
    ARGUMENTS_TOO_LARGE "arguments-too-large" Config "arguments and environment are larger than the kernel takes";
    EXECUTABLE_BUSY "executable-busy" Image "the program's file was open for writing";
    BAD_LOADER "bad-loader" Image "the program's dynamic loader is damaged or for another machine";
    WRONG_ARCHITECTURE "wrong-architecture" Image "the program is built for another kind of machine";
    EMPTY_FILE "empty-file" Image "the program's file is empty";
    NO_SHEBANG "no-shebang" Image "a script names no interpreter in its first line";
    SHEBANG_NOT_FIRST "shebang-not-first" Image "something stands before the #! of a script";
    NOT_A_PROGRAM "not-a-program" Image "the file is no program that this kernel can run";
    NOT_STARTED "not-started" Unknown "the program could not be started";
    // Killed by a filter, or on request.
    SECCOMP_KILLED "seccomp-killed" Platform "seccomp killed it for a system call";
    INTERRUPTED_FROM_TERMINAL "interrupted-from-terminal" Request "a key pressed at the terminal ended it";
    HANGUP "hangup" Request "its terminal went away";
    TERMINATED_FROM_INSIDE "terminated-from-inside" Request "SIGTERM that no request from outside explains";
    STOPPED_BY_OWN_HANDLER "stopped-by-own-handler" Request "it handled the signal, then reported it by its status";
    STOPPED_WITHOUT_HANDLER "stopped-without-handler" Request "the signal's default action ended it";
    // Faults.
    SEGFAULT "segfault" App "it accessed memory that it may not access";
    ABORTED "aborted" App "it gave up by itself with abort()";
    BUS_ERROR "bus-error" App "a memory mapping could not be accessed";
    ILLEGAL_INSTRUCTION "illegal-instruction" App "the CPU refused an instruction";
    TRAP "trap" App "it ran into a breakpoint instruction";
    DIVIDE_BY_ZERO "divide-by-zero" App "an arithmetic operation faulted";
    BAD_SYSTEM_CALL "bad-system-call" Platform "a system call was refused with SIGSYS";
    BROKEN_PIPE "broken-pipe" App "it wrote to a pipe or socket without a reader";
    // Other signals.
    TIMER_EXPIRED "timer-expired" App "a timer ran out and nothing handled its signal";
    CPU_TIME_LIMIT "cpu-time-limit" Limit "the limit on CPU time was reached";
    FILE_SIZE_LIMIT "file-size-limit" Limit "the limit on file size was reached";
    KILLED_BY_UNKNOWN "killed-by-unknown" Unknown "SIGKILL from a sender that cannot be seen";
    UNHANDLED_SIGNAL "unhandled-signal" App "a signal came that it does not handle";
    // Exited.
    STOPPED_CLEANLY "stopped-cleanly" Request "it was asked to stop and ended with status 0";
    STOP_FAILED "stop-failed" App "it was asked to stop and ended with a failure";
    COMPLETED "completed" App "it ended with status 0, not asked to stop through rinit";
    DESCENDANT_KILLED "descendant-killed" Unknown "its status is one that shells use for a command killed by a signal";
    EXIT_ERROR "exit-error" App "it ended with a failure of its own";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_words_and_summaries_fit_the_smallest_report() {
        for (i, cause) in ALL.iter().enumerate() {
            assert!(cause.id.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{}", cause.id);
            assert!(ALL.iter().skip(i + 1).all(|other| other.id != cause.id), "{} twice", cause.id);
            assert!(cause.summary.is_ascii() && !cause.summary.contains(['"', '\\']), "{}", cause.summary);
            // 256 bytes of JSON hold the whole cause, the outcome and the exit status.
            assert!(cause.id.len() + cause.summary.len() <= 100, "{}", cause.id);
        }
    }
}
