//! PROGRAM never ran: errno of the call that failed, and what is on disk where PROGRAM should be.

use super::case::{Case, is_blank, public_part};
use super::{Cause, Confidence, Diagnosis, registry, wording};
use crate::evidence::files::{Candidate, FileFacts};
use crate::outcome::{Stage, StartError};
use Confidence::{Certain, Likely, Possible, Unknown};

/// No descriptor was free. The errno alone proves it: nothing else gives EMFILE or ENFILE here.
pub(super) fn fd_limit(case: &Case<'_>) -> Option<Diagnosis> {
    let error = case.start_error().filter(|error| matches!(error.errno, libc::EMFILE | libc::ENFILE))?;
    let whose = if error.errno == libc::EMFILE { "this process" } else { "the whole system" };
    let what = format!("no file descriptor was free for {whose}");
    Some(failed(case, &registry::FD_LIMIT, Certain, &what).evidence(call(error)).next(
        "raise the limit on open files (ulimit -n, docker run --ulimit nofile, for the whole system fs.file-max)",
    ))
}

/// EAGAIN of fork(2) or execve(2). Which limit it was cannot be told from the errno, and a rare one of them is no
/// limit on processes: likely.
pub(super) fn process_limit(case: &Case<'_>) -> Option<Diagnosis> {
    let error = case.start_error().filter(|error| error.errno == libc::EAGAIN && error.stage != Stage::Prepare)?;
    Some(
        failed(case, &registry::PROCESS_LIMIT, Likely, "a limit on the number of processes was most likely reached")
            .evidence(call(error))
            .not_known("which limit: the container's (pids.max), the user's (ulimit -u), or the host's")
            .next("look for processes or zombies that pile up, then raise the limit (docker run --pids-limit, podPidsLimit of the kubelet, ulimit -u)"),
    )
}

/// ENOMEM. A PID namespace whose init has ended gives the same at fork(2): likely.
pub(super) fn no_memory(case: &Case<'_>) -> Option<Diagnosis> {
    let error = case.start_error().filter(|error| error.errno == libc::ENOMEM)?;
    let diagnosis = failed(case, &registry::NO_MEMORY_TO_START, Likely, "most likely the kernel had no memory for it")
        .evidence(call(error))
        .next("compare the container's memory limit, and the memory that is free on the node, with what the program needs");
    Some(match error.stage {
        Stage::Fork => {
            diagnosis.not_known("whether this PID namespace still has an init: without one, fork fails in the same way")
        }
        Stage::Prepare | Stage::Exec => diagnosis,
    })
}

/// The name has a blank in it and no such file exists. A real file name with a blank could be meant: likely.
pub(super) fn command_line_as_one_word(case: &Case<'_>) -> Option<Diagnosis> {
    let errno = case.exec_errno().filter(|errno| matches!(*errno, libc::ENOENT | libc::ENAMETOOLONG))?;
    let program = &case.evidence.command.program;
    if !program.iter().any(|byte| is_blank(*byte)) || found(case).next().is_some() {
        return None;
    }
    let what = "no such file, most likely a whole command line was given as one word";
    Some(
        failed(case, &registry::COMMAND_LINE_AS_ONE_WORD, Likely, what)
            .evidence(format!("execve gave {}", wording::errno(errno)))
            .evidence(format!("the name is {} bytes long and has blanks in it", program.len()))
            .next("give each word by itself ([\"PROGRAM\", \"ARGUMENT\"] in a Dockerfile or manifest), or run it through a shell: sh -c '...'"),
    )
}

/// ENOENT for a name without a slash. Certain if every directory of PATH was looked at and has no such file.
pub(super) fn command_not_found(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::ENOENT && is_bare(case))?;
    if case.evidence.command.program.is_empty() {
        return Some(
            failed(case, &registry::COMMAND_NOT_FOUND, Certain, "the name of the program is empty")
                .next("give a program: a variable that is not set may stand in its place"),
        );
    }
    if found(case).next().is_some() {
        return None;
    }
    let inspection = case.evidence.inspection.as_ref();
    let looked = inspection
        .filter(|inspection| !inspection.candidates.is_empty() && inspection.candidates.iter().all(is_absent));
    let (confidence, what) = match looked {
        Some(_) => (Certain, "it is in no directory of PATH"),
        None => (Likely, "most likely it is in no directory of PATH"),
    };
    let mut diagnosis = failed(case, &registry::COMMAND_NOT_FOUND, confidence, what);
    if let Some(path) = inspection.and_then(|inspection| inspection.search_path.as_deref()) {
        diagnosis = diagnosis.evidence(format!("PATH was {}", wording::name(path)));
    }
    if let Some(looked) = looked {
        let directories = wording::count(looked.candidates.len(), "directory was", "directories were");
        diagnosis = diagnosis.evidence(format!("{directories} looked in, none has it"));
    }
    Some(diagnosis.next("check the spelling, install the program in the image, or give its absolute path"))
}

/// ENOENT for a path. Certain only if the path was looked at, and a component of it was seen to be absent: where
/// none was, it may be a symbolic link to nothing.
pub(super) fn path_missing(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::ENOENT)?;
    if found(case).next().is_some() {
        return None;
    }
    let candidate = candidates(case).first().filter(|candidate| is_absent(candidate));
    let missing = candidate.and_then(|candidate| candidate.missing.as_deref());
    let (confidence, what) = match (missing, candidate) {
        (Some(_), _) => (Certain, "no such file"),
        (None, Some(_)) => (Likely, "no such file, or a link to one"),
        (None, None) => (Likely, "no such file, or no such interpreter"),
    };
    let mut diagnosis = failed(case, &registry::PATH_MISSING, confidence, what);
    diagnosis = match (missing, candidate) {
        (Some(missing), _) if shows_path(case) => {
            diagnosis.evidence(format!("{} does not exist, nothing was run", wording::name(missing)))
        }
        (Some(_), _) => diagnosis.evidence("nothing exists at that path, nothing was run"),
        (None, Some(_)) => diagnosis
            .evidence("nothing can be reached at that path")
            .not_known("whether it is a symbolic link to nothing"),
        (None, None) => diagnosis
            .evidence("execve gave ENOENT (No such file or directory)")
            .not_known("whether the file or the interpreter that it names is missing"),
    };
    Some(diagnosis.next(
        "correct the path, or put the file there: check the COPY line, and whether a volume is mounted over its directory. In Kubernetes, command replaces ENTRYPOINT and args replaces CMD",
    ))
}

/// EACCES, and what is there is a directory. Certain if nothing else was found that could have been refused.
pub(super) fn is_a_directory(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::EACCES)?;
    let (candidate, facts) = found(case).next().filter(|(_, facts)| kind(facts) == libc::S_IFDIR)?;
    let alone = candidates(case).iter().all(|other| std::ptr::eq(other, candidate) || is_absent(other));
    let confidence = if alone { Certain } else { Likely };
    Some(
        failed(case, &registry::IS_A_DIRECTORY, confidence, &format!("{}it is a directory", confidence.hedge()))
            .evidence(format!("{} is a directory (mode {:04o})", path(case, candidate), facts.mode & 0o7777))
            .next("name the program in it, or correct the path"),
    )
}

/// EACCES, and the file is none that may be executed. Certain if nobody may: no execute bit at all, or no regular
/// file. Otherwise capabilities, access lists and further groups, which were not looked at, have a say: likely, and
/// possible for root, who mostly may execute what anybody may.
pub(super) fn not_executable(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::EACCES)?;
    let inspection = case.evidence.inspection.as_ref()?;
    let (candidate, facts) = found(case).next()?;
    let (uid, gid, mode) = (inspection.uid, inspection.gid, facts.mode & 0o7777);
    let class_bit = if uid == facts.uid {
        0o100
    } else if gid == facts.gid {
        0o010
    } else {
        0o001
    };
    let regular = kind(facts) == libc::S_IFREG;
    let alone = candidates(case).iter().all(|other| std::ptr::eq(other, candidate) || is_absent(other));
    let confidence = match (regular, mode & 0o111, mode & class_bit) {
        (false, _, _) | (true, 0, _) if alone => Certain,
        (false, _, _) | (true, 0, _) => Likely,
        (true, _, 0) => {
            if uid == 0 {
                Possible
            } else {
                Likely
            }
        }
        _ => return None,
    };
    let shown = path(case, candidate);
    let owner = format!("owner {}:{}", facts.uid, facts.gid);
    let diagnosis = failed(
        case,
        &registry::NOT_EXECUTABLE,
        confidence,
        match (regular, confidence) {
            (false, _) => "permission denied, it is not a regular file",
            (true, Certain) => "permission denied, it is not executable",
            (true, Possible) => "permission denied, one possibility is that it is not executable for this user",
            (true, _) => "permission denied, most likely it is not executable for this user",
        },
    );
    if !regular {
        return Some(
            diagnosis
                .evidence(format!("{shown} is {} (mode {mode:04o}, {owner})", kind_name(facts)))
                .next("give the path of a program"),
        );
    }
    let diagnosis =
        diagnosis.evidence(format!("{shown} is mode {mode:04o}, {owner}, rinit runs as uid {uid} gid {gid}"));
    let diagnosis = match confidence {
        Certain => diagnosis,
        _ => diagnosis.not_known("capabilities, access control lists and supplementary groups (not looked at)"),
    };
    Some(diagnosis.next("make it executable in the image (COPY --chmod=0755, in git: git update-index --chmod=+x). A script can also be given to its interpreter: sh FILE"))
}

/// EACCES, and the path itself may not be looked at. A security module gives the same: likely; for a name that was
/// sought in PATH the program may not even be in that directory: possible.
pub(super) fn path_not_traversable(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::EACCES)?;
    let inspection = case.evidence.inspection.as_ref()?;
    let candidate = inspection.candidates.iter().find(|candidate| candidate.file == Err(libc::EACCES))?;
    if found(case).next().is_some() {
        return None;
    }
    let (uid, gid) = (inspection.uid, inspection.gid);
    let confidence = if is_bare(case) { Possible } else { Likely };
    let diagnosis = failed(
        case,
        &registry::PATH_NOT_TRAVERSABLE,
        confidence,
        &format!("permission denied, {}a directory on the way to it may not be searched", confidence.hedge()),
    )
    .evidence(format!("stat of {} gave EACCES to uid {uid} gid {gid}", path(case, candidate)))
    .next("give that user the x permission on every directory of the path (chmod o+x or chown in the image), or run as another user");
    Some(if is_bare(case) { diagnosis.not_known("whether the program is in that directory") } else { diagnosis })
}

/// EACCES, and everything that was looked at allows it. Other reasons were not looked at: possible.
pub(super) fn denied_by_security_module(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::EACCES)?;
    let inspection = case.evidence.inspection.as_ref()?;
    let (candidate, facts) = found(case).next()?;
    let mode = facts.mode & 0o7777;
    Some(
        failed(
            case,
            &registry::DENIED_BY_SECURITY_MODULE,
            Possible,
            "permission denied although its mode allows it, one possibility is that a security module forbids it",
        )
        .evidence(format!(
            "{} is mode {mode:04o}, owner {}:{}, rinit runs as uid {} gid {}",
            path(case, candidate),
            facts.uid,
            facts.gid,
            inspection.uid,
            inspection.gid
        ))
        .not_known("whether a security module (SELinux, AppArmor) denied it, its mount is noexec, or its interpreter or loader may not be executed (not looked at)")
        .next("look for noexec at its mount in /proc/mounts, at the mode of the interpreter in its first line, then for a denial in the host's audit log (Docker and Podman volumes under SELinux: option :z)"),
    )
}

/// ENOTDIR. Certain if stat(2) of the path says so too: else the interpreter's path can be meant.
pub(super) fn not_a_directory(case: &Case<'_>) -> Option<Diagnosis> {
    path_error(
        case,
        libc::ENOTDIR,
        &registry::NOT_A_DIRECTORY,
        "a part of its path is a file and not a directory",
        "correct the path, or what is mounted there: a file mounted over a directory gives this",
    )
}

/// ELOOP. Certain if stat(2) of the path says so too: else it can be interpreters that name each other.
pub(super) fn symlink_loop(case: &Case<'_>) -> Option<Diagnosis> {
    path_error(
        case,
        libc::ELOOP,
        &registry::SYMLINK_LOOP,
        "its path leads through too many symbolic links",
        "follow the links by hand (ls -l, readlink), and the first lines of scripts whose interpreter is a script",
    )
}

/// ENAMETOOLONG. Certain if stat(2) of the path says so too.
pub(super) fn name_too_long(case: &Case<'_>) -> Option<Diagnosis> {
    path_error(
        case,
        libc::ENAMETOOLONG,
        &registry::NAME_TOO_LONG,
        "its path is too long",
        "a name may have 255 bytes and a path 4,095: check what was put in the place of the program's name",
    )
    .map(|diagnosis| diagnosis.evidence(format!("the name is {} bytes long", case.evidence.command.program.len())))
}

/// E2BIG. The errno alone proves it.
pub(super) fn arguments_too_large(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::E2BIG)?;
    let arguments = wording::count(case.evidence.command.arguments, "argument", "arguments");
    Some(
        failed(case, &registry::ARGUMENTS_TOO_LARGE, Certain, "its arguments and environment together are too large")
            .evidence(format!("execve gave {}, the command has {arguments}", wording::errno(libc::E2BIG)))
            .not_known("which of them is the large one")
            .next("pass large values in a file. One string may have 32 pages (128 KiB), all of them a quarter of the stack limit (ulimit -s) and at most 6 MiB. In Kubernetes, enableServiceLinks: false takes the service variables out"),
    )
}

/// ETXTBSY. The errno alone proves it.
pub(super) fn executable_busy(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::ETXTBSY)?;
    Some(
        failed(case, &registry::EXECUTABLE_BUSY, Certain, "its file, or its interpreter's, was open for writing")
            .evidence(format!("execve gave {}", wording::errno(libc::ETXTBSY)))
            .not_known("who has it open: a copy that is not finished, or a process that did not close it")
            .next("finish and close the copy before the start, or copy to another name and rename it"),
    )
}

/// ENOEXEC: no format that this kernel knows. What the file is instead was not looked at: likely.
pub(super) fn not_a_program(case: &Case<'_>) -> Option<Diagnosis> {
    case.exec_errno().filter(|errno| *errno == libc::ENOEXEC)?;
    let mut diagnosis = failed(
        case,
        &registry::NOT_A_PROGRAM,
        Likely,
        "it, or its interpreter, is no program that this kernel can run",
    )
    .evidence(format!("execve gave {}", wording::errno(libc::ENOEXEC)));
    if let Some((candidate, facts)) = found(case).find(|(_, facts)| kind(facts) == libc::S_IFREG) {
        diagnosis = diagnosis.evidence(format!("{} has {} bytes", path(case, candidate), facts.size));
        if facts.size == 0 {
            return Some(
                diagnosis.next("the file is empty: check the COPY or the download that should have filled it"),
            );
        }
    }
    Some(
        diagnosis
            .not_known("which: built for another architecture, a script whose first line is no #! line, or damaged")
            .next("look at it with: file PROGRAM, or head -c 64 PROGRAM. For another architecture: docker build --platform. A script needs #!/bin/sh or the like as its very first bytes"),
    )
}

/// Everything else, and the missing interpreter of a file that exists.
pub(super) fn other(case: &Case<'_>, error: StartError) -> Diagnosis {
    let present = if error.errno == libc::ENOENT { found(case).next() } else { None };
    if let (Stage::Exec, Some((candidate, _))) = (error.stage, present) {
        return failed(
            case,
            &registry::NOT_STARTED,
            Likely,
            "the file exists, but most likely not the interpreter or loader that it needs",
        )
        .evidence(format!("execve gave {}, although {} exists", wording::errno(libc::ENOENT), path(case, candidate)))
        .not_known("what it asks for (not looked at)")
        .next("a script: its first line must name an interpreter that exists here, with no carriage return behind it (head -n 1 FILE). A binary: its loader must exist (file FILE), a glibc binary does not run on musl without one");
    }
    let what = match error.stage {
        Stage::Exec => format!("execve gave {}", wording::errno(error.errno)),
        _ => call(error),
    };
    let diagnosis = failed(case, &registry::NOT_STARTED, Unknown, &what);
    match (error.stage, hint(error.errno)) {
        (Stage::Exec, Some(hint)) => diagnosis.next(hint),
        (Stage::Exec, None) => diagnosis.next("execve(2) lists what this error can mean. Start the program by hand in the same image to see more"),
        _ => diagnosis.next("this is the container's environment, not the program: look at its limits (ulimit -a) and its seccomp profile"),
    }
}

/// What the rarer errors of execve(2) usually come from.
fn hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => {
            "check for file capabilities (getcap FILE) that this container may not grant, a set-user-ID file on a nosuid mount, and the seccomp profile"
        }
        libc::EIO => {
            "check the file's and its loader's content (an empty loader gives this too), then the disk or network file system behind it"
        }
        libc::EISDIR => "its interpreter is a directory: correct the first line of the script, or the loader",
        libc::ELIBBAD => "its loader is damaged or made for another architecture: check the libc package of the image",
        libc::EINVAL => "an ELF file with broken headers gives this: copy or build it again",
        libc::EACCES => "permission denied: check the mode of the file and of every directory on its path",
        _ => return None,
    })
}

/// A diagnosis whose first line says that the program did not start.
fn failed(case: &Case<'_>, cause: &'static Cause, confidence: Confidence, what: &str) -> Diagnosis {
    Diagnosis::new(cause, confidence, format!("cannot start {}: {what} ({})", case.program(), case.status()))
}

/// Rules for an errno that stat(2) of the path confirms.
fn path_error(case: &Case<'_>, errno: i32, cause: &'static Cause, what: &str, next: &str) -> Option<Diagnosis> {
    case.exec_errno().filter(|given| *given == errno)?;
    let confirmed = candidates(case).iter().find(|candidate| candidate.file == Err(errno));
    let confidence = if confirmed.is_some() { Certain } else { Likely };
    let diagnosis = failed(case, cause, confidence, &format!("{}{what}", confidence.hedge()))
        .evidence(format!("execve gave {}", wording::errno(errno)))
        .next(next);
    Some(match confirmed {
        Some(candidate) => diagnosis.evidence(format!("so did stat of {}", path(case, candidate))),
        None => diagnosis.not_known("whether the program's path or its interpreter's is meant"),
    })
}

/// `fork gave EAGAIN (...)`.
fn call(error: StartError) -> String {
    let call = match error.stage {
        Stage::Prepare => "a call that rinit needs for itself",
        Stage::Fork => "fork",
        Stage::Exec => "execve",
    };
    format!("{call} gave {}", wording::errno(error.errno))
}

fn is_bare(case: &Case<'_>) -> bool {
    !case.evidence.command.program.contains(&b'/')
}

fn candidates<'a>(case: &Case<'a>) -> &'a [Candidate] {
    case.evidence.inspection.as_ref().map_or(&[], |inspection| &inspection.candidates)
}

/// What exists under the paths that were tried.
fn found<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a Candidate, &'a FileFacts)> {
    candidates(case).iter().filter_map(|candidate| Some((candidate, candidate.file.as_ref().ok()?)))
}

/// Seen to be absent, not merely out of sight.
fn is_absent(candidate: &Candidate) -> bool {
    matches!(candidate.file, Err(libc::ENOENT | libc::ENOTDIR))
}

/// Whether the program's name is shown whole: otherwise no path that was made from it may be shown.
fn shows_path(case: &Case<'_>) -> bool {
    let command = &case.evidence.command;
    command.shown.is_some() || public_part(&command.program).len() == command.program.len()
}

fn path(case: &Case<'_>, candidate: &Candidate) -> String {
    if shows_path(case) { wording::name(&candidate.path) } else { case.program() }
}

fn kind(facts: &FileFacts) -> u32 {
    facts.mode & libc::S_IFMT
}

fn kind_name(facts: &FileFacts) -> &'static str {
    match kind(facts) {
        libc::S_IFDIR => "a directory",
        libc::S_IFIFO => "a FIFO",
        libc::S_IFSOCK => "a socket",
        libc::S_IFCHR | libc::S_IFBLK => "a device",
        _ => "no regular file",
    }
}
