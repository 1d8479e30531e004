//! PROGRAM never ran: errno of the call that failed, and what is on disk where PROGRAM should be.

mod format;
mod limits;
mod name;
mod path;
mod permission;

use super::case::{Case, public_part};
use super::{Cause, Confidence, Diagnosis, Rule, registry, wording};
use crate::evidence::files::{Candidate, FileFacts, Inspection, Role, Target};
use crate::outcome::{Stage, StartError};
use Confidence::{Certain, Likely, Unknown};
pub(super) use name::SHELL_WORDS;

/// In the order of reasoning.
pub(super) const RULES: &[Rule] = &[
    limits::fd_limit,
    limits::process_limit,
    limits::no_memory,
    limits::arguments_too_large,
    // No such file.
    name::command_line_as_one_word,
    name::shell_syntax_as_command,
    name::command_not_found,
    path::volume_hides_file,
    path::dangling_symlink,
    path::path_missing,
    // The file is there, what it needs is not.
    format::shebang_crlf,
    format::shebang_interpreter_missing,
    format::wrong_architecture,
    format::loader_missing,
    // The path leads nowhere.
    path::not_a_directory,
    path::symlink_loop,
    path::name_too_long,
    // Permission denied.
    permission::is_a_directory,
    permission::noexec_mount,
    permission::not_executable,
    permission::path_not_traversable,
    permission::interpreter_not_executable,
    permission::denied_by_security_module,
    permission::capabilities_not_granted,
    // Not a program.
    format::executable_busy,
    format::bad_loader,
    format::empty_file,
    format::no_shebang,
    format::shebang_not_first,
    format::not_a_program,
];

/// Everything else.
pub(super) fn other(case: &Case<'_>, error: StartError) -> Diagnosis {
    let mut diagnosis = failed(case, &registry::NOT_STARTED, Unknown, &call(error));
    if let (Stage::Exec, Some((candidate, facts))) = (error.stage, found(case).next()) {
        diagnosis = diagnosis.evidence(is_there(case, candidate, facts));
    }
    match (error.stage, hint(error.errno)) {
        (Stage::Exec, Some(hint)) => diagnosis.next(hint),
        (Stage::Exec, None) => diagnosis,
        _ => diagnosis.next("this is the container's environment, not the program: look at its limits (ulimit -a) and its seccomp profile"),
    }
}

/// What the rarer errors of execve(2) usually come from.
fn hint(errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::ENOENT => {
            "the file may have come or gone meanwhile. Look at what it needs: head -n 1 FILE for a script, file FILE for a binary"
        }
        libc::EPERM => {
            "check for file capabilities (getcap FILE) that this container may not grant, a set-user-ID file on a nosuid mount, and the seccomp profile"
        }
        libc::EIO => {
            "check the file's and its loader's content, then the disk or network file system behind it (image layer, volume)"
        }
        libc::EISDIR => "its interpreter is a directory: correct the first line of the script, or the loader",
        libc::EINVAL => "an ELF file with broken headers gives this: copy or build it again",
        libc::EACCES => "permission denied: check the mode of the file and of every directory on its path",
        _ => return None,
    })
}

/// A diagnosis whose first line says that the program did not start.
fn failed(case: &Case<'_>, cause: &'static Cause, confidence: Confidence, what: &str) -> Diagnosis {
    let verdict = if case.is_inner {
        // Whoever tells it has a hedge of its own.
        what.replacen(confidence.hedge(), "", 1)
    } else {
        format!("cannot start {}: {what} ({})", case.program(), case.status())
    };
    Diagnosis::new(cause, confidence, verdict)
}

/// Takes out what is only true where rinit itself called execve(2).
pub(super) fn leave_out_own_call(case: &Case<'_>, diagnosis: &mut Diagnosis) {
    let given = case.exec_errno().and_then(|errno| gave(case, errno));
    diagnosis.evidence.retain(|fact| Some(fact) != given.as_ref() && fact != NOTHING_RUN);
}

/// That the program, a script perhaps, has not begun.
const NOTHING_RUN: &str = "nothing was run";

/// `fork gave EAGAIN (...)`.
fn call(error: StartError) -> String {
    let call = match error.stage {
        Stage::Prepare => "a call that rinit needs for itself",
        Stage::Fork => "fork",
        Stage::Exec => "execve",
    };
    format!("{call} gave {}", wording::errno(error.errno))
}

/// `execve gave ENOEXEC (...)`, if execve failed with this.
fn gave(case: &Case<'_>, errno: i32) -> Option<String> {
    case.exec_errno().filter(|given| *given == errno)?;
    Some(format!("execve gave {}", wording::errno(errno)))
}

fn is_bare(case: &Case<'_>) -> bool {
    !case.evidence.command.program.contains(&b'/')
}

fn inspection<'a>(case: &Case<'a>) -> Option<&'a Inspection> {
    case.evidence.inspection.as_ref()
}

fn candidates<'a>(case: &Case<'a>) -> &'a [Candidate] {
    inspection(case).map_or(&[], |inspection| &inspection.candidates)
}

/// What exists under the paths that were tried.
fn found<'a>(case: &Case<'a>) -> impl Iterator<Item = (&'a Candidate, &'a FileFacts)> {
    candidates(case).iter().filter_map(|candidate| Some((candidate, candidate.target.file.as_ref().ok()?)))
}

/// Seen to be absent, not merely out of sight.
fn is_absent(candidate: &Candidate) -> bool {
    matches!(&candidate.target.file, Err(obstacle) if matches!(obstacle.errno, libc::ENOENT | libc::ENOTDIR))
}

/// Whether no other path that was tried can have given the error.
fn is_alone(case: &Case<'_>, candidate: &Candidate) -> bool {
    candidates(case).iter().all(|other| std::ptr::eq(other, candidate) || is_absent(other))
}

/// Whether the program's name is shown whole: otherwise no path that was made from it may be shown.
fn shows_path(case: &Case<'_>) -> bool {
    let command = &case.evidence.command;
    command.shown.is_some() || public_part(&command.program).len() == command.program.len()
}

/// A path that was tried.
fn path_of(case: &Case<'_>, candidate: &Candidate) -> String {
    derived(case, &candidate.target.path)
}

/// A path that was made from the program's name.
fn derived(case: &Case<'_>, path: &[u8]) -> String {
    if shows_path(case) { wording::name(path) } else { case.program() }
}

/// `/app/x exists (mode 0755, 412 bytes)`
fn is_there(case: &Case<'_>, candidate: &Candidate, facts: &FileFacts) -> String {
    let mode = facts.permissions.mode & 0o7777;
    format!("{} exists (mode {mode:04o}, {})", path_of(case, candidate), bytes(facts.size))
}

/// The program's file as a command line of advice names it.
fn file_name(case: &Case<'_>) -> String {
    let program = case.evidence.command.program.as_slice();
    let base = program.rsplit(|byte| *byte == b'/').next().filter(|base| !base.is_empty() && shows_path(case));
    base.map_or_else(|| "FILE".to_owned(), wording::name)
}

fn bytes(size: u64) -> String {
    wording::count(size, "byte", "bytes")
}

/// A file that execve(2) opened for the program: what it is for, and what named it.
#[derive(Clone, Copy)]
struct Part<'a> {
    candidate: &'a Candidate,
    /// None for the program itself.
    role: Option<Role>,
    target: &'a Target,
    /// The file before it in the chain, and whether that is the program itself.
    named_by: Option<(&'a Target, bool)>,
}

impl Part<'_> {
    /// `it`, `its interpreter /bin/sh`, `its loader /lib/ld.so`: the subject of a sentence.
    fn subject(&self) -> String {
        match self.role {
            None => "it".to_owned(),
            Some(role) => format!("its {} {}", role_name(role), wording::name(&self.target.path)),
        }
    }

    /// The path as it may be shown.
    fn path(&self, case: &Case<'_>) -> String {
        if self.role.is_none() { derived(case, &self.target.path) } else { wording::name(&self.target.path) }
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Interpreter => "interpreter",
        Role::Loader => "loader",
    }
}

/// The program's file and what it needs, in the order in which execve(2) opens them.
fn parts(candidate: &Candidate) -> impl DoubleEndedIterator<Item = Part<'_>> {
    let whole = candidate.needs.len() + 1;
    (0..whole).map(move |index| {
        let target = |index: usize| match index.checked_sub(1).and_then(|at| candidate.needs.get(at)) {
            Some((_, target)) => target,
            None => &candidate.target,
        };
        Part {
            candidate,
            role: index.checked_sub(1).and_then(|at| candidate.needs.get(at)).map(|(role, _)| *role),
            target: target(index),
            named_by: index.checked_sub(1).map(|before| (target(before), before == 0)),
        }
    })
}

#[cfg(test)]
pub(crate) mod tests;
