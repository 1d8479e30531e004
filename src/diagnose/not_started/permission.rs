//! EACCES and EPERM: somebody forbids it.

use super::{
    Candidate, Case, Certain, Confidence, Diagnosis, FileFacts, Inspection, Likely, Part, candidates, derived, failed,
    file_name, found, gave, inspection, is_alone, is_bare, parts, path_of, registry, shows_path, wording,
};
use crate::evidence::user::{CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, capability_names};
use crate::evidence::walk::{Permissions, Place, kind_name};
use Confidence::Possible;

/// The first file under the paths that were tried that execve(2) had to refuse, or what it needs.
fn refused<'a>(case: &Case<'a>) -> Option<Part<'a>> {
    gave(case, libc::EACCES)?;
    found(case).find_map(|(candidate, _)| {
        parts(candidate).find(|part| match &part.target.file {
            Ok(facts) => !facts.is_regular() || facts.noexec == Some(true) || denied(case, facts).is_some(),
            Err(obstacle) => obstacle.errno == libc::EACCES,
        })
    })
}

/// Whether this user may not execute the file, and how sure that is. Certain if nobody may, or if the mode denies it and
/// neither a capability nor an access list can say otherwise.
fn denied(case: &Case<'_>, facts: &FileFacts) -> Option<Confidence> {
    let user = &inspection(case)?.user;
    let Permissions { mode, uid, gid } = facts.permissions;
    if mode & 0o111 == 0 {
        return Some(Certain);
    }
    let by_mode = user.is_denied_by_mode(mode, uid, gid);
    let overridden = user.lacks(&[CAP_DAC_OVERRIDE]) != Some(true);
    match (by_mode, facts.access) {
        (Some(true), Some(false) | None) if !overridden && !facts.has_acl => Some(Certain),
        (_, Some(false)) => Some(if overridden && by_mode != Some(true) { Possible } else { Likely }),
        (Some(true), None) => Some(if overridden && user.uid == 0 { Possible } else { Likely }),
        _ => None,
    }
}

/// A confidence that other paths leave, which may have given the error as well.
fn unless_others(case: &Case<'_>, candidate: &Candidate, confidence: Confidence) -> Confidence {
    if confidence == Certain && !is_alone(case, candidate) { Likely } else { confidence }
}

fn runs_as(inspection: &Inspection) -> String {
    format!("rinit runs as uid {} gid {}", inspection.user.uid, inspection.user.gid)
}

/// `the mount is not noexec`, or that it is.
fn mount_fact(facts: &FileFacts) -> Option<&'static str> {
    Some(if facts.noexec? { "its mount is noexec too" } else { "its mount is not noexec" })
}

fn mount_point(facts: &FileFacts) -> String {
    match &facts.mount {
        Some(mount) => {
            let kind = mount.file_system.as_deref().map(|kind| format!(" ({})", wording::name(kind)));
            format!("the mount at {}{}", wording::name(&mount.mount_point), kind.unwrap_or_default())
        }
        None => "its mount".to_owned(),
    }
}

/// EACCES, and what is there is a directory. Certain if nothing else was found that could have been refused.
pub(in super::super) fn is_a_directory(case: &Case<'_>) -> Option<Diagnosis> {
    let part = refused(case).filter(|part| part.role.is_none())?;
    let facts = part.target.file.as_ref().ok().filter(|facts| facts.is_directory())?;
    let confidence = unless_others(case, part.candidate, Certain);
    Some(
        failed(case, &registry::IS_A_DIRECTORY, confidence, &format!("{}it is a directory", confidence.hedge()))
            .evidence(format!("{} is a directory ({})", path_of(case, part.candidate), facts.permissions)),
    )
}

/// EACCES, and the file is on a noexec mount. Certain by the flag alone: the kernel executes nothing from there.
pub(in super::super) fn noexec_mount(case: &Case<'_>) -> Option<Diagnosis> {
    let part = refused(case).filter(|part| part.role.is_none())?;
    let facts = part.target.file.as_ref().ok().filter(|facts| facts.is_regular() && facts.noexec == Some(true))?;
    let confidence = unless_others(case, part.candidate, Certain);
    let what = format!("permission denied, {}it is on a noexec mount", confidence.hedge());
    let shown = path_of(case, part.candidate);
    let mount = if shows_path(case) { mount_point(facts) } else { "its mount".to_owned() };
    let mut diagnosis = failed(case, &registry::NOEXEC_MOUNT, confidence, &what)
        .evidence(format!("{mount} is noexec (statvfs)"))
        .evidence(format!("{shown} is {}", facts.permissions));
    if denied(case, facts) == Some(Certain) {
        diagnosis = diagnosis.evidence("it would have to be made executable as well");
    }
    Some(diagnosis)
}

/// EACCES, and the file is none that may be executed: no regular file, or see [`denied`].
pub(in super::super) fn not_executable(case: &Case<'_>) -> Option<Diagnosis> {
    let part = refused(case).filter(|part| part.role.is_none())?;
    let facts = part.target.file.as_ref().ok()?;
    let shown = path_of(case, part.candidate);
    if !facts.is_regular() {
        let confidence = unless_others(case, part.candidate, Certain);
        return Some(
            failed(case, &registry::NOT_EXECUTABLE, confidence, "permission denied, it is not a regular file")
                .evidence(format!("{shown} is {} ({})", kind_name(facts.permissions.mode), facts.permissions))
                .next("give the path of a program"),
        );
    }
    let confidence = unless_others(case, part.candidate, denied(case, facts)?);
    let what = match confidence {
        _ if facts.permissions.mode & 0o111 == 0 && confidence == Certain => "permission denied, it is not executable",
        Certain => "permission denied, it is not executable for this user",
        Possible => "permission denied, one possibility is that it is not executable for this user",
        _ => "permission denied, most likely it is not executable for this user",
    };
    let mut diagnosis = failed(case, &registry::NOT_EXECUTABLE, confidence, what)
        .evidence(format!("{shown} is {}", facts.permissions))
        .evidence(inspection(case).map(runs_as)?);
    if let Some(mount) = mount_fact(facts) {
        diagnosis = diagnosis.evidence(mount);
    }
    if facts.has_acl {
        diagnosis = diagnosis.evidence("it has an access control list (getfacl)");
    }
    if confidence != Certain {
        diagnosis = diagnosis.not_known(if is_alone(case, part.candidate) {
            "whether capabilities, an access control list or a security module decided"
        } else {
            "which of the paths that were tried was meant"
        });
    }
    let file = file_name(case);
    Some(if facts.permissions.mode & 0o111 == 0 {
        diagnosis.next(registry::NOT_EXECUTABLE.next.replacen("FILE", &file, 1))
    } else {
        diagnosis.next("give that user the x permission (COPY --chmod=0755 or --chown in the Dockerfile), or run as a user who has it (USER, runAsUser, fsGroup for volumes)")
    })
}

/// EACCES, and a directory on the way to the file may not be searched. Certain if its mode says so and nothing can say
/// otherwise. For a name that was sought in PATH the program may not even be in that directory: possible.
pub(in super::super) fn path_not_traversable(case: &Case<'_>) -> Option<Diagnosis> {
    gave(case, libc::EACCES)?;
    if found(case).next().is_some() {
        return None;
    }
    let inspection = inspection(case)?;
    let (candidate, obstacle) = candidates(case).iter().find_map(|candidate| {
        Some((candidate, candidate.target.file.as_ref().err().filter(|obstacle| obstacle.errno == libc::EACCES)?))
    })?;
    let user = &inspection.user;
    let closed = match &obstacle.place {
        Some(Place::Closed(directory, Some(permissions))) => Some((directory, permissions)),
        _ => None,
    };
    let proven = closed.is_some_and(|(_, permissions)| {
        user.is_denied_by_mode(permissions.mode, permissions.uid, permissions.gid) == Some(true)
            && user.lacks(&[CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH]) == Some(true)
            // The group bits are the mask where there is an access list, and that was not looked at.
            && permissions.mode & 0o010 == 0
    });
    let confidence = match (is_bare(case), proven) {
        (true, _) => Possible,
        (false, true) => Certain,
        (false, false) => Likely,
    };
    let what = format!("permission denied, {}a directory on the way to it may not be searched", confidence.hedge());
    let mut diagnosis = failed(case, &registry::PATH_NOT_TRAVERSABLE, confidence, &what);
    diagnosis = match closed {
        Some((directory, permissions)) => {
            diagnosis.evidence(format!("{} is {}", derived(case, directory), permissions))
        }
        None => diagnosis.evidence(format!("stat of {} gave EACCES", path_of(case, candidate))),
    };
    diagnosis = diagnosis.evidence(runs_as(inspection));
    Some(if is_bare(case) { diagnosis.not_known("whether the program is in that directory") } else { diagnosis })
}

/// EACCES, and what the file needs may not be executed. Certain as for the file itself.
pub(in super::super) fn interpreter_not_executable(case: &Case<'_>) -> Option<Diagnosis> {
    let part = refused(case).filter(|part| part.role.is_some())?;
    let subject = part.subject();
    let (certainty, what, fact) = match &part.target.file {
        Ok(facts) if facts.is_regular() && facts.noexec == Some(true) => {
            (Certain, "is on a noexec mount", format!("{} is noexec (statvfs)", mount_point(facts)))
        }
        Ok(facts) if facts.is_regular() => {
            let confidence = denied(case, facts)?;
            let path = wording::name(&part.target.path);
            (confidence, "is not executable for this user", format!("{path} is {}", facts.permissions))
        }
        Ok(facts) => {
            let kind = kind_name(facts.permissions.mode);
            (Certain, "is not a regular file", format!("{} is {kind}", wording::name(&part.target.path)))
        }
        Err(_) => (Likely, "cannot be reached", format!("stat of {} gave EACCES", wording::name(&part.target.path))),
    };
    let confidence = unless_others(case, part.candidate, certainty);
    let hedge = confidence.hedge();
    let (_, facts) = found(case).next()?;
    Some(
        failed(
            case,
            &registry::INTERPRETER_NOT_EXECUTABLE,
            confidence,
            &format!("permission denied, {hedge}{subject} {what}"),
        )
        .evidence(fact)
        .evidence(format!("{} itself is {}", path_of(case, part.candidate), facts.permissions))
        .evidence(inspection(case).map(runs_as)?),
    )
}

/// EACCES, and everything that was looked at allows it. Nothing else of this kind can be seen from inside: possible.
pub(in super::super) fn denied_by_security_module(case: &Case<'_>) -> Option<Diagnosis> {
    gave(case, libc::EACCES)?;
    let inspection = inspection(case)?;
    let (candidate, facts) = found(case).next()?;
    let mut diagnosis = failed(
        case,
        &registry::DENIED_BY_SECURITY_MODULE,
        Possible,
        "permission denied although its mode allows it, one possibility is that a security module forbids it",
    )
    .evidence(format!("{} is {}", path_of(case, candidate), facts.permissions))
    .evidence(runs_as(inspection));
    if facts.access == Some(true) && facts.noexec == Some(false) {
        diagnosis = diagnosis.evidence("access(2) grants its execution, its mount is not noexec");
    }
    if let Some(label) = &inspection.security_label {
        diagnosis = diagnosis.evidence(format!("security label: {}", wording::name(label)));
    }
    let unread = facts.content.is_none();
    let not_known = if unread {
        "which interpreter it needs, and whether that may be executed: the file may not be read"
    } else {
        "whether SELinux, AppArmor, a seccomp profile or the file system's server denied it: only the host's audit log says"
    };
    Some(diagnosis.not_known(not_known))
}

/// EPERM, and the file that would have run gives capabilities that this container may not have. Certain if they count in
/// this user namespace and the bounding set lacks one: then the kernel has to refuse (security/commoncap.c,
/// `bprm_caps_from_vfs_caps`).
pub(in super::super) fn capabilities_not_granted(case: &Case<'_>) -> Option<Diagnosis> {
    let given = gave(case, libc::EPERM)?;
    let bounding = inspection(case)?.user.bounding?;
    let (part, missing, confidence) = found(case).find_map(|(candidate, _)| {
        // The last one but the loader is what the process becomes.
        let part = parts(candidate).rfind(|part| part.role != Some(super::Role::Loader))?;
        let facts = part.target.file.as_ref().ok().filter(|facts| facts.nosuid != Some(true))?;
        let capabilities = facts.capabilities.filter(|capabilities| capabilities.effective)?;
        let missing = capabilities.permitted & !bounding;
        let counts = !capabilities.namespaced && facts.nosuid == Some(false);
        (missing != 0).then_some((part, missing, if counts { Certain } else { Likely }))
    })?;
    let confidence = unless_others(case, part.candidate, confidence);
    let names = capability_names(missing);
    let what =
        format!("{}{} has file capabilities that this container may not grant", confidence.hedge(), part.subject());
    Some(
        failed(case, &registry::CAPABILITIES_NOT_GRANTED, confidence, &what)
            .evidence(given)
            .evidence(format!(
                "{} asks for {names}, which the bounding set (CapBnd {bounding:016x}) lacks",
                part.path(case)
            ))
            .next(registry::CAPABILITIES_NOT_GRANTED.next.replacen("the capability", &names, 1)),
    )
}
