/** Guests of x86_64 that misbehave: whatever they do comes out as data, the host goes on, and nothing hangs. */
import test from 'ava';

import {
  Cmos,
  DebugConsole,
  DebugExit,
  I8042,
  Serial,
  type Device,
  type Handlers,
  type Vcpu,
  type Vm,
} from '../../index.ts';
import { native } from '../../lib/internal/native.ts';
import { Runner } from '../../lib/internal/runner.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf } from '../helpers/machine.ts';
import { randomBytes, randomFrom } from '../stress/fuzz/random.ts';
import { SEED } from '../stress/fuzz/settings.ts';

test.serial('triple fault: shutdown', async (t) => {
  for (const [, run] of LANES) {
    const { vcpu } = boot(t, 'triple-fault');
    exitOf(await run(vcpu, {}, { timeoutMs: 10_000 }), 'shutdown');
  }
  t.pass();
});

test.serial('unmapped access: an MMIO exit, answered by all ones or by the handler', (t) => {
  const plain = boot(t, 'unmapped-read').vcpu;
  const exit = exitOf(plain.run({}, { timeoutMs: 10_000 }), 'mmioRead');
  t.deepEqual(exit, { kind: 'mmioRead', address: 0xd000_0000, size: 4 });
  exitOf(plain.run({}, { timeoutMs: 10_000 }), 'hlt');
  t.is(plain.regs.rax, 0xffff_ffffn);

  const answered = boot(t, 'unmapped-read').vcpu;
  exitOf(answered.run({ mmioRead: () => 0x1234_5678 }, { timeoutMs: 10_000 }), 'hlt');
  t.is(answered.regs.rax, 0x1234_5678n);
});

test.serial(
  'emulation failure: an internal error with the instruction, where the host gives it',
  async (t) => {
    for (const [, run] of LANES) {
      const { vcpu } = boot(t, 'emulation-failure');
      const exit = exitOf(await run(vcpu, {}, { timeoutMs: 10_000 }), 'internalError');
      t.is(exit.suberror, 1);
      if (exit.instruction !== undefined) t.deepEqual([...exit.instruction.subarray(0, 2)], [0xd9, 0x17]);
    }
  },
);

/** A device that writes down its accesses. */
function recorder(name: string, log: string[]): Device {
  return {
    read: (offset, size) => {
      log.push(`${name} read ${offset}/${size}`);
      return 0x11;
    },
    write: (offset, value, size) => void log.push(`${name} write ${offset}/${size}=${value.toString(16)}`),
  };
}

test.serial('string I/O at the border of two devices stays with the device of its port', (t) => {
  // mov si, 0x1040; mov cx, 3; mov dx, 0x503; cld; rep outsb; mov cx, 3; inc dx; mov di, 0x2000; rep insb; hlt
  const code = [0xbe, 0x40, 0x10, 0xb9, 3, 0, 0xba, 0x03, 0x05, 0xfc, 0xf3, 0x6e];
  code.push(0xb9, 3, 0, 0x42, 0xbf, 0x00, 0x20, 0xf3, 0x6c, 0xf4);
  const log: string[] = [];
  const { vm, vcpu } = boot(t, realModeGuest(...code), {
    prepare: (machine) => {
      machine.io.attach({ base: 0x500, length: 4 }, recorder('a', log));
      machine.io.attach({ base: 0x504, length: 4 }, recorder('b', log));
    },
  });
  vm.memory.write(0x1040, Uint8Array.of(1, 2, 3));
  exitOf(vcpu.run({}, { timeoutMs: 10_000 }), 'hlt');
  t.deepEqual(log, [
    'a write 3/1=1',
    'a write 3/1=2',
    'a write 3/1=3',
    ...Array.from({ length: 3 }, () => 'b read 0/1'),
  ]);
  t.deepEqual([...vm.memory.read(0x2000, 3)], [0x11, 0x11, 0x11]);
});

/** `mov dx, port`, then the opcodes. */
function atPort(port: number, ...opcodes: number[]): number[] {
  return [0xba, port & 0xff, port >> 8, ...opcodes];
}

test.serial(
  'an access that runs over the end of a range belongs to the device that has its first byte',
  (t) => {
    const OUT_EAX = [0x66, 0xef];
    const IN_EAX = [0x66, 0xed];
    // mov si, 0x1080; mov cx, 2; cld; then rep outsd.
    const strings = [0xbe, 0x80, 0x10, 0xb9, 2, 0, 0xfc];
    const code = [
      ...atPort(0x502, ...OUT_EAX),
      ...atPort(0x4fe, ...IN_EAX),
      ...atPort(0x506, ...IN_EAX),
      ...strings,
      ...atPort(0x502, 0xf3, 0x66, 0x6f),
      0xf4,
    ];
    const log: string[] = [];
    const { vm, vcpu } = boot(t, realModeGuest(...code), {
      prepare: (machine) => {
        machine.io.attach({ base: 0x500, length: 4 }, recorder('a', log));
        machine.io.attach({ base: 0x504, length: 4 }, new Serial());
      },
    });
    vm.memory.write(0x1080, Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0));
    vcpu.regs.rax = 0xaabb_ccddn;
    const seen: string[] = [];
    const handlers: Handlers = {
      ioIn: (exit) => {
        seen.push(`in ${exit.port.toString(16)}/${exit.size}`);
        return 0x0102_0304;
      },
    };
    exitOf(vcpu.run(handlers, { timeoutMs: 10_000 }), 'hlt');
    // Nobody has port 0x4fe; that the access reaches into a device's range changes nothing.
    t.deepEqual(seen, ['in 4fe/4']);
    t.deepEqual(log, ['a write 2/4=aabbccdd', 'a write 2/4=1', 'a write 2/4=2']);
  },
);

test.serial('MMIO that straddles two devices, or only part of which is claimed', (t) => {
  // mov eax, [0x9002]; mov eax, [0x9006]; mov [0x8ffe], eax; hlt, in 16-bit code
  const code = [0x66, 0xa1, 0x02, 0x90, 0x66, 0xa1, 0x06, 0x90, 0x66, 0xa3, 0xfe, 0x8f, 0xf4];
  const log: string[] = [];
  const { vcpu } = boot(t, realModeGuest(...code), {
    prepare: (vm) => {
      vm.mmio.attach({ base: 0x9000, length: 4 }, recorder('a', log));
      vm.mmio.attach({ base: 0x9004, length: 4 }, recorder('b', log));
    },
  });
  const seen: string[] = [];
  const handlers: Handlers = {
    mmioWrite: (exit) => void seen.push(`write ${exit.address.toString(16)}/${exit.size}`),
  };
  exitOf(vcpu.run(handlers, { timeoutMs: 10_000 }), 'hlt');
  t.deepEqual(log.slice(0, 2), ['a read 2/4', 'b read 2/4']);
  // The write crosses from one page to the next: hosts hand that over whole, or in two parts.
  t.deepEqual(seen, [log.length === 2 ? 'write 8ffe/4' : 'write 8ffe/2']);
  t.deepEqual(log.slice(2), log.length === 2 ? [] : ['a write 0/2=0']);
});

/** Where each Rust device is, and how many ports it has. */
const RUST_DEVICES: readonly (readonly [
  base: number,
  length: number,
  make: () => Parameters<Vm['io']['attach']>[1],
])[] = [
  [0x3f8, 8, () => new Serial()],
  [0x70, 2, () => new Cmos({ time: new Date(0) })],
  [0x60, 5, () => new I8042()],
  [0xf4, 4, () => new DebugExit()],
  [0x402, 1, () => new DebugConsole()],
];

/** A loop of random accesses: `mov dx`, `mov eax`, then an in or out of 1, 2 or 4 bytes. */
function randomAccesses(random: () => number, bases: typeof RUST_DEVICES): number[] {
  const code: number[] = [];
  for (let index = 0; index < 400; index++) {
    const [base, length] = bases[random() % bases.length]!;
    // Random, or what a reset takes: 0xfe to the keyboard controller.
    const value = random() % 8 === 0 ? 0xfe : random();
    const bytes = [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff);
    const opcodes = [[0xee], [0xef], [0x66, 0xef], [0xec], [0xed], [0x66, 0xed]][random() % 6]!;
    code.push(...atPort(base + (random() % length), 0x66, 0xb8, ...bytes, ...opcodes));
  }
  // jmp to the start
  const distance = -(code.length + 3);
  return [...code, 0xe9, distance & 0xff, (distance >> 8) & 0xff];
}

test.serial('random bytes to every port of every Rust device', async (t) => {
  const random = randomFrom(SEED);
  const stops = new Set<string>();
  t.log(`VMHATCH_FUZZ_SEED=${SEED}`);
  for (let round = 0; round < 12; round++) {
    const [name, run] = LANES[round % LANES.length]!;
    // One device alone: otherwise those that end the run leave little to the others.
    const devices = round < 4 ? RUST_DEVICES : [RUST_DEVICES[round % RUST_DEVICES.length]!];
    const { vcpu } = boot(t, realModeGuest(...randomAccesses(random, devices)), {
      prepare: (vm) => {
        for (const [base, length, make] of devices) vm.io.attach({ base, length }, make());
      },
    });
    const begun = performance.now();
    // On a busy machine a guest may get its turn late.
    const unserved = (): boolean => vcpu.stats.byRoute.rust === 0 && performance.now() < begun + 20_000;
    while (performance.now() < begun + 60 || unserved()) {
      const end = await run(vcpu, { ioOut: () => undefined, ioIn: () => 0 }, { timeoutMs: 20 });
      t.true(end.reason === 'device' || end.reason === 'timeout', `${name}: ${end.reason}`);
      if (end.reason === 'device') stops.add(end.device);
    }
    t.true(vcpu.stats.byRoute.rust > 0);
  }
  t.deepEqual([...stops].toSorted(), ['i8042', 'isa-debug-exit']);
});

test.serial('the shared pages overwritten with random bytes between steps: the process lives', (t) => {
  t.log(`VMHATCH_FUZZ_SEED=${SEED}`);
  const addon = native();
  const ends = new Set<number>();
  for (let guest = 0; guest < 20; guest++) {
    const random = randomFrom(SEED + guest);
    const kvm = new addon.NativeKvm('/dev/kvm');
    const vm = kvm.createVm(0);
    // The lowest free slot, a page at 0x1000, anonymous memory.
    vm.mapMemory(-1, 0x1000, 0x1000, 0, undefined, 0);
    // out dx, al; in al, dx; mov [0x9000], al; jmp back
    vm.writeMemory(0x1000, Uint8Array.of(0xee, 0xec, 0xa2, 0x00, 0x90, 0xeb, 0xf9));
    vm.attachNative(false, 0x3f8, 8, undefined, addon.NativeDeviceModel.serial(false, undefined));
    vm.attachScript(true, 0x9000, 8, guest % 2 === 0 ? [0, 8] : undefined, 4_000_000_000);
    const vcpu = vm.createVcpu(0);
    const runner = new Runner(vcpu, undefined as unknown as Vcpu, true);
    const { u8, control } = runner.view;
    const touch = (exit: { toJSON(): object }): void => void exit.toJSON();
    const handlers = { ioOut: touch, ioIn: touch, mmioRead: touch, mmioWrite: touch };
    for (let turn = 0; turn < 200; turn++) {
      // The whole page at times; else a few bytes, so that KVM gets beyond its first check.
      const whole = turn % 10 === 0;
      const from = random() % 3 === 0 ? control : 0;
      const length = whole ? 4096 : 1 + (random() % 16);
      const at = whole ? from : from + (random() % (4096 - length));
      u8.set(randomBytes(random, length), at);
      // A guest without exits must not keep us.
      vcpu.kick();
      const work = [() => runner.begin(handlers, false), () => ends.add(runner.burst())];
      for (const step of [...work, () => runner.finish(), () => runner.completeNow()]) {
        // What the pages then say is nonsense, and any error is right that is thrown for it.
        try {
          step();
        } catch {
          ends.add(-1);
        }
      }
    }
    vm.close();
    kvm.close();
  }
  t.true(ends.size > 1);
});
