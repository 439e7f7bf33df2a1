// The addons of all platforms: what may be published, and that each loads in its own runtime. Those for x86_64 are
// loaded by runtimes.test.ts; those for arm64 by an emulated host.
import { readFileSync } from 'node:fs';
import test from 'ava';

import { findAddon } from '../../scripts/cross/build.mjs';
import { compareVersions, readElf } from '../../scripts/cross/elf.mjs';
import { judge } from '../../scripts/cross/gate.mjs';
import { entryPoint, mostBytes, targetOf, targets } from '../../scripts/cross/targets.mjs';
import { timeoutStatus } from '../../scripts/host/follow.mjs';
import { runOnEmulatedHost } from '../../scripts/host/run.mjs';
import { packPrebuilt, unpack } from './prebuilt.ts';
import { armProgram, muslSystem } from './programs.ts';
import { folder, write } from './stage.ts';
import { findMuslNode } from './tools/find.mjs';

for (const target of targets) {
  test(`the addon for ${target.platform} may be published`, async (t) => {
    const found = await findAddon(target);
    if ('missing' in found) {
      t.log(`skipped: ${found.missing}`);
      t.pass();
      return;
    }
    const verdict = judge(target, readFileSync(found.path));
    t.deepEqual(verdict.violations, []);
    t.true(verdict.bytes > 100_000 && verdict.bytes <= mostBytes);
    t.log(`${verdict.bytes} bytes, ${verdict.highest}, needs ${verdict.needed.join(' ')}`);
  });
}

const gnu = targetOf('linux-x64-gnu')!;
const musl = targetOf('x86_64-unknown-linux-musl')!;

test('an addon of the machine at hand is read as its own tools would read it', (t) => {
  const facts = readElf(readFileSync(process.execPath));
  t.true([62, 183].includes(facts.machine));
  t.true(facts.needed.some((name) => name.startsWith('libc.')));
  t.true(facts.exports.includes('napi_create_function'));
  t.deepEqual(facts.versions, facts.versions.toSorted(compareVersions));
});

test('what must not be published is named', async (t) => {
  const found = await findAddon(gnu);
  if ('missing' in found) {
    t.log(`skipped: ${found.missing}`);
    t.pass();
    return;
  }
  const file = readFileSync(found.path);
  const wrongly = (target: typeof gnu, bytes: Buffer) => judge(target, bytes).violations.join('\n');
  t.regex(wrongly(musl, file), /needs libc\.so\.6\n[\s\S]*musl has no versions/);
  t.regex(wrongly(targetOf('linux-arm64-gnu')!, file), /is for machine 62, not 183/);
  t.regex(wrongly(gnu, Buffer.concat([file, Buffer.alloc(mostBytes)])), /at most 4000000/);
  const replaced = (from: string, to: string) =>
    Buffer.from(file.toString('latin1').replace(from, to), 'latin1');
  t.regex(wrongly(gnu, replaced('\0libc.so.6\0', '\0libx.so.6\0')), /needs libx\.so\.6/);
  t.regex(
    wrongly(gnu, replaced('\0GLIBC_2.17\0', '\0GLIBC_2.34\0')),
    /needs GLIBC_2\.34; at most GLIBC_2\.17/,
  );
  const other = entryPoint.replace('v1', 'v9');
  t.regex(
    wrongly(gnu, replaced(entryPoint, other)),
    new RegExp(`does not offer ${entryPoint}\noffers ${other}`),
  );
  const home = `${process.env['HOME'] ?? '/nowhere'}/src`;
  if (home.length < 40) t.regex(wrongly(gnu, Buffer.concat([file, Buffer.from(home)])), /holds paths/);
});

test('what is no addon is refused', (t) => {
  t.throws(() => readElf(Buffer.from('#!/bin/sh\n')), { message: /no ELF file/ });
  t.throws(() => readElf(Buffer.alloc(64)), { message: /no ELF file/ });
  const file = readFileSync(process.execPath);
  const bits32 = Buffer.from(file.subarray(0, 4096));
  bits32[4] = 1;
  t.throws(() => readElf(bits32), { message: /no 64-bit/ });
  t.throws(() => readElf(file.subarray(0, 4096)), { message: /cut off|out of range/ });
});

test('versions are ordered by their numbers', (t) => {
  const names = ['GLIBC_2.17', 'GLIBC_2.2.5', 'GLIBC_2.9', 'GLIBC_2.34', 'GLIBC_2.3'];
  t.deepEqual(names.toSorted(compareVersions), [
    'GLIBC_2.2.5',
    'GLIBC_2.3',
    'GLIBC_2.9',
    'GLIBC_2.17',
    'GLIBC_2.34',
  ]);
});

/** Some times what it takes on a quiet machine. */
const sessionMs = 150_000;

test('both addons for arm64 are loaded by their Node, and run a guest, on an emulated host', async (t) => {
  t.timeout(2.5 * sessionMs);
  const prebuilt = await packPrebuilt();
  const missing = prebuilt.missing.get('linux-arm64-gnu') ?? prebuilt.missing.get('linux-arm64-musl');
  const node = await findMuslNode('arm64', { download: false });
  if (missing !== undefined || 'missing' in node) {
    t.log(`skipped: ${missing ?? ('missing' in node ? node.missing : '')}`);
    t.pass();
    return;
  }
  const consumer = folder('arm64');
  await unpack(consumer, [prebuilt.main, ...prebuilt.platforms]);
  write(consumer, 'arm.mjs', armProgram);
  write(consumer, 'musl-system.cjs', muslSystem);
  const onMusl = [node.program, ...node.args, '--require', './musl-system.cjs', './arm.mjs'];
  const words = onMusl.map((word) => `'${word}'`).join(' ');
  const session = () =>
    runOnEmulatedHost({
      arch: 'aarch64',
      command: 'sh',
      args: ['-c', `cd '${consumer}' && node arm.mjs && ${words}`],
      share: [consumer],
      memoryMiB: 1024,
      timeoutMs: sessionMs,
      quiet: true,
    });
  let ended = await session();
  // A host that stood still, or broke down, says nothing about the addons (docs/testing.md): another one is tried.
  if (ended.missing === undefined && [undefined, timeoutStatus].includes(ended.status))
    ended = await session();
  if (ended.missing !== undefined) {
    t.log(`skipped: ${ended.missing}`);
    t.pass();
    return;
  }
  t.is(ended.status, 0, ended.output);
  t.is(ended.output, 'arm64 1 2 3 4 10000000 4 stopped 0 ERR_KVM_CLOSED\n'.repeat(2));
});
