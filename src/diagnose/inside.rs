//! The commands that PROGRAM was to run, where its arguments alone tell: `timeout 5 sh -c 'exec jq .'` has sh and jq.
//!
//! Nothing is guessed. An option that is not known here could take the next word with it, and what a shell would expand
//! can become anything: in both cases there is no name.

use super::not_started::SHELL_WORDS;
use super::programs;

/// A command by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// As it was given: a name to look for in PATH, or a path.
    pub name: &'a [u8],
    /// Whether it runs as another user than PROGRAM was started as, who may have other permissions.
    pub other_user: bool,
}

/// A program that executes the one that its arguments name.
struct Wrapper {
    name: &'static str,
    /// Options with a value: in the next word, behind a long one's `=`, or directly behind a short one.
    valued: &'static [&'static str],
    /// Other options.
    plain: &'static [&'static str],
    /// Words between the options and the command.
    operands: usize,
    other_user: bool,
}

// env(1), nice(1), nohup(1), stdbuf(1), timeout(1); setpriv(1), setsid(1); gosu, su-exec: the user. Options that change
// the environment or the directory are left out: the search would be another one.
const WRAPPERS: [Wrapper; 9] = [
    Wrapper { name: "env", valued: &[], plain: &[], operands: 0, other_user: false },
    Wrapper { name: "nice", valued: &["-n", "--adjustment"], plain: &[], operands: 0, other_user: false },
    Wrapper { name: "nohup", valued: &[], plain: &[], operands: 0, other_user: false },
    Wrapper { name: "setsid", valued: &[], plain: &["-c", "-w", "--ctty", "--wait"], operands: 0, other_user: false },
    Wrapper {
        name: "stdbuf",
        valued: &["-i", "-o", "-e", "--input", "--output", "--error"],
        plain: &[],
        operands: 0,
        other_user: false,
    },
    Wrapper {
        name: "timeout",
        valued: &["-k", "-s", "--kill-after", "--signal"],
        plain: &["--foreground", "--preserve-status", "-v", "--verbose"],
        operands: 1,
        other_user: false,
    },
    Wrapper {
        name: "setpriv",
        valued: &["--reuid", "--regid", "--groups", "--inh-caps", "--bounding-set", "--ambient-caps", "--pdeathsig"],
        plain: &["--clear-groups", "--init-groups", "--keep-groups", "--no-new-privs", "--nnp"],
        operands: 0,
        other_user: true,
    },
    Wrapper { name: "gosu", valued: &[], plain: &[], operands: 1, other_user: true },
    Wrapper { name: "su-exec", valued: &[], plain: &[], operands: 1, other_user: true },
];

/// What shells run themselves, besides [`SHELL_WORDS`], and what is a word of one shell's grammar.
const BUILTINS: [&[u8]; 49] = [
    b"[",
    b"bg",
    b"bind",
    b"builtin",
    b"caller",
    b"command",
    b"compgen",
    b"complete",
    b"compopt",
    b"coproc",
    b"dirs",
    b"disown",
    b"echo",
    b"elif",
    b"enable",
    b"exit",
    b"false",
    b"fc",
    b"fg",
    b"getopts",
    b"hash",
    b"help",
    b"history",
    b"in",
    b"jobs",
    b"kill",
    b"let",
    b"logout",
    b"mapfile",
    b"popd",
    b"print",
    b"printf",
    b"pushd",
    b"pwd",
    b"read",
    b"readarray",
    b"select",
    b"shopt",
    b"suspend",
    b"test",
    b"time",
    b"times",
    b"true",
    b"type",
    b"typeset",
    b"unalias",
    b"whence",
    b"autoload",
    b"chdir",
];

/// The commands behind `words`, PROGRAM and its arguments, from the outermost to the last that can be told.
#[must_use]
pub fn commands(words: &[Vec<u8>]) -> Vec<Command<'_>> {
    let mut words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let mut found = Vec::new();
    let mut other_user = false;
    // Each has fewer bytes than the one before.
    while let Some((inner, changes_user)) = inner(&words) {
        let Some(name) = inner.first() else { break };
        other_user |= changes_user;
        found.push(Command { name, other_user });
        words = inner;
    }
    found
}

/// The command that `words` leads to, and whether another user runs it.
fn inner<'a>(words: &[&'a [u8]]) -> Option<(Vec<&'a [u8]>, bool)> {
    let (mut program, mut arguments) = words.split_first()?;
    if programs::base(program) == b"busybox" {
        (program, arguments) = arguments.split_first()?;
    }
    let name = programs::base(program);
    if programs::is_shell(name) {
        return Some((simple_command(command_string(arguments)?)?, false));
    }
    let wrapper = WRAPPERS.iter().find(|wrapper| wrapper.name.as_bytes() == name)?;
    let command = wrapper.command(arguments)?;
    let command = if wrapper.name == "env" { behind_assignments(command)? } else { command };
    Some((command.to_vec(), wrapper.other_user))
}

impl Wrapper {
    fn command<'w, 'a>(&self, mut words: &'w [&'a [u8]]) -> Option<&'w [&'a [u8]]> {
        while let Some((word, rest)) = words.split_first().filter(|(word, _)| word.starts_with(b"-")) {
            let is_attached = |option: &&str| match word.strip_prefix(option.as_bytes()) {
                Some(value) if option.starts_with("--") => value.starts_with(b"="),
                Some(value) => !value.is_empty(),
                None => false,
            };
            words = rest;
            if *word == b"--" {
                break;
            } else if self.valued.iter().any(|option| option.as_bytes() == *word) {
                words = words.get(1..)?;
            } else if !(self.plain.iter().any(|option| option.as_bytes() == *word)
                || self.valued.iter().any(is_attached))
            {
                return None;
            }
        }
        words.get(self.operands..)
    }
}

/// What follows `NAME=value` words. `None` if one of them is PATH.
fn behind_assignments<'w, 'a>(mut words: &'w [&'a [u8]]) -> Option<&'w [&'a [u8]]> {
    while let Some((word, rest)) = words.split_first().filter(|(word, _)| word.contains(&b'=')) {
        if word.starts_with(b"PATH=") {
            return None;
        }
        words = rest;
    }
    Some(words)
}

/// The string of a shell's `-c`, by the shell's arguments.
fn command_string<'a>(words: &[&'a [u8]]) -> Option<&'a [u8]> {
    let mut words = words.iter();
    let mut is_command = false;
    loop {
        let word = words.next()?;
        let Some(letters) = word.strip_prefix(b"-") else {
            return Some(*word).filter(|word| is_command && !word.starts_with(b"+"));
        };
        if letters == b"-" {
            return words.next().copied().filter(|_| is_command);
        }
        if letters.is_empty() || !letters.iter().all(u8::is_ascii_alphabetic) {
            return None;
        }
        is_command |= letters.contains(&b'c');
        // -o takes the name of an option.
        for _ in letters.iter().filter(|letter| matches!(letter, b'o' | b'O')) {
            words.next()?;
        }
    }
}

/// The words of a command that no shell would read otherwise: no quotation, no expansion, no operator, no builtin but
/// `exec` before it.
fn simple_command(text: &[u8]) -> Option<Vec<&[u8]>> {
    let text = text.trim_ascii();
    let is_plain =
        |byte: &u8| matches!(byte, b' ' | b'\t') || byte.is_ascii_alphanumeric() || b"_-./:,+%@=".contains(byte);
    if !text.iter().all(is_plain) {
        return None;
    }
    let words: Vec<&[u8]> = text.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty()).collect();
    let words = behind_assignments(&words)?;
    let words = if words.first() == Some(&&b"exec"[..]) { words.get(1..)? } else { words };
    let name = words.first()?;
    let is_special = name.starts_with(b"-") || name.starts_with(b"%") || name.contains(&b'=');
    let is_own = SHELL_WORDS.contains(name) || BUILTINS.contains(name);
    (!is_special && !is_own).then(|| words.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<String> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let mark = |user: bool| if user { "*" } else { "" };
        let text = |command: Command<'_>| String::from_utf8(command.name.to_vec()).unwrap() + mark(command.other_user);
        commands(&words).into_iter().map(text).collect()
    }

    #[test]
    fn what_is_told_by_the_arguments() {
        for (words, expected) in [
            (&["sh", "-c", "jq . x.json"][..], &["jq"][..]),
            (&["/bin/bash", "-ec", " exec /app/run --port=80 \n"], &["/app/run"]),
            (&["bash", "-eo", "pipefail", "-c", "jq", "name", "argument"], &["jq"]),
            (&["dash", "-c", "--", "jq"], &["jq"]),
            (&["sh", "-c", "LANG=C A=b jq"], &["jq"]),
            (&["busybox", "sh", "-c", "jq"], &["jq"]),
            (&["busybox", "timeout", "5", "jq"], &["jq"]),
            (&["env", "jq"], &["jq"]),
            (&["env", "A=secret", "B=", "jq", "x"], &["jq"]),
            (&["/usr/bin/nice", "-n", "5", "jq"], &["jq"]),
            (&["nice", "-n5", "jq"], &["jq"]),
            (&["nice", "--adjustment=5", "--", "jq"], &["jq"]),
            (&["timeout", "-k", "1", "--signal=KILL", "--foreground", "5", "jq"], &["jq"]),
            (&["nohup", "timeout", "5", "sh", "-c", "exec env jq"], &["timeout", "sh", "env", "jq"]),
            (&["stdbuf", "-oL", "-e", "0", "jq"], &["jq"]),
            (&["setpriv", "--reuid=1000", "--regid", "1000", "--clear-groups", "jq"], &["jq*"]),
            (&["gosu", "app:app", "nice", "jq"], &["nice*", "jq*"]),
            (&["sh", "-c", "su-exec app sh -c jq"], &["su-exec", "sh*", "jq*"]),
            (&["env", "sh", "-c", "jq | cat"], &["sh"]),
            (&["timeout", "5", ""], &[""]),
        ] {
            assert_eq!(names(words), expected, "{words:?}");
        }
    }

    #[test]
    fn what_is_not_told_has_no_name() {
        for script in [
            "",
            " ",
            "jq; true",
            "jq\ntrue",
            "jq && true",
            "jq | cat",
            "jq & ",
            "(jq)",
            "{ jq",
            "$JQ",
            "`jq`",
            "\"jq\"",
            "'jq' x",
            "j\\q",
            "jq *",
            "jq ~",
            "jq #x",
            "jq >x",
            "! jq",
            "jq [x]",
            "jq?",
            "PATH=/x jq",
            "exec -a x jq",
            "cd /app",
            "exit 127",
            "command jq",
            "if",
            "time jq",
            "A=1",
            "exec",
            "a-b=c",
            "%1",
            "jq $x",
            "j\u{e9}",
            ". ./x",
            "source x",
            "eval jq",
            "echo",
            "test x",
            "exec cd",
        ] {
            assert_eq!(names(&["sh", "-c", script]), [""; 0], "{script:?}");
        }
        for words in [
            &[][..],
            &["sh"],
            &["sh", "-c"],
            &["sh", "jq"],
            &["sh", "-e", "jq"],
            &["sh", "-"],
            &["sh", "-c", "+e", "jq"],
            &["bash", "--rcfile", "x", "-c", "jq"],
            &["env"],
            &["env", "-i", "jq"],
            &["env", "-", "jq"],
            &["env", "-S", "jq x"],
            &["env", "-C", "/x", "jq"],
            &["env", "PATH=/x", "jq"],
            &["env", "A=secret"],
            &["nice", "-5", "jq"],
            &["nice", "-n"],
            &["timeout", "5"],
            &["timeout", "--unknown", "5", "jq"],
            &["timeout", "--kill-afterwards=5", "5", "jq"],
            &["setpriv", "--reset-env", "jq"],
            &["gosu", "app"],
            &["xargs", "jq"],
            &["jq", "sh", "-c", "x"],
            &["busybox"],
        ] {
            assert_eq!(names(words), [""; 0], "{words:?}");
        }
    }
}
