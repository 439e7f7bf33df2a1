import test from 'ava';

import { DebugConsole } from '../../index.ts';
import { realModeGuest } from '../helpers/guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf, makeVm } from '../helpers/machine.ts';

/** mov dx, 0x500; in al, dx; hlt */
const IN_THEN_HLT = realModeGuest(0xba, 0x00, 0x05, 0xec, 0xf4);

/** mov dx, 0x500; out dx, al; mov cx, bx; hlt */
const OUT_THEN_COPY = realModeGuest(0xba, 0x00, 0x05, 0xee, 0x89, 0xd9, 0xf4);

const NAMES = 'rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags'.split(' ');

test('all registers can be read and set', (t) => {
  const vcpu = makeVm(t).createVcpu();
  const wanted = Object.fromEntries(NAMES.map((name, index) => [name, BigInt(index + 1) << 32n]));
  wanted['rflags'] = 2n;
  vcpu.setRegs(wanted);
  t.deepEqual({ ...vcpu.getRegs() } as Record<string, bigint>, wanted);
  t.deepEqual(Object.keys(vcpu.getRegs()), NAMES);
});

test('registers left out stay, and numbers will do', (t) => {
  const vcpu = makeVm(t).createVcpu();
  vcpu.setRegs({ rax: 1, rbx: 2n, rcx: Number.MAX_SAFE_INTEGER });
  vcpu.setRegs({ rbx: 2n ** 64n - 1n, rdx: undefined });
  const { rax, rbx, rcx } = vcpu.getRegs();
  t.deepEqual([rax, rbx, rcx], [1n, 2n ** 64n - 1n, BigInt(Number.MAX_SAFE_INTEGER)]);
});

test('a wrong register changes none', (t) => {
  const vcpu = makeVm(t).createVcpu();
  vcpu.setRegs({ rax: 1 });
  t.throws(() => vcpu.setRegs({ rax: 5, rbx: -1 }), { instanceOf: RangeError, code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setRegs({ rax: 2n ** 64n }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setRegs({ rax: 1.5 }), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => vcpu.setRegs({ rax: '5' as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => vcpu.setRegs({ eax: 5 } as never), { code: 'ERR_INVALID_ARG_VALUE' });
  t.throws(() => vcpu.setRegs(null as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.is(vcpu.getRegs().rax, 1n);
});

test('the live view reads and writes the registers between runs', (t) => {
  const vcpu = makeVm(t).createVcpu();
  vcpu.regs.rax = 0x1_0000_0001n;
  vcpu.regs.rbx = 3 as never;
  t.is(vcpu.regs.rax, 0x1_0000_0001n);
  t.is(vcpu.getRegs().rbx, 3n);
  vcpu.setRegs({ rax: 9 });
  t.is(vcpu.regs.rax, 9n);
  t.deepEqual(vcpu.regs.toJSON(), vcpu.getRegs());
  t.throws(() => (vcpu.regs.rax = -1n), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => ((vcpu.regs as unknown as Record<string, bigint>)['eax'] = 1n), { instanceOf: TypeError });
});

test('long mode has all sixteen registers', (t) => {
  const { vcpu } = boot(t, 'long-mode-hello');
  let text = '';
  exitOf(vcpu.run({ ioOut: (exit) => void (text += String.fromCharCode(exit.value)) }), 'hlt');
  t.is(text, 'Hello from 64 bits\n');
  const { r8, r9, r10, r11, r12, r13, r14, r15 } = vcpu.getRegs();
  t.deepEqual(
    [r8, r9, r10, r11, r12, r13, r14, r15],
    [1n, 2n, 3n, 5n, 8n, 13n, 21n, 34n].map((value) => value << 40n),
  );
});

// ---- in handlers

for (const [name, run] of LANES) {
  for (const syncRegs of [false, true]) {
    test(`${name}: a handler sees the registers of its exit${syncRegs ? ', asked for in advance' : ''}`, async (t) => {
      const { vcpu } = boot(t, 'exit-storm');
      const seen: bigint[] = [];
      const end = await run(
        vcpu,
        {
          ioOut: (exit) => {
            seen.push(vcpu.regs.rax & 0xffn, vcpu.getRegs().rdx & 0xffffn);
            if (seen.length === 6) exit.stop();
          },
        },
        { ...(syncRegs && { syncRegs }) },
      );
      t.is(end.reason, 'stopped');
      t.deepEqual(seen, [0n, 0x600n, 1n, 0x601n, 2n, 0x602n]);
    });
  }

  test(`${name}: registers written at an out are there at the next instruction`, async (t) => {
    const { vcpu } = boot(t, OUT_THEN_COPY);
    const end = await run(vcpu, {
      ioOut: () => {
        vcpu.regs.rbx = 0x1234n;
        vcpu.setRegs({ rsi: 0x5678 });
        t.is(vcpu.regs.rbx, 0x1234n);
      },
    });
    exitOf(end, 'hlt');
    const { rcx, rsi } = vcpu.getRegs();
    t.deepEqual([rcx, rsi], [0x1234n, 0x5678n]);
  });

  test(`${name}: an answered in and a register write both land`, async (t) => {
    const { vcpu } = boot(t, IN_THEN_HLT, { regs: { rcx: 5 } });
    const end = await run(vcpu, {
      ioIn: () => {
        vcpu.regs.rbx = 0x1234n;
        vcpu.setRegs({ rsi: 0x5678 });
        return 0x42;
      },
    });
    exitOf(end, 'hlt');
    const { rax, rbx, rcx, rsi } = vcpu.getRegs();
    t.deepEqual([rax, rbx, rcx, rsi], [0x42n, 0x1234n, 5n, 0x5678n]);
  });

  test(`${name}: an answered in and a special register both land`, async (t) => {
    const { vcpu } = boot(t, IN_THEN_HLT);
    const end = await run(vcpu, {
      ioIn: () => {
        vcpu.setSregs({ ds: { base: 0x2000 } });
        return 0x42;
      },
    });
    exitOf(end, 'hlt');
    t.is(vcpu.getRegs().rax, 0x42n);
    t.is(vcpu.getSregs().ds.base, 0x2000n);
  });

  test(`${name}: an answered string in and a register write both land`, async (t) => {
    const { vm, vcpu } = boot(t, 'string-in');
    const end = await run(vcpu, {
      ioIn: (exit) => {
        vcpu.regs.rbx = 0x1234n;
        return new Uint8Array(exit.count).fill(0x37);
      },
    });
    exitOf(end, 'hlt');
    t.deepEqual(vm.memory.read(0x2000, 16), new Uint8Array(16).fill(0x37));
    const { rbx, rcx, rdi } = vcpu.getRegs();
    t.deepEqual([rbx, rcx & 0xffffn, rdi & 0xffffn], [0x1234n, 0n, 0x2010n]);
  });

  test(`${name}: an answered memory read and a register write both land`, async (t) => {
    const { vcpu } = boot(t, 'unmapped-read');
    const end = await run(vcpu, {
      mmioRead: () => {
        vcpu.regs.rcx = 0x1234n;
        return 0x8765_4321;
      },
    });
    exitOf(end, 'hlt');
    const { rax, rbx, rcx } = vcpu.getRegs();
    t.deepEqual([rax, rbx, rcx], [0x8765_4321n, 0xd000_0000n, 0x1234n]);
  });

  test(`${name}: a memory write and a register write both land`, async (t) => {
    const { vcpu } = boot(t, 'mmio-8-byte');
    let written = 0n;
    const end = await run(vcpu, {
      mmioRead: () => 0x1122_3344_5566_7788n,
      mmioWrite: (exit) => {
        written = exit.value64;
        vcpu.regs.rcx = 9n;
      },
    });
    exitOf(end, 'hlt');
    t.is(written, 0x1122_3344_5566_7788n);
    t.is(vcpu.regs.rcx, 9n);
  });

  test(`${name}: a JavaScript device answers and writes a register, and both land`, async (t) => {
    const { vm, vcpu } = boot(t, IN_THEN_HLT);
    vm.io.attach(
      { base: 0x500, length: 1 },
      {
        read: () => {
          vcpu.regs.rbx = 0x1234n;
          return 0x42;
        },
      },
    );
    exitOf(await run(vcpu, {}), 'hlt');
    const { rax, rbx } = vcpu.getRegs();
    t.deepEqual([rax, rbx], [0x42n, 0x1234n]);
  });

  test(`${name}: answer, register write and stop in one handler`, async (t) => {
    const { vcpu } = boot(t, IN_THEN_HLT);
    const end = await run(vcpu, {
      ioIn: (exit) => {
        vcpu.regs.rbx = 0x1234n;
        exit.stop();
        return 0x42;
      },
    });
    t.is(end.reason, 'stopped');
    t.is(vcpu.regs.rbx, 0x1234n);
    t.is(vcpu.regs.rax, 0x42n);
    exitOf(await run(vcpu, {}), 'hlt');
    const { rax, rbx } = vcpu.getRegs();
    t.deepEqual([rax, rbx], [0x42n, 0x1234n]);
  });

  test(`${name}: what a handler wrote before it threw is there, and not written again later`, async (t) => {
    const { vcpu } = boot(t, 'pio-in-loop');
    const throwing = run(vcpu, {
      ioIn: () => {
        vcpu.regs.rbx = 0x1234n;
        throw new Error('mine');
      },
    });
    await t.throwsAsync(throwing, { message: 'mine' });
    t.is(vcpu.regs.rbx, 0x1234n);
    vcpu.regs.rbx = 1n;
    const seen: bigint[] = [];
    await run(vcpu, {
      ioIn: (exit) => {
        seen.push(vcpu.regs.rbx);
        vcpu.regs.rcx = 1n;
        if (seen.length === 3) exit.stop();
        return 0;
      },
    });
    t.deepEqual(seen, [1n, 1n, 1n]);
  });

  test(`${name}: an instruction pointer written in a handler is where the guest goes on`, async (t) => {
    // mov dx, 0x500; in al, dx; jmp $; at 0x1010: hlt
    const { vm, vcpu } = boot(t, realModeGuest(0xba, 0x00, 0x05, 0xec, 0xeb, 0xfe));
    vm.memory.writeUint8(0x1010, 0xf4);
    const end = await run(vcpu, {
      ioIn: () => {
        vcpu.regs.rip = 0x1010n;
        return 1;
      },
    });
    exitOf(end, 'hlt');
    t.is(vcpu.regs.rax, 1n);
  });

  test(`${name}: registers set after a timeout are not lost to an access that a Rust device served`, async (t) => {
    const { vm, vcpu } = boot(t, 'pio-in-loop');
    vm.memory.writeUint8(0x1010, 0xf4);
    vm.io.attach({ base: 0x500, length: 1 }, new DebugConsole());
    for (let round = 0; round < 5; round++) {
      t.is((await run(vcpu, {}, { timeoutMs: 15 })).reason, 'timeout');
      vcpu.setRegs({ rip: 0x1010, rax: 0x77 });
      exitOf(await run(vcpu, {}), 'hlt');
      t.is(vcpu.regs.rax, 0x77n);
      vcpu.setRegs({ rip: 0x1000 });
    }
  });
}

for (const [name, run] of LANES) {
  test(`${name}: a string in over a page border takes register writes once it is complete`, async (t) => {
    // cld; mov di, 0x2ffa; mov cx, 16; mov dx, 0x500; rep insb; hlt
    const guest = [0xfc, 0xbf, 0xfa, 0x2f, 0xb9, 0x10, 0x00, 0xba, 0x00, 0x05, 0xf3, 0x6c, 0xf4];
    const { vm, vcpu } = boot(t, realModeGuest(...guest));
    let next = 1;
    const end = await run(vcpu, {
      ioIn: (exit) => {
        vcpu.regs.rbx = BigInt(next);
        return Uint8Array.from({ length: exit.count }, () => next++);
      },
    });
    exitOf(end, 'hlt');
    t.deepEqual(
      vm.memory.read(0x2ffa, 16),
      Uint8Array.from({ length: 16 }, (_, at) => at + 1),
    );
    t.is(next, 17);
    t.true(vcpu.regs.rbx > 0n);
  });
}

test('complete() finishes an answered access without running the guest', (t) => {
  const { vcpu } = boot(t, IN_THEN_HLT);
  const exit = vcpu.step();
  if (exit.kind !== 'ioIn') return t.fail();
  exit.reply(0x42);
  vcpu.complete();
  const { rax, rip } = vcpu.getRegs();
  t.deepEqual([rax, rip], [0x42n, 0x1004n]);
  vcpu.complete();
  exitOf(vcpu.run(), 'hlt');
});

test('complete() settles an out, too', (t) => {
  const { vcpu } = boot(t, OUT_THEN_COPY);
  exitOf(vcpu.run(), 'ioOut');
  vcpu.complete();
  t.is(vcpu.regs.rip, 0x1004n);
  exitOf(vcpu.run(), 'hlt');
});

test('complete() keeps a kick for the next run', (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  exitOf(vcpu.run(), 'ioIn');
  vcpu.kickHandle.kick();
  vcpu.complete();
  t.is(vcpu.run().reason, 'kicked');
  exitOf(vcpu.run(), 'ioIn');
});

test('registers set between runs complete the open access first', (t) => {
  const { vcpu } = boot(t, IN_THEN_HLT);
  const exit = vcpu.step();
  if (exit.kind !== 'ioIn') return t.fail();
  exit.reply(0x42);
  vcpu.regs.rbx = 9n;
  t.throws(() => exit.reply(0x43), { code: 'ERR_KVM_STALE_EXIT' });
  exitOf(vcpu.run(), 'hlt');
  const { rax, rbx } = vcpu.getRegs();
  t.deepEqual([rax, rbx], [0x42n, 9n]);
});

test('registers that close their machine while they are read are ERR_KVM_CLOSED', (t) => {
  const { vm, vcpu } = boot(t, 'hlt-loop');
  // Read before, so that the page holds them: it is gone when they would be written.
  vcpu.getRegs();
  const regs = {
    get rax() {
      vm.close();
      return 0n;
    },
  };
  t.throws(() => vcpu.setRegs(regs), { code: 'ERR_KVM_CLOSED' });
});
