use super::*;

/// The steps of the kicker and of the runner that share state, in every order: whatever the order, either
/// the runner takes the kick, or the byte that makes its next entry return at once is set.
#[test]
fn no_order_of_kick_and_take_loses_the_kick() {
    // Kicker: 0 request, 1 byte. Runner: 0 clear the byte, 1 take the request.
    for kicker_first in [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]] {
        let (kick, byte) = (Kick::default(), AtomicU8::new(0));
        let (mut kicker, mut runner, mut taken) = (0, 0, false);
        for step in 0..4 {
            if kicker_first.contains(&step) {
                match kicker {
                    0 => kick.requested.store(true, Ordering::SeqCst),
                    _ => byte.store(1, Ordering::SeqCst),
                }
                kicker += 1;
            } else {
                match runner {
                    0 => byte.store(0, Ordering::SeqCst),
                    _ => taken = kick.requested.swap(false, Ordering::SeqCst),
                }
                runner += 1;
            }
        }
        let next_entry_returns = byte.load(Ordering::SeqCst) == 1;
        assert!(taken || (next_entry_returns && kick.is_requested()), "{kicker_first:?}");
    }
}

#[test]
fn a_kick_comes_before_attention_and_each_is_taken_once() {
    let (kick, byte) = (Kick::default(), AtomicU8::new(0));
    kick.attention(&byte);
    kick.kick(&byte);
    assert_eq!(byte.load(Ordering::SeqCst), 1);
    assert_eq!(kick.take(&byte), Interrupted::Kicked);
    assert_eq!(kick.take(&byte), Interrupted::Attention);
    assert_eq!(kick.take(&byte), Interrupted::Nothing);
    assert_eq!(byte.load(Ordering::SeqCst), 0);
}

#[test]
fn a_kick_that_is_put_back_is_found_again_and_not_counted() {
    let (kick, byte) = (Kick::default(), AtomicU8::new(0));
    kick.kick(&byte);
    assert_eq!(kick.take(&byte), Interrupted::Kicked);
    kick.again(&byte);
    assert_eq!(byte.load(Ordering::SeqCst), 1);
    assert_eq!(kick.take(&byte), Interrupted::Kicked);
    assert_eq!(kick.count.load(Ordering::Relaxed), 1);
}

#[test]
fn one_entry_gets_one_signal() {
    thread_clock::install_handler().unwrap();
    let (kick, byte) = (Kick::default(), AtomicU8::new(0));
    let thread = thread_clock::ThreadClock::with(|clock| clock.thread());
    kick.enter(thread);
    kick.kick(&byte);
    assert_eq!(kick.running.load(Ordering::SeqCst), -thread, "marked by the first");
    kick.kick(&byte);
    assert_eq!(kick.running.load(Ordering::SeqCst), -thread);
    kick.leave();
    kick.kick(&byte);
    assert_eq!(kick.running.load(Ordering::SeqCst), 0, "nobody to signal");
    kick.enter(thread);
    assert_eq!(kick.running.load(Ordering::SeqCst), thread, "the next entry is unmarked");
    kick.leave();
}
