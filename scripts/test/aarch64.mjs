// The suite of aarch64: on a machine that is one, or on the emulated host of that architecture, in sessions: of
// what takes moments, of a processor with scalable vectors, and of what boots Linux.
import { relative } from 'node:path';
import { findCloudKernel } from '../debian-kernel.mjs';
import { makeInitrd } from '../initrd.mjs';
import { findKernel } from '../kernel.mjs';
import { buildAddon } from '../cross/build.mjs';
import { targetOf } from '../cross/targets.mjs';
import { timeoutStatus as hostStood } from '../host/follow.mjs';
import { kvmKind } from '../host/kvm-kind.mjs';
import { runOnEmulatedHost } from '../host/run.mjs';
import { prepareHost } from '../host/start.mjs';
import { filesUnder } from '../shared/hash.mjs';
import { inRoot } from '../shared/paths.mjs';
import { dim, duration, say } from '../shared/terminal.mjs';
import { runAva } from './ava.mjs';
import { bundleTests, compileTests } from './compiled.mjs';
import { avaCounter } from './count.mjs';

/**
 * Of the other suites what is about behaviour that both architectures have. Its guests are those of
 * __test__/helpers/common-guests.ts. unit/check and unit/structs would pass, too; their thousands of generated cases have
 * nothing of the architecture and take it half a minute.
 */
const common = [
  'kvm/background',
  'kvm/binary-stats',
  'kvm/device',
  'kvm/devices',
  'kvm/devices-wrapped',
  'kvm/dirty-log',
  'kvm/dirty-pages',
  'kvm/dirty-ring',
  'kvm/host-golden',
  'kvm/hostile-guests',
  'kvm/kvm',
  'kvm/lifecycle',
  'kvm/machine-bus',
  'kvm/memory',
  'kvm/mmio',
  'kvm/other-architecture',
  'kvm/posted',
  'kvm/raw-fd',
  'kvm/run',
  'kvm/rust-devices',
  'kvm/stats',
  'kvm/step',
  'kvm/vm',
  'kvm/workers',
  'stress/fuzz-calls',
  'stress/fuzz-handlers',
  'stress/fuzz-sequences',
  'unit/errors',
  'unit/exit-pages',
];

/** No test of this suite needs a second for itself; an emulated processor on a busy machine is slow. */
const timeout = '3m';
const sessionMs = 10 * 60_000;
/** No test is silent for so long: then the host itself stands still. */
const silenceMs = 180_000;
const attempts = 3;
const hostMemoryMiB = 2048;

/** @param {RegExp} files */
const found = (files) => filesUnder(['__test__']).filter((path) => files.test(path));

const commonFiles = new RegExp(`/__test__/(?:${common.join('|')})\\.test\\.ts$`);

/** Those that import the package as others do: a process has it once only, or else its sources. */
const packageFiles = /\/__test__\/stress\/fuzz[\w-]*\.test\.ts$/;

/** What a vCPU can have, scalable vectors as well. */
const sveFiles = /\/__test__\/aarch64\/features\.test\.ts$/;

/** Whole machines, and Linux in them. */
const machineFiles = /\/__test__\/aarch64\/(?:linux|machine)[\w-]*\.test\.ts$/;

/**
 * Tests in one session of the emulated host; another one is tried when the host did not last.
 * @param {import('./report.mjs').Report} report
 * @param {object} session
 * @param {string} session.addon
 * @param {string} session.folder of the compiled tests
 * @param {readonly string[]} session.files in it
 * @param {number} session.concurrency how many of them run at a time
 * @param {boolean} [session.sve] whether the host has scalable vectors
 */
async function runSession(report, { addon, folder, files, concurrency, sve = false }) {
  const cli = inRoot('node_modules', 'ava', 'entrypoints', 'cli.mjs');
  // With SVE QEMU overlooks that code changes (scripts/host/machines.mjs): V8 must not make any either.
  const [node, ava] = sve ? [['--jitless'], ['--node-arguments', '--jitless']] : [[], []];
  // One test of a file at a time: guests of several would share the processors, and their tests' time.
  const how = ['--serial', '--concurrency', String(concurrency), '--timeout', timeout];
  for (let attempt = 1; ; attempt++) {
    const counter = avaCounter();
    const result = await runOnEmulatedHost({
      arch: 'aarch64',
      command: process.execPath,
      args: [...node, cli, ...ava, ...how, ...files],
      sve,
      cwd: folder,
      env: { NAPI_RS_NATIVE_LIBRARY_PATH: addon },
      memoryMiB: hostMemoryMiB,
      timeoutMs: sessionMs,
      silenceMs,
      onLine: counter.line,
    });
    if (result.upMs !== undefined) say(dim(`the emulated host was up in ${duration(result.upMs)}`));
    // A host that stood still or broke down says nothing about tests that had no end.
    const broke = [undefined, hostStood].includes(result.status) && counter.failed() === 0;
    if (result.missing !== undefined) report.skip(`the suite aarch64: ${result.missing}`);
    else if (broke && attempt < attempts) {
      say(`the emulated host did not last (${result.ending.split('\n')[0]}): once more, in another one`);
      continue;
    } else counter.finish(report, result);
    return;
  }
}

/**
 * @param {import('./report.mjs').Report} report
 * @param {string} addon
 */
async function runSessions(report, addon) {
  const compiled = await compileTests('compiled-aarch64');
  if ('failure' in compiled) {
    report.fail(compiled.failure);
    return;
  }
  const session = { addon, folder: compiled.folder };
  const suite = found(/\/__test__\/aarch64\/[\w-]+\.test\.ts$/);
  /** @param {RegExp} files */
  const part = (files) => compiledNames(suite.filter((path) => files.test(path)));
  const short = suite.filter((path) => !sveFiles.test(path) && !machineFiles.test(path));
  const shared = found(commonFiles);
  // A file that was renamed would be missed by nobody.
  if (shared.length !== common.length) report.fail('scripts/test/aarch64.mjs lists a file that is not there');
  const files = compiledNames([...short, ...shared.filter((path) => !packageFiles.test(path))]);
  const ofPackage = compiledNames(shared.filter((path) => packageFiles.test(path)));
  const bundles = [
    ...bundleTests(compiled.folder, files, 2),
    ...bundleTests(compiled.folder, ofPackage, 1, 'package'),
  ];
  await runSession(report, { ...session, files: bundles, concurrency: 2 });
  await runSession(report, { ...session, files: part(sveFiles), concurrency: 1, sve: true });
  await runSession(report, { ...session, files: part(machineFiles), concurrency: 1 });
}

/** @param {readonly string[]} paths */
const compiledNames = (paths) => paths.map((path) => relative(inRoot(), path).replace(/\.ts$/, '.js'));

/**
 * Kernels and the initrd, as variables for the tests. What cannot be had is said; the tests that need it say so, too.
 * @param {import('./report.mjs').Report} report
 */
async function prepareGuests(report) {
  /** @type {(what: string, variable: string, found: { path?: string | undefined, missing?: string | undefined }) => void} */
  const provide = (what, variable, { path, missing }) => {
    if (path === undefined) report.skip(`${what}: ${missing}`);
    else process.env[variable] = path;
    say(`${what}: ${path ?? missing}`);
  };
  const arch = 'aarch64';
  const initrd = await makeInitrd({ arch });
  provide('initrd', 'VMHATCH_TEST_ARM64_INITRD', initrd);
  const own = await findKernel({ arch, build: true });
  provide('own kernel', 'VMHATCH_TEST_ARM64_IMAGE', 'missing' in own ? own : { path: own.image });
  const cloud = await findCloudKernel({ architecture: 'arm64' });
  provide(
    'cloud kernel',
    'VMHATCH_TEST_ARM64_CLOUD_KERNEL',
    'missing' in cloud ? cloud : { path: cloud.vmlinuz },
  );
}

/** @type {import('./phases.mjs').Phase} */
export const aarch64 = {
  name: 'aarch64',
  about: 'the suite aarch64 on a KVM of that architecture: this one, or that of the emulated host',
  needs: ['install', 'build'],
  async run(report) {
    if (process.arch === 'arm64') {
      if (kvmKind() === 'none') report.skip('the suite aarch64: /dev/kvm cannot be used here');
      else await runAva(report, ['aarch64']);
      return;
    }
    const parts = await prepareHost('aarch64');
    if ('missing' in parts) {
      report.skip(`the suite aarch64: there is no emulated host: ${parts.missing}`);
      return;
    }
    const target = targetOf('linux-arm64-gnu');
    const addon = target === undefined ? { failure: 'there is no such target' } : await buildAddon(target);
    await prepareGuests(report);
    if ('missing' in addon) report.skip(`the suite aarch64: no addon for linux-arm64-gnu: ${addon.missing}`);
    else if ('failure' in addon) report.fail(`the addon for linux-arm64-gnu: ${addon.failure}`);
    else await runSessions(report, addon.path);
  },
};
