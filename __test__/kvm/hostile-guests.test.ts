/** Guests that misbehave: whatever they do comes out as data, the host goes on, and nothing hangs. */
import test, { type ExecutionContext } from 'ava';

import { Cap, DebugConsole, type Handlers, type RunResult } from '../../index.ts';
import { writeCode } from '../helpers/arm.ts';
import { OUTPUT, boot, enter, onArm, scaled, setRegisters } from '../helpers/common-guests.ts';
import { LANES } from '../helpers/lanes.ts';
import { makeVm } from '../helpers/machine.ts';
import { randomBytes, randomFrom } from '../stress/fuzz/random.ts';
import { SEED } from '../stress/fuzz/settings.ts';

const STORM_MS = 200;
/** What a storm may leave behind at most, in bytes: garbage that is not collected yet. */
const STORM_MEMORY = 128 * 2 ** 20;

/** Counts the turns that the event loop gets while something is under way. */
async function turnsDuring<T>(work: () => Promise<T>): Promise<{ value: T; turns: number }> {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  try {
    return { value: await work(), turns };
  } finally {
    clearInterval(timer);
  }
}

function memoryInUse(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

for (const [name, run] of LANES) {
  test.serial(
    `exit storm, ${name}: the timeout ends it, the event loop has its turns, memory stays bounded`,
    async (t) => {
      const { vcpu } = boot(t, 'mmio-storm');
      let exits = 0;
      let sum = 0;
      const before = memoryInUse();
      const handlers: Handlers = {
        mmioWrite: (exit) => {
          exits++;
          sum += exit.address + exit.value + Number(exit.value64);
        },
      };
      const { value, turns } = await turnsDuring(() => run(vcpu, handlers, { timeoutMs: STORM_MS }));
      t.deepEqual(value, { reason: 'timeout' });
      t.true(exits > 0, `${exits} exits`);
      t.true(sum > 0);
      t.is(vcpu.stats.byReason['mmio'], exits);
      if (name !== 'run') t.true(turns > 0, `${turns} turns of the event loop`);
      const grown = memoryInUse() - before;
      t.true(grown < STORM_MEMORY, `${grown} bytes more`);
    },
  );

  test.serial(`exit storm, ${name}: devices of both kinds take it`, async (t) => {
    const output = new DebugConsole();
    let writes = 0;
    let handled = 0;
    // Two guests of one kind: the first one's device is Rust's, the second's JavaScript's.
    const { vm, vcpu } = boot(t, 'mmio-burst', { regs: { step: 0xffff_ffff } });
    vm.mmio.attach({ base: OUTPUT, length: 1 }, output);
    t.deepEqual(await run(vcpu, {}, { timeoutMs: STORM_MS }), { reason: 'timeout' });
    const other = boot(t, 'mmio-echo');
    other.vm.mmio.attach({ base: OUTPUT + 4, length: 4 }, { write: () => void writes++ });
    const end = await run(other.vcpu, { mmioRead: () => handled++ }, { timeoutMs: STORM_MS });
    t.deepEqual(end, { reason: 'timeout' });
    t.true(vcpu.stats.byRoute.rust > 0, `${vcpu.stats.byRoute.rust} in Rust`);
    t.true(handled > 0 && writes > 0, `${handled} handled, ${writes} written`);
    // Nobody listens: the last 64 KiB are kept, not all.
    t.true(output.takeOutput().length <= 0x1_0000);
  });
}

const RANDOM_GUESTS = scaled(300);
const RANDOM_MEMORY = 0x1_0000;

const MOST_EXITS = 200;

/** Where instructions can be. */
const PLACES = RANDOM_MEMORY - (onArm ? 4 : 1);

/** How often a random guest is set to another place in its memory, since most soon come to an end. */
const ENTRIES = 6;

/** Runs a guest for a while; every way to end is data. */
function runRandom(t: ExecutionContext, seed: number, note: (end: RunResult) => void): void {
  const random = randomFrom(seed);
  const vm = makeVm(t);
  vm.memory.map({ guestAddress: 0, size: RANDOM_MEMORY });
  writeCode(vm, 0, randomBytes(random, RANDOM_MEMORY));
  // Otherwise an access that the processor does not describe would fail the run.
  if (onArm && vm.checkExtension(Cap.ArmNisvToUser)) vm.enableCap(Cap.ArmNisvToUser);
  const vcpu = vm.createVcpu();
  enter(vcpu, 'spin', { value: random(), step: random() });
  let exits = 0;
  const count = (exit: { stop(): void }): undefined => {
    if (++exits >= MOST_EXITS) exit.stop();
  };
  const handlers: Handlers = {
    ioOut: count,
    ioIn: count,
    mmioRead: count,
    mmioWrite: count,
    hlt: count,
    armNisv: count,
  };
  for (let entry = 0; entry < ENTRIES; entry++) {
    const end = vcpu.run(handlers, { timeoutMs: 20 });
    note(end);
    if (end.reason !== 'exit' || end.exit.kind === 'shutdown' || end.exit.kind === 'systemEvent') break;
    setRegisters(vcpu, { pc: random() & PLACES, step: random() & 0xff });
  }
  vm.close();
}

test.serial('random code: each guest ends as data', (t) => {
  const ends = new Map<string, number>();
  t.log(`VMHATCH_FUZZ_SEED=${SEED}`);
  let runs = 0;
  for (let guest = 0; guest < RANDOM_GUESTS; guest++) {
    runRandom(t, (SEED + guest) | 0, (end) => {
      const name = 'exit' in end ? `${end.reason} ${end.exit.kind}` : end.reason;
      ends.set(name, (ends.get(name) ?? 0) + 1);
      runs++;
    });
  }
  t.log(Object.fromEntries(ends));
  t.true(runs >= RANDOM_GUESTS);
});
