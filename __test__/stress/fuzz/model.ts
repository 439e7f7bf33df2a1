/** What the tests of sequences believe about a machine: which objects are open, taken, given away. */
import {
  EventFd,
  Kvm,
  type Attachment,
  type MemoryRegion,
  type RunResult,
  type VcpuToken,
  type Vcpu,
  type Vm,
} from 'vmhatch';
import { load, onArm } from '../../helpers/common-guests.ts';
import { wholePages } from '../../helpers/page.ts';
import { enterGuest } from './world.ts';

/** What a vCPU is in. */
export type VcpuState = 'open' | 'transferred' | 'running' | 'closed';

/** The belief. */
export interface Model {
  kvmOpen: boolean;
  vmOpen: boolean;
  vcpus: VcpuState[];
  /** Open regions by slot index. */
  regions: boolean[];
  eventFdOpen: boolean;
  attachments: boolean[];
}

/** The machine that the commands are done to. */
export interface Real {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpus: Vcpu[];
  readonly regions: MemoryRegion[];
  readonly eventFd: EventFd;
  readonly attachments: Attachment[];
  /** The runs under way, by index of the vCPU. */
  readonly runs: Map<number, Promise<RunResult>>;
  /** What the last transfer of each vCPU gave. */
  readonly tokens: Map<number, VcpuToken>;
}

export function startModel(): Model {
  return { kvmOpen: true, vmOpen: true, vcpus: [], regions: [], eventFdOpen: true, attachments: [] };
}

export function startReal(): Real {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0, size: wholePages(0x2000), slot: 0 });
  // mov cx, 0x400; loop to itself; out dx, al; jmp to the start: an exit, some work, then the next one.
  if (onArm) load(vm, 'mmio-storm');
  else vm.memory.write(0x1000, Uint8Array.of(0xb9, 0x00, 0x04, 0xe2, 0xfe, 0xee, 0xeb, 0xf8));
  return {
    kvm,
    vm,
    vcpus: [],
    regions: [],
    eventFd: new EventFd(),
    attachments: [],
    runs: new Map(),
    tokens: new Map(),
  };
}

export async function endReal(real: Real): Promise<void> {
  real.vm.close();
  real.kvm.close();
  real.eventFd.close();
  await Promise.allSettled(real.runs.values());
}

/** Makes a vCPU that can run the guest. */
export function makeVcpu(vm: Vm): Vcpu {
  const vcpu = vm.createVcpu();
  enterGuest(vcpu);
  return vcpu;
}
