// docs/boot.md, held against machines: what each protocol puts where, and the error that each field gets.
import test from 'ava';

import type { BootProtocol, MachineConfig } from '../../index.ts';
import { bands, readLayouts } from '../../scripts/memory-picture.mjs';
import { hasKvm } from '../helpers/child-program.ts';
import { tinyBzImage, tinyElf, tinyMultiboot } from '../helpers/tiny-kernels.ts';
import { Machine } from '../../index.ts';

const MEMORY = 32 * 2 ** 20;
const HALT = Uint8Array.of(0xf4);

/** Where the things are that a configuration puts into the first MiB, and its protocol. */
async function firstMib(config: MachineConfig): Promise<{ protocol: BootProtocol; starts: number[] }> {
  await using machine = await Machine.create({ memory: MEMORY, ...config });
  const own = machine.placed.filter(({ address, name }) => address < 0x10_0000 && name !== 'flat image');
  // The tables behind the RSDP follow one another.
  const starts = own.filter(({ name }) => !/^ACPI (?!RSDP)/.test(name)).map(({ address }) => address);
  return { protocol: machine.protocol, starts };
}

/** What the picture says that a protocol fills; `mode` is whether the rings count. */
function drawn(column: number, mode: boolean): number[] {
  const { first } = bands(readLayouts());
  const filled = first.filter(
    ({ protocols = '----' }) => protocols[column] === 'x' || (mode && protocols[column] === 'm'),
  );
  // The stack is kept free, and empty.
  return filled.filter(({ what }) => !what.startsWith('stack')).map(({ start }) => start!);
}

const images: readonly [BootProtocol, number, MachineConfig][] = [
  ['linux64', 0, { kernel: tinyBzImage() }],
  ['elf64', 0, { kernel: tinyElf({ pvh: false }) }],
  ['elf64', 0, { kernel: tinyElf({ pvh: true }), protocol: 'elf64' }],
  ['pvh', 1, { kernel: tinyElf({ pvh: true }) }],
  ['multiboot', 2, { kernel: tinyMultiboot() }],
  ['flat', 3, { kernel: HALT, protocol: 'flat', cmdline: '' }],
];

for (const [protocol, column, config] of images) {
  test(`${protocol}${config.protocol === undefined ? '' : ', asked for,'} fills what the picture says`, async (t) => {
    if (!hasKvm(t)) return;
    t.deepEqual(await firstMib(config), { protocol, starts: drawn(column, false) });
  });
}

test('flat in long mode has all that the picture has for it', async (t) => {
  if (!hasKvm(t)) return;
  const flat = { address: 0x10_0000, mode: 'long' } as const;
  const { starts } = await firstMib({ kernel: HALT, protocol: 'flat', flat });
  t.deepEqual(starts, drawn(3, true));
});

const errors: readonly [field: string, RegExp, MachineConfig][] = [
  ['kernel', /is truncated/, { kernel: tinyBzImage().subarray(0, 0x400) }],
  ['kernel', /aarch64/, { kernel: Buffer.concat([Buffer.alloc(0x38), Buffer.from('ARM\x64')]) }],
  [
    'protocol',
    /cannot be booted by multiboot; it can be by linux64, pvh, elf64/,
    { kernel: tinyBzImage(), protocol: 'multiboot' },
  ],
  ['initrd', /empty/, { kernel: tinyBzImage(), initrd: new Uint8Array(0) }],
  [
    'initrd',
    /largest free piece of memory .* has \d+ bytes/,
    { kernel: tinyBzImage(), initrd: new Uint8Array(MEMORY) },
  ],
  ['cmdline', /2048 bytes; this kernel takes 2047/, { kernel: tinyBzImage(), cmdline: 'x'.repeat(2048) }],
  ['cmdline', /the protocol flat takes no cmdline/, { kernel: HALT, protocol: 'flat', cmdline: 'x' }],
  ['memory', /not all in the machine's memory/, { kernel: tinyBzImage(), memory: '8MiB' }],
  ['memory', /needs 1048576/, { kernel: tinyBzImage(), memory: '1020KiB' }],
  ['modules', /the protocol linux64 takes no modules/, { kernel: tinyBzImage(), modules: [{ image: HALT }] }],
  [
    'devices',
    /the name is taken/,
    {
      kernel: tinyBzImage(),
      devices: [
        { device: {}, mmio: { base: 0xd000_1000, length: 16 }, acpi: { name: 'COM1', hid: 'LNRO0005' } },
      ],
    },
  ],
];

for (const [field, message, config] of errors) {
  test(`an error of the field ${field}: ${message.source}`, async (t) => {
    if (!hasKvm(t)) return;
    const error = await t.throwsAsync(Machine.create({ memory: MEMORY, ...config }), {
      code: 'ERR_KVM_BOOT',
    });
    t.true(error.message.startsWith(`${field}: `), error.message);
    t.regex(error.message, message);
  });
}
