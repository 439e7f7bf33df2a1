import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { KickHandle, KvmError, type Vcpu } from '../../index.ts';
import { ENTRY, OUTPUT, boot, bootPair, getRegister, onArm, setRegisters } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { exitOf } from '../helpers/machine.ts';

/** What a vCPU's state is asked for and set by. */
const stateUses = (vcpu: Vcpu): (() => unknown)[] => [
  () => getRegister(vcpu, 'value'),
  () => setRegisters(vcpu, { value: 1 }),
  () => vcpu.getMpState(),
  ...(onArm
    ? [() => vcpu.getRegList(), () => vcpu.getOneReg(0n), () => vcpu.setArmVcpuEvents({})]
    : [
        () => vcpu.getRegs(),
        () => vcpu.setRegs({ rax: 1 }),
        () => vcpu.getSregs(),
        () => vcpu.getMsrs([0x10]),
        () => vcpu.nmi(),
      ]),
];

for (const [name, run] of LANES) {
  test(`${name}: an exit that no handler takes ends the run`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm', { regs: { value: 7 } });
    t.deepEqual(await run(vcpu, { mmioRead: () => t.fail() }), {
      reason: 'exit',
      exit: { kind: 'mmioWrite', address: OUTPUT, size: 4, value: 7, value64: 7n },
    });
    // The next run goes on behind it.
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 8);
  });

  test(`${name}: stop() ends the run after its handler`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const values: number[] = [];
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        if (exit.value === 2) exit.stop();
        values.push(exit.value);
      },
    });
    t.is(end.reason, 'stopped');
    t.is(exitOf(end, 'mmioWrite').value, 2);
    t.deepEqual(values, [0, 1, 2]);
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 3);
  });

  test(`${name}: a timeout ends a guest that spins`, async (t) => {
    const { vcpu } = boot(t, 'spin');
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 20 }), { reason: 'timeout' });
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 0 }), { reason: 'timeout' });
    t.is(getRegister(vcpu, 'pc'), BigInt(ENTRY));
  });

  test(`${name}: a timeout ends a guest that makes exits all the time`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    let exits = 0;
    t.deepEqual(await run(vcpu, { mmioWrite: () => void exits++ }, { timeoutMs: 30 }), { reason: 'timeout' });
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, exits);
  });

  test(`${name}: a kick before the run ends it at once, and only that one`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    vcpu.kickHandle.kick();
    t.deepEqual(await run(vcpu, {}), { reason: 'kicked' });
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 0);
  });

  test(`${name}: a kick by a token from a handler ends the run`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const handle = KickHandle.from(structuredClone(vcpu.kickHandle.token));
    const values: number[] = [];
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        values.push(exit.value);
        if (exit.value === 1) handle.kick();
      },
    });
    t.deepEqual(end, { reason: 'kicked' });
    t.deepEqual(values, [0, 1]);
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 2);
  });

  test(`${name}: a handler that throws leaves the vCPU usable`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const error = new Error('mine');
    const thrown = await t.throwsAsync(
      run(vcpu, {
        mmioWrite: (exit) => {
          if (exit.value === 1) throw error;
        },
      }),
    );
    t.is(thrown, error);
    t.is(exitOf(await run(vcpu, {}), 'mmioWrite').value, 2);
    t.is(getRegister(vcpu, 'value'), 2n);
  });

  test(`${name}: a handler answers a read and writes registers, and both reach the guest`, async (t) => {
    const { vcpu } = boot(t, 'mmio-echo');
    const written: number[] = [];
    const end = await run(vcpu, {
      mmioRead: (exit) => {
        exit.reply(40);
        setRegisters(vcpu, { step: 2, spare: 99n + getRegister(vcpu, 'value') });
      },
      mmioWrite: (exit) => {
        written.push(exit.value);
        setRegisters(vcpu, { step: 5 });
        if (written.length === 2) exit.stop();
      },
    });
    t.is(end.reason, 'stopped');
    t.deepEqual(written, [42, 42]);
    t.is(getRegister(vcpu, 'step'), 5n);
    t.is(getRegister(vcpu, 'spare'), 141n);
  });

  test(`${name}: the program counter that a handler sets is where the guest goes on`, async (t) => {
    const { vcpu } = boot(t, 'mmio-echo');
    let reads = 0;
    const end = await run(vcpu, {
      mmioRead: () => {
        reads++;
        if (reads < 3) setRegisters(vcpu, { pc: ENTRY }); // the read, again
        return 11;
      },
    });
    t.is(exitOf(end, 'mmioWrite').value, 11);
    t.is(reads, 3);
  });

  test(`${name}: a vCPU cannot be run from its own handler`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const busy = { instanceOf: KvmError, code: 'ERR_KVM_BUSY' };
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        t.throws(() => vcpu.run(), busy);
        t.throws(() => vcpu.step(), busy);
        t.throws(() => vcpu.exits().next(), busy);
        t.throws(() => vcpu.complete(), busy);
        t.throws(() => vcpu.transfer(), busy);
        exit.stop();
      },
    });
    t.is(end.reason, 'stopped');
    await t.throwsAsync(
      run(vcpu, {
        mmioWrite: () => void vcpu.run(),
      }),
      busy,
    );
    exitOf(await run(vcpu, {}), 'mmioWrite');
  });

  test(`${name}: another vCPU can be run from a handler`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const { vcpu: other } = boot(t, 'mmio-storm', { regs: { value: 0x32 } });
    const end = await run(vcpu, {
      mmioWrite: (exit) => {
        t.is(exitOf(other.run(), 'mmioWrite').value, 0x32);
        exit.stop();
      },
    });
    t.is(end.reason, 'stopped');
  });

  test(`${name}: closing the machine in a handler ends the run with ERR_KVM_CLOSED`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-storm');
    await t.throwsAsync(run(vcpu, { mmioWrite: () => vm.close() }), { code: 'ERR_KVM_CLOSED' });
    t.true(vcpu.closed);
    await t.throwsAsync(run(vcpu, {}), { code: 'ERR_KVM_CLOSED' });
  });

  test(`${name}: handlers and options are checked`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const checks: [handlers: unknown, options: unknown, code: string, message?: RegExp][] = [
      [{ hlt: 1 }, {}, 'ERR_INVALID_ARG_TYPE'],
      [{ iOout: () => {} }, {}, 'ERR_INVALID_ARG_VALUE', /did you mean 'ioOut'/],
      [null, {}, 'ERR_INVALID_ARG_TYPE'],
      [{}, { timeoutMs: -1 }, 'ERR_OUT_OF_RANGE'],
      [{}, { timeoutMs: '1' }, 'ERR_INVALID_ARG_TYPE'],
      [{}, { timeout: 1 }, 'ERR_INVALID_ARG_VALUE', /did you mean 'timeoutMs'/],
      [{}, { syncRegs: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [handlers, options, code, message] of checks) {
      await t.throwsAsync(run(vcpu, handlers as never, options as never), {
        code,
        ...(message && { message }),
      });
    }
    exitOf(await run(vcpu, { mmioWrite: undefined }), 'mmioWrite');
  });

  test(`${name}: handlers changed during the run change nothing`, async (t) => {
    const { vcpu } = boot(t, 'mmio-echo');
    const handlers = {
      mmioRead: (): number => {
        handlers.mmioRead = () => t.fail();
        handlers.mmioWrite = () => void t.fail();
        return 7;
      },
      mmioWrite: (exit: { value: number; stop(): void }): void => {
        t.is(exit.value, 7);
        exit.stop();
      },
    };
    t.is((await run(vcpu, handlers)).reason, 'stopped');
  });
}

test('a signal has no business on the sync lane', (t) => {
  const { vcpu } = boot(t, 'spin');
  const options = { signal: AbortSignal.timeout(1) };
  t.throws(() => vcpu.run({}, options as never), { code: 'ERR_INVALID_ARG_VALUE' });
});

for (const [name, run] of LANES.slice(0, 2)) {
  test(`${name}: a handler or device that returns a Promise is ERR_KVM_ASYNC_HANDLER`, async (t) => {
    const { vm, vcpu } = boot(t, 'mmio-echo');
    const refused = { instanceOf: KvmError, code: 'ERR_KVM_ASYNC_HANDLER' };
    // A rejection is nobody's unhandled rejection.
    await t.throwsAsync(run(vcpu, { mmioRead: (() => Promise.reject(new Error('late'))) as never }), refused);
    await t.throwsAsync(run(vcpu, { mmioWrite: () => Promise.resolve() as never }), refused);
    const device = { write: async () => {}, read: () => Promise.resolve(1) };
    const attachment = vm.mmio.attach({ base: OUTPUT, length: 8 }, device);
    await t.throwsAsync(run(vcpu, {}), refused);
    await t.throwsAsync(run(vcpu, {}), refused);
    attachment.detach();
    exitOf(await run(vcpu, {}), 'mmioRead');
  });
}

// ---- sliced

test('runSliced gives timers their turn', async (t) => {
  const { vcpu } = boot(t, 'spin');
  let ticks = 0;
  const timer = setInterval(() => {
    if (++ticks === 3) vcpu.kickHandle.kick();
  }, 1);
  t.teardown(() => clearInterval(timer));
  t.deepEqual(await vcpu.runSliced({}), { reason: 'kicked' });
  t.true(ticks >= 3);
});

test('runSliced gives timers their turn while handlers are busy', async (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  let exits = 0;
  const timer = setTimeout(() => vcpu.kickHandle.kick(), 5);
  t.teardown(() => clearTimeout(timer));
  t.deepEqual(await vcpu.runSliced({ mmioWrite: () => void exits++ }, { budgetMs: 10 }), {
    reason: 'kicked',
  });
  t.true(exits > 0);
});

test('two vCPUs run sliced in turns', async (t) => {
  const pair = bootPair(t);
  const names: number[] = [];
  const handlers = { mmioWrite: (exit: { value: number }) => void names.push(exit.value) };
  const ends = await Promise.all(pair.map((vcpu) => vcpu.runSliced(handlers)));
  for (const end of ends) exitOf(end, 'mmioRead');
  t.deepEqual(
    names.toSorted((a, b) => a - b),
    [1, 2],
  );
});

// ---- sliced and background

for (const lane of ['runSliced', 'runInBackground'] as const) {
  test(`${lane}: a signal ends the run with its reason`, async (t) => {
    const { vcpu } = boot(t, 'spin');
    const controller = new AbortController();
    const running = vcpu[lane]({}, { signal: controller.signal });
    const reason = new Error('enough');
    setTimeout(() => controller.abort(reason), 5);
    t.is(await t.throwsAsync(running), reason);
    t.deepEqual(vcpu.run({}, { timeoutMs: 10 }), { reason: 'timeout' });
  });

  test(`${lane}: a signal that has fired already starts nothing`, async (t) => {
    const { vcpu } = boot(t, 'mmio-storm');
    const reason = new Error('before');
    t.is(await t.throwsAsync(vcpu[lane]({}, { signal: AbortSignal.abort(reason) })), reason);
    t.is(vcpu.stats.exits, 0);
    exitOf(vcpu.run(), 'mmioWrite');
  });

  test(`${lane}: what is no signal is refused`, async (t) => {
    const { vcpu } = boot(t, 'spin');
    await t.throwsAsync(vcpu[lane]({}, { signal: {} as AbortSignal }), { code: 'ERR_INVALID_ARG_TYPE' });
  });

  test(`${lane}: a second run of the vCPU is ERR_KVM_BUSY, and so is its state`, async (t) => {
    const { vcpu } = boot(t, 'spin');
    const running = vcpu[lane]({});
    await sleep(1);
    const busy = { instanceOf: KvmError, code: 'ERR_KVM_BUSY' };
    t.throws(() => vcpu.run(), busy);
    await t.throwsAsync(vcpu.runSliced(), busy);
    await t.throwsAsync(vcpu.runInBackground(), busy);
    for (const use of stateUses(vcpu)) t.throws(use, busy, String(use));
    t.throws(() => vcpu.transfer(), busy);
    vcpu.kickHandle.kick();
    t.deepEqual(await running, { reason: 'kicked' });
    t.is(getRegister(vcpu, 'pc'), BigInt(ENTRY));
  });

  test(`${lane}: vm.close() ends the run with ERR_KVM_CLOSED`, async (t) => {
    const { vm, vcpu } = boot(t, 'spin');
    const running = vcpu[lane]({});
    await sleep(1);
    vm.close();
    await t.throwsAsync(running, { instanceOf: KvmError, code: 'ERR_KVM_CLOSED' });
  });
}

// ---- kick tokens

test('a kick handle of a vCPU that is gone does nothing', (t) => {
  const { vm, vcpu } = boot(t, 'spin');
  const { kickHandle } = vcpu;
  vm.close();
  t.notThrows(() => kickHandle.kick());
  t.notThrows(() => KickHandle.from(kickHandle.token).kick());
});

test('what is no token is refused', (t) => {
  t.throws(() => KickHandle.from({} as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => KickHandle.from(null as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => KickHandle.from({ vcpu: [-1, 0] }), { code: 'ERR_OUT_OF_RANGE' });
  t.notThrows(() => KickHandle.from({ vcpu: [0xffff_ffff, 7] }).kick());
});
