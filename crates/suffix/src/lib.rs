//! Under which names strangers have domains.
//!
//! A crate of its own because the list is eleven thousand generated functions, which are compiled wherever one of them is
//! called: here once, and not with each build and test of what asks.

/// Whether a name stands in the Public Suffix List, in the part of registries or in that of companies
/// that give names to strangers.
#[must_use]
#[inline(never)]
pub fn is_public(host: &str) -> bool {
    psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix == host)
}

/// Whether a name lies under one that stands in the list: `bad.com` does, and `file.txt` does not.
#[must_use]
#[inline(never)]
pub fn has_public(host: &str) -> bool {
    psl::domain(host.as_bytes()).is_some_and(|domain| domain.suffix().is_known())
}
