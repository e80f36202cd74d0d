//! A stack deep enough for the expression parser and interpreter, which recurse and can't be caught when
//! they run out of it.
//!
//! Wrap a whole stage once ([`with_deep_stack`]): below it, compiling and evaluating run where they are. Outside
//! of it each of them makes a thread of its own, which is safe and slower.

use std::cell::Cell;
use std::ops::Range;
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

/// So many items are in hand at a time.
const AT_ONCE: usize = 128;

/// Up to so many items are done by one thread: they take less time than another thread and its memory cost.
const ALONE: usize = 2_048;

/// What `work` gathers from all numbers below `count`, some at a time: by as many threads as there are processors, each
/// on a deep stack and with a gathering of its own. Together the gatherings are in order; there is at least one.
pub(crate) fn in_parts<R: Default + Send>(
    count: usize,
    work: impl Fn(&mut R, Range<usize>) + Sync,
) -> Vec<R> {
    let part = |all: Range<usize>| {
        let mut gathered = R::default();
        for start in all.clone().step_by(AT_ONCE) {
            work(&mut gathered, start..all.end.min(start + AT_ONCE));
        }
        gathered
    };
    let parts = thread::available_parallelism().map_or(1, usize::from);
    if count <= ALONE || parts == 1 {
        return vec![part(0..count)];
    }
    let (part, size) = (&part, count.div_ceil(parts));
    thread::scope(|scope| {
        let running: Vec<_> = (0..count)
            .step_by(size)
            .map(|start| start..count.min(start + size))
            .map(|all| scope.spawn(move || with_deep_stack(|| part(all))))
            .collect();
        running
            .into_iter()
            .map(|part| part.join().unwrap_or_else(|panic| resume_unwind(panic)))
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
