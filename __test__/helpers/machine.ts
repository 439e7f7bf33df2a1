/** Virtual machines for tests: closed when the test ends. */
import type { ExecutionContext } from 'ava';

import {
  EventFd,
  Kvm,
  type Exit,
  type ExitKind,
  type ExitMap,
  type Patch,
  type Regs,
  type RunResult,
  type Vcpu,
  type Vm,
} from '../../index.ts';
import { enter, findGuest, type Guest } from './guests.ts';
import { wholePages } from './page.ts';

/** Everything a guest needs lies below this, and what it expects not to be mapped at or above it. */
export const RAM_SIZE = wholePages(0x8000);

/** A machine with a guest on its first vCPU. */
export interface Machine {
  vm: Vm;
  vcpu: Vcpu;
}

/** What a test wants of its machine. */
export interface BootOptions {
  regs?: Patch<Regs>;
  /** Called before the vCPU is made: interrupt controllers, devices. */
  prepare?: (vm: Vm) => void;
  /** Bytes of memory from address 0. */
  ramSize?: number;
}

/** Opens KVM for the time of a test. */
export function openKvm(t: ExecutionContext): Kvm {
  const kvm = new Kvm();
  t.teardown(() => kvm.close());
  return kvm;
}

/** Makes an empty machine. */
export function makeVm(t: ExecutionContext): Vm {
  const vm = openKvm(t).createVm();
  t.teardown(() => vm.close());
  return vm;
}

/** Makes an event counter. */
export function makeEvent(t: ExecutionContext): EventFd {
  const event = new EventFd();
  t.teardown(() => event.close());
  return event;
}

/** Makes a machine with a guest that is ready to run. */
export function boot(t: ExecutionContext, what: string | Guest, options: BootOptions = {}): Machine {
  const vm = makeVm(t);
  options.prepare?.(vm);
  const guest = typeof what === 'string' ? findGuest(what) : what;
  vm.memory.map({ guestAddress: 0, size: options.ramSize ?? RAM_SIZE });
  vm.memory.write(guest.loadAddress, guest.bytes);
  const vcpu = vm.createVcpu();
  enter(vcpu, guest, options.regs);
  return { vm, vcpu };
}

/** The exit that a run ended with; a run that ended otherwise fails the test. */
export function exitOf<Kind extends ExitKind>(end: RunResult, kind: Kind): ExitMap[Kind] {
  const exit: Exit | undefined = 'exit' in end ? end.exit : undefined;
  if (exit?.kind !== kind) throw new Error(`expected ${kind}, the run ended with ${describe(end)}`);
  return exit as ExitMap[Kind];
}

function describe(end: RunResult): string {
  return JSON.stringify(end, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
