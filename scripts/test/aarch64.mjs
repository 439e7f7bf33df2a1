// The suite of aarch64: on a machine that is one, or on the emulated host of that architecture, in sessions: of
// what takes moments, of a processor with scalable vectors, and of what boots Linux.
import { relative } from 'node:path';
import { buildAddon } from '../cross/build.mjs';
import { targetOf } from '../cross/targets.mjs';
import { kvmKind } from '../host/kvm-kind.mjs';
import { prepareHost } from '../host/start.mjs';
import { filesUnder } from '../shared/hash.mjs';
import { inRoot } from '../shared/paths.mjs';
import { runAva } from './ava.mjs';
import { bundleTests, compileTests } from './compiled.mjs';
import { prepareGuests } from './guests.mjs';
import { runOnHosts } from './hosts.mjs';

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
 * @param {import('./report.mjs').Report} report
 * @param {string} addon
 */
async function runSessions(report, addon) {
  const compiled = await compileTests('compiled-aarch64');
  if ('failure' in compiled) {
    report.fail(compiled.failure);
    return;
  }
  const session = {
    arch: /** @type {const} */ ('aarch64'),
    folder: compiled.folder,
    env: { NAPI_RS_NATIVE_LIBRARY_PATH: addon },
    memoryMiB: hostMemoryMiB,
    timeout,
    // Guests of several tests would share the processors, and their tests' time.
    serial: true,
  };
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
  await runOnHosts(report, [
    { ...session, name: 'short', files: bundles, concurrency: 2 },
    { ...session, name: 'newer', files: bundles, concurrency: 2, newer: true },
    { ...session, name: 'machines', files: part(machineFiles), concurrency: 1 },
    // With SVE QEMU overlooks that code changes (scripts/host/machines.mjs): V8 must not make any either.
    { ...session, name: 'vectors', files: part(sveFiles), concurrency: 1, sve: true, jitless: true },
  ]);
}

/** @param {readonly string[]} paths */
const compiledNames = (paths) => paths.map((path) => relative(inRoot(), path).replace(/\.ts$/, '.js'));

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
    await prepareGuests(report, 'aarch64');
    if ('missing' in addon) report.skip(`the suite aarch64: no addon for linux-arm64-gnu: ${addon.missing}`);
    else if ('failure' in addon) report.fail(`the addon for linux-arm64-gnu: ${addon.failure}`);
    else await runSessions(report, addon.path);
  },
};
