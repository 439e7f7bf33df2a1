/** What no machine can be made of: one clear error each, before anything runs, and nothing left behind. */
import { truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { totalmem } from 'node:os';

import test, { type ExecutionContext } from 'ava';
import * as fc from 'fast-check';

import { Machine, type MachineConfig } from '../../index.ts';
import { elfFile } from '../helpers/elf.ts';
import { MARKED_MEMORY, leavesNothing, machineParts } from '../helpers/held.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';
import { until } from '../helpers/wait.ts';
import { POWER_OFF, SPIN, flat, in32, startMachine } from '../helpers/whole-machine.ts';

const CODE = Uint8Array.from(in32(POWER_OFF));
const ELF = { bits: 64, entry: 0x10_0000, address: 0x10_0000, bytes: CODE, pvhEntry: 0x10_0000 } as const;
const KERNEL = elfFile(ELF);
const memory = MARKED_MEMORY;

/** An ELF file with one word changed. */
function lying(at: number, value: number): Uint8Array {
  const file = Buffer.from(KERNEL);
  file.writeBigUInt64LE(BigInt(value), at);
  return file;
}

/** Offsets in the first program header of an ELF64 file. */
const P = { offset: 64 + 8, paddr: 64 + 24, filesz: 64 + 32, memsz: 64 + 40 } as const;

const REFUSED: readonly (readonly [name: string, config: object, code: string, message: RegExp])[] = [
  ['no bytes', { kernel: new Uint8Array(0) }, 'ERR_KVM_BOOT', /^kernel: the image is empty$/],
  ['a text', { kernel: Buffer.from('#!/bin/sh\n') }, 'ERR_KVM_BOOT', /^kernel: the image is a script$/],
  ['zeros', { kernel: new Uint8Array(4096) }, 'ERR_KVM_BOOT', /^kernel: the image is 4096 bytes of 0x00/],
  ['the start of an ELF file', { kernel: KERNEL.subarray(0, 20) }, 'ERR_KVM_BOOT', /^kernel: .*truncated/],
  ['half an ELF file', { kernel: KERNEL.subarray(0, 130) }, 'ERR_KVM_BOOT', /^kernel: .*truncated/],
  [
    'a kernel for aarch64',
    { kernel: elfFile({ ...ELF, machine: 183 }) },
    'ERR_KVM_BOOT',
    /^kernel: .* aarch64; this machine is x86_64$/,
  ],
  [
    'a kernel for riscv',
    { kernel: elfFile({ ...ELF, machine: 243 }) },
    'ERR_KVM_BOOT',
    /^kernel: .* riscv; this machine is x86_64$/,
  ],
  [
    'a program for i386',
    { kernel: elfFile({ ...ELF, bits: 32, machine: 62 }) },
    'ERR_KVM_BOOT',
    /^kernel: .*this machine is x86_64$/,
  ],
  [
    'a kernel larger than memory',
    { kernel: elfFile({ ...ELF, memorySize: 2 ** 30 }) },
    'ERR_KVM_BOOT',
    /^memory: kernel needs 1073741824 bytes/,
  ],
  [
    'a kernel where no memory is',
    { kernel: lying(P.paddr, 0xd000_0000) },
    'ERR_KVM_BOOT',
    /^memory: kernel needs .* at 0xd0000000/,
  ],
  [
    'a kernel where the tables are',
    { kernel: lying(P.paddr, 0xe_0000) },
    'ERR_KVM_BOOT',
    /^kernel: .* overlaps ACPI tables/,
  ],
  [
    'a segment outside of the file',
    { kernel: lying(P.offset, 10_000) },
    'ERR_KVM_BOOT',
    /^kernel: .*truncated/,
  ],
  ['a segment of 2^52 bytes', { kernel: lying(P.filesz, 2 ** 52) }, 'ERR_KVM_BOOT', /^kernel: /],
  [
    'a segment larger in the file than in memory',
    { kernel: lying(P.memsz, 1) },
    'ERR_KVM_BOOT',
    /^kernel: p_memsz is 0x1/,
  ],
  [
    'an entry in nothing',
    { kernel: elfFile({ ...ELF, pvhEntry: 0x50_0000 }) },
    'ERR_KVM_BOOT',
    /^kernel: the entry in the PVH note/,
  ],
  [
    'no such file',
    { kernel: '/nowhere/vmlinux' },
    'ERR_KVM_BOOT',
    /^kernel: \/nowhere\/vmlinux cannot be read \(ENOENT\)$/,
  ],
  ['a folder', { kernel: '/' }, 'ERR_KVM_BOOT', /^kernel: \/ is no file$/],
  [
    'an initrd that is no file',
    { kernel: KERNEL, initrd: '/nowhere/initrd' },
    'ERR_KVM_BOOT',
    /^initrd: \/nowhere\/initrd cannot be read/,
  ],
  [
    'an empty initrd',
    { kernel: KERNEL, initrd: new Uint8Array(0) },
    'ERR_KVM_BOOT',
    /^initrd: the initrd is empty$/,
  ],
  [
    'an initrd as large as memory',
    { kernel: KERNEL, initrd: new Uint8Array(memory) },
    'ERR_KVM_BOOT',
    /^initrd: the initrd of \d+ bytes does not fit/,
  ],
  [
    'an initrd larger than memory',
    { kernel: KERNEL, initrd: new Uint8Array(memory + 1) },
    'ERR_KVM_BOOT',
    /^initrd: /,
  ],
  [
    'a module that does not fit',
    { kernel: KERNEL, modules: [{ image: new Uint8Array(memory) }] },
    'ERR_KVM_BOOT',
    /^modules: /,
  ],
  [
    'a module that is no file',
    { kernel: KERNEL, modules: [{ image: CODE }, { image: '/nowhere' }] },
    'ERR_KVM_BOOT',
    /^modules\[1\]: \/nowhere cannot be read/,
  ],
  [
    'a command line too long',
    { kernel: KERNEL, cmdline: 'x'.repeat(2048) },
    'ERR_KVM_BOOT',
    /^cmdline: 2048 bytes; this kernel takes 2047$/,
  ],
  [
    'a command line too long in bytes',
    { kernel: KERNEL, cmdline: 'é'.repeat(1024) },
    'ERR_KVM_BOOT',
    /^cmdline: 2048 bytes/,
  ],
  [
    'a command line with NUL',
    { kernel: KERNEL, cmdline: 'a\0b' },
    'ERR_INVALID_ARG_VALUE',
    /'config\.cmdline' must not contain NUL/,
  ],
  ['no vCPUs', { kernel: KERNEL, cpus: 0 }, 'ERR_OUT_OF_RANGE', /"config\.cpus"/],
  ['10,000 vCPUs', { kernel: KERNEL, cpus: 10_000 }, 'ERR_OUT_OF_RANGE', /"config\.cpus"/],
  ['one and a half vCPUs', { kernel: KERNEL, cpus: 1.5 }, 'ERR_OUT_OF_RANGE', /"config\.cpus".*an integer/],
  ['a number of vCPUs in words', { kernel: KERNEL, cpus: '2' }, 'ERR_INVALID_ARG_TYPE', /"config\.cpus"/],
  ['no memory', { kernel: KERNEL, memory: 0 }, 'ERR_OUT_OF_RANGE', /"config\.memory"/],
  ['a byte of memory', { kernel: KERNEL, memory: 1 }, 'ERR_OUT_OF_RANGE', /"config\.memory"/],
  [
    'a page of memory',
    { kernel: KERNEL, memory: 4096 },
    'ERR_KVM_BOOT',
    /^memory: 4096 bytes of memory from address 0 on; pvh needs 1048576$/,
  ],
  [
    'a fortnight of memory',
    { kernel: KERNEL, memory: '1 fortnight' },
    'ERR_INVALID_ARG_VALUE',
    /'config\.memory' must be a size/,
  ],
  [
    'more memory than there is',
    { kernel: KERNEL, memory: Math.ceil(totalmem() / 4096 + 1) * 4096 },
    'ERR_OUT_OF_RANGE',
    /"config\.memory".*what this host has/,
  ],
  [
    'a device where another is',
    { kernel: KERNEL, devices: [{ device: {}, io: { base: 0x3f8, length: 1 } }] },
    'ERR_KVM_RANGE_CLAIMED',
    /^config\.devices\[0\]\.io: /,
  ],
];

test.before(async () => {
  // What is made once: libuv's threads, the addon's.
  const machine = await Machine.create({ kernel: KERNEL, memory });
  await machine.start();
  await machine.exited;
  await machine[Symbol.asyncDispose]();
});

async function isRefused(t: ExecutionContext, config: object, code: string, message: RegExp): Promise<void> {
  await leavesNothing(t, async () => {
    await t.throwsAsync(Machine.create({ memory, ...config }), { code, message });
  });
}

for (const [name, config, code, message] of REFUSED) {
  test.serial(`refused: ${name}`, (t) => isRefused(t, config, code, message));
}

test.serial('refused: a file that is larger than memory, even one without end', async (t) => {
  const path = `${temporaryFolder(t)}/sparse`;
  writeFileSync(path, KERNEL);
  truncateSync(path, 2 ** 40);
  const message = new RegExp(`has 1099511627776 bytes, the machine's memory ${memory}$`);
  await isRefused(t, { kernel: path }, 'ERR_KVM_BOOT', message);
  await isRefused(t, { kernel: path, protocol: 'firmware' }, 'ERR_KVM_BOOT', /^kernel: /);
  await isRefused(t, { kernel: KERNEL, initrd: path }, 'ERR_KVM_BOOT', /^initrd: /);
  await isRefused(t, { kernel: '/dev/zero' }, 'ERR_KVM_BOOT', /^kernel: \/dev\/zero is no file$/);
});

test.serial('refused: what a server does not have', async (t) => {
  const server = createServer((_request, response) => response.writeHead(404).end());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const kernel = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/vmlinux`);
  await isRefused(t, { kernel }, 'ERR_KVM_BOOT', /^kernel: http:\S+\/vmlinux cannot be fetched: status 404$/);
});

test.serial('cut off anywhere, a kernel is refused or, whole, taken', async (t) => {
  await leavesNothing(t, async () => {
    for (let length = 0; length < KERNEL.length; length += length < 70 ? 1 : 9) {
      const kernel = KERNEL.subarray(0, length);
      await t.throwsAsync(Machine.create({ memory, kernel }), { code: 'ERR_KVM_BOOT', message: /^kernel: / });
    }
    await (await Machine.create({ memory, kernel: KERNEL }))[Symbol.asyncDispose]();
  });
});

/** Makes a machine of an image, which may be one after all. */
async function tryImage(t: ExecutionContext, config: MachineConfig): Promise<boolean> {
  try {
    await (await Machine.create({ memory: 2 ** 21, ...config }))[Symbol.asyncDispose]();
    return true;
  } catch (error) {
    t.like(error, { code: 'ERR_KVM_BOOT' }, String(error));
    return false;
  }
}

test.serial('random bytes, and kernels with random changes, give a machine or an error', async (t) => {
  let machines = 0;
  const random = fc.uint8Array({ maxLength: 5000 });
  const change = fc.tuple(fc.nat(KERNEL.length - 1), fc.nat(255));
  const changed = fc.array(change, { minLength: 1, maxLength: 8 }).map((changes) => {
    const file = Uint8Array.from(KERNEL);
    for (const [at, value] of changes) file[at] = value;
    return file;
  });
  const multiboot = random.map((bytes) => {
    const flags = bytes[0] === undefined ? 0 : (bytes[0] & 3) | (bytes[0] & 4 ? 0x1_0000 : 0);
    const header = new DataView(new ArrayBuffer(12));
    for (const [index, field] of [0x1bad_b002, flags, -(0x1bad_b002 + flags)].entries()) {
      header.setUint32(index * 4, field >>> 0, true);
    }
    return Uint8Array.from([...new Uint8Array(header.buffer), ...bytes]);
  });
  const protocol = fc.constantFrom(undefined, 'linux64', 'pvh', 'elf64', 'multiboot', 'firmware', 'flat');
  await leavesNothing(t, () =>
    fc.assert(
      fc.asyncProperty(fc.oneof(random, changed, multiboot), protocol, async (kernel, asked) => {
        if (await tryImage(t, asked === undefined ? { kernel } : { kernel, protocol: asked })) machines++;
      }),
      { numRuns: 250 },
    ),
  );
  t.log(`${machines} of them were machines`);
});

test.serial(
  'a signal that fired, before and in the middle: its reason, and nothing left behind',
  async (t) => {
    const reason = new Error('enough');
    await leavesNothing(t, async () => {
      const gone = Machine.create({ ...flat(SPIN), memory, signal: AbortSignal.abort(reason) });
      t.is(await t.throwsAsync(gone), reason);
      // At every point of the creation: it takes some turns of the event loop.
      for (let turns = 0; turns < 12; turns++) {
        const controller = new AbortController();
        const creating = Machine.create({ ...flat(SPIN), memory, signal: controller.signal });
        const outcome = creating.catch((error: unknown) => error);
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => void setImmediate(resolve));
        controller.abort(reason);
        const made = await outcome;
        if (made instanceof Machine) {
          // It was quicker: then the machine ends.
          t.like(await made.exited, { reason: 'killed' });
          await made[Symbol.asyncDispose]();
        } else {
          t.is(made, reason);
        }
      }
    });
  },
);

test.serial(
  'a signal that fires after the start ends the machine; after the end it does nothing',
  async (t) => {
    const controller = new AbortController();
    await leavesNothing(t, async () => {
      const machine = await Machine.create({ ...flat(SPIN), memory, signal: controller.signal });
      await machine.start();
      controller.abort();
      t.like(await machine.exited, { reason: 'killed' });
      await machine[Symbol.asyncDispose]();
    });
    const late = new AbortController();
    const machine = await Machine.create({ ...flat(POWER_OFF), memory, signal: late.signal });
    await machine.start();
    t.like(await machine.exited, { reason: 'poweroff' });
    late.abort();
    t.like(await machine.exited, { reason: 'poweroff' });
    await machine[Symbol.asyncDispose]();
  },
);

test.serial('what is counted here is there while a machine is', async (t) => {
  const before = machineParts();
  const machine = await startMachine(t, { ...flat(SPIN), memory, cpus: 2 });
  // A thread has its name when it has run.
  await until(() => machineParts().threads === before.threads + 2);
  const during = machineParts();
  t.true(during.descriptors >= before.descriptors + 5, 'KVM, the machine, two vCPUs, an event counter');
  t.true(during.vcpus >= before.vcpus + 2);
  t.is(during.memories, before.memories + 1);
  await machine[Symbol.asyncDispose]();
});
