//! Panics on this thread, which tasks swallow.

use std::{
    cell::{Cell, RefCell},
    sync::Once,
};

thread_local! {
    static SEEN: Cell<u64> = const { Cell::new(0) };
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

static HOOKED: Once = Once::new();

/// How many there were so far.
pub(crate) fn count() -> u64 {
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            SEEN.with(|seen| seen.set(seen.get() + 1));
            LAST.with(|last| *last.borrow_mut() = info.to_string());
            before(info);
        }));
    });
    SEEN.with(Cell::get)
}

/// The last one.
pub(crate) fn last() -> String {
    LAST.with(|last| last.borrow().clone())
}
