//! Nobody unwinds here: a panic ends in the hook, which exits.
//!
//! std's default panic hook, which that one replaces, could walk the stack and name what it finds: 230 kB of symbolizer
//! and unwinder in the binary. With a walk that takes no step, link-time optimization drops them. These are all the
//! functions that std takes from libunwind: to replace one, none may be left there.

use std::ffi::c_void;

macro_rules! no_unwinder {
    ($($name:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(_: *mut c_void, _: *mut c_void) -> usize {
            0
        }
    )*};
}

no_unwinder! {
    _Unwind_DeleteException _Unwind_FindEnclosingFunction _Unwind_GetCFA _Unwind_GetDataRelBase _Unwind_GetIP
    _Unwind_GetIPInfo _Unwind_GetLanguageSpecificData _Unwind_GetRegionStart _Unwind_GetTextRelBase
    _Unwind_RaiseException _Unwind_Resume _Unwind_SetGR _Unwind_SetIP
}

/// Says that the stack ends here.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_step: *const c_void, _argument: *mut c_void) -> std::ffi::c_int {
    const URC_END_OF_STACK: std::ffi::c_int = 5;
    URC_END_OF_STACK
}
