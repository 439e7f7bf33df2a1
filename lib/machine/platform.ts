import type { NativeBootPlan, NativeEntry } from '../internal/native.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { Vm } from '../kvm/vm.ts';
import type { Chipset } from './chipset.ts';
import type { BootProtocol, MachinePlan } from './config.ts';
import { platformArm64 } from './platform-arm64.ts';
import { platformX86 } from './platform-x86.ts';
import type { Image } from './source.ts';

/** What of a machine depends on the processor's architecture. */
export interface Platform {
  /** How kernels are entered. */
  readonly protocols: readonly BootProtocol[];
  /** The most vCPUs. */
  readonly maxCpus: number;
  /** Where devices of the caller's may be. */
  readonly deviceWindows: { readonly start: number; readonly end: number };
  /** The interrupt lines that they may have. */
  readonly deviceLines: { readonly first: number; readonly last: number };
  /** Whether there are ports, and what only a PC has: ACPI tables, the debug console. */
  readonly hasPorts: boolean;
  /** Where a flat image goes if nothing else is said. */
  readonly flatAddress: number;
  /** The parts of the address space that are RAM. */
  ramRanges(memory: number): { guestAddress: number; size: number }[];
  /** The devices of the machine itself. */
  makeChipset(plan: MachinePlan): Chipset;
  /** The vCPUs and the interrupt controllers. Memory is mapped. */
  makeProcessors(kvm: Kvm, vm: Vm, plan: MachinePlan, kernel: Image): Vcpu[];
  /** What the guest is told about the machine. */
  bootPlan(plan: MachinePlan, vm: Vm): Pick<NativeBootPlan, 'acpi' | 'powerPort' | 'fdt'>;
  /** Sets the registers of the vCPU that starts the kernel. */
  enter(vcpu: Vcpu, entry: NativeEntry): void;
  /** An interrupt line as `KVM_IRQ_LINE` names it. */
  irqOf(line: number): number;
}

/** That of this host. */
export const platform: Platform = process.arch === 'arm64' ? platformArm64 : platformX86;
