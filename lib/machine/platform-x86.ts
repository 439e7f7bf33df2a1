/** A machine of x86_64: what of it is not the same on aarch64. */
import { Cap } from '../generated/capabilities.ts';
import { KvmError } from '../internal/errors.ts';
import type { NativeBootPlan } from '../internal/native.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { Vm } from '../kvm/vm.ts';
import { ChipsetX86 } from './chipset-x86.ts';
import type { MachinePlan } from './config.ts';
import { machineCpuid } from './cpuid.ts';
import { enterKernel, likeFirmware } from './cpu-state.ts';
import {
  DEVICE_WINDOWS,
  FIRMWARE_LIMIT,
  IDENTITY_MAP_ADDRESS,
  INTERRUPTS,
  INTERRUPT_LINES,
  MAX_CPUS,
  PAGE,
  PORTS,
  RAM_ABOVE_HOLE,
  TSS_ADDRESS,
  ramRanges,
} from './layout-x86.ts';
import type { Platform } from './platform.ts';
import { bootError, type Image } from './source.ts';

/** The platform of a PC without PCI. */
export const platformX86: Platform = {
  protocols: ['linux64', 'pvh', 'elf64', 'multiboot', 'flat', 'firmware'],
  maxCpus: MAX_CPUS,
  deviceWindows: DEVICE_WINDOWS,
  // The ISA bus's own interrupts are below.
  deviceLines: { first: 5, last: INTERRUPT_LINES - 1 },
  hasPorts: true,
  flatAddress: 0x7c00,
  ramRanges,
  makeChipset: (plan) => new ChipsetX86(plan),
  makeProcessors(kvm, vm, plan, kernel) {
    if (kvm.checkExtension(Cap.SetIdentityMapAddr)) vm.setIdentityMapAddress(IDENTITY_MAP_ADDRESS);
    if (kvm.checkExtension(Cap.SetTssAddr)) vm.setTssAddress(TSS_ADDRESS);
    vm.createIrqChip();
    // Port 0x61, by which programs wait for the timer, is the timer's then.
    vm.createPit2({ speakerDummy: true });
    if (plan.protocol === 'firmware') mapFirmware(vm, kernel);
    return makeVcpus(kvm, vm, plan.cpus);
  },
  bootPlan: (plan) => ({
    acpi: plan.acpi ? acpiDevices(plan) : undefined,
    powerPort: PORTS.acpiPower.base,
    fdt: undefined,
  }),
  enter: enterKernel,
  irqOf: (line) => line,
};

function makeVcpus(kvm: Kvm, vm: Vm, cpus: number): Vcpu[] {
  const supported = kvm.getSupportedCpuid();
  const tscDeadline = kvm.checkExtension(Cap.TscDeadlineTimer);
  return Array.from({ length: cpus }, (_, cpu) => {
    const vcpu = vm.createVcpu(cpu);
    const clocks = { tscKhz: tscKhz(vcpu), tscDeadline };
    vcpu.setCpuid2(machineCpuid(supported, { cpu, cpus }, clocks));
    likeFirmware(vcpu);
    return vcpu;
  });
}

/** A host whose counter is not constant does not say. */
function tscKhz(vcpu: Vcpu): number {
  try {
    return vcpu.getTscKhz();
  } catch (error) {
    if (error instanceof KvmError && error.code === 'ERR_KVM_IOCTL') return 0;
    throw error;
  }
}

function mapFirmware(vm: Vm, { length }: Image): void {
  const size = Math.ceil(length / PAGE) * PAGE;
  if (size === 0) throw bootError('kernel', 'the firmware image is empty');
  if (size > FIRMWARE_LIMIT) {
    throw bootError('kernel', `firmware of ${length} bytes: at most ${FIRMWARE_LIMIT} fit below 4 GiB`);
  }
  vm.memory.map({ guestAddress: RAM_ABOVE_HOLE - size, size, readOnly: true });
}

type AcpiDevices = NonNullable<NativeBootPlan['acpi']>;

function acpiDevices(plan: MachinePlan): AcpiDevices {
  const isa = (name: string, hid: string, uid: number, range: { base: number; length: number }) => ({
    name,
    hid,
    uid,
    mmio: [],
    io: [range.base, range.length],
  });
  const serial = 'PNP0501';
  const devices: AcpiDevices = [
    { ...isa('COM1', serial, 1, PORTS.com1), interrupt: INTERRUPTS.com1 },
    isa('PVPC', 'QEMU0001', 0, PORTS.pvpanic),
  ];
  if (plan.console2) devices.push({ ...isa('COM2', serial, 2, PORTS.com2), interrupt: INTERRUPTS.com2 });
  for (const { acpi, io, mmio, interrupt } of plan.devices) {
    if (acpi === undefined) continue;
    devices.push({
      name: acpi.name,
      hid: acpi.hid,
      uid: acpi.uid ?? 0,
      mmio: mmio === undefined ? [] : [mmio.base, mmio.length],
      io: io === undefined ? [] : [io.base, io.length],
      ...(interrupt === undefined ? {} : { interrupt }),
    });
  }
  return devices;
}
