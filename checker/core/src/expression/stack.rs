//! A stack deep enough for the expression parser and interpreter, which recurse and can't be caught when
//! they run out of it.
//!
//! Wrap a whole stage once ([`with_deep_stack`]): below it, compiling and evaluating run where they are. Outside
//! of it each of them makes a thread of its own, which is safe and slower.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

/// Mapped lazily, so only what is used costs memory.
const STACK_BYTES: usize = 256 << 20;

thread_local! {
    static DEEP: Cell<bool> = const { Cell::new(false) };
}

/// The system gave no thread with a deep stack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no thread with a deep stack could be made: {0}")]
pub struct StackError(String);

/// Runs `work` on a thread with a deep stack, and waits for it. A panic goes on in the caller.
///
/// When no such thread can be made, `work` runs on the caller's, and each expression reports the error.
pub fn with_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let mut slot = Some(work);
    let done = on_deep_stack(|| slot.take().map(|work| work()));
    match (done, slot) {
        (Ok(Some(result)), _) => result,
        (_, Some(work)) => work(),
        #[expect(
            clippy::unreachable,
            reason = "the work is in the slot until the thread has taken and done it"
        )]
        (_, None) => unreachable!("work that was taken has returned or panicked"),
    }
}

/// Fewer items than this are done at once faster than in parts.
const WORTH_PARTS: usize = 512;

/// The results for many items, in their order: in as many parts as there are processors, each on a deep stack.
pub(crate) fn in_parts<T: Sync, R: Send>(
    items: &[T],
    work: impl Fn(&[T]) -> Vec<R> + Sync,
) -> Vec<R> {
    let parts = thread::available_parallelism().map_or(1, usize::from);
    if items.len() < WORTH_PARTS || parts == 1 {
        return work(items);
    }
    let work = &work;
    let parts = items.chunks(items.len().div_ceil(parts));
    thread::scope(|scope| {
        let running: Vec<_> = parts
            .map(|part| scope.spawn(move || with_deep_stack(|| work(part))))
            .collect();
        running
            .into_iter()
            .flat_map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    })
}

/// Like [`with_deep_stack`], and says when there is no such thread.
pub(super) fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, StackError> {
    if DEEP.get() {
        return Ok(work());
    }
    let deep = move || {
        DEEP.set(true);
        work()
    };
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("expressions".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, deep)
            .map_err(|error| StackError(error.to_string()))?;
        match worker.join() {
            Ok(result) => Ok(result),
            Err(panic) => resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{DEEP, on_deep_stack, with_deep_stack};
    use std::thread;

    #[test]
    fn one_thread_serves_all_that_is_nested() {
        let outer = with_deep_stack(|| {
            assert!(DEEP.get());
            let here = thread::current().id();
            assert_eq!(on_deep_stack(|| thread::current().id()), Ok(here));
            assert_eq!(with_deep_stack(|| thread::current().id()), here);
            here
        });
        assert_ne!(outer, thread::current().id());
        assert!(!DEEP.get());
    }

    #[test]
    fn holds_a_deep_recursion() {
        fn down(left: u32) -> u32 {
            if left == 0 {
                0
            } else {
                std::hint::black_box(down(left - 1)) + 1
            }
        }
        assert_eq!(with_deep_stack(|| down(200_000)), 200_000);
    }
}
