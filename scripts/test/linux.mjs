// Linux in a Machine: where KVM can run it the suite runs like any other, else each file in an emulated host of its own.
import { basename, join, relative } from 'node:path';
import { linuxHost } from '../host/kvm-kind.mjs';
import { prepareHost } from '../host/start.mjs';
import { filesUnder } from '../shared/hash.mjs';
import { inRoot } from '../shared/paths.mjs';
import { say } from '../shared/terminal.mjs';
import { runAva } from './ava.mjs';
import { compileTests } from './compiled.mjs';
import { prepareGuests } from './guests.mjs';
import { runOnHosts } from './hosts.mjs';

/** How long no test may end. */
const silence = '8m';

/** A guest of 5 GiB, and Node. */
const largeHostMiB = 8192;
const hostMiB = 4096;
const large = 'boot';

/** What takes minutes, the longest first. */
const long = ['examples', 'boot', 'ends', 'console', 'control', 'cli-boot'];

/** Tests of the emulated host itself: they start one, so they do not run in one. */
const ofTheHost = /\/emulated-host[\w-]*\.test\.ts$/;

/**
 * What of the suite `kvm` runs on the emulated host, too, by `npm run test:all`: the lanes, exits, registers, interrupts
 * and memory on another maker's processor, as hardware has them.
 */
const kvmFiles =
  /\/kvm\/(?:background|cpu-state|cpuid-table|devices|dirty-pages|exits|lifecycle|machine-[\w-]+|memory|mmio|posted|registers|run|rust-devices|stats|step|vm)(?:-x86)?\.test\.ts$/;

/**
 * What of it is about things that KVM-PVM lacks: SMM, nested state, a counter of its own, failed entries, Hyper-V's exits.
 * All that takes moments, less than a host takes to start, so it shares one.
 */
const hardwareFiles =
  /\/kvm\/(?:exits-hardware|extended-state|host-golden|injection|large-pages|private-memory|vcpu-extras|x86-options)\.test\.ts$/;

/** @returns {boolean} */
const all = () => process.env['VMHATCH_TEST_ALL'] === '1';

/**
 * The sessions of `npm test`, or of `npm run test:all`.
 * @param {string} folder of the compiled tests
 * @returns {import('./hosts.mjs').Session[]}
 */
function sessions(folder) {
  /** @type {(name: string, paths: readonly string[]) => import('./hosts.mjs').Session} */
  const session = (name, paths) => ({
    name,
    folder,
    files: paths.map((path) => relative(inRoot(), path).replace(/\.ts$/, '.js')),
    // One test at a time: beside another guest some have gone astray.
    concurrency: 1,
    timeout: silence,
    // With two processors hosts and guests shut down now and then; with one that was not seen, and no test is slower.
    cpus: 1,
    memoryMiB: name === large ? largeHostMiB : hostMiB,
    // What QEMU emulates is at fault now and then where a guest runs in a guest (docs/testing.md).
    patient: true,
  });
  const kvm = filesUnder([join('__test__', 'kvm')]);
  const alone = filesUnder([join('__test__', 'linux')])
    .filter((path) => path.endsWith('.test.ts') && !ofTheHost.test(path))
    .concat(all() ? kvm.filter((path) => kvmFiles.test(path)) : [])
    .map((path) => session(basename(path, '.test.ts'), [path]));
  const rank = (/** @type {string} */ name) => (long.includes(name) ? long.indexOf(name) : long.length);
  const hardware = kvm.filter((path) => hardwareFiles.test(path));
  return [
    ...alone.toSorted((a, b) => rank(a.name) - rank(b.name)),
    session('hardware', hardware),
    { ...session('hardware-newer', hardware), newer: true },
  ];
}

/** @type {import('./phases.mjs').Phase} */
export const linux = {
  name: 'linux',
  about: 'Linux boots in a Machine, on KVM that can run it: this one, or that of the emulated host',
  needs: ['install', 'build'],
  async run(report) {
    const { host, why } = linuxHost();
    if (host === 'native') {
      say(`on this machine: ${why}`);
      await prepareGuests(report, 'x86_64');
      await runAva(report, ['linux'], { timeout: silence });
      return;
    }
    say(`on the emulated host: ${why}`);
    const parts = await prepareHost();
    if ('missing' in parts) {
      report.skip(`the suite linux: ${why}, and there is no emulated host: ${parts.missing}`);
      return;
    }
    await prepareGuests(report, 'x86_64');
    const compiled = await compileTests();
    if ('failure' in compiled) {
      report.fail(compiled.failure);
      return;
    }
    await runOnHosts(report, sessions(compiled.folder));
    await runAva(report, ['linux'], { files: ofTheHost, timeout: silence });
  },
};
