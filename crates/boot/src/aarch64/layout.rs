//! Where things are in guest memory on aarch64. docs/boot-aarch64.md draws it.
//!
//! What QEMU's machine `virt` has too is where that one has it (`base_memmap` and `a15irqmap` in its `hw/arm/virt.c`), so
//! that programs which were written for it find their memory, the GIC and the clock.

/// The registers of the GIC's distributor.
pub const GIC_DISTRIBUTOR: u64 = 0x800_0000;
/// GICv2: the registers of each CPU's interface.
pub const GIC_CPU_INTERFACE: u64 = 0x801_0000;
/// GICv3: the registers of the interrupt translation service.
pub const GIC_ITS: u64 = 0x808_0000;
/// GICv3: the redistributors of a machine with at most [`FEW_CPUS`] vCPUs, one after another.
pub const GIC_REDISTRIBUTORS: u64 = 0x80a_0000;
/// The first serial port: its interrupt is [`SERIAL_INTERRUPT`].
pub const SERIAL: u64 = 0x900_0000;
/// The clock, a PL031: its interrupt is [`RTC_INTERRUPT`].
pub const RTC: u64 = 0x901_0000;
/// The second serial port: its interrupt is [`SERIAL_2_INTERRUPT`].
pub const SERIAL_2: u64 = 0x904_0000;
/// The boot timer. Not of QEMU's.
pub const BOOT_TIMER: u64 = 0x905_0000;
/// A pvpanic device. Not of QEMU's.
pub const PVPANIC: u64 = 0x906_0000;
/// Devices of the caller's are between here and [`DEVICES_END`]; QEMU has its virtio devices here.
pub const DEVICES: u64 = 0xa00_0000;
/// The end of the window for devices of the caller's.
pub const DEVICES_END: u64 = 0x3800_0000;
/// GICv3: the redistributors of a machine with more than [`FEW_CPUS`] vCPUs: room for [`MAX_CPUS`].
pub const GIC_MANY_REDISTRIBUTORS: u64 = 0x3800_0000;
/// The first byte of RAM. All that is mapped from here on is RAM.
pub const RAM_START: u64 = 0x4000_0000;

/// The length of each device of the machine itself that has no other: a page, as the smallest that a guest maps.
pub const DEVICE_LENGTH: u64 = 0x1000;
/// The length of the distributor of a GICv3 (`KVM_VGIC_V3_DIST_SIZE` of Linux's arch/arm64/include/uapi/asm/kvm.h).
pub const GIC_V3_DISTRIBUTOR_LENGTH: u64 = 0x1_0000;
/// The length of the redistributor of a vCPU (`KVM_VGIC_V3_REDIST_SIZE`).
pub const GIC_REDISTRIBUTOR_LENGTH: u64 = 0x2_0000;
/// The length of the interrupt translation service (`KVM_VGIC_V3_ITS_SIZE`).
pub const GIC_ITS_LENGTH: u64 = 0x2_0000;
/// The length of the distributor of a GICv2 (`KVM_VGIC_V2_DIST_SIZE`).
pub const GIC_V2_DISTRIBUTOR_LENGTH: u64 = 0x1000;
/// The length of the CPU interface of a GICv2 (`KVM_VGIC_V2_CPU_SIZE`).
pub const GIC_V2_CPU_INTERFACE_LENGTH: u64 = 0x2000;

/// The interrupts that devices can have, numbered from 0 on: of the GIC, the shared ones (SPIs).
pub const INTERRUPT_LINES: u32 = 256;
/// The interrupts of the GIC, those before the SPIs included: for `KVM_DEV_ARM_VGIC_GRP_NR_IRQS`.
pub const GIC_INTERRUPTS: u32 = 288;
/// The first serial port's interrupt.
pub const SERIAL_INTERRUPT: u32 = 1;
/// The clock's interrupt.
pub const RTC_INTERRUPT: u32 = 2;
/// The second serial port's interrupt.
pub const SERIAL_2_INTERRUPT: u32 = 8;
/// The first interrupt for devices of the caller's, up to [`INTERRUPT_LINES`]; QEMU has that of its first virtio device here.
pub const FIRST_DEVICE_INTERRUPT: u32 = 16;

/// The most vCPUs of a machine: `KVM_MAX_VCPUS` of Linux's arch/arm64/include/asm/kvm_host.h.
pub const MAX_CPUS: u32 = 512;
/// The most vCPUs of a machine with a GICv2.
pub const GIC_V2_MAX_CPUS: u32 = 8;
/// The vCPUs whose redistributors fit below the first serial port.
pub const FEW_CPUS: u32 = 123;

/// Where the redistributors of that many vCPUs are, one after another in the order in which the vCPUs were made.
pub const fn redistributors(cpus: u32) -> u64 {
    if cpus <= FEW_CPUS { GIC_REDISTRIBUTORS } else { GIC_MANY_REDISTRIBUTORS }
}

const _: () = {
    assert!(GIC_REDISTRIBUTORS + FEW_CPUS as u64 * GIC_REDISTRIBUTOR_LENGTH == SERIAL);
    assert!(GIC_MANY_REDISTRIBUTORS + MAX_CPUS as u64 * GIC_REDISTRIBUTOR_LENGTH <= RAM_START);
    assert!(GIC_ITS + GIC_ITS_LENGTH <= GIC_REDISTRIBUTORS);
    assert!(PVPANIC + DEVICE_LENGTH <= DEVICES);
    // KVM wants a multiple of 32, of which the first 32 are a CPU's own.
    assert!(GIC_INTERRUPTS == INTERRUPT_LINES + 32 && GIC_INTERRUPTS.is_multiple_of(32));
};
