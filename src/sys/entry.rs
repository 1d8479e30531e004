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
    entry: Box<[u8; LISTEN_PID.len() + 11]>,
}

/// sd_listen_fds(3): descriptors are meant for the process whose pid this variable holds.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

impl Environment {
    /// The inherited environment. Where `LISTEN_PID` names rinit, it will name PROGRAM instead.
    #[must_use]
    pub fn inherited() -> Self {
        let mut names_rinit = None;
        let mut count = 0;
        // SAFETY: environ is a null-terminated array of strings that nobody changes: rinit has one thread and never
        // calls setenv.
        while let Some(entry) = unsafe { environ.add(count).as_ref().and_then(|entry| entry.as_ref()) } {
            // SAFETY: as above, each entry is a string.
            let value = unsafe { CStr::from_ptr(entry) }.to_bytes().strip_prefix(LISTEN_PID);
            if value.is_some_and(|pid| pid == std::process::id().to_string().as_bytes()) {
                names_rinit = Some(count);
            }
            count += 1;
        }
        let Some(index) = names_rinit else { return Self { replaced: None } };
        let mut entry = Box::new([0; LISTEN_PID.len() + 11]);
        for (to, from) in entry.iter_mut().zip(LISTEN_PID) {
            *to = *from;
        }
        // SAFETY: count entries were just read from there.
        let mut array = unsafe { std::slice::from_raw_parts(environ, count) }.to_vec();
        if let Some(slot) = array.get_mut(index) {
            *slot = entry.as_ptr().cast();
        }
        array.push(ptr::null());
        Self { replaced: Some((array, ListenPid { entry })) }
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
