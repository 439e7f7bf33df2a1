/** The machine that the examples in the documents assume: `kvm`, `vm`, and a `vcpu` with a few instructions. */
import type { ExecutionContext } from 'ava';

import { Kvm, type Vcpu, type Vm } from '../../index.ts';

/** What an example finds. */
export interface ExampleMachine {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** They print nothing. */
  readonly console: Pick<Console, 'error' | 'log'>;
  readonly process: Pick<NodeJS.Process, 'exit'> & { readonly stdout: { write(data: unknown): boolean } };
  /** Checks what a comment at the end of a line says. */
  readonly expect: (actual: unknown, expected: unknown) => void;
}

/** Above the addresses that examples use. */
const CODE_ADDRESS = 0x1000_0000;

const code = Uint8Array.from(
  [
    [0xba, 0xf8, 0x03], // mov dx, 0x3f8
    [0xb0, 0x2a], //       mov al, 42
    [0xee], //             out dx, al
    [0xe4, 0x60], //       in al, 0x60
    [0xf4], //             hlt
  ].flat(),
);

/** Makes the machine; the vCPU only when it is looked at, since some things must be there before it. */
export function exampleMachine(t: ExecutionContext): ExampleMachine & Disposable {
  const kvm = new Kvm();
  const vm = kvm.createVm();
  let made: Vcpu | undefined;
  const makeVcpu = (): Vcpu => {
    vm.memory.map({ guestAddress: CODE_ADDRESS, size: 0x1000 });
    vm.memory.write(CODE_ADDRESS, code);
    const vcpu = vm.createVcpu();
    vcpu.setSregs({ cs: { base: CODE_ADDRESS, selector: 0 } });
    vcpu.setRegs({ rip: 0, rflags: 2 });
    return vcpu;
  };
  return {
    kvm,
    vm,
    get vcpu() {
      made ??= makeVcpu();
      return made;
    },
    console: { error: () => {}, log: () => {} },
    process: {
      exit: (status) => {
        throw new Error(`the example ended the process with ${status}`);
      },
      stdout: { write: () => true },
    },
    expect: (actual, expected) => t.deepEqual(actual, expected),
    [Symbol.dispose]() {
      vm.close();
      kvm.close();
    },
  };
}
