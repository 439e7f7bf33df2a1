// Linux in a Machine: where KVM can run it the suite runs like any other, else in one session of the emulated host.
import { totalmem } from 'node:os';
import { join, relative } from 'node:path';
import { findCloudKernel } from '../debian-kernel.mjs';
import { linuxHost } from '../host/kvm-kind.mjs';
import { runOnEmulatedHost } from '../host/run.mjs';
import { prepareHost } from '../host/start.mjs';
import { makeInitrd } from '../initrd.mjs';
import { findKernel } from '../kernel.mjs';
import { filesUnder } from '../shared/hash.mjs';
import { inRoot } from '../shared/paths.mjs';
import { dim, duration, say } from '../shared/terminal.mjs';
import { runAva } from './ava.mjs';
import { compileTests } from './compiled.mjs';
import { avaCounter } from './count.mjs';

const MiB = 2 ** 20;

/** A guest of 5 GiB, and Node; of this machine's own memory a part stays for this machine. */
const hostMemoryMiB = Math.min(8192, Math.floor((totalmem() * 0.8) / MiB));

/** How long a session may take in all, and how long no test may end in it: some times what a quiet machine needs. */
const sessionMs = 10 * 60_000;
const silence = '8m';

/** No test is silent for so long, not even one that waits in vain: then the host itself stands still. */
const silenceMs = 180_000;

/**
 * How many hosts each file of tests may have. What QEMU emulates is at fault now and then where a guest runs in a guest
 * (docs/testing.md). What fails on all of them fails.
 */
const attempts = 3;

/** Tests of the emulated host itself: they start one, so they do not run in one. */
const ofTheHost = /\/emulated-host[\w-]*\.test\.ts$/;

/**
 * What of the suite `kvm` runs on the emulated host, too, by `npm run test:all`: the lanes, exits, registers, interrupts
 * and memory on another maker's processor, as hardware has them.
 */
const kvmFiles =
  /\/kvm\/(?:background|cpu-state|cpuid-table|devices|dirty-pages|exits|lifecycle|machine-[\w-]+|memory|mmio|posted|registers|run|rust-devices|stats|step|vm)(?:-x86)?\.test\.ts$/;

/** What of it is about things that KVM-PVM lacks: SMM, nested state, a counter of its own, Hyper-V's exits. */
const hardwareFiles =
  /\/kvm\/(?:exits-hardware|extended-state|host-golden|injection|large-pages|vcpu-extras|x86-options)\.test\.ts$/;

/** @returns {boolean} */
const all = () => process.env['VMHATCH_TEST_ALL'] === '1';

/**
 * Kernels and the initrd, as variables for the tests. What cannot be had is said; the tests that need it say so, too.
 * @param {import('./report.mjs').Report} report
 */
async function prepareGuests(report) {
  /** @type {(what: string, missing: string | undefined, variables: Record<string, string>) => void} */
  const provide = (what, missing, variables) => {
    if (missing !== undefined) report.skip(`${what}: ${missing}`);
    say(`${what}: ${missing ?? Object.values(variables).join(', ')}`);
    Object.assign(process.env, variables);
  };
  const initrd = await makeInitrd();
  provide('initrd', initrd.missing, initrd.path === undefined ? {} : { VMHATCH_TEST_INITRD: initrd.path });
  const own = await findKernel({ build: true });
  if ('missing' in own) provide('own kernel', own.missing, {});
  else {
    const { image, vmlinux } = own;
    provide('own kernel', undefined, { VMHATCH_TEST_BZIMAGE: image, VMHATCH_TEST_VMLINUX: vmlinux });
  }
  const cloud = await findCloudKernel();
  if ('missing' in cloud) provide('cloud kernel', cloud.missing, {});
  else provide('cloud kernel', undefined, { VMHATCH_TEST_CLOUD_KERNEL: cloud.vmlinuz });
}

/**
 * One file of tests, in a host of its own; in another one if that did not go well.
 * @param {import('./report.mjs').Report} report
 * @param {string} folder of the compiled tests
 * @param {string} file
 */
async function runFile(report, folder, file) {
  const cli = inRoot('node_modules', 'ava', 'entrypoints', 'cli.mjs');
  for (let attempt = 1; ; attempt++) {
    const counter = avaCounter();
    const result = await runOnEmulatedHost({
      command: process.execPath,
      // One test at a time: beside another guest some have gone astray.
      args: [cli, '--concurrency', '1', '--timeout', silence, file],
      cwd: folder,
      // With two processors hosts and guests shut down now and then; with one that was not seen, and no test is slower.
      cpus: 1,
      memoryMiB: hostMemoryMiB,
      timeoutMs: sessionMs,
      silenceMs,
      onLine: counter.line,
    });
    if (result.upMs !== undefined) say(dim(`the emulated host was up in ${duration(result.upMs)}`));
    if (result.missing !== undefined) report.skip(`${file}: ${result.missing}`);
    else if (result.ok || attempt === attempts) counter.finish(report, result);
    else {
      say(`once more, in another host: this one ended with ${result.ending.split('\n')[0]}`);
      continue;
    }
    return;
  }
}

/**
 * @param {import('./report.mjs').Report} report
 * @param {readonly string[]} paths of tests
 */
async function runSessions(report, paths) {
  const compiled = await compileTests();
  if ('failure' in compiled) {
    report.fail(compiled.failure);
    return;
  }
  for (const path of paths) {
    await runFile(report, compiled.folder, relative(inRoot(), path).replace(/\.ts$/, '.js'));
  }
}

/** @type {import('./phases.mjs').Phase} */
export const linux = {
  name: 'linux',
  about: 'Linux boots in a Machine, on KVM that can run it: this one, or that of the emulated host',
  needs: ['install', 'build'],
  async run(report) {
    const { host, why } = linuxHost();
    const paths = filesUnder(['__test__/linux']).filter((path) => path.endsWith('.test.ts'));
    if (host === 'native') {
      say(`on this machine: ${why}`);
      await prepareGuests(report);
      await runAva(report, ['linux'], { timeout: silence });
      return;
    }
    say(`on the emulated host: ${why}`);
    const parts = await prepareHost();
    if ('missing' in parts) {
      report.skip(`the suite linux: ${why}, and there is no emulated host: ${parts.missing}`);
      return;
    }
    await prepareGuests(report);
    const inside = paths.filter((path) => !ofTheHost.test(path));
    const also = filesUnder([join('__test__', 'kvm')]).filter(
      (path) => hardwareFiles.test(path) || (all() && kvmFiles.test(path)),
    );
    await runSessions(report, [...inside, ...also]);
    await runAva(report, ['linux'], { files: ofTheHost, timeout: silence });
  },
};
