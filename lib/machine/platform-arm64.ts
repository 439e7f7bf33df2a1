/** A machine of aarch64: a GIC, PSCI in the kernel, a device tree. */
import { randomBytes } from 'node:crypto';
import { Cap } from '../generated/capabilities.ts';
import type { NativeBootPlan } from '../internal/native.ts';
import { ArmVcpuFeature } from '../kvm/arm-features.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { Vm } from '../kvm/vm.ts';
import { ChipsetArm64 } from './chipset-arm64.ts';
import type { MachinePlan } from './config.ts';
import { gicVersion, makeGic } from './gic.ts';
import { DEVICE_LINES, DEVICE_WINDOWS, FIRST_SPI, MAX_CPUS, RAM_START, ramRanges } from './layout-arm64.ts';
import type { Platform } from './platform.ts';

/** `PSR_D_BIT | PSR_A_BIT | PSR_I_BIT | PSR_F_BIT | PSR_MODE_EL1h` of Linux's arch/arm64/include/uapi/asm/ptrace.h. */
const EL1_MASKED = 0x3c5n;

/** `KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT` of `<asm/kvm.h>`. */
const SPI = 1 << 24;

/** Bytes for the guest's random number generator. */
const SEED_BYTES = 32;

/** The platform of QEMU's and Firecracker's aarch64 machines, more or less. */
export const platformArm64: Platform = {
  protocols: ['image', 'flat'],
  maxCpus: MAX_CPUS,
  deviceWindows: DEVICE_WINDOWS,
  deviceLines: DEVICE_LINES,
  hasPorts: false,
  flatAddress: RAM_START,
  ramRanges,
  makeChipset: (plan) => new ChipsetArm64(plan),
  makeProcessors(kvm, vm, plan) {
    const vcpus = makeVcpus(kvm, vm, plan.cpus);
    makeGic(vm, plan.cpus);
    return vcpus;
  },
  bootPlan: (plan, vm) => ({ acpi: undefined, powerPort: 0, fdt: deviceTree(plan, vm) }),
  enter(vcpu, { rip, x0 }) {
    const { armRegs } = vcpu;
    armRegs.pc = BigInt(rip);
    armRegs.x0 = BigInt(x0);
    armRegs.pstate = EL1_MASKED;
  },
  irqOf: (line) => SPI | (line + FIRST_SPI),
};

/** All but the first wait until the guest starts them, by PSCI. */
function makeVcpus(kvm: Kvm, vm: Vm, cpus: number): Vcpu[] {
  const { target } = vm.getPreferredTarget();
  const features: number[] = [ArmVcpuFeature.psci02];
  if (kvm.checkExtension(Cap.ArmPtrAuthAddress) && kvm.checkExtension(Cap.ArmPtrAuthGeneric)) {
    features.push(ArmVcpuFeature.ptrauthAddress, ArmVcpuFeature.ptrauthGeneric);
  }
  return Array.from({ length: cpus }, (_, cpu) => {
    const vcpu = vm.createVcpu(cpu);
    vcpu.vcpuInit({ target, features: cpu === 0 ? features : [...features, ArmVcpuFeature.powerOff] });
    return vcpu;
  });
}

function deviceTree(plan: MachinePlan, vm: Vm): NativeBootPlan['fdt'] {
  return {
    ...(gicVersion(vm) === 3 ? { hasIts: false } : {}),
    serialPorts: plan.console2 ? 2 : 1,
    rngSeed: randomBytes(SEED_BYTES),
    devices: plan.devices.flatMap(({ deviceTree: node, mmio, interrupt }) =>
      node === undefined || mmio === undefined
        ? []
        : [
            {
              name: node.name,
              compatible: [node.compatible].flat(),
              mmio: [mmio.base, mmio.length],
              ...(interrupt === undefined ? {} : { interrupt }),
            },
          ],
    ),
  };
}
