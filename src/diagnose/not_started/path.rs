//! The program's path leads to no file.

use super::{
    Case, Cause, Certain, Diagnosis, Likely, NOTHING_RUN, Part, candidates, derived, failed, found, gave, parts,
    path_of, registry, shows_path, wording,
};
use crate::evidence::mountinfo::Mount;
use crate::evidence::walk::{Directory, Obstacle, Place};

/// ENOENT, and a mount stands where the path ends, which is empty. What the image has below it, if anything, cannot be seen:
/// likely.
pub(in super::super) fn volume_hides_file(case: &Case<'_>) -> Option<Diagnosis> {
    let (obstacle, missing, directory) = missing(case)?;
    let mount =
        directory.mount_over().filter(|mount| mount.mount_point == directory.path && obstacle.link.is_none())?;
    let emptiness = match directory.entries? {
        0 => "is empty",
        1 if directory.lost_and_found => "has nothing in it but lost+found",
        _ => return None,
    };
    let what = "no such file, most likely because an empty volume is mounted over its directory";
    let point = derived(case, &mount.mount_point);
    Some(
        failed(case, &registry::VOLUME_HIDES_FILE, Likely, what)
            .evidence(format!("{point} is a mount ({}) and {emptiness}", file_system(mount)))
            .evidence(does_not_exist(case, missing))
            .not_known("whether the image has the file below the mount")
            .next(format!(
                "{}. To see the image without it: docker run --rm --entrypoint ls IMAGE -l {point}",
                registry::VOLUME_HIDES_FILE.next
            )),
    )
}

/// ENOENT, and the path is a symbolic link whose target does not exist. Certain: both were looked at.
pub(in super::super) fn dangling_symlink(case: &Case<'_>) -> Option<Diagnosis> {
    let (obstacle, missing, _) = missing(case)?;
    let (link, target) = obstacle.link.as_ref()?;
    let diagnosis = failed(case, &registry::DANGLING_SYMLINK, Certain, "it is a symbolic link to nothing");
    let diagnosis = if shows_path(case) {
        diagnosis
            .evidence(format!("{} is a link to {}", wording::name(link), wording::name(target)))
            .evidence(does_not_exist(case, missing))
    } else {
        diagnosis.evidence("a symbolic link on its path has a target that does not exist")
    };
    Some(diagnosis)
}

/// ENOENT for a path. Certain only if the path was looked at, and a component of it was seen to be absent.
pub(in super::super) fn path_missing(case: &Case<'_>) -> Option<Diagnosis> {
    let given = gave(case, libc::ENOENT)?;
    if found(case).next().is_some() {
        return None;
    }
    let Some((_, missing, directory)) = missing(case) else {
        return Some(
            failed(case, &registry::PATH_MISSING, Likely, "no such file, or no such interpreter")
                .evidence(given)
                .not_known("whether the file or the interpreter that it names is missing"),
        );
    };
    let mut diagnosis = failed(case, &registry::PATH_MISSING, Certain, "no such file");
    if !shows_path(case) {
        return Some(diagnosis.evidence("nothing exists at that path").evidence(NOTHING_RUN));
    }
    let parent = wording::name(&directory.path);
    diagnosis = diagnosis.evidence(does_not_exist(case, missing));
    let near = directory.near.iter().map(|name| wording::name(name));
    diagnosis = match directory.entries {
        Some(0) => diagnosis.evidence(format!("{parent} exists and is empty")),
        Some(count) => {
            let count = wording::count(count, "entry", "entries");
            let among =
                if directory.near.is_empty() { String::new() } else { format!(", {} among them", wording::list(near)) };
            diagnosis.evidence(format!("{parent} exists and has {count}{among}"))
        }
        None => diagnosis.evidence(format!("{parent} exists")),
    };
    diagnosis = match (&directory.mount, directory.mount_over()) {
        (_, Some(mount)) => {
            let point = wording::name(&mount.mount_point);
            diagnosis
                .evidence(format!("{point} is a mount ({}), what the image has there is hidden", file_system(mount)))
        }
        (Some(_), None) => diagnosis.evidence("no volume is mounted over it"),
        (None, None) => diagnosis,
    };
    let guess = match directory.near.first() {
        // A near name of a directory on the way does not make the path.
        Some(near) if missing == first_path(case) => {
            let slash = if directory.path.ends_with(b"/") { "" } else { "/" };
            format!(" (did you mean {}{slash}{}?)", wording::name(&directory.path), wording::name(near))
        }
        _ => String::new(),
    };
    let advice = registry::PATH_MISSING.next.replacen(',', &(guess + ","), 1);
    let look = format!("{advice}. To look: docker run --rm --entrypoint ls IMAGE -l {parent}");
    Some(diagnosis.evidence(NOTHING_RUN).next(look))
}

/// The path that was tried first.
fn first_path<'a>(case: &Case<'a>) -> &'a [u8] {
    candidates(case).first().map_or(&[], |candidate| &candidate.target.path)
}

/// What keeps the program's own path from leading anywhere, after ENOENT for a path: what is missing, and from which
/// directory.
fn missing<'a>(case: &Case<'a>) -> Option<(&'a Obstacle, &'a [u8], &'a Directory)> {
    gave(case, libc::ENOENT)?;
    let obstacles = || candidates(case).iter().filter_map(|candidate| candidate.target.file.as_ref().err());
    let obstacle = obstacles().find(|obstacle| obstacle.link.is_some()).or_else(|| obstacles().next())?;
    match &obstacle.place {
        Some(Place::Missing(missing, directory)) if found(case).next().is_none() => {
            Some((obstacle, missing, directory))
        }
        _ => None,
    }
}

fn does_not_exist(case: &Case<'_>, missing: &[u8]) -> String {
    format!("{} does not exist", derived(case, missing))
}

fn file_system(mount: &Mount) -> String {
    mount.file_system.as_deref().map_or_else(|| "of unknown type".to_owned(), wording::name)
}

/// ENOTDIR. Certain if the path was seen to lead through a file.
pub(in super::super) fn not_a_directory(case: &Case<'_>) -> Option<Diagnosis> {
    let (diagnosis, part) = path_error(
        case,
        libc::ENOTDIR,
        &registry::NOT_A_DIRECTORY,
        [
            "a part of its path is a file and not a directory",
            "a part of its interpreter's path is a file and not a directory",
        ],
    )?;
    let place = part.and_then(|part| Some((part, part.target.file.as_ref().err()?.place.as_ref()?)));
    let diagnosis = match place {
        Some((part, Place::File(file))) => {
            let file = if part.role.is_none() { derived(case, file) } else { wording::name(file) };
            diagnosis.evidence(format!("{file} is no directory"))
        }
        _ => diagnosis,
    };
    Some(diagnosis)
}

/// ELOOP. Certain if stat(2) of the path gave it too, or if scripts were seen to name each other as interpreters more
/// often than the kernel follows.
pub(in super::super) fn symlink_loop(case: &Case<'_>) -> Option<Diagnosis> {
    /// `exec_binprm` of fs/exec.c.
    const MOST_SCRIPTS: usize = 5;
    let given = gave(case, libc::ELOOP)?;
    if let Some((candidate, _)) = found(case).find(|(candidate, _)| candidate.needs.len() > MOST_SCRIPTS) {
        return Some(
            failed(
                case,
                &registry::SYMLINK_LOOP,
                Certain,
                "its interpreter is a script, whose interpreter is a script, and so on",
            )
            .evidence(given)
            .evidence(format!(
                "{} leads through more than {MOST_SCRIPTS} scripts, which is where the kernel stops",
                path_of(case, candidate)
            ))
            .next("name a binary in the first line of the script, not a script that names a script"),
        );
    }
    let (diagnosis, part) = path_error(
        case,
        libc::ELOOP,
        &registry::SYMLINK_LOOP,
        [
            "its path leads through too many symbolic links",
            "its interpreter's path leads through too many symbolic links",
        ],
    )?;
    let link = part.and_then(|part| Some((part, part.target.file.as_ref().err()?.link.as_ref()?)));
    let diagnosis = match link {
        Some((part, (link, target))) if part.role.is_some() || shows_path(case) => {
            diagnosis.evidence(format!("{} is a link to {}", wording::name(link), wording::name(target)))
        }
        _ => diagnosis,
    };
    Some(diagnosis)
}

/// ENAMETOOLONG. Certain if stat(2) of the path gave it too.
pub(in super::super) fn name_too_long(case: &Case<'_>) -> Option<Diagnosis> {
    let (diagnosis, _) = path_error(
        case,
        libc::ENAMETOOLONG,
        &registry::NAME_TOO_LONG,
        ["its path is too long", "its interpreter's path is too long"],
    )?;
    let diagnosis = diagnosis.evidence(format!("the name is {} bytes long", case.evidence.command.program.len()));
    Some(diagnosis)
}

/// Rules for an errno that stat(2) of one of the paths confirms: the program's own, or what it needs.
fn path_error<'a>(
    case: &Case<'a>,
    errno: i32,
    cause: &'static Cause,
    [own, interpreters]: [&str; 2],
) -> Option<(Diagnosis, Option<Part<'a>>)> {
    let given = gave(case, errno)?;
    let mut all = candidates(case).iter().flat_map(parts);
    let part = all.find(|part| matches!(&part.target.file, Err(obstacle) if obstacle.errno == errno));
    let what = if part.is_some_and(|part| part.role.is_some()) { interpreters } else { own };
    let confidence = if part.is_some() { Certain } else { Likely };
    let diagnosis = failed(case, cause, confidence, &format!("{}{what}", confidence.hedge())).evidence(given);
    let diagnosis = match part {
        Some(part) => diagnosis.evidence(format!("so did stat of {}", part.path(case))),
        None => diagnosis.not_known("whether the program's path or its interpreter's is meant"),
    };
    Some((diagnosis, part))
}
