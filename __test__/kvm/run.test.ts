import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { KickHandle, KvmError } from '../../index.ts';
import { LANES } from '../helpers/lanes.ts';
import { boot, exitOf } from '../helpers/machine.ts';

for (const [name, run] of LANES) {
  test(`${name}: an exit that no handler takes ends the run`, async (t) => {
    const { vcpu } = boot(t, 'add-numbers', { regs: { rax: 2, rbx: 3 } });
    const end = await run(vcpu, { hlt: () => t.fail() });
    t.deepEqual(end, {
      reason: 'exit',
      exit: { kind: 'ioOut', port: 0x3f8, size: 1, count: 1, value: 0x35, data: Uint8Array.of(0x35) },
    });
  });

  test(`${name}: stop() ends the run after its handler`, async (t) => {
    const { vcpu } = boot(t, 'exit-storm');
    const ports: number[] = [];
    const end = await run(vcpu, {
      ioOut: (exit) => {
        if (exit.port === 0x602) exit.stop();
        ports.push(exit.port);
      },
    });
    t.is(end.reason, 'stopped');
    t.is(exitOf(end, 'ioOut').port, 0x602);
    t.deepEqual(ports, [0x600, 0x601, 0x602]);
    t.is(exitOf(await run(vcpu, {}), 'ioOut').port, 0x603);
  });

  test(`${name}: a timeout ends a guest that spins`, async (t) => {
    const { vcpu } = boot(t, 'spin');
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 20 }), { reason: 'timeout' });
    t.deepEqual(await run(vcpu, {}, { timeoutMs: 0 }), { reason: 'timeout' });
    t.is(vcpu.getRegs().rip, 0x1000n);
  });

  test(`${name}: a timeout ends a guest that makes exits all the time`, async (t) => {
    const { vcpu } = boot(t, 'exit-storm');
    let exits = 0;
    t.deepEqual(await run(vcpu, { ioOut: () => void exits++ }, { timeoutMs: 30 }), { reason: 'timeout' });
    t.true(exits > 0);
    t.is(exitOf(await run(vcpu, {}), 'ioOut').port, 0x600 + (exits % 256));
  });

  test(`${name}: a kick before the run ends it at once, and only that one`, async (t) => {
    const { vcpu } = boot(t, 'hlt-loop');
    vcpu.kickHandle.kick();
    t.deepEqual(await run(vcpu, {}), { reason: 'kicked' });
    exitOf(await run(vcpu, {}), 'hlt');
  });

  test(`${name}: a kick by a token from a handler ends the run`, async (t) => {
    const { vcpu } = boot(t, 'exit-storm');
    const handle = KickHandle.from(structuredClone(vcpu.kickHandle.token));
    const ports: number[] = [];
    const end = await run(vcpu, {
      ioOut: (exit) => {
        ports.push(exit.port);
        if (exit.port === 0x601) handle.kick();
      },
    });
    t.deepEqual(end, { reason: 'kicked' });
    t.deepEqual(ports, [0x600, 0x601]);
    t.is(exitOf(await run(vcpu, {}), 'ioOut').port, 0x602);
  });

  test(`${name}: a handler that throws leaves the vCPU usable`, async (t) => {
    const { vcpu } = boot(t, 'exit-storm');
    const error = new Error('mine');
    const thrown = await t.throwsAsync(
      run(vcpu, {
        ioOut: (exit) => {
          if (exit.port === 0x601) throw error;
        },
      }),
    );
    t.is(thrown, error);
    t.is(exitOf(await run(vcpu, {}), 'ioOut').port, 0x602);
    t.is(vcpu.getRegs().rdx & 0xffffn, 0x602n);
  });

  test(`${name}: a vCPU cannot be run from its own handler`, async (t) => {
    const { vcpu } = boot(t, 'hlt-loop');
    const busy = { instanceOf: KvmError, code: 'ERR_KVM_BUSY' };
    const end = await run(vcpu, {
      hlt: (exit) => {
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
        hlt: () => void vcpu.run(),
      }),
      busy,
    );
    exitOf(await run(vcpu, {}), 'hlt');
  });

  test(`${name}: another vCPU can be run from a handler`, async (t) => {
    const { vcpu } = boot(t, 'hlt-loop');
    const { vcpu: other } = boot(t, 'add-numbers', { regs: { rax: 1, rbx: 1 } });
    const end = await run(vcpu, {
      hlt: (exit) => {
        t.is(exitOf(other.run(), 'ioOut').value, 0x32);
        exit.stop();
      },
    });
    t.is(end.reason, 'stopped');
  });

  test(`${name}: closing the machine in a handler ends the run with ERR_KVM_CLOSED`, async (t) => {
    const { vm, vcpu } = boot(t, 'exit-storm');
    await t.throwsAsync(run(vcpu, { ioOut: () => vm.close() }), { code: 'ERR_KVM_CLOSED' });
    t.true(vcpu.closed);
    await t.throwsAsync(run(vcpu, {}), { code: 'ERR_KVM_CLOSED' });
  });

  test(`${name}: handlers and options are checked`, async (t) => {
    const { vcpu } = boot(t, 'hlt-loop');
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
    exitOf(await run(vcpu, { hlt: undefined }), 'hlt');
  });

  test(`${name}: handlers changed during the run change nothing`, async (t) => {
    const { vcpu } = boot(t, 'kvm-ioctls-example');
    const handlers = {
      ioOut: (): void => {
        handlers.ioIn = () => t.fail();
      },
      ioIn: (): undefined => {},
    };
    t.is(exitOf(await run(vcpu, handlers), 'mmioWrite').address, 0x8000);
  });
}

test('a signal has no business on the sync lane', (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  const options = { signal: AbortSignal.timeout(1) };
  t.throws(() => vcpu.run({}, options as never), { code: 'ERR_INVALID_ARG_VALUE' });
});

for (const [name, run] of LANES.slice(0, 2)) {
  test(`${name}: a handler or device that returns a Promise is ERR_KVM_ASYNC_HANDLER`, async (t) => {
    const { vm, vcpu } = boot(t, 'kvm-ioctls-example');
    const refused = { instanceOf: KvmError, code: 'ERR_KVM_ASYNC_HANDLER' };
    await t.throwsAsync(run(vcpu, { ioOut: () => Promise.resolve() as never }), refused);
    // A rejection is nobody's unhandled rejection.
    await t.throwsAsync(run(vcpu, { ioIn: (() => Promise.reject(new Error('late'))) as never }), refused);
    vm.mmio.attach({ base: 0x8000, length: 1 }, { write: async () => {}, read: () => Promise.resolve(1) });
    await t.throwsAsync(run(vcpu, {}), refused);
    await t.throwsAsync(run(vcpu, {}), refused);
    exitOf(await run(vcpu, {}), 'hlt');
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
  const { vcpu } = boot(t, 'exit-storm');
  let exits = 0;
  const timer = setTimeout(() => vcpu.kickHandle.kick(), 5);
  t.teardown(() => clearTimeout(timer));
  t.deepEqual(await vcpu.runSliced({ ioOut: () => void exits++ }, { budgetMs: 10 }), { reason: 'kicked' });
  t.true(exits > 0);
});

test('two vCPUs run sliced in turns', async (t) => {
  const { vm, vcpu } = boot(t, 'two-vcpus', { regs: { rbx: 0x41 } });
  const second = vm.createVcpu();
  second.setSregs({ cs: { base: 0n, selector: 0 } });
  second.setRegs({ rip: 0x1000, rflags: 2, rbx: 0x42 });
  let text = '';
  const handlers = { ioOut: (exit: { value: number }) => void (text += String.fromCharCode(exit.value)) };
  const ends = await Promise.all([vcpu.runSliced(handlers), second.runSliced(handlers)]);
  for (const end of ends) exitOf(end, 'hlt');
  t.is(text.split('').toSorted().join(''), 'AB');
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
    const { vcpu } = boot(t, 'hlt-loop');
    const reason = new Error('before');
    t.is(await t.throwsAsync(vcpu[lane]({}, { signal: AbortSignal.abort(reason) })), reason);
    t.is(vcpu.stats.exits, 0);
    exitOf(vcpu.run(), 'hlt');
  });

  test(`${lane}: what is no signal is refused`, async (t) => {
    const { vcpu } = boot(t, 'hlt-loop');
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
    t.throws(() => vcpu.getRegs(), busy);
    t.throws(() => vcpu.setRegs({ rax: 1 }), busy);
    t.throws(() => vcpu.regs.rax, busy);
    t.throws(() => vcpu.getSregs(), busy);
    t.throws(() => vcpu.getMsrs([0x10]), busy);
    t.throws(() => vcpu.nmi(), busy);
    t.throws(() => vcpu.transfer(), busy);
    vcpu.kickHandle.kick();
    t.deepEqual(await running, { reason: 'kicked' });
    t.is(vcpu.getRegs().rip, 0x1000n);
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
