/** Saved states that nobody saved: each Rust device refuses them with a code, or goes on working with them. */
import test from 'ava';
import * as fc from 'fast-check';
import { Cmos, DebugConsole, DebugExit, I8042, Serial, type DeviceState, type RustDevice } from 'vmhatch';
import { rounds } from './fuzz/rounds.ts';
import { share } from './fuzz/settings.ts';
import { explain, isTypedError } from './fuzz/verdict.ts';
import { canary } from './fuzz/world.ts';

/** Each with something in it, so that a state has all its parts. */
const makers: readonly (() => RustDevice)[] = [
  () => {
    const serial = new Serial();
    serial.input('waiting input');
    return serial;
  },
  () => new DebugConsole(),
  () => new DebugExit(),
  () => new I8042(),
  () => new Cmos({ memorySize: 2 ** 30, time: new Date(1e12) }),
];

/** What is done to a good state: bytes changed, cut off or added, another kind or version. */
interface Damage {
  readonly bytes: readonly (readonly [at: number, value: number])[];
  readonly length: number;
  readonly more: Uint8Array;
  readonly kind: string | undefined;
  readonly version: number | undefined;
  readonly data: Uint8Array | undefined;
}

const damage: fc.Arbitrary<Damage> = fc.record({
  bytes: fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 0, max: 255 })), { maxLength: 6 }),
  length: fc.oneof({ weight: 4, arbitrary: fc.constant(Infinity) }, { weight: 1, arbitrary: fc.nat(200) }),
  more: fc.oneof(
    { weight: 4, arbitrary: fc.constant(new Uint8Array(0)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  ),
  kind: fc.option(fc.oneof(fc.string(), fc.constantFrom('serial', 'cmos', 'i8042')), {
    freq: 12,
    nil: undefined,
  }),
  version: fc.option(fc.nat(3), { freq: 12, nil: undefined }),
  data: fc.option(fc.uint8Array({ maxLength: 100 }), { freq: 12, nil: undefined }),
});

function damaged(state: DeviceState, what: Damage): DeviceState {
  const data = Uint8Array.from([
    ...state.data.slice(0, Math.min(what.length, state.data.length)),
    ...what.more,
  ]);
  for (const [at, value] of what.bytes) if (at < data.length) data[at] = value;
  return { kind: what.kind ?? state.kind, version: what.version ?? state.version, data: what.data ?? data };
}

/** Drives all registers: whatever the state, a device answers. */
function use(device: RustDevice): void {
  for (let offset = 0; offset < 8; offset++) {
    device.write(offset, 0xa5, 1);
    device.read(offset, 1);
    device.read(offset, 4);
  }
  if (device instanceof Serial) device.input('more');
  if (device instanceof Serial || device instanceof DebugConsole) device.takeOutput();
}

test('a damaged state is refused, or is a state like any other', async (t) => {
  t.timeout(86_400_000);
  let taken = 0;
  await rounds(t, share(0.04), async (count, parameters) => {
    const property = fc.property(
      fc.nat(makers.length - 1),
      fc.array(damage, { minLength: 1, maxLength: 8 }),
      (which, list) => {
        const device = makers[which]!();
        for (const what of list) {
          const before = device.save();
          const state = damaged(before, what);
          try {
            device.restore(state);
            taken++;
            // What was taken is what is saved, to the byte, or a state that is taken again.
            device.restore(device.save());
            use(device);
          } catch (error) {
            if (!isTypedError(error)) throw new Error(`restore threw ${explain(error)}`, { cause: error });
            const after = device.save();
            if (Buffer.compare(after.data, before.data) !== 0)
              throw new Error('a refused state changed the device', { cause: error });
          }
          count(1);
        }
      },
    );
    fc.assert(property, parameters);
    canary();
    await Promise.resolve();
  });
  t.true(taken > 0);
});
