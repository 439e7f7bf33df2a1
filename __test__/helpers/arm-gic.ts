/** The interrupt controllers of aarch64, GICv3 and its ITS, where the guests of crates/test-guests expect them. */
import { DEVICE_TYPE, type KvmDevice, type Vm } from '../../index.ts';
import { u32Bytes, u64Bytes } from './arm.ts';

/** Where the distributor is. */
export const GICD = 0x800_0000;
/** Where the redistributors are, 128 KiB a vCPU. */
export const GICR = 0x80a_0000;
/** Where the interrupt translation service is. */
export const ITS = 0x808_0000;
/** Where a device writes its message: `GITS_TRANSLATER`. */
export const ITS_DOORBELL = ITS + 0x1_0040;

/** Groups of attributes: `KVM_DEV_ARM_VGIC_GRP_…` of `<asm/kvm.h>`. */
export const GIC_GROUP = { addr: 0, distRegs: 1, nrIrqs: 3, ctrl: 4, redistRegs: 5, itsRegs: 8 } as const;
/** Attributes of the group `addr`: `KVM_VGIC_…_ADDR_TYPE_…`. */
export const GIC_ADDR = { v2Dist: 0, v2Cpu: 1, v3Dist: 2, v3Redist: 3, its: 4, v3RedistRegion: 5 } as const;
/** The attribute of the group `ctrl` that makes it ready: `KVM_DEV_ARM_VGIC_CTRL_INIT`. */
export const GIC_INIT = 0;

/** Whether the host can make a GICv3 for guests. */
export function hasGic3(vm: Vm): boolean {
  return vm.hasDeviceType(DEVICE_TYPE.ARM_VGIC_V3);
}

/** Makes a GICv3 with interrupts 0 to 63. After the vCPUs. */
export function makeGic(vm: Vm): KvmDevice {
  const gic = vm.createDevice(DEVICE_TYPE.ARM_VGIC_V3);
  gic.setDeviceAttr(GIC_GROUP.nrIrqs, 0, u32Bytes(64));
  gic.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Dist, u64Bytes(GICD));
  gic.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.v3Redist, u64Bytes(GICR));
  gic.setDeviceAttr(GIC_GROUP.ctrl, GIC_INIT);
  return gic;
}

/** Makes an ITS beside it. */
export function makeIts(vm: Vm): KvmDevice {
  const its = vm.createDevice(DEVICE_TYPE.ARM_VGIC_ITS);
  its.setDeviceAttr(GIC_GROUP.addr, GIC_ADDR.its, u64Bytes(ITS));
  its.setDeviceAttr(GIC_GROUP.ctrl, GIC_INIT);
  return its;
}

/** `KVM_ARM_IRQ_TYPE_SPI`: a shared interrupt, for `vm.setIrqLine()`; 32 is the first. */
export const sharedLine = (interrupt: number): number => 2 ** 24 + interrupt;

/** `KVM_ARM_IRQ_TYPE_PPI`: a private interrupt of a vCPU, 16 to 31. */
export const privateLine = (vcpu: number, interrupt: number): number =>
  2 * 2 ** 24 + vcpu * 2 ** 16 + interrupt;
