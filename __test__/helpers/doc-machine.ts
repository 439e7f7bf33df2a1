/**
 * What the examples in the documents assume: `kvm`, `vm`, a `vcpu` with a few instructions, and a `machine`. A kernel that
 * an example names is replaced by a few instructions that behave as a shell does, so that the example runs on any KVM.
 */
import { Readable, Writable } from 'node:stream';

import type { ExecutionContext } from 'ava';

import { Kvm, Machine, type MachineConfig, type Vcpu, type Vm } from '../../index.ts';

/** What an example finds. */
export interface ExampleMachine {
  readonly kvm: Kvm;
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** `Machine`, whose machines run a shell that understands `poweroff` and `reboot`, whatever kernel they are given. */
  readonly Machine: typeof Machine;
  /** Such a machine, not started. It is disposed of with the rest. */
  makeMachine(): Promise<Machine>;
  /** They print nothing; what is typed is `poweroff`. */
  readonly console: Pick<Console, 'error' | 'log'>;
  readonly process: Pick<NodeJS.Process, 'exit'> & { readonly stdin: Readable; readonly stdout: Writable };
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

/** Says on the boot timer that it is up, prints a prompt, echoes what is typed, obeys lines that begin with p and r. */
const shell = Uint8Array.from(
  [
    [0xba, 0xf0, 0x03, 0xb0, 0x7b, 0xee], // start:  mov dx, 0x3f0; mov al, 123; out dx, al
    [0xba, 0xf8, 0x03], //                           mov dx, 0x3f8
    [0xb0, 0x23, 0xee, 0xb0, 0x20, 0xee], // prompt: mov al, '#'; out dx, al; mov al, ' '; out dx, al
    [0x30, 0xdb], //                                 xor bl, bl: the first byte of the line
    [0xba, 0xfd, 0x03], //                   next:   mov dx, 0x3fd
    [0xec, 0xa8, 0x01, 0x74, 0xfb], //       wait:   in al, dx; test al, 1; jz wait
    [0xba, 0xf8, 0x03, 0xec, 0xee], //               mov dx, 0x3f8; in al, dx; out dx, al
    [0x84, 0xdb, 0x75, 0x02, 0x88, 0xc3], //         test bl, bl; jnz kept; mov bl, al
    [0x3c, 0x0a, 0x75, 0xe9], //             kept:   cmp al, '\n'; jne next
    [0x80, 0xfb, 0x72, 0x74, 0x0b], //               cmp bl, 'r'; je reboot
    [0x80, 0xfb, 0x70, 0x75, 0xd7], //               cmp bl, 'p'; jne prompt
    [0xba, 0x00, 0x06, 0xb0, 0x34, 0xee], //         mov dx, 0x600; mov al, 0x34; out dx, al
    [0xb0, 0xfe, 0xe6, 0x64], //             reboot: mov al, 0xfe; out 0x64, al
  ].flat(),
);

/** The configuration with that shell for a kernel, unless it has a program of its own. */
function withShell(config: MachineConfig = {}): MachineConfig {
  if (config.protocol === 'flat') return config;
  const linux = { initrd: undefined, cmdline: undefined, modules: undefined };
  return { ...config, ...linux, memory: '1MiB', kernel: shell, protocol: 'flat' };
}

const StandIn = new Proxy(Machine, {
  get: (target, key): unknown =>
    key === 'create'
      ? (config?: MachineConfig) => target.create(withShell(config))
      : Reflect.get(target, key),
});

/** Makes the machine; the vCPU only when it is looked at, since some things must be there before it. */
export function exampleMachine(t: ExecutionContext): ExampleMachine & AsyncDisposable {
  const machines: Machine[] = [];
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
    Machine: StandIn,
    async makeMachine() {
      const machine = await StandIn.create();
      machines.push(machine);
      return machine;
    },
    console: { error: () => {}, log: () => {} },
    process: {
      exit: (status) => {
        throw new Error(`the example ended the process with ${status}`);
      },
      stdin: Readable.from(['poweroff\n']),
      stdout: new Writable({ write: (_chunk, _encoding, done) => done() }),
    },
    expect: (actual, expected) => t.deepEqual(actual, expected),
    async [Symbol.asyncDispose]() {
      for (const machine of machines) await machine[Symbol.asyncDispose]();
      vm.close();
      kvm.close();
    },
  };
}
