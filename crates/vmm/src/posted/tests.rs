use super::*;
use crate::{Claim, IsolatePort, ScriptDevice};
use std::sync::Arc;

const ENTRY_WORDS: usize = size_of::<kvm_coalesced_mmio>() / 4;

/// KVM's page: two indices, then entries of address, length, bus and data.
struct Ring(Vec<u32>);

impl Ring {
    fn new() -> Self {
        Self(vec![0; 1024])
    }

    fn page(&mut self) -> *mut u8 {
        self.0.as_mut_ptr().cast()
    }

    /// Puts a port write in, as the kernel does.
    fn push(&mut self, port: u32, value: u32) {
        let last = self.0[1] % ring_entries();
        let entry = &mut self.0[2 + last as usize * ENTRY_WORDS..][..ENTRY_WORDS];
        entry.copy_from_slice(&[port, 0, 1, 1, value, 0]);
        self.0[1] = (last + 1) % ring_entries();
    }
}

fn isolate() -> Arc<IsolatePort> {
    IsolatePort::new(Box::new(|| ()))
}

/// Claims of 16 ports each at 0x10 for the first isolate, 0x20 for the second, and so on.
fn routes(ports: &[&Arc<IsolatePort>]) -> Routes {
    let mut routes = Routes::default();
    for (route, port) in ports.iter().enumerate() {
        let claim = Claim { bus: Bus::Io, base: 0x10 * (route as u64 + 1), length: 16, posted: None };
        let target = Target::Script(ScriptDevice::new(route as u32, Arc::clone(port)));
        assert!(routes.insert(&claim, target).is_ok());
    }
    routes
}

/// Delivers and reads what is in the page: the values' first bytes.
fn deliver(posted: &Posted, isolate: u32) -> (Vec<u32>, bool) {
    let mut control = vec![0u64; size_of::<Control>() / 8];
    let mut page = vec![0u32; 1024];
    let delivered = posted.deliver(control.as_mut_ptr().cast(), page.as_mut_ptr().cast(), isolate);
    let words = size_of::<PostedWrite>() / 4;
    let data = std::mem::offset_of!(PostedWrite, data) / 4;
    ((0..delivered.count as usize).map(|at| page[at * words + data]).collect(), delivered.more)
}

#[test]
fn the_ring_is_emptied_in_order_over_its_edge() {
    let (posted, port, mut ring) = (Posted::default(), isolate(), Ring::new());
    let (routes, counter) = (routes(&[&port]), AtomicU64::new(0));
    let mut expected = 0;
    for burst in 0..10 {
        for at in 0..100 {
            ring.push(0x10, burst * 100 + at);
        }
        posted.drain(ring.page(), &routes, port.id, &counter);
        assert_eq!(ring.0[0], ring.0[1]);
        let (values, more) = deliver(&posted, port.id);
        assert_eq!(values, (expected..expected + 100).collect::<Vec<_>>());
        assert!(!more);
        expected += 100;
    }
    assert_eq!(counter.load(Ordering::Relaxed), 1000);
}

#[test]
fn nonsense_in_the_ring_ends_after_one_round() {
    let (posted, port, mut ring) = (Posted::default(), isolate(), Ring::new());
    let (routes, counter) = (routes(&[&port]), AtomicU64::new(0));
    for (first, last) in [(u32::MAX, 0), (0, u32::MAX), (ring_entries(), 3), (7, ring_entries() * 3 + 6)] {
        ring.0.fill(u32::MAX);
        (ring.0[0], ring.0[1]) = (first, last);
        posted.drain(ring.page(), &routes, port.id, &counter);
        assert!(ring.0[0] < ring_entries());
    }
    assert!(deliver(&posted, port.id).0.is_empty(), "nothing claims those addresses");
}

#[test]
fn more_than_a_page_comes_in_pieces_and_says_so() {
    let (posted, port, mut ring) = (Posted::default(), isolate(), Ring::new());
    let (routes, counter) = (routes(&[&port]), AtomicU64::new(0));
    for value in 0..250 {
        ring.push(0x10, value);
        if value % 50 == 49 {
            posted.drain(ring.page(), &routes, port.id, &counter);
        }
    }
    let (first, more) = deliver(&posted, port.id);
    assert!(more && first.len() == POSTED_ENTRIES);
    let (second, more) = deliver(&posted, port.id);
    assert!(!more);
    assert_eq!([first, second].concat(), (0..250).collect::<Vec<_>>());
}

#[test]
fn an_isolate_that_never_looks_holds_up_no_other() {
    let (posted, idle, busy, mut ring) = (Posted::default(), isolate(), isolate(), Ring::new());
    let (routes, counter) = (routes(&[&idle, &busy]), AtomicU64::new(0));
    // The idle isolate's vCPU drained its own writes, and then never ran again.
    for _ in 0..20 {
        (0..100).for_each(|value| ring.push(0x10, value));
        posted.drain(ring.page(), &routes, idle.id, &counter);
        if ring.0[0] != ring.0[1] {
            break;
        }
    }
    assert!(posted.is_urgent(idle.id) && !posted.is_urgent(busy.id));
    ring.0[0] = ring.0[1];
    (0..10).for_each(|value| ring.push(0x20, value));
    posted.drain(ring.page(), &routes, busy.id, &counter);
    assert_eq!(deliver(&posted, busy.id), ((0..10).collect(), false));
}

#[test]
fn a_full_queue_leaves_the_rest_in_the_ring() {
    let (posted, port, mut ring) = (Posted::default(), isolate(), Ring::new());
    let (routes, counter) = (routes(&[&port]), AtomicU64::new(0));
    for _ in 0..QUEUE_LIMIT.div_ceil(100) {
        (0..100).for_each(|value| ring.push(0x10, value));
        posted.drain(ring.page(), &routes, port.id, &counter);
    }
    let left = (ring.0[1] + ring_entries() - ring.0[0]) % ring_entries();
    assert_eq!(left as usize, QUEUE_LIMIT.div_ceil(100) * 100 - QUEUE_LIMIT);
    assert_eq!(counter.load(Ordering::Relaxed) as usize, QUEUE_LIMIT);
}

#[test]
fn a_forgotten_route_delivers_nothing() {
    let (posted, port, mut ring) = (Posted::default(), isolate(), Ring::new());
    let (routes, counter) = (routes(&[&port, &port]), AtomicU64::new(0));
    (0..4).for_each(|value| ring.push(if value % 2 == 0 { 0x10 } else { 0x20 }, value));
    posted.drain(ring.page(), &routes, port.id, &counter);
    posted.forget(port.id, 0);
    assert_eq!(deliver(&posted, port.id).0, [1, 3]);
}
