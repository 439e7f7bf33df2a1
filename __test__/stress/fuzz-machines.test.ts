/** Machines of any configuration, and their methods in any order. */
import test from 'ava';
import * as fc from 'fast-check';
import { Machine, type MachineConfig } from 'vmhatch';
import { hostile } from './fuzz/hostile.ts';
import { from, listOf, oneOf, values } from './fuzz/recipe.ts';
import { fields } from './fuzz/record.ts';
import { rounds } from './fuzz/rounds.ts';
import { share } from './fuzz/settings.ts';
import { explain, isTypedError } from './fuzz/verdict.ts';
import { World, canary } from './fuzz/world.ts';

// mov dx, 0x3f8; mov al, '4'; again: out dx, al; jmp again
const PRINTS = [0xba, 0xf8, 0x03, 0xb0, 0x34, 0xee, 0xeb, 0xfd];
// mov dx, 0x602; mov al, 0x42; out dx, al: a reset
const RESETS = [0xba, 0x02, 0x06, 0xb0, 0x42, 0xee];
// cli; hlt
const HALTS = [0xfa, 0xf4];

const kernel = fc.oneof(
  from('a guest that prints', () => Uint8Array.from(PRINTS)),
  from('a guest that resets', () => Uint8Array.from(RESETS)),
  from('a guest that halts', () => Uint8Array.from(HALTS)),
  values(fc.uint8Array({ maxLength: 256 })),
);
const device = fields({
  device: from('a device', () => ({ read: () => 0 })),
  io: fields({ base: oneOf(0x100, 0x3f8, 0xffff), length: oneOf(1, 8) }),
  mmio: fields({ base: oneOf(0xd000_1000, 0xd000_0000, 0), length: oneOf(1, 0x1000) }),
  interrupt: oneOf(5, 23, 24),
  acpi: fields({ name: oneOf('DEV0', 'dev', ''), hid: oneOf('LNRO0005', 'X'), uid: oneOf(0, 1) }),
});
const config = fields({
  cpus: oneOf(1, 2, 33),
  memory: oneOf('16MiB', 2 ** 24, 4096, '1 fortnight', 2 ** 52),
  kernel,
  protocol: oneOf('flat', 'flat', 'flat', 'firmware', 'pvh'),
  initrd: fc.oneof(oneOf('/nowhere'), kernel),
  cmdline: oneOf('', 'quiet', 'a\0b'),
  flat: fields({ address: oneOf(0x7c00, 2 ** 40), mode: oneOf('real', 'protected', 'long', 'warp') }),
  acpi: oneOf(true, false),
  console2: oneOf(true, false),
  debugConsole: oneOf(true, 0x402, 0x3f8),
  devices: listOf(device, 2),
  onReset: oneOf('exit', 'restart'),
});

const actions = [
  'start',
  'pause',
  'resume',
  'reset',
  'stop',
  'type',
  'read',
  'interrupt',
  'unref',
  'wait',
] as const;
type Action = (typeof actions)[number];

/** Starts what the action is; most are not waited for, so that they meet. */
function act(machine: Machine, action: Action): unknown {
  switch (action) {
    case 'type':
      return void machine.console.write('typed\n');
    case 'read':
      return machine.console.read();
    case 'interrupt':
      return machine.interrupt(5).raise();
    case 'unref':
      return machine.unref().ref();
    case 'wait':
      return new Promise((resolve) => setTimeout(resolve, 3));
    default:
      return machine[action]();
  }
}

/** Only errors of the documented kinds. */
function judge(what: string, error: unknown): void {
  if (!isTypedError(error)) throw new Error(`${what} threw ${explain(error)}`);
}

test('a machine of any configuration is refused with a typed error, or lives through any calls', async (t) => {
  t.timeout(86_400_000);
  const sane = fields(
    { kernel, memory: oneOf('16MiB'), protocol: oneOf('flat'), onReset: oneOf('exit', 'restart') },
    ['kernel', 'memory', 'protocol'],
  );
  let made = 0;
  await rounds(t, share(0.01), async (count, parameters) => {
    const property = fc.asyncProperty(
      fc.oneof(sane, sane, config, hostile),
      fc.array(fc.tuple(fc.constantFrom(...actions), fc.boolean()), { maxLength: 12 }),
      async (given, calls) => {
        const world = new World();
        try {
          let machine: Machine;
          try {
            machine = await Machine.create(given.make(world) as MachineConfig);
          } catch (error) {
            judge('create', error);
            return;
          }
          made++;
          const pending: Promise<unknown>[] = [];
          for (const [action, waited] of calls) {
            try {
              const done = Promise.resolve(act(machine, action));
              pending.push(done.catch((error: unknown) => judge(action, error)));
              if (waited) await pending.at(-1);
            } catch (error) {
              judge(action, error);
            }
          }
          await machine[Symbol.asyncDispose]();
          await Promise.all(pending);
          await machine.exited;
        } finally {
          world.close();
          count(1 + calls.length);
        }
      },
    );
    await fc.assert(property, parameters);
    canary();
  });
  t.true(made > 0, 'not one machine was made');
});
