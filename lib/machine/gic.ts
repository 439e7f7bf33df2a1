/** The interrupt controller of an aarch64 machine, in the kernel: a GICv3, or a GICv2 where the host has no other. */
import { KvmError } from '../internal/errors.ts';
import { DEVICE_TYPE } from '../generated/flags.ts';
import type { KvmDevice } from '../kvm/device.ts';
import type { Vm } from '../kvm/vm.ts';
import { GIC, GIC_INTERRUPTS, GIC_V2_MAX_CPUS } from './layout-arm64.ts';

/** Groups of attributes (`KVM_DEV_ARM_VGIC_GRP_…`) and the attributes in them, of `<asm/kvm.h>`. */
const GROUP = { address: 0, interrupts: 3, control: 4 } as const;
const ADDRESS = { v2Distributor: 0, v2CpuInterface: 1, v3Distributor: 2, v3Redistributors: 3 } as const;
const CONTROL_INIT = 0;

/** Which controller a machine got. */
export type GicVersion = 2 | 3;

/** Which one this host can make. */
export function gicVersion(vm: Vm): GicVersion {
  return vm.hasDeviceType(DEVICE_TYPE.ARM_VGIC_V3) ? 3 : 2;
}

/**
 * Makes it, for the vCPUs that are there.
 *
 * @throws `ERR_KVM_UNSUPPORTED` where the host has neither, or a GICv2 for too many vCPUs; `ERR_KVM_IOCTL`
 */
export function makeGic(vm: Vm, cpus: number): GicVersion {
  const version = gicVersion(vm);
  if (version === 2 && cpus > GIC_V2_MAX_CPUS) {
    const message = `this host has a GICv2 only, which serves at most ${GIC_V2_MAX_CPUS} vCPUs, not ${cpus}`;
    throw new KvmError('ERR_KVM_UNSUPPORTED', message);
  }
  // Closing the object's descriptor does not end the device: it belongs to the machine.
  using gic = vm.createDevice(version === 3 ? DEVICE_TYPE.ARM_VGIC_V3 : DEVICE_TYPE.ARM_VGIC_V2);
  if (version === 3) {
    setAddress(gic, ADDRESS.v3Distributor, GIC.distributor);
    setAddress(gic, ADDRESS.v3Redistributors, GIC.redistributors);
  } else {
    setAddress(gic, ADDRESS.v2Distributor, GIC.distributor);
    setAddress(gic, ADDRESS.v2CpuInterface, GIC.cpuInterface);
  }
  gic.setDeviceAttr(GROUP.interrupts, 0, Uint32Array.of(GIC_INTERRUPTS));
  gic.setDeviceAttr(GROUP.control, CONTROL_INIT);
  return version;
}

function setAddress(gic: KvmDevice, attribute: number, address: number): void {
  gic.setDeviceAttr(GROUP.address, attribute, BigUint64Array.of(BigInt(address)));
}
