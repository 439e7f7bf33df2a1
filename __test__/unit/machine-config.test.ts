/** Configurations of machines: what is taken, and what is refused by the name of its field. */
import { totalmem } from 'node:os';

import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';

import { Machine } from '../../index.ts';
import { machinePlan } from '../../lib/machine/config.ts';
import { PAGE } from '../helpers/page.ts';

const KERNEL = Uint8Array.of(0xf4);

function plan(config: object): ReturnType<typeof machinePlan> {
  return machinePlan({ kernel: KERNEL, ...config });
}

type Code = 'ERR_INVALID_ARG_TYPE' | 'ERR_OUT_OF_RANGE' | 'ERR_INVALID_ARG_VALUE';

/** The message of the error that a configuration is refused with. */
function refused(t: ExecutionContext, code: Code, config: unknown): string {
  const error = t.throws(() => machinePlan(config as object), {
    code,
    instanceOf: code === 'ERR_OUT_OF_RANGE' ? RangeError : TypeError,
  });
  return error?.message ?? '';
}

/** That one field is refused, by its name. */
function refusesField(t: ExecutionContext, code: Code, field: string, value: unknown): void {
  const message = refused(t, code, { kernel: KERNEL, [field]: value });
  t.regex(message, new RegExp(`["']config\\.${field}["']`), message);
}

const fail = (): never => {
  throw new Error('touched');
};

/** An object that throws at every touch. */
const hostile: object = new Proxy(
  {},
  { get: fail, ownKeys: fail, getPrototypeOf: fail, has: fail, getOwnPropertyDescriptor: fail },
);

test('what a machine is by default', (t) => {
  t.deepEqual(plan({}), {
    cpus: 1,
    memory: 256 * 2 ** 20,
    kernel: { bytes: KERNEL },
    protocol: undefined,
    initrd: undefined,
    cmdline: 'console=ttyS0 panic=-1',
    modules: [],
    flat: { address: 0x7c00, entry: 0x7c00, mode: 'real' },
    acpi: true,
    console2: false,
    debugConsole: undefined,
    devices: [],
    onReset: 'exit',
    signal: undefined,
  });
  t.is(Machine.defaultCmdline, 'console=ttyS0 panic=-1');
});

test('all of it can be said', (t) => {
  const { signal } = new AbortController();
  const device = {};
  const given = {
    cpus: 32,
    memory: '8MiB',
    protocol: 'multiboot',
    initrd: 'initrd.cpio',
    cmdline: 'quiet',
    modules: [{ image: new Uint8Array(2) }, { image: 'module', cmdline: 'words' }],
    acpi: false,
    console2: true,
    debugConsole: 0x402,
    devices: [{ device, io: { base: 0x700, length: 2 }, interrupt: 23 }],
    onReset: 'restart',
    signal,
  };
  t.like(plan(given), {
    cpus: 32,
    memory: 8 * 2 ** 20,
    initrd: { path: 'initrd.cpio' },
    cmdline: 'quiet',
    modules: [
      { image: { bytes: new Uint8Array(2) }, cmdline: '' },
      { image: { path: 'module' }, cmdline: 'words' },
    ],
    acpi: false,
    console2: true,
    debugConsole: 0x402,
    onReset: 'restart',
    signal,
  });
  t.is(plan(given).devices[0]!.device, device);
});

test('programs without a command line of their own get none', (t) => {
  t.is(plan({ protocol: 'flat' }).cmdline, '');
  t.is(plan({ protocol: 'firmware' }).cmdline, '');
  t.is(plan({ protocol: 'multiboot' }).cmdline, Machine.defaultCmdline);
  t.is(plan({ cmdline: '' }).cmdline, '');
});

test('a flat image is entered at its first byte, unless something else is said', (t) => {
  const flatOf = (flat: object): unknown => plan({ protocol: 'flat', flat }).flat;
  t.deepEqual(flatOf({}), { address: 0x7c00, entry: 0x7c00, mode: 'real' });
  t.deepEqual(flatOf({ address: 0x1000 }), { address: 0x1000, entry: 0x1000, mode: 'real' });
  t.deepEqual(flatOf({ entry: 0x7c10, mode: 'long' }), { address: 0x7c00, entry: 0x7c10, mode: 'long' });
});

test('the debug console: no, yes, or a port', (t) => {
  t.is(plan({ debugConsole: false }).debugConsole, undefined);
  t.is(plan({ debugConsole: true }).debugConsole, 0xe9);
  t.is(plan({ debugConsole: 0 }).debugConsole, 0);
});

test('an unknown key is refused with the nearest name', (t) => {
  for (const [key, hint] of [
    ['cpu', "did you mean 'cpus'?"],
    ['memroy', "did you mean 'memory'?"],
    ['cmdLine', "did you mean 'cmdline'?"],
    ['onreset', "did you mean 'onReset'?"],
    ['xyzzy', 'known are: cpus, memory, kernel'],
  ] as const) {
    const message = refused(t, 'ERR_INVALID_ARG_VALUE', { kernel: KERNEL, [key]: undefined });
    t.true(message.includes(`config.${key}`) && message.includes(hint), message);
  }
  t.regex(
    refused(t, 'ERR_INVALID_ARG_VALUE', { kernel: KERNEL, protocol: 'flat', flat: { adress: 1 } }),
    /config\.flat\.adress.*did you mean 'address'/,
  );
  t.regex(
    refused(t, 'ERR_INVALID_ARG_VALUE', { kernel: KERNEL, modules: [{ image: KERNEL, cmd: '' }] }),
    /config\.modules\[0\]\.cmd/,
  );
});

test('what is no configuration at all', (t) => {
  for (const value of [null, 1, 'kernel', true, 1n, Symbol('x'), () => undefined, [], new Map()]) {
    t.regex(refused(t, 'ERR_INVALID_ARG_TYPE', value), /"config"/);
  }
  t.regex(refused(t, 'ERR_INVALID_ARG_VALUE', hostile), /'config'/);
  t.regex(
    refused(t, 'ERR_INVALID_ARG_VALUE', {
      get cpus(): number {
        return fail();
      },
    }),
    /'config\.cpus'/,
  );
});

test('cpus: 1 to 32, as a number', (t) => {
  for (const value of [0, 33, 10_000, -1, 1.5, Number.NaN, Infinity]) {
    refusesField(t, 'ERR_OUT_OF_RANGE', 'cpus', value);
  }
  for (const value of ['2', 2n, null, true, [2], {}]) refusesField(t, 'ERR_INVALID_ARG_TYPE', 'cpus', value);
});

test('memory: whole pages, at least one, at most what the host has', (t) => {
  t.is(plan({ memory: PAGE }).memory, PAGE);
  t.is(plan({ memory: '64K' }).memory, 65_536);
  for (const value of [0, 1, PAGE - 1, PAGE + 1, 2 ** 20 + 1, 1.5, -PAGE, Number.NaN, 2 ** 60]) {
    refusesField(t, 'ERR_OUT_OF_RANGE', 'memory', value);
  }
  for (const value of ['0', '1', '1 B', '5000 B', '1048577']) {
    refusesField(t, 'ERR_OUT_OF_RANGE', 'memory', value);
  }
  for (const value of ['1 fortnight', '', 'MiB', '-1MiB', '1.5GiB', '1TiB', '0x1000', '1 MiB 2']) {
    refusesField(t, 'ERR_INVALID_ARG_VALUE', 'memory', value);
  }
  for (const value of [null, 4096n, true, {}, []]) {
    refusesField(t, 'ERR_INVALID_ARG_TYPE', 'memory', value);
  }
});

test('memory: more than the host has is told with what it has', (t) => {
  const tooMuch = Math.ceil(totalmem() / 4096 + 1) * 4096;
  const message = refused(t, 'ERR_OUT_OF_RANGE', { kernel: KERNEL, memory: tooMuch });
  t.regex(message, /"config\.memory".*at most what this host has: [\d.]+ GiB \([\d.]+ [GM]iB of it free\)/);
  refusesField(t, 'ERR_OUT_OF_RANGE', 'memory', '999999999999GiB');
});

test('protocol, onReset: one of a few words', (t) => {
  refusesField(t, 'ERR_INVALID_ARG_VALUE', 'protocol', 'Linux64');
  t.regex(refused(t, 'ERR_INVALID_ARG_VALUE', { kernel: KERNEL, protocol: 'elf46' }), /did you mean 'elf64'/);
  for (const value of [1, null, {}]) refusesField(t, 'ERR_INVALID_ARG_VALUE', 'protocol', value);
  for (const value of ['Exit', 'reboot', true, null]) {
    refusesField(t, 'ERR_INVALID_ARG_VALUE', 'onReset', value);
  }
});

test('kernel, initrd: a path, a URL, or bytes', (t) => {
  for (const field of ['kernel', 'initrd']) {
    for (const value of [null, 1, true, 1n, {}, [1, 2], () => undefined, hostile]) {
      refusesField(t, 'ERR_INVALID_ARG_TYPE', field, value);
    }
    for (const value of ['', 'a\0b', new URL('ftp://host/x'), new URL('blob:x'), new URL('file://host/x')]) {
      refusesField(t, 'ERR_INVALID_ARG_VALUE', field, value);
    }
  }
});

test('cmdline: a string without NUL', (t) => {
  for (const value of [null, 1, ['quiet'], new String('quiet')]) {
    refusesField(t, 'ERR_INVALID_ARG_TYPE', 'cmdline', value);
  }
  refusesField(t, 'ERR_INVALID_ARG_VALUE', 'cmdline', 'console=ttyS0\0');
});

test('modules: up to 64 of an image and words', (t) => {
  const module = { image: KERNEL };
  t.is(plan({ modules: Array.from({ length: 64 }, () => module) }).modules.length, 64);
  const refusedModules = (code: Code, modules: unknown): string =>
    refused(t, code, { kernel: KERNEL, modules });
  t.regex(
    refusedModules(
      'ERR_OUT_OF_RANGE',
      Array.from({ length: 65 }, () => module),
    ),
    /modules\.length/,
  );
  t.regex(refusedModules('ERR_INVALID_ARG_TYPE', {}), /config\.modules/);
  t.regex(refusedModules('ERR_INVALID_ARG_TYPE', [module, 'x']), /config\.modules\[1\]/);
  t.regex(refusedModules('ERR_INVALID_ARG_TYPE', [{}]), /config\.modules\[0\]\.image/);
  t.regex(refusedModules('ERR_INVALID_ARG_TYPE', [{ ...module, cmdline: 1 }]), /modules\[0\]\.cmdline/);
  t.regex(refusedModules('ERR_INVALID_ARG_VALUE', [{ ...module, cmdline: '\0' }]), /modules\[0\]\.cmdline/);
});

test('flat: an address, an entry, a mode, and only for flat images', (t) => {
  const refusedFlat = (code: Code, flat: unknown): string =>
    refused(t, code, { kernel: KERNEL, protocol: 'flat', flat });
  for (const key of ['address', 'entry']) {
    t.regex(refusedFlat('ERR_OUT_OF_RANGE', { [key]: -1 }), new RegExp(`config\\.flat\\.${key}`));
    t.regex(refusedFlat('ERR_OUT_OF_RANGE', { [key]: 2 ** 52 }), new RegExp(`config\\.flat\\.${key}`));
    t.regex(refusedFlat('ERR_INVALID_ARG_TYPE', { [key]: '0x7c00' }), new RegExp(`config\\.flat\\.${key}`));
  }
  t.regex(refusedFlat('ERR_INVALID_ARG_VALUE', { mode: 'reel' }), /config\.flat\.mode.*did you mean 'real'/);
  t.regex(refusedFlat('ERR_INVALID_ARG_TYPE', null), /config\.flat/);
  refusesField(t, 'ERR_INVALID_ARG_VALUE', 'flat', { address: 0x1000 });
  t.regex(
    refused(t, 'ERR_INVALID_ARG_VALUE', { kernel: KERNEL, protocol: 'firmware', flat: {} }),
    /is for the protocol 'flat'/,
  );
});

test('acpi, console2, debugConsole: true or false', (t) => {
  for (const field of ['acpi', 'console2', 'debugConsole']) {
    for (const value of [null, 'true', {}, 1n]) refusesField(t, 'ERR_INVALID_ARG_TYPE', field, value);
  }
  for (const value of [-1, 0x1_0000, 1.5]) refusesField(t, 'ERR_OUT_OF_RANGE', 'debugConsole', value);
  refusesField(t, 'ERR_INVALID_ARG_TYPE', 'console2', 1);
});

test('signal: an AbortSignal', (t) => {
  for (const value of [null, {}, new AbortController(), 1, hostile]) {
    const message = refused(t, value === hostile ? 'ERR_INVALID_ARG_VALUE' : 'ERR_INVALID_ARG_TYPE', {
      kernel: KERNEL,
      signal: value,
    });
    t.regex(message, /config\.signal/);
  }
});

test('a configuration is read once, and the caller’s object is not kept', (t) => {
  let reads = 0;
  const config = {
    kernel: KERNEL,
    get cpus() {
      return ++reads;
    },
  };
  t.is(machinePlan(config).cpus, 1);
  t.is(reads, 1);
});

test('whatever it is given, create() gives a machine or an error with a code', async (t) => {
  const keys = ['cpus', 'memory', 'kernel', 'protocol', 'initrd', 'cmdline', 'modules', 'flat', 'acpi'];
  const strange = [hostile, 'flat', 'real', [{}], { image: 1 }, null, new URL('data:,x')];
  const value = fc.oneof(
    fc.anything({ withBigInt: true, withDate: true, withTypedArray: true, withNullPrototype: true }),
    // By number: the values themselves would be looked at.
    fc.nat(strange.length - 1).map((index) => ({ strange: index })),
  );
  const config = fc.dictionary(
    fc.constantFrom(...keys, 'console2', 'debugConsole', 'devices', 'onReset', 'signal'),
    value,
    { minKeys: 1, maxKeys: 3 },
  );
  const named = (one: unknown): unknown => {
    const index = (one as { strange?: number } | null | undefined)?.strange;
    return index === undefined ? one : strange[index];
  };
  await fc.assert(
    fc.asyncProperty(config, async (given) => {
      const values = Object.entries(given).map(([key, one]) => [key, named(one)] as const);
      const whole = { kernel: Uint8Array.of(1), memory: 2 ** 20, ...Object.fromEntries(values) };
      try {
        // One byte, asked for as a flat image, is a machine.
        await (await Machine.create(whole))[Symbol.asyncDispose]();
      } catch (error) {
        t.true(error instanceof Error && 'code' in error, String(error));
      }
    }),
    { numRuns: 1500 },
  );
});
