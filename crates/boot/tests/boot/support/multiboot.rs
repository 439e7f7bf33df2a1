use super::put;

/// An image that is no ELF file: the Multiboot header says where it goes.
pub struct MultibootBuilder {
    pub flags: u32,
    /// Where the header is in the file.
    pub offset: usize,
    pub load_addr: u32,
    pub load_end_addr: u32,
    pub bss_end_addr: u32,
    pub entry_addr: u32,
    pub length: usize,
}

impl Default for MultibootBuilder {
    fn default() -> Self {
        Self {
            flags: 0x1_0003,
            offset: 0x40,
            load_addr: 0x10_0000,
            load_end_addr: 0x10_0400,
            bss_end_addr: 0x10_2000,
            entry_addr: 0x10_0080,
            length: 0x500,
        }
    }
}

impl MultibootBuilder {
    /// The header's twelve bytes, which an ELF image needs somewhere too.
    pub fn header(flags: u32) -> Vec<u8> {
        let magic = 0x1bad_b002u32;
        let checksum = 0u32.wrapping_sub(magic).wrapping_sub(flags);
        [magic, flags, checksum].into_iter().flat_map(u32::to_le_bytes).collect()
    }

    pub fn build(&self) -> Vec<u8> {
        let mut image: Vec<u8> = (0..self.length).map(|index| index as u8 | 1).collect();
        put(&mut image, self.offset, &Self::header(self.flags));
        let header_addr = self.load_addr.wrapping_add(self.offset as u32);
        let fields = [header_addr, self.load_addr, self.load_end_addr, self.bss_end_addr, self.entry_addr];
        for (index, field) in fields.into_iter().enumerate() {
            put(&mut image, self.offset + 12 + index * 4, &field.to_le_bytes());
        }
        image
    }
}
