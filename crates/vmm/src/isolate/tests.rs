use super::*;
use std::thread;

fn counted() -> (Arc<IsolatePort>, Arc<AtomicU32>) {
    let woken = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&woken);
    let waker = move || {
        count.fetch_add(1, Ordering::SeqCst);
    };
    (IsolatePort::new(Box::new(waker)), woken)
}

fn write(value: u64) -> Access {
    Access::new(0, true, 0, 1, value)
}

/// Does `what` on a thread that is not the isolate's.
fn elsewhere<T: Send + 'static>(
    port: &Arc<IsolatePort>,
    what: impl FnOnce(&IsolatePort) -> T + Send + 'static,
) -> T {
    let port = Arc::clone(port);
    thread::spawn(move || what(&port)).join().unwrap()
}

#[test]
fn it_is_woken_once_until_it_looks() {
    let (port, woken) = counted();
    elsewhere(&port, |port| (0..10).for_each(|value| assert!(port.post(write(value)))));
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    port.begin_look();
    elsewhere(&port, |port| port.push_ready(3));
    assert_eq!(woken.load(Ordering::SeqCst), 2, "what comes after the look began wakes it again");
    let values: Vec<u64> = std::iter::from_fn(|| port.next_access()).map(|access| access.value).collect();
    assert_eq!(values, (0..10).collect::<Vec<_>>());
    assert!(port.has_ready());
    assert_eq!((port.next_ready(), port.next_ready()), (Some(3), None));
    assert!(!port.has_ready());
}

#[test]
fn no_wake_up_is_lost_between_many_and_one() {
    let (port, woken) = counted();
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let port = Arc::clone(&port);
            thread::spawn(move || (0..1000).for_each(|_| port.push_ready(1)))
        })
        .collect();
    // Looks only when it is woken, as an event loop does.
    let (mut seen, mut looked) = (0, 0);
    let began = std::time::Instant::now();
    while seen < 3000 {
        assert!(began.elapsed() < Duration::from_secs(20), "{seen} of 3000 seen: a wake-up was lost");
        if woken.load(Ordering::SeqCst) == looked {
            thread::yield_now();
            continue;
        }
        looked = woken.load(Ordering::SeqCst);
        port.begin_look();
        while port.next_ready().is_some() {
            seen += 1;
        }
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn its_own_thread_does_not_wake_it() {
    let (port, woken) = counted();
    port.notify();
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    elsewhere(&port, IsolatePort::notify);
    assert_eq!(woken.load(Ordering::SeqCst), 1);
}

#[test]
fn a_dropped_access_answers_its_default_and_an_answered_one_keeps_its_answer() {
    let (port, _) = counted();
    let reply = port.forward(Access::new(0, false, 0, 4, 0xffff_ffff));
    assert_eq!(reply.wait(Duration::ZERO), None);
    drop(port.next_access());
    assert_eq!(reply.wait(Duration::ZERO), Some(0xffff_ffff));
    let reply = port.forward(Access::new(0, false, 0, 4, 0xffff_ffff));
    let access = port.next_access().unwrap();
    access.answer(5);
    drop(access);
    assert_eq!(reply.wait(Duration::ZERO), Some(5));
}

#[test]
fn nothing_stays_in_the_queue_of_an_isolate_that_ends() {
    for _ in 0..200 {
        let (port, _) = counted();
        let asker = thread::spawn({
            let port = Arc::clone(&port);
            move || port.forward(Access::new(0, false, 0, 1, 0xff))
        });
        port.end();
        let reply = asker.join().unwrap();
        assert_eq!(reply.wait(Duration::ZERO), Some(0xff), "nobody is left to answer it later");
        assert!(port.next_access().is_none());
    }
}

#[test]
fn a_full_queue_refuses_posted_writes() {
    let (port, _) = counted();
    let taken =
        elsewhere(&port, |port| (0..QUEUE_LIMIT as u64 + 10).filter(|at| port.post(write(*at))).count());
    assert_eq!(taken, QUEUE_LIMIT);
}
