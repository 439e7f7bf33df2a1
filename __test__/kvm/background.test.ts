import { setTimeout as sleep } from 'node:timers/promises';

import test from 'ava';

import { GUESTS, INDEX, runModule } from '../helpers/child.ts';
import { findGuest } from '../helpers/guests.ts';
import { boot, exitOf } from '../helpers/machine.ts';
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
  const { vcpu } = boot(t, 'kvm-ioctls-example');
  const end = await vcpu.runInBackground({
    ioOut: async () => sleep(2),
    ioIn: async () => {
      await sleep(2);
      return 0x42;
    },
    mmioWrite: async (exit) => {
      await sleep(2);
      t.is(exit.address, 0x8000);
    },
    mmioRead: async (exit) => {
      await sleep(2);
      exit.reply(0x43);
    },
  });
  exitOf(end, 'hlt');
  const { rax, rdx } = vcpu.getRegs();
  t.deepEqual([rax & 0xffn, rdx & 0xffn], [0x42n, 0x43n]);
});

test('an async handler uses the registers before and after it waits', async (t) => {
  const { vcpu } = boot(t, 'kvm-ioctls-example', { regs: { rax: 1, rbx: 2 } });
  const end = await vcpu.runInBackground({
    ioOut: () => {},
    ioIn: async () => {
      t.is(vcpu.regs.rbx, 2n);
      vcpu.regs.rcx = 5n;
      await sleep(2);
      vcpu.setRegs({ rsi: 6 });
      return 0x42;
    },
  });
  exitOf(end, 'mmioWrite');
  vcpu.complete();
  const { rax, rcx, rsi } = vcpu.getRegs();
  t.deepEqual([rax & 0xffn, rcx, rsi], [0x42n, 5n, 6n]);
});

test('an async handler that rejects ends the run with its reason', async (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  const error = new Error('late');
  const running = vcpu.runInBackground({
    hlt: async () => {
      await sleep(1);
      throw error;
    },
  });
  t.is(await t.throwsAsync(running), error);
  exitOf(vcpu.run(), 'hlt');
});

test('a wrong answer of an async handler ends the run', async (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  await t.throwsAsync(vcpu.runInBackground({ ioIn: async () => 256 }), { code: 'ERR_OUT_OF_RANGE' });
});

test('stop() works after a wait', async (t) => {
  const { vcpu } = boot(t, 'hlt-loop');
  const end = await vcpu.runInBackground({
    hlt: async (exit) => {
      await sleep(1);
      exit.stop();
    },
  });
  t.deepEqual(end, { reason: 'stopped', exit: { kind: 'hlt' } });
});

test('while one vCPU waits for its handler, others go on', async (t) => {
  const { vcpu: waiting } = boot(t, 'hlt-loop');
  const { vcpu: busy } = boot(t, 'exit-storm');
  let release!: () => void;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const first = waiting.runInBackground({
    hlt: async (exit) => {
      await gate;
      exit.stop();
    },
  });
  let exits = 0;
  const second = await busy.runInBackground({
    ioOut: (exit) => {
      if (++exits === 500) exit.stop();
    },
  });
  t.is(second.reason, 'stopped');
  release();
  t.is((await first).reason, 'stopped');
});

test('several machines with two vCPUs each run at once', async (t) => {
  const machines = [1, 2, 3].map(() => {
    const { vm, vcpu } = boot(t, 'two-vcpus', { regs: { rbx: 0x41 } });
    const second = vm.createVcpu();
    second.setSregs({ cs: { base: 0n, selector: 0 } });
    second.setRegs({ rip: findGuest('two-vcpus').entry, rflags: 2, rbx: 0x42 });
    return [vcpu, second];
  });
  const texts = await Promise.all(
    machines.map(async (vcpus) => {
      let text = '';
      const ends = await Promise.all(
        vcpus.map((vcpu) =>
          vcpu.runInBackground({
            ioOut: async (exit) => {
              await sleep(1);
              text += String.fromCharCode(exit.value);
            },
          }),
        ),
      );
      for (const end of ends) exitOf(end, 'hlt');
      return text.split('').toSorted().join('');
    }),
  );
  t.deepEqual(texts, ['AB', 'AB', 'AB']);
});

test('a signal ends a run whose handler is being awaited; its answer comes too late', async (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  let answer!: (value: number) => void;
  const late = new Promise<number>((resolve) => (answer = resolve));
  const controller = new AbortController();
  const enough = new Error('enough');
  const ioIn = (): Promise<number> => {
    setTimeout(() => controller.abort(enough), 1);
    return late;
  };
  t.is(await t.throwsAsync(vcpu.runInBackground({ ioIn }, { signal: controller.signal })), enough);
  const read: bigint[] = [];
  const end = await vcpu.runInBackground({
    ioIn: async (exit) => {
      read.push(vcpu.regs.rax & 0xffn);
      // The answer to the first run's exit must not become the answer to this one.
      answer(0x55);
      await sleep(2);
      if (read.length === 2) exit.stop();
      return 0x11;
    },
  });
  t.is(end.reason, 'stopped');
  t.deepEqual(read, [0xffn, 0x11n]);
});

/** Lets a background run come to its first exit while the event loop, and with it the timeout, stands still. */
function blockLoop(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 40);
}

test('a timeout that comes before the exit was looked at does not wait for its handler', async (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  const running = vcpu.runInBackground({ ioIn: () => new Promise<number>(() => {}) }, { timeoutMs: 1 });
  blockLoop();
  t.deepEqual(await running, { reason: 'timeout' });
  // Its kick was for that run.
  t.is(exitOf(vcpu.run(), 'ioIn').port, 0x500);
});

test('an exit that came with the timeout is told, and the next run is not kicked', async (t) => {
  const { vcpu } = boot(t, 'exit-storm');
  const running = vcpu.runInBackground({}, { timeoutMs: 1 });
  blockLoop();
  t.is(exitOf(await running, 'ioOut').port, 0x600);
  t.is(exitOf(vcpu.run(), 'ioOut').port, 0x601);
});

test('what an async handler wrote before its run was ended is there', async (t) => {
  const { vcpu } = boot(t, 'pio-in-loop');
  const controller = new AbortController();
  const enough = new Error('enough');
  const running = vcpu.runInBackground(
    {
      ioIn: async () => {
        vcpu.regs.rbx = 0x1234n;
        setTimeout(() => controller.abort(enough), 1);
        return new Promise<number>(() => {});
      },
    },
    { signal: controller.signal },
  );
  t.is(await t.throwsAsync(running), enough);
  t.is(vcpu.regs.rbx, 0x1234n);
  t.is(exitOf(vcpu.run(), 'ioIn').port, 0x500);
});

test('the process lives as long as a background run', async (t) => {
  const { code, stdout, stderr } = await runModule(
    t,
    `import { Kvm } from ${INDEX};
    import { enter, findGuest } from ${GUESTS};
    const vm = new Kvm().createVm();
    vm.memory.map({ guestAddress: 0, size: 0x8000 });
    const guest = findGuest('spin');
    vm.memory.write(guest.loadAddress, guest.bytes);
    const vcpu = vm.createVcpu();
    enter(vcpu, guest);
    // The timer that ends the run does not keep the process alive: the run does.
    setTimeout(() => vcpu.kickHandle.kick(), 50).unref();
    void vcpu.runInBackground({}).then((end) => console.log(end.reason));`,
  );
  t.is(stdout, 'kicked\n', stderr);
  t.is(code, 0);
});
