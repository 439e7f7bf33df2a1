/** What can be done to a machine, and what must come of it in each of its states. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import * as fc from 'fast-check';
import { Vcpu } from 'vmhatch';
import { getRegister, onArm, setRegisters } from '../../helpers/common-guests.ts';
import { PAGE } from '../../helpers/page.ts';
import { makeVcpu, type Model, type Real, type VcpuState } from './model.ts';
import { explain, outcomeOf } from './verdict.ts';

type Command = fc.AsyncCommand<Model, Real>;

/** An expected end: a code, or nothing for success. */
type Expected = string | undefined;

/** Where the regions of the model go: each has its own place. */
const placeOf = (index: number): number => 0x10_0000 + index * 4 * PAGE;

/** Does it, and compares what came of it with what had to come. */
async function expect(what: string, expected: Expected, run: () => unknown): Promise<void> {
  const outcome = await outcomeOf(run);
  if (!('error' in outcome)) {
    if (expected !== undefined) throw new Error(`${what} succeeded; ${expected} was expected`);
    return;
  }
  const { code } = outcome.error as { code?: unknown };
  if (code !== expected)
    throw new Error(`${what}: ${expected ?? 'success'} was expected, not ${explain(outcome.error)}`);
}

/** A command from what it is called, when it can be given, and what it does. */
function command(
  name: string,
  run: (model: Model, real: Real) => void | Promise<void>,
  check: (model: Readonly<Model>) => boolean = () => true,
): Command {
  return {
    check,
    run: async (model, real) => {
      await run(model, real);
      agree(name, model, real);
    },
    toString: () => name,
  };
}

/** What the objects say about themselves is what the model believes. */
function agree(name: string, model: Model, real: Real): void {
  const same = (what: string, actual: unknown, believed: unknown): void => {
    if (actual !== believed)
      throw new Error(`after ${name}: ${what} is ${String(actual)}, not ${String(believed)}`);
  };
  same('kvm.closed', real.kvm.closed, !model.kvmOpen);
  same('vm.closed', real.vm.closed, !model.vmOpen);
  same('eventFd.closed', real.eventFd.closed, !model.eventFdOpen);
  for (const [index, state] of model.vcpus.entries()) {
    if (state !== 'transferred') same(`vcpu ${index} closed`, real.vcpus[index]!.closed, state === 'closed');
  }
  for (const [index, open] of model.regions.entries())
    same(`region ${index} closed`, real.regions[index]!.closed, !open);
  const open = model.regions.filter(Boolean).length + (model.vmOpen ? 1 : 0);
  same('the number of regions', real.vm.memory.regions.length, open);
}

/** What any use of a vCPU comes to in each of its states; `running` means on the background lane. */
const USE: Readonly<Record<VcpuState, Expected>> = {
  open: undefined,
  transferred: 'ERR_KVM_TRANSFERRED',
  running: 'ERR_KVM_BUSY',
  closed: 'ERR_KVM_CLOSED',
};

function use(model: Model, index: number): Expected {
  const state = model.vcpus[index]!;
  return USE[state];
}

const vcpuUses: Readonly<Record<string, (vcpu: Vcpu) => unknown>> = {
  readRegister: (vcpu) => getRegister(vcpu, 'value'),
  writeRegister: (vcpu) => setRegisters(vcpu, { spare: 1 }),
  ...(onArm
    ? {
        getRegList: (vcpu: Vcpu) => vcpu.getRegList(),
        getArmVcpuEvents: (vcpu: Vcpu) => vcpu.getArmVcpuEvents(),
      }
    : {
        getRegs: (vcpu: Vcpu) => vcpu.getRegs(),
        setRegs: (vcpu: Vcpu) => vcpu.setRegs({ rax: 1 }),
        getSregs: (vcpu: Vcpu) => vcpu.getSregs(),
        getCpuid2: (vcpu: Vcpu) => vcpu.getCpuid2(),
        getMsrs: (vcpu: Vcpu) => vcpu.getMsrs([0x10]),
      }),
  getMpState: (vcpu) => vcpu.getMpState(),
  setGuestDebug: (vcpu) => vcpu.setGuestDebug(),
  complete: (vcpu) => vcpu.complete(),
  step: (vcpu) => vcpu.step({ timeoutMs: 20 }),
  run: (vcpu) => vcpu.run({}, { timeoutMs: 20 }),
  runSliced: (vcpu) => vcpu.runSliced({}, { timeoutMs: 20, budgetMs: 1 }),
  exits: (vcpu) => vcpu.exits({ timeoutMs: 20 }).next(),
};

/** Ends a background run and waits for it. */
async function endRun(real: Real, index: number): Promise<void> {
  const run = real.runs.get(index);
  real.runs.delete(index);
  real.vcpus[index]!.kickHandle.kick();
  await run?.catch(() => undefined);
}

const hasVcpu = (index: number) => (model: Readonly<Model>) => index < model.vcpus.length;

function vcpuCommands(index: number): fc.Arbitrary<Command>[] {
  const has = hasVcpu(index);
  const name = `vcpu${index}`;
  const uses = fc
    .constantFrom(...Object.keys(vcpuUses))
    .map((key) =>
      command(
        `${name}.${key}`,
        (model, real) =>
          expect(`${name}.${key}`, use(model, index), () => vcpuUses[key]!(real.vcpus[index]!)),
        has,
      ),
    );
  const start = command(
    `${name}.runInBackground`,
    async (model, real) => {
      if (model.vcpus[index] === 'open') {
        const run = real.vcpus[index]!.runInBackground({
          ioOut: () => undefined,
          mmioWrite: () => undefined,
        });
        run.catch(() => undefined);
        real.runs.set(index, run);
        model.vcpus[index] = 'running';
        await nextTurn();
        return;
      }
      await expect(`${name}.runInBackground`, use(model, index), () =>
        real.vcpus[index]!.runInBackground({}),
      );
    },
    has,
  );
  const stop = command(
    `${name} ends`,
    async (model, real) => {
      await endRun(real, index);
      model.vcpus[index] = 'open';
    },
    (model) => model.vcpus[index] === 'running',
  );
  const transfer = command(
    `${name}.transfer`,
    async (model, real) => {
      await expect(`${name}.transfer`, use(model, index), () => {
        real.tokens.set(index, real.vcpus[index]!.transfer());
      });
      if (model.vcpus[index] === 'open') model.vcpus[index] = 'transferred';
    },
    has,
  );
  const adopt = command(
    `Vcpu.adopt(${name})`,
    async (model, real) => {
      const expected = model.vmOpen && model.vcpus[index] === 'transferred' ? undefined : 'ERR_KVM_TOKEN';
      await expect(`Vcpu.adopt(${name})`, expected, () => {
        const never = { ...real.vcpus[index]!.kickHandle.token, offer: 1 };
        real.vcpus[index] = Vcpu.adopt(real.tokens.get(index) ?? never);
      });
      if (expected === undefined) model.vcpus[index] = 'open';
    },
    has,
  );
  const close = command(
    `${name}.close`,
    async (model, real) => {
      const running = model.vcpus[index] === 'running';
      real.vcpus[index]!.close();
      // One that was given away is closed by who has it, or with the machine.
      if (model.vcpus[index] !== 'transferred') model.vcpus[index] = 'closed';
      if (running) await endRun(real, index);
    },
    // Its state is the other owner's from then on.
    (model) => has(model) && model.vcpus[index] !== 'transferred',
  );
  return [
    uses,
    fc.constant(start),
    fc.constant(stop),
    fc.constant(transfer),
    fc.constant(adopt),
    fc.constant(close),
  ];
}

function regionCommands(index: number): fc.Arbitrary<Command>[] {
  const name = `region${index}`;
  const has = (model: Readonly<Model>): boolean => index < model.regions.length;
  const touch = command(
    `touch ${name}`,
    (model, real) => {
      const closed = model.vmOpen ? 'ERR_KVM_MEMORY_BOUNDS' : 'ERR_KVM_CLOSED';
      const expected = model.regions[index] === true ? undefined : closed;
      return expect(`write to ${name}`, expected, () => {
        real.vm.memory.writeUint32(placeOf(index) + PAGE - 2, 7);
        real.vm.memory.view(placeOf(index), PAGE)[0] = 1;
      });
    },
    has,
  );
  const dirty = command(
    `${name}.dirtyPages`,
    (model, real) =>
      expect(`${name}.dirtyPages`, model.regions[index] === true ? undefined : 'ERR_KVM_CLOSED', () =>
        real.regions[index]!.dirtyPages(),
      ),
    has,
  );
  const unmap = command(
    `${name}.unmap`,
    (model, real) => {
      real.regions[index]!.unmap();
      model.regions[index] = false;
    },
    has,
  );
  return [touch, dirty, unmap].map((one) => fc.constant(one));
}

const machineCommands: readonly Command[] = [
  command(
    'createVcpu',
    async (model, real) => {
      await expect('createVcpu', model.vmOpen ? undefined : 'ERR_KVM_CLOSED', () =>
        real.vcpus.push(makeVcpu(real.vm)),
      );
      if (model.vmOpen) model.vcpus.push('open');
    },
    (model) => model.vcpus.length < 3,
  ),
  command(
    'memory.map',
    async (model, real) => {
      const index = model.regions.length;
      const options = { guestAddress: placeOf(index), size: 2 * PAGE, logDirtyPages: index % 2 === 0 };
      await expect('memory.map', model.vmOpen ? undefined : 'ERR_KVM_CLOSED', () =>
        real.regions.push(real.vm.memory.map(options)),
      );
      if (model.vmOpen) model.regions.push(true);
    },
    (model) => model.regions.length < 3,
  ),
  command('memory.map over code', (model, real) =>
    expect('memory.map over code', model.vmOpen ? 'ERR_KVM_MEMORY_OVERLAP' : 'ERR_KVM_CLOSED', () =>
      real.vm.memory.map({ guestAddress: 0, size: PAGE }),
    ),
  ),
  command('io.attach', async (model, real) => {
    const claimed = model.attachments.some(Boolean);
    const expected = model.vmOpen ? (claimed ? 'ERR_KVM_RANGE_CLAIMED' : undefined) : 'ERR_KVM_CLOSED';
    await expect('io.attach', expected, () =>
      real.attachments.push(real.vm.io.attach({ base: 0x700, length: 4 }, {})),
    );
    if (expected === undefined) model.attachments.push(true);
  }),
  command(
    'detach all',
    (model, real) => {
      for (const attachment of real.attachments) attachment.detach();
      model.attachments.fill(false);
    },
    (model) => model.attachments.length > 0,
  ),
  command('eventFd.write', (model, real) =>
    expect('eventFd.write', model.eventFdOpen ? undefined : 'ERR_KVM_CLOSED', () => {
      real.eventFd.write(1);
      real.eventFd.read();
    }),
  ),
  command('registerIoevent', (model, real) =>
    expect('registerIoevent', model.vmOpen && model.eventFdOpen ? undefined : 'ERR_KVM_CLOSED', () => {
      real.vm.registerIoevent(real.eventFd, { port: 0x800 });
      real.vm.unregisterIoevent(real.eventFd, { port: 0x800 });
    }),
  ),
  command('eventFd.close', (model, real) => {
    real.eventFd.close();
    model.eventFdOpen = false;
  }),
  command('kvm.createVm', (model, real) =>
    expect('kvm.createVm', model.kvmOpen ? undefined : 'ERR_KVM_CLOSED', () => real.kvm.createVm().close()),
  ),
  command('kvm.close', (model, real) => {
    real.kvm.close();
    model.kvmOpen = false;
  }),
];

const closeVm = command('vm.close', async (model, real) => {
  real.vm.close();
  model.vmOpen = false;
  model.vcpus = model.vcpus.map((state) => (state === 'transferred' ? state : 'closed'));
  model.regions.fill(false);
  await Promise.allSettled(real.runs.values());
  real.runs.clear();
});

/** Sequences of commands. */
export const commands: fc.Arbitrary<Iterable<Command>> = fc.commands(
  [
    ...machineCommands.map((one) => fc.constant(one)),
    ...[0, 1, 2].flatMap(vcpuCommands),
    ...[0, 1, 2].flatMap(regionCommands),
    fc.constant(closeVm),
  ],
  { maxCommands: 60, size: 'max' },
);
