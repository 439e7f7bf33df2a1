/// A program header, and what it points to.
#[derive(Clone)]
pub struct Segment {
    /// 1: PT_LOAD, 4: PT_NOTE.
    pub kind: u32,
    pub virtual_address: u64,
    pub address: u64,
    pub bytes: Vec<u8>,
    /// p_memsz, if it is not the length of the bytes.
    pub memory_size: Option<u64>,
}

impl Segment {
    pub fn load(address: u64, bytes: &[u8]) -> Self {
        Self { kind: 1, virtual_address: address, address, bytes: bytes.to_vec(), memory_size: None }
    }

    pub fn note(bytes: &[u8]) -> Self {
        Self { kind: 4, ..Self::load(0, bytes) }
    }
}

/// An ELF executable: headers, then the segments' bytes.
#[derive(Clone)]
pub struct ElfBuilder {
    pub is_64: bool,
    pub entry: u64,
    pub segments: Vec<Segment>,
}

impl ElfBuilder {
    /// A vmlinux of one segment at 16 MiB, with a PVH note if there is an entry for it.
    pub fn vmlinux(pvh_entry: Option<u32>) -> Self {
        let mut text = b"vmlinux: text ".repeat(40);
        text.resize(0x300, 0x90);
        let mut load = Segment::load(0x100_0000, &text);
        load.virtual_address = 0xffff_ffff_8100_0000;
        load.memory_size = Some(0x2000);
        let notes = pvh_entry.map(|entry| Segment::note(&pvh_note(&entry.to_le_bytes())));
        Self { is_64: true, entry: 0x100_0000, segments: [load].into_iter().chain(notes).collect() }
    }

    pub fn build(&self) -> Vec<u8> {
        let (header_size, entry_size) = if self.is_64 { (64, 56) } else { (52, 32) };
        let mut image = vec![0x7f, b'E', b'L', b'F', if self.is_64 { 2 } else { 1 }, 1, 1];
        image.resize(16, 0);
        let word = |image: &mut Vec<u8>, value: u64| {
            let length = if self.is_64 { 8 } else { 4 };
            image.extend(&value.to_le_bytes()[..length]);
        };
        image.extend(2u16.to_le_bytes()); // ET_EXEC
        image.extend(if self.is_64 { 62u16 } else { 3 }.to_le_bytes()); // EM_X86_64, EM_386
        image.extend(1u32.to_le_bytes());
        word(&mut image, self.entry);
        word(&mut image, header_size); // e_phoff
        word(&mut image, 0); // e_shoff
        image.extend(0u32.to_le_bytes());
        for value in [header_size as u16, entry_size, self.segments.len() as u16, 0, 0, 0] {
            image.extend(value.to_le_bytes());
        }
        let mut offset = header_size + u64::from(entry_size) * self.segments.len() as u64;
        for segment in &self.segments {
            let file_size = segment.bytes.len() as u64;
            let memory_size = segment.memory_size.unwrap_or(file_size);
            image.extend(segment.kind.to_le_bytes());
            if self.is_64 {
                image.extend(7u32.to_le_bytes());
            }
            for value in [offset, segment.virtual_address, segment.address, file_size, memory_size] {
                word(&mut image, value);
            }
            if !self.is_64 {
                image.extend(7u32.to_le_bytes());
            }
            word(&mut image, 4);
            offset += file_size;
        }
        for segment in &self.segments {
            image.extend(&segment.bytes);
        }
        image
    }
}

/// Notes as a vmlinux has them: others of Xen's and of GNU's around the one for PVH.
pub fn pvh_note(descriptor: &[u8]) -> Vec<u8> {
    let mut notes = note(b"GNU\0", 3, &[7; 20]);
    notes.extend(note(b"Xen\0", 6, b"linux\0"));
    notes.extend(note(b"Xen\0", 18, descriptor));
    notes.extend(note(b"Linux\0", 0x100, &[0]));
    notes
}

fn note(name: &[u8], kind: u32, descriptor: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in [name.len() as u32, descriptor.len() as u32, kind] {
        bytes.extend(value.to_le_bytes());
    }
    for part in [name, descriptor] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}
