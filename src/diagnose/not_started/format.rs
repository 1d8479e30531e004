//! The file is there, and is not what the kernel can run, or what it needs is not there.

use super::{
    Case, Certain, Confidence, Diagnosis, Likely, Part, Role, bytes, failed, file_name, found, gave, inspection,
    is_there, parts, path_of, registry, role_name, wording,
};
use crate::evidence::content::{Before, Content, Foreign};
use crate::evidence::elf::{self, Elf};
use crate::evidence::files::{self, FileFacts, Kinship};
use crate::evidence::shebang::Unusable;

/// ENOENT, and something that the file needs was seen to be missing.
fn missing_need<'a>(case: &Case<'a>, role: Role) -> Option<Part<'a>> {
    gave(case, libc::ENOENT)?;
    found(case).find_map(|(candidate, _)| {
        let part = parts(candidate).find(|part| part.target.file.is_err())?;
        // 0: a relative path, which was not looked at.
        let is_missing = matches!(&part.target.file, Err(obstacle) if matches!(obstacle.errno, 0 | libc::ENOENT));
        (part.role == Some(role) && is_missing).then_some(part)
    })
}

/// `its first line`, or whose it is.
fn first_line(part: &Part<'_>) -> String {
    match part.named_by {
        Some((script, false)) => format!("the first line of its interpreter {}", wording::name(&script.path)),
        _ => "its first line".to_owned(),
    }
}

/// The fact that the program's file is there.
fn exists(case: &Case<'_>, part: &Part<'_>) -> Option<String> {
    Some(is_there(case, part.candidate, part.candidate.target.file.as_ref().ok()?))
}

/// ENOENT, and the interpreter is missing whose name ends with a carriage return. Certain: the line was read, the name
/// looked for.
pub(in super::super) fn shebang_crlf(case: &Case<'_>) -> Option<Diagnosis> {
    let part = missing_need(case, Role::Interpreter).filter(|part| {
        part.target.path.ends_with(b"\r") && matches!(&part.target.file, Err(obstacle) if obstacle.errno != 0)
    })?;
    let line = first_line(&part);
    let asked = wording::name(&part.target.path);
    let clean = wording::name(part.target.path.strip_suffix(b"\r")?);
    let diagnosis =
        failed(case, &registry::SHEBANG_CRLF, Certain, &format!("{line} asks for \"{asked}\", which does not exist"))
            .evidence(exists(case, &part)?)
            .evidence(format!("it has Windows line ends, so the kernel looked for {clean} plus a carriage return"));
    let meant = inspection(case).and_then(|inspection| inspection.interpreter.as_deref());
    let diagnosis = match meant.map(wording::name) {
        Some(path) if path == clean => diagnosis.evidence(format!("{clean} itself exists")),
        Some(path) => diagnosis.evidence(format!("{clean} does not exist either, but {path} does")),
        None => diagnosis.evidence(format!("{clean} does not exist either")),
    };
    let file = file_name(case);
    Some(diagnosis.next(registry::SHEBANG_CRLF.next.replacen("FILE", &file, 1)))
}

/// ENOENT, and the interpreter is missing. Certain: the line was read, the path looked for. Likely for a relative one that
/// was not looked for: it may be there and lack something itself.
pub(in super::super) fn shebang_interpreter_missing(case: &Case<'_>) -> Option<Diagnosis> {
    let part = missing_need(case, Role::Interpreter)?;
    let line = first_line(&part);
    let asked = wording::name(&part.target.path);
    let script = part.named_by.and_then(|(script, _)| script.file.as_ref().ok()?.content.as_ref());
    let is_relative = matches!(script, Some(Content::Script(script)) if !script.interpreter.starts_with(b"/"));
    let was_sought = matches!(&part.target.file, Err(obstacle) if obstacle.errno != 0);
    let confidence = if was_sought { Certain } else { Likely };
    let hedge = confidence.hedge();
    let what = if is_relative {
        format!("{line} asks for {asked} by a relative path, which {hedge}leads nowhere from the working directory")
    } else {
        format!("{line} asks for {asked}, which does not exist")
    };
    let mut diagnosis =
        failed(case, &registry::SHEBANG_INTERPRETER_MISSING, confidence, &what).evidence(exists(case, &part)?);
    if let Err(obstacle) = &part.target.file
        && let Some((link, target)) = &obstacle.link
    {
        diagnosis = diagnosis.evidence(format!("{} is a link to {}", wording::name(link), wording::name(target)));
    }
    Some(match inspection(case).and_then(|inspection| inspection.interpreter.as_deref()).map(wording::name) {
        Some(path) => diagnosis.evidence(format!("{path} exists")).next(format!(
            "change the first line to #!{path}, or to #!/usr/bin/env NAME, which searches PATH"
        )),
        None if asked.ends_with("/bash") => diagnosis.next(
            "install bash in the image (apk add bash), or make the script one for #!/bin/sh: Alpine comes without bash, distroless images without any shell",
        ),
        None => diagnosis,
    })
}

/// ENOENT, and the loader is missing that the ELF file names. Certain: its name was read and looked for.
pub(in super::super) fn loader_missing(case: &Case<'_>) -> Option<Diagnosis> {
    let part = missing_need(case, Role::Loader)?;
    let needy = part.named_by.and_then(|(file, _)| elf_of(file.file.as_ref().ok()?));
    // A program for another machine was not even asked for its loader.
    if needy.and_then(|elf| kinship(case, elf)).is_some_and(|(kinship, _)| kinship == Kinship::Foreign) {
        return None;
    }
    let loader = part.target.path.as_slice();
    let has = |word: &[u8]| loader.windows(word.len()).any(|window| window == word);
    let who = match part.named_by {
        Some((file, false)) => format!("its interpreter {}", wording::name(&file.path)),
        _ => "it".to_owned(),
    };
    let looked = inspection(case).and_then(|inspection| inspection.loaders.as_deref());
    let loaders = looked.unwrap_or_default();
    let musl = |path: &Vec<u8>| path.windows(8).any(|window| window == b"ld-musl-");
    let (is_glibc, is_musl) = (has(b"/ld-linux") || has(b"/ld64.so") || has(b"/ld.so."), has(b"/ld-musl-"));
    let only = |kind: bool| !loaders.is_empty() && loaders.iter().all(|path| musl(path) == kind);
    let store = has(b"/nix/store/") || has(b"/gnu/store/");
    let (why, next) = if is_glibc && !store && only(true) {
        (
            ": a glibc program in a musl image",
            "link it statically (CGO_ENABLED=0, Rust target *-musl), build it in the same Alpine image, or use a glibc base (debian:slim). gcompat helps some programs",
        )
    } else if is_musl && only(false) {
        (
            ": a musl program in a glibc image",
            "build it for glibc (Rust target *-gnu), link it statically, or use an Alpine base",
        )
    } else if store {
        (
            ": a program built for Nix or Guix",
            "copy its whole closure from the store into the image, or set another loader with patchelf --set-interpreter",
        )
    } else if looked.is_some_and(<[_]>::is_empty) {
        (
            ", and there is no other loader in /lib and /lib64",
            "link it statically (CGO_ENABLED=0 for Go, Rust target *-musl, gcc -static), or use a base image with a C library: scratch and distroless/static have none",
        )
    } else {
        ("", registry::LOADER_MISSING.next)
    };
    let what = format!("{who} needs the loader {}, which does not exist{why}", wording::name(loader));
    let mut diagnosis = failed(case, &registry::LOADER_MISSING, Certain, &what).evidence(exists(case, &part)?);
    if let Some(elf) = needy {
        diagnosis = diagnosis.evidence(format!("ELF header: {}, dynamically linked", elf.header.machine_name()));
    }
    let found = wording::list(loaders.iter().map(|path| wording::name(path)));
    if !found.is_empty() {
        diagnosis = diagnosis.evidence(format!("the image has {found}"));
    }
    Some(diagnosis.next(next))
}

fn elf_of(facts: &FileFacts) -> Option<&Elf> {
    match facts.content.as_ref()? {
        Content::Elf(elf) => Some(elf),
        _ => None,
    }
}

/// ETXTBSY. The errno alone proves it.
pub(in super::super) fn executable_busy(case: &Case<'_>) -> Option<Diagnosis> {
    Some(
        failed(case, &registry::EXECUTABLE_BUSY, Certain, "its file, or its interpreter's, was open for writing")
            .evidence(gave(case, libc::ETXTBSY)?)
            .not_known("who has it open: a copy that is not finished, or a process that did not close it"),
    )
}

/// ELIBBAD, which nothing but a loader gives that is no ELF file for this machine (fs/binfmt_elf.c); or EIO with a
/// loader that was seen to be shorter than an ELF header, which the kernel cannot read then. Certain.
pub(in super::super) fn bad_loader(case: &Case<'_>) -> Option<Diagnosis> {
    const ELF_HEADER: u64 = 52;
    let loader = found(case).find_map(|(candidate, _)| {
        let part = parts(candidate).find(|part| part.role == Some(Role::Loader))?;
        Some((part, part.target.file.as_ref().ok()?))
    });
    let given = match (gave(case, libc::ELIBBAD), gave(case, libc::EIO)) {
        (Some(given), _) => given,
        (None, Some(given)) if loader.is_some_and(|(_, facts)| facts.size < ELF_HEADER) => given,
        _ => return None,
    };
    let diagnosis = match loader {
        Some((part, _)) => {
            let what = format!("{} is no loader for this machine", part.subject());
            failed(case, &registry::BAD_LOADER, Certain, &what)
        }
        None => failed(case, &registry::BAD_LOADER, Certain, "its loader is none for this machine"),
    }
    .evidence(given);
    let diagnosis = match loader {
        Some((part, facts)) => {
            let path = wording::name(&part.target.path);
            diagnosis.evidence(match elf_of(facts) {
                Some(elf) => format!("{path} is ELF for {}", elf.header.machine_name()),
                None => format!(
                    "{path} has {}{}",
                    bytes(facts.size),
                    content_words(facts).map_or_else(String::new, |words| format!(": {words}"))
                ),
            })
        }
        None => diagnosis,
    };
    Some(diagnosis)
}

/// What the kernel gave up on with ENOEXEC: the end of the first chain in whose way nothing else stands. The loader is
/// none of it, it gives other errors.
fn unknown_format<'a>(case: &Case<'a>) -> Option<(Part<'a>, &'a FileFacts)> {
    gave(case, libc::ENOEXEC)?;
    let machine = inspection(case)?.machine.as_deref();
    let is_in_the_way = |errno| !matches!(errno, libc::ENOEXEC | libc::ENOENT | libc::ELIBBAD);
    let (candidate, _) =
        found(case).find(|(candidate, _)| !candidate.expected_errno(machine).is_some_and(is_in_the_way))?;
    let part = parts(candidate).rfind(is_no_loader)?;
    Some((part, part.target.file.as_ref().ok()?))
}

/// The start of every report on the format of a file.
fn format_failure(
    case: &Case<'_>,
    part: &Part<'_>,
    facts: &FileFacts,
    cause: &'static super::Cause,
    confidence: Confidence,
    predicate: &str,
) -> Diagnosis {
    let what = format!("{}{} {predicate}", confidence.hedge(), part.subject());
    let diagnosis = failed(case, cause, confidence, &what)
        .evidence(format!("execve gave {}", wording::errno(libc::ENOEXEC)))
        .evidence(format!("{} has {}", part.path(case), bytes(facts.size)));
    match part.named_by {
        Some(_) => diagnosis.evidence(format!(
            "{} names it as {}",
            path_of(case, part.candidate),
            part.role.map_or("", role_name)
        )),
        None => diagnosis,
    }
}

/// How `elf` relates to this machine, and what this machine is called; `None` if that is not known.
fn kinship(case: &Case<'_>, elf: &Elf) -> Option<(Kinship, &'static str)> {
    files::kinship(inspection(case)?.machine.as_deref(), elf)
}

/// ENOEXEC, and an ELF header for another machine. Certain, but likely for 32-bit programs of the same family, which the
/// kernel can run if it was built so. ENOENT for such a file: its header is looked at before its loader, so another
/// format took it, and binfmt_misc is the only one that opens a file of its own: likely.
pub(in super::super) fn wrong_architecture(case: &Case<'_>) -> Option<Diagnosis> {
    let emulated = gave(case, libc::ENOENT).is_some();
    let (part, facts) = if emulated {
        let mut programs = found(case).filter_map(|(candidate, _)| parts(candidate).rfind(is_no_loader));
        programs.find_map(|part| Some((part, part.target.file.as_ref().ok()?)))?
    } else {
        unknown_format(case)?
    };
    let elf = elf_of(facts)?;
    let (kinship, here) = kinship(case, elf)?;
    let is_whole = elf.end.is_some_and(|end| end > 0 && end <= facts.size);
    let (subject, built) = (part.subject(), elf.header.machine_name());
    let (confidence, what) = match kinship {
        Kinship::Foreign if emulated => (
            Likely,
            format!(
                "{subject} is built for {built}, this machine is {here}, and most likely the emulator for it is missing"
            ),
        ),
        Kinship::Foreign => (Certain, format!("{subject} is built for {built}, this machine is {here}")),
        Kinship::Companion if is_whole && !emulated => {
            (Likely, format!("{subject} is built for {built}, most likely this {here} kernel runs no 32-bit programs"))
        }
        Kinship::Companion | Kinship::Native => return None,
    };
    let errno = case.exec_errno()?;
    let uname = inspection(case)?.machine.as_deref()?;
    let diagnosis = failed(case, &registry::WRONG_ARCHITECTURE, confidence, &what)
        .evidence(format!("execve gave {}", wording::errno(errno)))
        .evidence(format!("ELF header of {}: {built}", part.path(case)))
        .evidence(format!("uname: {}", wording::name(uname)));
    let diagnosis = if emulated {
        diagnosis.not_known("which emulator binfmt_misc names (/proc/sys/fs/binfmt_misc on the host)")
    } else {
        diagnosis
    };
    Some(match kinship {
        Kinship::Foreign => diagnosis.evidence("rinit itself runs here"),
        _ => diagnosis.next(format!("build it for {here}")),
    })
}

fn is_no_loader(part: &Part<'_>) -> bool {
    part.role != Some(Role::Loader)
}

/// ENOEXEC, and no bytes in the file. Certain.
pub(in super::super) fn empty_file(case: &Case<'_>) -> Option<Diagnosis> {
    let (part, facts) = unknown_format(case)?;
    (facts.is_regular() && facts.size == 0).then_some(())?;
    Some(format_failure(case, &part, facts, &registry::EMPTY_FILE, Certain, "is an empty file"))
}

/// ENOEXEC, and a text whose first line names no interpreter. Certain: the kernel knows no other way to run a text.
pub(in super::super) fn no_shebang(case: &Case<'_>) -> Option<Diagnosis> {
    let (part, facts) = unknown_format(case)?;
    let (predicate, next) = match facts.content.as_ref()? {
        Content::Text => ("is a text without a #! line", registry::NO_SHEBANG.next),
        Content::BrokenScript(Unusable::Nameless) => {
            ("begins with #! and names no interpreter after it", registry::NO_SHEBANG.next)
        }
        Content::BrokenScript(Unusable::TooLong) => (
            "has a #! line whose interpreter is longer than the kernel reads (256 bytes)",
            "shorten the path of the interpreter, or start it as: INTERPRETER FILE (virtual environments in deep directories have such paths)",
        ),
        _ => return None,
    };
    Some(format_failure(case, &part, facts, &registry::NO_SHEBANG, Certain, predicate).next(next))
}

/// ENOEXEC, and `#!` stands in the file but not in its first two bytes. Certain.
pub(in super::super) fn shebang_not_first(case: &Case<'_>) -> Option<Diagnosis> {
    let (part, facts) = unknown_format(case)?;
    let Content::LateShebang(before) = facts.content.as_ref()? else { return None };
    let (predicate, next) = match before {
        Before::ByteOrderMark => (
            "has a byte order mark (EF BB BF) before its #! line".to_owned(),
            "save it as UTF-8 without BOM: sed -i '1s/^\\xEF\\xBB\\xBF//' FILE",
        ),
        Before::Blank => ("has a blank or an empty line before #!".to_owned(), registry::SHEBANG_NOT_FIRST.next),
        Before::Lines(line) => {
            (format!("has its #! in line {line}, not in the first"), registry::SHEBANG_NOT_FIRST.next)
        }
    };
    Some(format_failure(case, &part, facts, &registry::SHEBANG_NOT_FIRST, Certain, &predicate).next(next))
}

/// What a file is, for those that are no programs.
fn content_words(facts: &FileFacts) -> Option<&'static str> {
    Some(match facts.content.as_ref()? {
        Content::Zeros => "it has nothing but zero bytes, as far as was read (4 KiB)",
        Content::BrokenElf => "it begins like ELF, but its header is cut off or broken",
        Content::Text | Content::LateShebang(_) => "it is a text",
        Content::Script(_) | Content::BrokenScript(_) => "it is a script",
        Content::Foreign(foreign) => foreign_words(*foreign).0,
        Content::Data => "it is of no kind that is known here",
        Content::Elf(_) | Content::Empty => return None,
    })
}

/// What it is, and what to do.
fn foreign_words(foreign: Foreign) -> (&'static str, &'static str) {
    const BUILD: &str = "build it for Linux (GOOS=linux, docker buildx build --platform linux/amd64,linux/arm64), and in the image, not on the host";
    match foreign {
        Foreign::MachO => ("it is a program for macOS (Mach-O)", BUILD),
        Foreign::Pe => ("it is a program for Windows (MZ)", BUILD),
        Foreign::JavaClass => ("it is a compiled Java class", "start it with java: java CLASS, or java -jar FILE"),
        Foreign::Zip => {
            ("it is a zip archive or a jar", "a jar: java -jar FILE. An archive: unpack it when the image is built")
        }
        Foreign::Gzip => ("it is compressed by gzip", "unpack it when the image is built (tar -xzf, gunzip)"),
        Foreign::Compressed => ("it is a compressed file", "unpack it when the image is built (tar -xf)"),
        Foreign::Html => (
            "it is a web page (HTML)",
            "the download went wrong (an error or login page): use curl -fL, and check the address and a checksum",
        ),
        Foreign::Xml => (
            "it is an XML document",
            "the download went wrong, or this is the wrong file: use curl -fL, and check a checksum",
        ),
        Foreign::Json => (
            "it is JSON",
            "the download went wrong (an error message of the server), or this is a configuration: use curl -fL, and check a checksum",
        ),
        Foreign::LfsPointer => (
            "it is a pointer of git-lfs, not the file itself",
            "git lfs pull before docker build (in CI: checkout with lfs: true)",
        ),
        Foreign::Utf16 => ("it is text in UTF-16", "save it as UTF-8: iconv -f UTF-16 -t UTF-8"),
    }
}

/// ENOEXEC: no format that this kernel knows. Certain if the content was seen to be none; likely for an ELF file
/// whose header looks right, and where nothing could be read.
pub(in super::super) fn not_a_program(case: &Case<'_>) -> Option<Diagnosis> {
    const COPY: &str = "copy or build it again. A download or a copy that broke off, or a damaged image layer, leaves such files: compare its size and checksum";
    let given = gave(case, libc::ENOEXEC)?;
    let failure = |part: &Part<'_>, facts, confidence, predicate: &str| {
        format_failure(case, part, facts, &registry::NOT_A_PROGRAM, confidence, predicate)
    };
    let Some((part, facts)) = unknown_format(case) else {
        let what = "most likely it, or its interpreter, is no program that this kernel can run";
        return Some(failed(case, &registry::NOT_A_PROGRAM, Likely, what).evidence(given).not_known(WHICH));
    };
    Some(match &facts.content {
        Some(Content::Foreign(foreign)) => {
            let (kind, next) = foreign_words(*foreign);
            failure(&part, facts, Certain, "is no Linux program").evidence(kind).next(next)
        }
        Some(Content::Zeros | Content::BrokenElf) => {
            failure(&part, facts, Certain, "is no program").evidence(content_words(facts)?).next(COPY)
        }
        Some(Content::Data) => failure(&part, facts, Certain, "is no program")
            .evidence("it begins like no program, script or archive that is known here"),
        Some(Content::Elf(elf)) => {
            let kind = match elf.header.kind {
                elf::ET_REL => Some("a relocatable object (a .o file, or a kernel module)"),
                elf::ET_CORE => Some("a core dump"),
                elf::ET_EXEC | elf::ET_DYN => None,
                _ => Some("of an unknown ELF type"),
            };
            match (kind, elf.end) {
                (Some(kind), _) => failure(&part, facts, Certain, "is an ELF file, but no program")
                    .evidence(format!("ELF header: it is {kind}"))
                    .next("copy the linked program instead"),
                (None, None) if elf.header.table_end() > facts.size => {
                    failure(&part, facts, Certain, "is a truncated ELF file")
                        .evidence("its program headers lie beyond its end")
                        .next(COPY)
                }
                (None, Some(end)) if end > facts.size => failure(&part, facts, Likely, "is a truncated ELF file")
                    .evidence(format!("its headers ask for {}", bytes(end)))
                    .next(COPY),
                (None, _) => failure(&part, facts, Likely, "is an ELF file that this kernel cannot run")
                    .evidence(format!("ELF header: {}", elf.header.machine_name()))
                    .not_known("what in it the kernel refuses")
                    .next(COPY),
            }
        }
        _ => failure(&part, facts, Likely, "is no program that this kernel can run").not_known(WHICH),
    })
}

const WHICH: &str = "which: built for another architecture, a script whose first line is no #! line, or damaged";
