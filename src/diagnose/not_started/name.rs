//! The program's name leads to no file.

use super::{
    Candidate, Case, Certain, Diagnosis, Inspection, Likely, candidates, failed, found, gave, inspection, is_absent,
    is_bare, registry, shows_path, wording,
};
use crate::child::DEFAULT_PATH;
use crate::diagnose::case::is_blank;
use crate::evidence::walk::Place;

/// The name has a blank in it, or the brackets of a list, and no such file exists. A real file name with a blank
/// could be meant: likely.
pub(in super::super) fn command_line_as_one_word(case: &Case<'_>) -> Option<Diagnosis> {
    let given = gave(case, libc::ENOENT).or_else(|| gave(case, libc::ENAMETOOLONG))?;
    let program = &case.evidence.command.program;
    let has_blanks = program.iter().any(|byte| is_blank(*byte));
    // `["node",` and the like: JSON that did not parse, so that Docker took it for a shell command, or a list in a
    // place for one word.
    let is_list = program.starts_with(b"[\"") || program.starts_with(b"['") || program.starts_with(b"\"");
    if !(has_blanks || is_list) || found(case).next().is_some() {
        return None;
    }
    let what = if has_blanks {
        "no such file, most likely a whole command line was given as one word"
    } else {
        "no such file, most likely a list in brackets was taken for the name of the program"
    };
    let mut diagnosis = failed(case, &registry::COMMAND_LINE_AS_ONE_WORD, Likely, what).evidence(given);
    diagnosis = diagnosis.evidence(if has_blanks {
        format!("the name is {} bytes long and has blanks in it", program.len())
    } else {
        format!("the name is {} bytes long and begins with a bracket or a quotation mark", program.len())
    });
    if let Some(path) = inspection(case).and_then(|inspection| inspection.elsewhere.as_ref()).filter(|_| has_blanks) {
        diagnosis = diagnosis.evidence(format!("{} exists", wording::name(path)));
    }
    Some(diagnosis)
}

/// Words of the shell's own grammar, and builtins that can be no program, because they change the shell itself.
pub(in super::super) const SHELL_WORDS: [&[u8]; 47] = [
    b"cd",
    b"source",
    b".",
    b"export",
    b"exec",
    b"set",
    b"unset",
    b"alias",
    b"ulimit",
    b"umask",
    b"trap",
    b"eval",
    b"if",
    b"then",
    b"else",
    b"fi",
    b"for",
    b"while",
    b"until",
    b"do",
    b"done",
    b"case",
    b"esac",
    b"function",
    b"[[",
    b"{",
    b"}",
    b"(",
    b")",
    b"!",
    b"&&",
    b"||",
    b"|",
    b"&",
    b";",
    b">",
    b">>",
    b"<",
    b"shift",
    b"local",
    b"declare",
    b"readonly",
    b"return",
    b"break",
    b"continue",
    b"wait",
    b":",
];

/// ENOENT for a word of the shell. Certain for the words of its grammar and its builtins if every directory of PATH was
/// looked at; likely where it only looks like an assignment or a variable, for a file may have such a name.
pub(in super::super) fn shell_syntax_as_command(case: &Case<'_>) -> Option<Diagnosis> {
    let given = gave(case, libc::ENOENT)?;
    let program = case.evidence.command.program.as_slice();
    if found(case).next().is_some() {
        return None;
    }
    let (confidence, what) = if is_bare(case) && SHELL_WORDS.contains(&program) {
        match is_searched(case) {
            true => (Certain, "it is a word of the shell, not a program"),
            false => (Likely, "most likely it is a word of the shell, not a program"),
        }
    } else if program.starts_with(b"$") {
        (Likely, "most likely a variable that only a shell replaces by its value")
    } else if is_assignment(program) {
        (Likely, "most likely an assignment, which only a shell understands")
    } else {
        return None;
    };
    let diagnosis = failed(case, &registry::SHELL_SYNTAX_AS_COMMAND, confidence, what);
    Some(match confidence {
        Certain => diagnosis.evidence(given).evidence("no directory of PATH has a program of this name"),
        _ => diagnosis.evidence(given),
    }
    .next(if is_assignment(program) {
        "set variables with ENV in the Dockerfile, env in the manifest or docker run -e, or start with: env NAME=value PROGRAM"
    } else {
        registry::SHELL_SYNTAX_AS_COMMAND.next
    }))
}

/// `NAME=...`
fn is_assignment(program: &[u8]) -> bool {
    let mut parts = program.splitn(2, |byte| *byte == b'=');
    let name = parts.next().unwrap_or_default();
    let is_name = name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    is_name && name.first().is_some_and(|byte| !byte.is_ascii_digit()) && parts.next().is_some()
}

/// Whether every directory of PATH was looked at, and none has it.
fn is_searched(case: &Case<'_>) -> bool {
    !candidates(case).is_empty() && candidates(case).iter().all(is_absent)
}

/// ENOENT for a name without a slash. Certain if every directory of PATH was looked at and has no such file.
pub(in super::super) fn command_not_found(case: &Case<'_>) -> Option<Diagnosis> {
    gave(case, libc::ENOENT).filter(|_| is_bare(case))?;
    if case.evidence.command.program.is_empty() {
        return Some(
            failed(case, &registry::COMMAND_NOT_FOUND, Certain, "the name of the program is empty")
                .next("give a program: a variable that is not set may stand in its place"),
        );
    }
    // A symbolic link of this name is there.
    let has_link = |candidate: &Candidate| matches!(&candidate.target.file, Err(obstacle) if obstacle.link.is_some());
    if found(case).next().is_some() || candidates(case).iter().any(has_link) {
        return None;
    }
    let searched = is_searched(case);
    let (confidence, what) = if searched {
        (Certain, "it is in no directory of PATH")
    } else {
        (Likely, "most likely it is in no directory of PATH")
    };
    let mut diagnosis = failed(case, &registry::COMMAND_NOT_FOUND, confidence, what);
    let inspection = inspection(case);
    if let Some(path) = inspection.and_then(|inspection| inspection.search_path.as_deref()) {
        diagnosis = diagnosis.evidence(match path {
            b"" => "PATH was empty".to_owned(),
            DEFAULT_PATH => format!("{} was searched, as it is without a PATH", wording::name(DEFAULT_PATH)),
            path => format!("PATH was {}", wording::name(path)),
        });
    }
    if searched {
        let directories = wording::count(candidates(case).len(), "directory was", "directories were");
        diagnosis = diagnosis.evidence(format!("{directories} looked in, none has it"));
    }
    if let Some(closed) = closed_directories(case) {
        diagnosis =
            diagnosis.evidence(format!("{closed} may not be searched")).not_known(format!("whether it is in {closed}"));
    }
    let shown = inspection.filter(|_| shows_path(case));
    if let Some(path) = shown.and_then(|inspection| inspection.elsewhere.as_deref()) {
        let path = wording::name(path);
        return Some(diagnosis.evidence(format!("{path} exists")).next(format!(
            "put its directory into PATH (an ENV PATH=..., env or envFrom that replaces PATH instead of extending it is the usual reason), or give the whole path: {path}"
        )));
    }
    Some(match shown.map(|inspection| inspection.near.as_slice()) {
        Some(near @ [_, ..]) => {
            let near = wording::list(near.iter().map(|path| wording::name(path)));
            diagnosis.next(format!("did you mean {near}? Otherwise install the program in the image, or give its absolute path"))
        }
        _ if inspection.is_some_and(has_no_usual_directory) => diagnosis.next(
            "PATH has none of /usr/local/bin, /usr/bin and /bin: check what sets it (ENV, env, envFrom, an env file), or give the program's absolute path",
        ),
        _ => diagnosis,
    })
}

/// The directories of PATH in which this user may not look, up to three of them.
fn closed_directories(case: &Case<'_>) -> Option<String> {
    let directory = |candidate: &Candidate| {
        let obstacle = candidate.target.file.as_ref().err().filter(|obstacle| obstacle.errno == libc::EACCES)?;
        let path = candidate.target.path.as_slice();
        let above = path.get(..path.iter().rposition(|byte| *byte == b'/')?)?;
        Some(match &obstacle.place {
            Some(Place::Closed(closed, Some(permissions))) => {
                format!("{} ({})", wording::name(closed), permissions)
            }
            _ => wording::name(above),
        })
    };
    let mut closed: Vec<String> = candidates(case).iter().filter_map(directory).collect();
    closed.dedup();
    (!closed.is_empty()).then(|| wording::list(closed.into_iter()))
}

fn has_no_usual_directory(inspection: &Inspection) -> bool {
    const USUAL: [&[u8]; 3] = [b"/usr/local/bin", b"/usr/bin", b"/bin"];
    let path = inspection.search_path.as_deref();
    path.is_some_and(|path| !path.split(|byte| *byte == b':').any(|directory| USUAL.contains(&directory)))
}
