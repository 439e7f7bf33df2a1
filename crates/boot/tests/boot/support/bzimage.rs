use super::put;

/// Five sectors: the boot sector and four of setup code.
pub const SETUP_SIZE: usize = 5 * 512;
/// What is before the payload in the protected-mode part.
const PROTECTED_SIZE: usize = 0x400;

/// A bzImage with a good header, version 2.15.
pub struct BzImageBuilder {
    pub payload: Vec<u8>,
    pub init_size: u32,
}

impl Default for BzImageBuilder {
    fn default() -> Self {
        Self { payload: b"payload, not looked at by the 64-bit entry".to_vec(), init_size: 4 << 20 }
    }
}

impl BzImageBuilder {
    pub fn with_payload(payload: &[u8]) -> Vec<u8> {
        Self { payload: payload.to_vec(), ..Self::default() }.build()
    }

    pub fn build(&self) -> Vec<u8> {
        // Whole paragraphs, as syssize counts.
        let size = (PROTECTED_SIZE + self.payload.len()).next_multiple_of(16);
        let mut image = vec![0; SETUP_SIZE + size];
        put(&mut image, 0x1f1, &[4]);
        put(&mut image, 0x1f4, &(size as u32 / 16).to_le_bytes());
        put(&mut image, 0x1fe, &0xaa55u16.to_le_bytes());
        put(&mut image, 0x200, &[0xeb, 0x6a]);
        put(&mut image, 0x202, b"HdrS");
        put(&mut image, 0x206, &0x020fu16.to_le_bytes());
        put(&mut image, 0x20e, &0x0200u16.to_le_bytes());
        put(&mut image, 0x211, &[0x01]);
        put(&mut image, 0x214, &0x10_0000u32.to_le_bytes());
        put(&mut image, 0x22c, &0x7fff_ffffu32.to_le_bytes());
        put(&mut image, 0x230, &0x20_0000u32.to_le_bytes());
        put(&mut image, 0x234, &[1, 0x15]);
        put(&mut image, 0x236, &0x0003u16.to_le_bytes());
        put(&mut image, 0x238, &2047u32.to_le_bytes());
        put(&mut image, 0x248, &(PROTECTED_SIZE as u32).to_le_bytes());
        put(&mut image, 0x24c, &(self.payload.len() as u32).to_le_bytes());
        put(&mut image, 0x258, &0x100_0000u64.to_le_bytes());
        put(&mut image, 0x260, &self.init_size.to_le_bytes());
        put(&mut image, 0x400, b"6.12.0-test (builder@host) #1\0");
        put(&mut image, SETUP_SIZE, b"32-bit entry");
        put(&mut image, SETUP_SIZE + 0x200, b"64-bit entry");
        put(&mut image, SETUP_SIZE + PROTECTED_SIZE, &self.payload);
        image
    }
}
