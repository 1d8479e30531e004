//! argv and the environment as the kernel left them on the stack: PROGRAM gets the same bytes, nothing is copied.

use std::ffi::{CStr, OsString, c_char, c_int};
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// A null-terminated array of strings, as execve(2) takes it. Only this module makes them.
#[derive(Debug, Clone, Copy)]
pub struct StringArray<'a>(*const *const c_char, PhantomData<&'a c_char>);

impl StringArray<'_> {
    /// The array itself.
    #[must_use]
    pub fn as_ptr(&self) -> *const *const c_char {
        self.0
    }
}

/// main's own arguments. (`std::env::args_os` is empty on musl when std has not started the program.)
#[derive(Debug, Clone, Copy)]
pub struct Arguments {
    argv: *const *const c_char,
    count: usize,
}

impl Arguments {
    /// Takes main's parameters.
    ///
    /// # Safety
    /// `argv` must be main's argv: `argc` pointers to strings that live as long as the process, then a null pointer.
    #[must_use]
    pub unsafe fn new(argc: c_int, argv: *const *const c_char) -> Self {
        Self { argv, count: usize::try_from(argc).unwrap_or(0) }
    }

    /// Argument `index`, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&'static CStr> {
        if index >= self.count {
            return None;
        }
        // SAFETY: index < argc, so the pointer is one of main's, which live as long as the process (`new`).
        Some(unsafe { CStr::from_ptr(*self.argv.add(index)) })
    }

    /// The arguments from `first` on.
    pub fn from(&self, first: usize) -> impl Iterator<Item = &'static CStr> + use<> {
        let this = *self;
        (first..self.count).filter_map(move |index| this.get(index))
    }

    /// Copies of all of them, for the parser of the command line.
    pub fn to_os_strings(&self) -> impl Iterator<Item = OsString> + use<> {
        self.from(0).map(|arg| std::ffi::OsStr::from_bytes(arg.to_bytes()).to_owned())
    }

    /// Exchanges argument `index` with the one behind it.
    pub fn swap_with_next(&mut self, index: usize) {
        if index + 1 < self.count {
            let argv = self.argv.cast_mut();
            // SAFETY: both are among main's pointers, and its argv may be changed (C11, 5.1.2.2.1); rinit has one thread.
            unsafe { std::ptr::swap(argv.add(index), argv.add(index + 1)) };
        }
    }

    /// The null-terminated array that starts at `index`, as execve(2) takes it.
    #[must_use]
    pub fn as_argv(&self, index: usize) -> StringArray<'static> {
        // SAFETY: argv has argc pointers and a null; an index past the end gives the null: an empty argv.
        StringArray(unsafe { self.argv.add(index.min(self.count)) }, PhantomData)
    }
}

unsafe extern "C" {
    // environ(7)
    static environ: *const *const c_char;
}

/// What PROGRAM's environment will be: rinit's own, but for `LISTEN_PID`.
#[derive(Debug)]
pub struct Environment {
    /// The copied array, if an entry has to be replaced; its last element is null.
    replaced: Option<(Vec<*const c_char>, ListenPid)>,
}

/// `LISTEN_PID=` and room for ten digits and a NUL, in the place of the inherited entry.
#[derive(Debug)]
struct ListenPid {
    index: usize,
    entry: [u8; LISTEN_PID.len() + 11],
}

/// sd_listen_fds(3): descriptors are meant for the process whose pid this variable holds.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

impl Environment {
    /// The inherited environment. Where `LISTEN_PID` names rinit, it will name PROGRAM instead.
    #[must_use]
    pub fn inherited() -> Self {
        // SAFETY: a null-terminated array of strings that nobody changes: rinit has one thread and never calls setenv.
        unsafe { Self::of(environ) }
    }

    /// # Safety
    /// `strings` must be null, or a null-terminated array of strings; both live and stay as they are as long as this.
    unsafe fn of(strings: *const *const c_char) -> Self {
        let mut names_rinit = None;
        let mut count = 0;
        // SAFETY: the caller's promise; `count` goes no further than the null.
        let at = |count: usize| unsafe { strings.add(count).as_ref().copied() }.filter(|entry| !entry.is_null());
        while let Some(entry) = at(count) {
            // SAFETY: as above, each entry is a string.
            let value = unsafe { CStr::from_ptr(entry) }.to_bytes().strip_prefix(LISTEN_PID);
            if value.is_some_and(|pid| pid == std::process::id().to_string().as_bytes()) {
                names_rinit = Some(count);
            }
            count += 1;
        }
        let Some(index) = names_rinit else { return Self { replaced: None } };
        let mut entry = [0; LISTEN_PID.len() + 11];
        for (to, from) in entry.iter_mut().zip(LISTEN_PID) {
            *to = *from;
        }
        // SAFETY: count entries were just read from there.
        let mut array = unsafe { std::slice::from_raw_parts(strings, count) }.to_vec();
        array.push(ptr::null());
        Self { replaced: Some((array, ListenPid { index, entry })) }
    }

    /// The array for execve(2), in the process that will be PROGRAM. Allocates nothing: that is the forked child.
    pub fn for_program(&mut self) -> StringArray<'_> {
        let Some((array, listen_pid)) = &mut self.replaced else {
            // SAFETY: reading a pointer that libc set before main.
            return StringArray(unsafe { environ }, PhantomData);
        };
        let mut rest = std::process::id();
        let length = rest.checked_ilog10().unwrap_or(0) as usize + 1;
        for digit in listen_pid.entry.iter_mut().skip(LISTEN_PID.len()).take(length).rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        // Only now: a pointer to it does not outlive that it is moved or written to.
        if let Some(slot) = array.get_mut(listen_pid.index) {
            *slot = listen_pid.entry.as_ptr().cast();
        }
        StringArray(array.as_ptr(), PhantomData)
    }
}

/// Defines C's `main`, which calls `run(Arguments) -> u8` and exits with what it returns.
///
/// std's own start is left out on purpose: it ignores SIGPIPE, handles SIGSEGV and opens closed stdio, and PROGRAM
/// would inherit the first and the last.
#[macro_export]
macro_rules! entry_point {
    ($run:path) => {
        #[unsafe(no_mangle)]
        extern "C" fn main(argc: ::std::ffi::c_int, argv: *const *const ::std::ffi::c_char) -> ::std::ffi::c_int {
            // SAFETY: these are main's parameters.
            let arguments = unsafe { $crate::sys::entry::Arguments::new(argc, argv) };
            $crate::sys::process::exit($run(arguments))
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A null-terminated array of these.
    fn array(strings: &[&'static CStr]) -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    }

    fn read(array: &StringArray<'_>) -> Vec<String> {
        // SAFETY: what is read is null-terminated (`array`).
        let at = |index| unsafe { array.as_ptr().add(index).read() };
        // SAFETY: as above.
        let strings =
            (0..).map(at).take_while(|string| !string.is_null()).map(|string| unsafe { CStr::from_ptr(string) });
        strings.map(|string| string.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn arguments_are_those_of_main() {
        let mut argv = array(&[c"rinit", c"--", c"sh", c"-c"]);
        // SAFETY: four strings and a null.
        let mut arguments = unsafe { Arguments::new(4, argv.as_mut_ptr()) };
        assert_eq!((arguments.get(3), arguments.get(4), arguments.from(9).count()), (Some(c"-c"), None, 0));
        arguments.swap_with_next(1);
        arguments.swap_with_next(3);
        assert_eq!(arguments.to_os_strings().collect::<Vec<_>>(), ["rinit", "sh", "--", "-c"]);
        assert_eq!(read(&arguments.as_argv(2)), ["--", "-c"]);
        assert!(read(&arguments.as_argv(4)).is_empty() && read(&arguments.as_argv(9)).is_empty());
        // SAFETY: no string is promised. (execve(2) lets argv be empty before Linux 5.18.)
        let none = unsafe { Arguments::new(0, array(&[]).as_ptr()) };
        assert_eq!((none.get(0), none.to_os_strings().count()), (None, 0));
    }

    #[test]
    fn listen_pid_names_program_where_it_named_rinit() {
        let own = std::process::id().to_string();
        let named: &'static CStr =
            Box::leak(std::ffi::CString::new(format!("LISTEN_PID={own}")).unwrap().into_boxed_c_str());
        let inherited = array(&[c"A=1", named, c"LISTEN_PIDX=2", c"", c"B"]);
        // SAFETY: a null-terminated array of strings, which outlives the environment.
        let environment = unsafe { Environment::of(inherited.as_ptr()) };
        // Moved: what the array points to must have moved with it. The process that asks is this one.
        let mut environment = Box::new(environment);
        for _ in 0..2 {
            let expected = ["A=1", &format!("LISTEN_PID={own}"), "LISTEN_PIDX=2", "", "B"];
            let replaced = environment.for_program();
            assert_eq!(read(&replaced), expected);
            // SAFETY: the array has five entries.
            assert_ne!(unsafe { replaced.as_ptr().add(1).read() }, named.as_ptr(), "its own copy");
        }
        for others in [array(&[]), array(&[c"LISTEN_PID=", c"LISTEN_PID=0", c"XLISTEN_PID=1"])] {
            // SAFETY: as above.
            assert!(unsafe { Environment::of(others.as_ptr()) }.replaced.is_none());
        }
        // SAFETY: null is allowed.
        assert!(unsafe { Environment::of(ptr::null()) }.replaced.is_none());
    }
}
