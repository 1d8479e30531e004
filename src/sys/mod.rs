//! Every `unsafe` block of rinit.
