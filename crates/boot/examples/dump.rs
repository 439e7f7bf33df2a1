use std::os::unix::fs::FileExt;
use vm_memory::{GuestAddress, GuestMemoryMmap, Bytes, bitmap::AtomicBitmap};
use vmhatch_boot::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let size: usize = a[3].parse::<usize>().unwrap() << 20;
    let memory = GuestMemoryMmap::<AtomicBitmap>::from_ranges(&[(GuestAddress(0), size)]).unwrap();
    let kernel = std::fs::read(&a[1]).unwrap();
    let initrd = std::fs::read(&a[5]).ok();
    println!("{:?}", identify(&kernel));
    let plan = Plan { protocol: Protocol::from_name(&a[2]), initrd: initrd.as_deref(), command_line: a[4].as_bytes(), mp_table: true, ..Plan::new(&kernel) };
    let t = std::time::Instant::now();
    match load(&memory, &plan) {
        Err(e) => println!("{}: {e}", e.field()),
        Ok(l) => {
            println!("{l:x?} {:?}", t.elapsed());
            let f = std::fs::File::create(&a[6]).unwrap(); f.set_len(size as u64).unwrap();
            for p in &l.placed { let mut b = vec![0; p.length as usize]; memory.read_slice(&mut b, GuestAddress(p.start)).unwrap(); f.write_all_at(&b, p.start).unwrap(); }
        }
    }
}
