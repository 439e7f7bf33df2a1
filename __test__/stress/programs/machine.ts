/** Small machines for the stress programs. */
import { readFileSync } from 'node:fs';

import { Kvm, type Vcpu, type Vm } from '../../../index.ts';
import { enter, load, type CommonGuest, type CommonRegs } from '../../helpers/common-guests.ts';
import { wholePages } from '../../helpers/page.ts';

const guests = new URL('../../../crates/test-guests/guests/', import.meta.url);

/** The bytes of a guest program, to be loaded and entered at 0x1000. */
export function guestProgram(name: string): Uint8Array {
  return readFileSync(new URL(`${name}.bin`, guests));
}

export interface Machine {
  kvm: Kvm;
  vm: Vm;
  vcpu: Vcpu;
}

/** Lets a vCPU start at 0x1000 in real mode. */
export function startAt0x1000(vcpu: Vcpu): void {
  vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  vcpu.setRegs({ rip: 0x1000, rflags: 2 });
}

/** A machine with 28 KiB and one vCPU that is about to run a guest: a program's name, or its bytes. */
export function machine(guest: string | Uint8Array, kvm = new Kvm()): Machine {
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0x1000, size: 0x7000 });
  vm.memory.write(0x1000, typeof guest === 'string' ? guestProgram(guest) : guest);
  const vcpu = vm.createVcpu();
  startAt0x1000(vcpu);
  return { kvm, vm, vcpu };
}

/** Likewise, with a guest that both architectures have. */
export function commonMachine(guest: CommonGuest, regs?: CommonRegs, kvm = new Kvm()): Machine {
  const vm = kvm.createVm();
  vm.memory.map({ guestAddress: 0, size: wholePages(0x8000) });
  load(vm, guest);
  const vcpu = vm.createVcpu();
  enter(vcpu, guest, regs);
  return { kvm, vm, vcpu };
}

/** Waits until a guest has made some exits, or fails. */
export async function waitFor(what: string, condition: () => boolean): Promise<void> {
  const until = Date.now() + 50_000;
  while (!condition()) {
    if (Date.now() > until) throw new Error(`waited in vain: ${what}`);
    await sleep(5);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** Runs the scenario that the command line names. */
export async function main(scenarios: Record<string, () => void | Promise<void>>): Promise<void> {
  const name = process.argv[2] ?? '';
  const scenario = scenarios[name];
  if (scenario === undefined) throw new Error(`no scenario ${name}`);
  await scenario();
}
