//! Guest memory: regions, copies, dirty pages, and what happens to them at the edges.

mod support;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::{Shared, ends, kvm, machine, port, ready, region, step, vcpu};
use vmhatch_test_guests as guests;
use vmhatch_vmm::{Backing, ErrorCode, RegionConfig, Status, VmCore};

const PAGE: u64 = 4096;

/// A machine without memory.
fn empty() -> Option<Arc<VmCore>> {
    Some(kvm()?.create_vm(0, port().0).unwrap())
}

fn refused(vm: &VmCore, config: &RegionConfig) -> ErrorCode {
    vm.map_memory(config).map(|_| ()).unwrap_err().code
}

/// A file of its own for one test, gone at its end.
struct TestFile(PathBuf, File);

impl TestFile {
    fn new(name: &str, contents: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("vmhatch-{}-{name}", std::process::id()));
        std::fs::write(&path, contents).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Self(path, file)
    }

    fn backing(&self, offset: u64) -> Backing {
        Backing::File { path: self.0.to_str().unwrap().into(), offset }
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn regions_are_mapped_listed_and_unmapped() {
    let Some(vm) = empty() else { return };
    vm.map_memory(&region(0x10_0000, PAGE)).unwrap();
    vm.map_memory(&RegionConfig { slot: Some(5), ..region(0, 2 * PAGE) }).unwrap();
    let list: Vec<_> = vm.memory.regions().iter().map(|r| (r.slot, r.guest_address, r.size)).collect();
    assert_eq!(list, [(5, 0, 2 * PAGE), (0, 0x10_0000, PAGE)]);
    assert_eq!(vm.map_memory(&region(0x20_0000, PAGE)).unwrap().slot, 1, "the lowest free slot");
    vm.unmap_memory(5).unwrap();
    assert_eq!(vm.unmap_memory(5).unwrap_err().code, ErrorCode::Closed);
    assert_eq!(vm.memory.read(0, &mut [0]).unwrap_err().code, ErrorCode::MemoryBounds);
    vm.map_memory(&RegionConfig { slot: Some(5), ..region(0, PAGE) }).unwrap();
}

#[test]
fn what_cannot_be_mapped_is_refused_and_leaves_nothing_behind() {
    let Some(vm) = empty() else { return };
    vm.map_memory(&region(0x1000, 2 * PAGE)).unwrap();
    assert_eq!(refused(&vm, &region(0x2000, PAGE)), ErrorCode::MemoryOverlap);
    assert_eq!(refused(&vm, &region(0, 2 * PAGE)), ErrorCode::MemoryOverlap);
    assert_eq!(
        refused(&vm, &RegionConfig { slot: Some(0), ..region(0x8000, PAGE) }),
        ErrorCode::MemoryOverlap
    );
    assert_eq!(
        refused(&vm, &RegionConfig { slot: Some(u32::MAX), ..region(0x8000, PAGE) }),
        ErrorCode::NoSlots
    );
    assert_eq!(refused(&vm, &region(!0xfff, PAGE)), ErrorCode::Memory);
    assert_eq!(refused(&vm, &region(!0xfff, 2 * PAGE)), ErrorCode::Memory);
    assert_eq!(refused(&vm, &region(0x8000, 0)), ErrorCode::Memory);
    assert_eq!(refused(&vm, &region(0x8000, 100)), ErrorCode::Ioctl);
    let missing = Backing::File { path: "/nonexistent/file".into(), offset: 0 };
    assert_eq!(refused(&vm, &RegionConfig { backing: missing, ..region(0x8000, PAGE) }), ErrorCode::Memory);
    let folder = Backing::File { path: std::env::temp_dir().to_str().unwrap().into(), offset: 0 };
    assert_eq!(refused(&vm, &RegionConfig { backing: folder, ..region(0x8000, PAGE) }), ErrorCode::Memory);
    assert_eq!(vm.memory.regions().len(), 1);
}

#[test]
fn copies_cross_regions_that_touch_and_stop_at_holes() {
    let Some(vm) = empty() else { return };
    vm.map_memory(&region(0x1000, PAGE)).unwrap();
    vm.map_memory(&region(0x2000, PAGE)).unwrap();
    vm.map_memory(&region(0x4000, PAGE)).unwrap();
    vm.memory.write(0x1ffe, b"abcd").unwrap();
    let mut read = [0; 4];
    vm.memory.read(0x1ffe, &mut read).unwrap();
    assert_eq!(&read, b"abcd");
    let bounds = |result: Result<(), vmhatch_vmm::Error>| result.unwrap_err().code == ErrorCode::MemoryBounds;
    assert!(bounds(vm.memory.write(0x2ffe, b"abcd")), "into the hole");
    vm.memory.read(0x2ffe, &mut read[..2]).unwrap();
    assert_eq!(&read[..2], [0, 0], "nothing was written");
    assert!(bounds(vm.memory.read(0xfff, &mut read)));
    assert!(bounds(vm.memory.read(0x5000, &mut read[..1])));
    assert!(bounds(vm.memory.read(u64::MAX, &mut read)));
    assert!(bounds(vm.memory.fill(0x4800, PAGE, 1)));
    vm.memory.read(0x1000, &mut []).unwrap();
    assert!(bounds(vm.memory.read(0x3000, &mut [])));
    assert_eq!(vm.memory.window(0x1800, PAGE).map(|_| ()).unwrap_err().code, ErrorCode::MemoryBounds);
    assert_eq!(vm.memory.window(0x1800, 0x800).unwrap().1, 0x800);
}

#[test]
fn find_looks_across_regions_and_chunks() {
    let Some(vm) = empty() else { return };
    vm.map_memory(&region(0, 0x4_0000)).unwrap();
    vm.map_memory(&region(0x4_0000, PAGE)).unwrap();
    vm.map_memory(&region(0x8_0000, PAGE)).unwrap();
    let find = |pattern: &[u8], start, end| vm.memory.find(pattern, start, end).unwrap();
    // Over the edge of a search chunk, and of a region.
    for at in [0xfffe, 0x3_fffe, 0x8_0ffc] {
        vm.memory.write(at, b"hide").unwrap();
        assert_eq!(find(b"hide", 0, u64::MAX), Some(at));
        assert_eq!(find(b"hide", at + 1, u64::MAX), None);
        assert_eq!(find(b"hide", 0, at + 3), None);
        assert_eq!(find(b"hide", at, at + 4), Some(at));
        vm.memory.write(at, &[0; 4]).unwrap();
    }
    assert_eq!(find(b"", 0, u64::MAX), None);
    assert_eq!(find(&[1; 0x10_0000], 0, u64::MAX), None);
    vm.memory.write(0, b"aab").unwrap();
    assert_eq!(find(b"ab", 0, 0x100), Some(1));
}

#[test]
fn dirty_pages_are_the_guests_the_hosts_and_those_under_writable_views() {
    let (port, _) = port();
    let Some(kvm) = kvm() else { return };
    let vm = kvm.create_vm(0, Arc::clone(&port)).unwrap();
    vm.map_memory(&RegionConfig { log_dirty_pages: true, ..region(0, 0x8000) }).unwrap();
    let vcpu = vcpu(&vm, &guests::DIRTY_ONE_PAGE, |regs| regs.rsi = 0x5000);
    assert_eq!(vm.dirty_pages(0, true).unwrap(), [1], "the program was written");
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(vm.dirty_pages(0, false).unwrap(), [5]);
    assert_eq!(vm.dirty_pages(0, true).unwrap(), [5], "kept until it is reset");
    assert!(vm.dirty_pages(0, true).unwrap().is_empty());
    vm.memory.write(0x2fff, &[1, 2]).unwrap();
    assert_eq!(vm.dirty_pages(0, true).unwrap(), [2, 3]);
    let (region, offset) = vm.memory.window(0x4000, PAGE).unwrap();
    let writable = region.open_view(offset, PAGE as usize, false);
    let read_only = region.open_view(0, PAGE as usize, true);
    assert_eq!(vm.dirty_pages(0, true).unwrap(), [4]);
    assert_eq!(vm.dirty_pages(0, true).unwrap(), [4], "as long as it lives");
    drop((writable, read_only));
    assert_eq!(vm.dirty_pages(0, true).unwrap(), [4], "what was written last");
    assert!(vm.dirty_pages(0, true).unwrap().is_empty());
}

#[test]
fn kvms_own_log_is_cleared_by_reading_and_missing_without_the_flag() {
    let (port, _) = port();
    let Some(kvm) = kvm() else { return };
    let vm = kvm.create_vm(0, Arc::clone(&port)).unwrap();
    vm.map_memory(&RegionConfig { log_dirty_pages: true, ..region(0, 0x8000) }).unwrap();
    vm.map_memory(&region(0x10_0000, PAGE)).unwrap();
    let vcpu = vcpu(&vm, &guests::DIRTY_ONE_PAGE, |regs| regs.rsi = 0x5000);
    assert_eq!(step(&vcpu), Status::Exit as u32);
    assert_eq!(vm.dirty_log(0).unwrap(), [1 << 5]);
    assert_eq!(vm.dirty_log(0).unwrap(), [0]);
    assert_eq!(vm.dirty_log(1).unwrap_err().errno, Some(2), "ENOENT");
    assert!(vm.dirty_pages(1, true).unwrap().is_empty());
}

#[test]
fn writes_to_a_read_only_region_become_exits() {
    let (port, _) = port();
    let Some(kvm) = kvm() else { return };
    let vm = kvm.create_vm(0, Arc::clone(&port)).unwrap();
    vm.map_memory(&region(0, 0x3000)).unwrap();
    vm.map_memory(&RegionConfig { read_only: true, ..region(0x3000, PAGE) }).unwrap();
    vm.memory.write(0x3000, b"r").unwrap();
    let vcpu = vcpu(&vm, &guests::WRITE_READ_ONLY, |regs| regs.rsi = 0x3000);
    assert_eq!(step(&vcpu), Status::MmioWrite as u32);
    assert_eq!(step(&vcpu), Status::MmioWrite as u32);
    assert_eq!(vcpu.pages.mmio(), (0x10000, b"r".to_vec()));
}

#[test]
fn a_memfd_can_neither_shrink_nor_grow() {
    let Some(vm) = empty() else { return };
    vm.map_memory(&RegionConfig { backing: Backing::Memfd, ..region(0, 4 * PAGE) }).unwrap();
    vm.memory.write(0, b"kept").unwrap();
    // The one that this test made, among those that tests beside it may have made.
    let ours = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok).find(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().contains("vmhatch-guest-memory"))
            && std::fs::read(entry.path()).is_ok_and(|bytes| bytes.starts_with(b"kept"))
    });
    let file = File::options().read(true).write(true).open(ours.unwrap().path()).unwrap();
    assert!(file.set_len(PAGE).is_err() && file.set_len(8 * PAGE).is_err());
    let mut read = [0; 4];
    vm.memory.read(0, &mut read).unwrap();
    assert_eq!(&read, b"kept");
}

#[test]
fn a_file_is_memory_from_its_offset_on_and_private_unless_shared() {
    let Some(vm) = empty() else { return };
    let mut contents = vec![b'a'; PAGE as usize];
    contents.extend(vec![b'b'; PAGE as usize]);
    let file = TestFile::new("offset", &contents);
    let at = |guest_address, shared| RegionConfig {
        backing: file.backing(PAGE),
        shared,
        ..region(guest_address, PAGE)
    };
    vm.map_memory(&at(0, false)).unwrap();
    let mut read = [0; 1];
    vm.memory.read(0, &mut read).unwrap();
    assert_eq!(&read, b"b");
    vm.memory.write(0, b"p").unwrap();
    vm.map_memory(&at(0x10_0000, true)).unwrap();
    vm.memory.write(0x10_0001, b"s").unwrap();
    let now = std::fs::read(&file.0).unwrap();
    assert_eq!(&now[PAGE as usize..PAGE as usize + 2], b"bs");
    let short = RegionConfig { backing: file.backing(PAGE), ..region(0x20_0000, 2 * PAGE) };
    assert_eq!(refused(&vm, &short), ErrorCode::Memory);
}

#[test]
fn a_file_that_shrinks_reads_as_zeros_and_is_noted() {
    let Some(vm) = empty() else { return };
    let file = TestFile::new("shrinks", &[7; 4 * PAGE as usize]);
    let mapped = vm.map_memory(&RegionConfig { backing: file.backing(0), ..region(0, 4 * PAGE) }).unwrap();
    assert!(!vm.memory.lost());
    file.1.set_len(PAGE).unwrap();
    let mut read = [1; 4];
    vm.memory.read(0, &mut read).unwrap();
    assert_eq!(read, [7; 4], "what is left is read");
    vm.memory.read(2 * PAGE, &mut read).unwrap();
    assert_eq!(read, [0; 4]);
    assert!(mapped.mapping.lost() && vm.memory.lost());
    vm.memory.write(3 * PAGE, b"dropped").unwrap();
    vm.close();
}

#[test]
fn a_view_outlives_its_region_and_reads_zeros_of_its_own() {
    let Some(vm) = empty() else { return };
    vm.map_memory(&region(0, PAGE)).unwrap();
    vm.memory.write(0, b"secret").unwrap();
    let view = {
        let (region, offset) = vm.memory.window(0, PAGE).unwrap();
        region.open_view(offset, PAGE as usize, false)
    };
    assert_eq!(support::peek(&view, 0), b's');
    vm.unmap_memory(0).unwrap();
    assert_eq!(support::peek(&view, 0), 0);
    vm.close();
    drop(vm);
    assert_eq!(support::peek(&view, PAGE as usize - 1), 0);
}

#[test]
fn mapping_and_copying_beside_a_running_guest_is_sound() {
    let (port, _) = port();
    let Some((vm, vcpu)) = ready(&port, &guests::EXIT_STORM) else { return };
    ends("memory beside a guest", move || {
        let done = Arc::new(AtomicBool::new(false));
        let runner = thread::spawn({
            let done = Arc::clone(&done);
            move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(step(&vcpu), Status::IoOut as u32);
                }
            }
        });
        let reader = thread::spawn({
            let (vm, done) = (Arc::clone(&vm), Arc::clone(&done));
            move || {
                while !done.load(Ordering::Relaxed) {
                    let mut read = [0; 64];
                    if vm.memory.read(0x10_0000, &mut read).is_ok() {
                        assert!(read.iter().all(|byte| *byte == read[0]));
                    }
                }
            }
        });
        for _ in 0..200 {
            let mapped = vm.map_memory(&region(0x10_0000, 16 * PAGE)).unwrap();
            vm.memory.find(&[1], 0x10_0000, 0x10_1000).unwrap();
            vm.unmap_memory(mapped.slot).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        runner.join().unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn two_threads_that_map_get_two_slots() {
    let (port, _) = port();
    let Some(vm) = machine(&port) else { return };
    let threads: Vec<_> = (1..=4u64)
        .map(|number| {
            let vm = Arc::clone(&vm);
            thread::spawn(move || vm.map_memory(&region(number << 20, PAGE)).unwrap().slot)
        })
        .collect();
    let mut slots: Vec<u32> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    slots.sort_unstable();
    assert_eq!(slots, [1, 2, 3, 4]);
}
