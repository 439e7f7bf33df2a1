import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { COMMON_GUESTS, INDEX, runModule } from '../helpers/child.ts';
import { OUTPUT, boot, bootPair, getRegister, scaled, setRegisters } from '../helpers/common-guests.ts';
import { exitOf } from '../helpers/machine.ts';
import { until } from '../helpers/wait.ts';

test('a background run leaves the event loop free', async (t) => {
  const { vcpu } = boot(t, 'spin');
  const running = vcpu.runInBackground({});
  let turns = 0;
  await until(() => ++turns === 5);
  vcpu.kickHandle.kick();
  t.deepEqual(await running, { reason: 'kicked' });
});

test('a background handler may answer later, by its Promise or by reply()', async (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  const written: number[] = [];
  const end = await vcpu.runInBackground({
    mmioRead: async (exit) => {
      await sleep(2);
      t.is(exit.address, OUTPUT);
      if (written.length === 0) return 0x42;
      exit.reply(0x43);
      return undefined;
    },
    mmioWrite: async (exit) => {
      await sleep(2);
      written.push(exit.value);
      if (written.length === 2) exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(written, [0x42, 0x43]);
});

test('an async handler uses the registers before and after it waits', async (t) => {
  const { vcpu } = boot(t, 'mmio-echo', { regs: { step: 2 } });
  const end = await vcpu.runInBackground({
    mmioRead: async () => {
      t.is(getRegister(vcpu, 'step'), 2n);
      setRegisters(vcpu, { spare: 5 });
      await sleep(2);
      setRegisters(vcpu, { step: 6 });
      return 0x42;
    },
  });
  t.is(exitOf(end, 'mmioWrite').value, 0x48);
  t.deepEqual([getRegister(vcpu, 'spare'), getRegister(vcpu, 'step')], [5n, 6n]);
});

test('an async handler that rejects ends the run with its reason', async (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const error = new Error('late');
  const running = vcpu.runInBackground({
    mmioWrite: async () => {
      await sleep(1);
      throw error;
    },
  });
  t.is(await t.throwsAsync(running), error);
  exitOf(vcpu.run(), 'mmioWrite');
});

test('a wrong answer of an async handler ends the run', async (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  await t.throwsAsync(vcpu.runInBackground({ mmioRead: async () => 2 ** 32 }), { code: 'ERR_OUT_OF_RANGE' });
});

test('stop() works after a wait', async (t) => {
  const { vcpu } = boot(t, 'mmio-storm', { regs: { value: 9 } });
  const end = await vcpu.runInBackground({
    mmioWrite: async (exit) => {
      await sleep(1);
      exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.is(exitOf(end, 'mmioWrite').value, 9);
});

test('while one vCPU waits for its handler, others go on', async (t) => {
  const { vcpu: waiting } = boot(t, 'mmio-echo');
  const { vcpu: busy } = boot(t, 'mmio-storm');
  let release!: () => void;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const first = waiting.runInBackground({
    mmioRead: async (exit) => {
      await gate;
      exit.stop();
    },
  });
  let exits = 0;
  const second = await busy.runInBackground({
    mmioWrite: (exit) => {
      if (++exits === scaled(500)) exit.stop();
    },
  });
  t.is(second.reason, 'stopped');
  release();
  t.is((await first).reason, 'stopped');
});

test('several machines with two vCPUs each run at once', async (t) => {
  const machines = [1, 2, 3].map(() => bootPair(t));
  const said = await Promise.all(
    machines.map(async (vcpus) => {
      const names: number[] = [];
      const ends = await Promise.all(
        vcpus.map((vcpu) =>
          vcpu.runInBackground({
            mmioWrite: async (exit) => {
              await sleep(1);
              names.push(exit.value);
            },
          }),
        ),
      );
      for (const end of ends) exitOf(end, 'mmioRead');
      return names.toSorted((a, b) => a - b);
    }),
  );
  t.deepEqual(said, [
    [1, 2],
    [1, 2],
    [1, 2],
  ]);
});

test('a signal ends a run whose handler is being awaited; its answer comes too late', async (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  let answer!: (value: number) => void;
  const late = new Promise<number>((resolve) => (answer = resolve));
  const controller = new AbortController();
  const enough = new Error('enough');
  const mmioRead = (): Promise<number> => {
    setTimeout(() => controller.abort(enough), 1);
    return late;
  };
  t.is(await t.throwsAsync(vcpu.runInBackground({ mmioRead }, { signal: controller.signal })), enough);
  const written: number[] = [];
  const end = await vcpu.runInBackground({
    mmioRead: async () => {
      // The answer to the first run's exit must not become the answer to this one.
      answer(0x55);
      await sleep(2);
      return 0x11;
    },
    mmioWrite: (exit) => {
      written.push(exit.value);
      if (written.length === 2) exit.stop();
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(written, [0xffff_ffff, 0x11]);
});

/** Lets a background run come to its first exit while the event loop, and with it the timeout, stands still. */
function blockLoop(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40);
}

test('a timeout that comes before the exit was looked at does not wait for its handler', async (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  const running = vcpu.runInBackground({ mmioRead: () => new Promise<number>(() => {}) }, { timeoutMs: 1 });
  blockLoop();
  t.deepEqual(await running, { reason: 'timeout' });
  // Its kick was for that run.
  t.is(exitOf(vcpu.run(), 'mmioWrite').address, OUTPUT + 4);
});

test('an exit that came with the timeout is told, and the next run is not kicked', async (t) => {
  const { vcpu } = boot(t, 'mmio-storm');
  const running = vcpu.runInBackground({}, { timeoutMs: 1 });
  blockLoop();
  t.is(exitOf(await running, 'mmioWrite').value, 0);
  t.is(exitOf(vcpu.run(), 'mmioWrite').value, 1);
});

test('what an async handler wrote before its run was ended is there', async (t) => {
  const { vcpu } = boot(t, 'mmio-echo');
  const controller = new AbortController();
  const enough = new Error('enough');
  const running = vcpu.runInBackground(
    {
      mmioRead: async () => {
        setRegisters(vcpu, { spare: 0x1234 });
        setTimeout(() => controller.abort(enough), 1);
        return new Promise<number>(() => {});
      },
    },
    { signal: controller.signal },
  );
  t.is(await t.throwsAsync(running), enough);
  t.is(getRegister(vcpu, 'spare'), 0x1234n);
  // Nothing has answered: the guest goes on with all ones.
  t.is(exitOf(vcpu.run(), 'mmioWrite').value, 0xffff_ffff);
});

test('the process lives as long as a background run', async (t) => {
  const { code, stdout, stderr } = await runModule(
    t,
    `import { Kvm } from ${INDEX};
    import { enter, load } from ${COMMON_GUESTS};
    const vm = new Kvm().createVm();
    vm.memory.map({ guestAddress: 0, size: 0x10000 });
    load(vm, 'spin');
    const vcpu = vm.createVcpu();
    enter(vcpu, 'spin');
    // The timer that ends the run does not keep the process alive: the run does.
    setTimeout(() => vcpu.kickHandle.kick(), 50).unref();
    void vcpu.runInBackground({}).then((end) => console.log(end.reason));`,
  );
  t.is(stdout, 'kicked\n', stderr);
  t.is(code, 0);
});
