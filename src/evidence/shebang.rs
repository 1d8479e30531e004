//! The first line of a script, read as the kernel reads it (fs/binfmt_script.c, `load_script`).

#![forbid(unsafe_code)]

/// The kernel looks at this many bytes (include/uapi/linux/binfmts.h, `BINPRM_BUF_SIZE`; 128 before Linux 5.1).
pub(super) const LOOKED_AT: usize = 256;

/// `#!INTERPRETER [ARGUMENT]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shebang {
    /// The path that the kernel opens: with a carriage return at its end, if one stands there.
    pub interpreter: Vec<u8>,
    /// The rest of the line, which is one argument whatever blanks are in it.
    pub argument: Option<Vec<u8>>,
}

/// A line that begins with `#!` and names nothing that the kernel would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Nothing but blanks after `#!`.
    Nameless,
    /// The name does not end where the kernel stops to look.
    TooLong,
}

impl Shebang {
    /// Reads the beginning of a file: at least its first 256 bytes, or all of it. `None` if it is no script.
    #[must_use]
    pub fn parse(start: &[u8]) -> Option<Result<Self, Unusable>> {
        let seen = start.get(..LOOKED_AT).unwrap_or(start);
        let rest = seen.strip_prefix(b"#!")?;
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // A file that ends earlier is followed by NULs in the kernel's buffer.
        let cut = line.len() == rest.len() && start.len() >= LOOKED_AT;
        let line = trim(line);
        // A NUL ends the name as a blank does, but no argument follows it.
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t' | 0));
        let (interpreter, after) = line.split_at(end.unwrap_or(line.len()));
        Some(if interpreter.is_empty() {
            Err(Unusable::Nameless)
        } else if cut && end.is_none() && rest.last() == line.last() {
            Err(Unusable::TooLong)
        } else {
            let argument = if after.first() == Some(&0) { &[] } else { trim(after) };
            let argument = argument.split(|byte| *byte == 0).next().unwrap_or_default();
            let argument = (!argument.is_empty()).then(|| argument.to_vec());
            Ok(Self { interpreter: interpreter.to_vec(), argument })
        })
    }

    /// The interpreter without the carriage return that a Windows line end leaves behind it, if there is one.
    #[must_use]
    pub fn without_carriage_return(&self) -> Option<&[u8]> {
        self.interpreter.strip_suffix(b"\r")
    }

    /// The program that env(1) is told to look for, `-S` and assignments left out: `python3` of
    /// `#!/usr/bin/env python3`. A carriage return is kept.
    #[must_use]
    pub fn env_program(&self) -> Option<&[u8]> {
        if self.interpreter.rsplit(|byte| *byte == b'/').next() != Some(b"env") {
            return None;
        }
        let words = self.argument.as_deref()?.split(|byte| matches!(byte, b' ' | b'\t'));
        words.filter(|word| !word.is_empty()).find(|word| !word.starts_with(b"-") && !word.contains(&b'='))
    }
}

/// Without the blanks that the kernel takes for blanks.
fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(start: &[u8]) -> (String, Option<String>) {
        let Shebang { interpreter, argument } = Shebang::parse(start).unwrap().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(interpreter), argument.map(text))
    }

    #[test]
    fn lines_are_read_as_the_kernel_reads_them() {
        for (start, interpreter, argument) in [
            ("#!/bin/sh\n", "/bin/sh", None),
            ("#!/bin/sh", "/bin/sh", None),
            ("#! \t /bin/sh \t \nmore", "/bin/sh", None),
            ("#!/bin/sh -e\n", "/bin/sh", Some("-e")),
            ("#!/usr/bin/env  -S python3 -u \n", "/usr/bin/env", Some("-S python3 -u")),
            ("#!/bin/sh\r\n", "/bin/sh\r", None),
            ("#!/bin/sh -e\r\n", "/bin/sh", Some("-e\r")),
            ("#!bin/sh\n", "bin/sh", None),
            ("#!/bin/sh\0-e\n", "/bin/sh", None),
            ("#!/bin/sh a\0b\n", "/bin/sh", Some("a")),
        ] {
            assert_eq!(parsed(start.as_bytes()), (interpreter.to_owned(), argument.map(str::to_owned)), "{start:?}");
        }
    }

    #[test]
    fn what_names_nothing() {
        for start in [&b""[..], b"#", b"x#!/bin/sh", b" #!/bin/sh", b"\xef\xbb\xbf#!/bin/sh"] {
            assert_eq!(Shebang::parse(start), None, "{start:?}");
        }
        for start in [&b"#!"[..], b"#!\n", b"#! \t \n/bin/sh", b"#!\0\n", &[b"#!".as_slice(), &[b' '; 300]].concat()] {
            assert_eq!(Shebang::parse(start), Some(Err(Unusable::Nameless)), "{start:?}");
        }
    }

    #[test]
    fn the_kernel_stops_after_256_bytes() {
        let line = |length: usize| [b"#!/".as_slice(), &vec![b'x'; length - 3]].concat();
        let with = |length: usize, end: &[u8]| Shebang::parse(&[&line(length), end].concat()).unwrap();
        assert_eq!(with(255, b"\n").unwrap().interpreter.len(), 253);
        assert_eq!(with(255, b" -e\n").unwrap().interpreter.len(), 253);
        assert_eq!(with(256, b"\n"), Err(Unusable::TooLong));
        assert_eq!(with(4000, b" -e\n"), Err(Unusable::TooLong));
        // A whole file of less: the end of the file ends the name.
        assert_eq!(with(200, b"").unwrap().interpreter.len(), 198);
        // An argument may be cut.
        let long = [b"#!/bin/sh ".as_slice(), &[b'y'; 1000]].concat();
        assert_eq!(Shebang::parse(&long).unwrap().unwrap().argument.unwrap().len(), 246);
    }

    #[test]
    fn carriage_returns_and_env() {
        let of = |start: &[u8]| Shebang::parse(start).unwrap().unwrap();
        assert_eq!(of(b"#!/bin/sh\r\n").without_carriage_return(), Some(&b"/bin/sh"[..]));
        assert_eq!(of(b"#!/bin/sh\n").without_carriage_return(), None);
        assert_eq!(of(b"#!/usr/bin/env python3\r\n").env_program(), Some(&b"python3\r"[..]));
        assert_eq!(of(b"#!/usr/bin/env -S A=1 node --x\n").env_program(), Some(&b"node"[..]));
        for none in [&b"#!/usr/bin/env\n"[..], b"#!/bin/sh -e\n", b"#!/usr/bin/env -S\n", b"#!/environment x\n"] {
            assert_eq!(of(none).env_program(), None);
        }
    }
}
