// arm64's kernels and the initrd, by themselves: QEMU's machine without KVM, to the shell and to power-off. Whether they
// run in a Machine is another test's to say.
import { spawnSync } from 'node:child_process';
import test, { type ExecutionContext } from 'ava';
import { findCloudKernel } from '../../scripts/debian-kernel.mjs';
import { machines } from '../../scripts/host/machines.mjs';
import { makeInitrd } from '../../scripts/initrd.mjs';
import { findKernel } from '../../scripts/kernel.mjs';
import { ensurePrograms } from '../../scripts/shared/debian.mjs';

const { qemu, package: from } = machines.aarch64;
const initrd = await makeInitrd({ arch: 'aarch64' });
const noQemu = await ensurePrograms([{ program: qemu, package: from }]);

/** Everything that the serial port says until the machine is off. */
function boot(t: ExecutionContext, kernel: string, command: string, more: readonly string[] = []): string {
  const append = `console=ttyAMA0 panic=-1 vmhatch_run="${command}"`;
  const board = '-M virt,gic-version=3 -cpu max,pauth-impdef=on -smp 2 -m 256M -nodefaults -no-user-config';
  const ends = '-display none -nic none -no-reboot -serial stdio';
  const words = ['-kernel', kernel, '-initrd', initrd.path ?? '', '-append', append];
  const ended = spawnSync(qemu, [...`${board} ${ends}`.split(' '), ...words, ...more], {
    encoding: 'utf8',
    input: '',
    timeout: 120_000,
  });
  t.is(ended.signal, null, ended.stdout);
  t.is(ended.status, 0, ended.stderr);
  return ended.stdout.replaceAll('\r', '');
}

/** A test with a kernel, or a word on why there is none. */
function withKernel(
  title: string,
  find: () => Promise<string | { missing: string }>,
  run: (t: ExecutionContext, kernel: string) => void,
): void {
  test.serial(title, async (t) => {
    t.timeout(180_000);
    const kernel = await find();
    const missing = noQemu ?? initrd.missing ?? (typeof kernel === 'string' ? undefined : kernel.missing);
    if (missing !== undefined || typeof kernel !== 'string') {
      t.log(`skipped: ${missing}`);
      t.pass();
      return;
    }
    run(t, kernel);
  });
}

async function own(): Promise<string | { missing: string }> {
  // Built by whoever asks for it: it takes minutes.
  const kernel = await findKernel({ arch: 'aarch64' });
  return 'missing' in kernel ? kernel : kernel.image;
}

async function cloud(): Promise<string | { missing: string }> {
  const kernel = await findCloudKernel({ architecture: 'arm64' });
  return 'missing' in kernel ? kernel : kernel.vmlinuz;
}

for (const [name, find] of [
  ["Debian's cloud kernel", cloud],
  ['the own kernel', own],
] as const) {
  withKernel(`${name} reaches the shell with two processors, and powers off by PSCI`, find, (t, kernel) => {
    const said = boot(t, kernel, 'uname -m; nproc; exit 3');
    t.regex(said, /^vmhatch: Linux \S+, CPUs: 2, memory: 2\d\d MiB\./m);
    t.regex(said, /^aarch64\n2\nvmhatch: status 3$/m);
    t.regex(said, /psci: .*PSCIv1\.\d detected in firmware/);
    t.regex(said, /GICv3: .*redistributor/i);
    t.regex(said, /reboot: Power down/);
  });
}

withKernel('the own kernel has what it promises beside a console', own, (t, kernel) => {
  const ask = 'ls -1 /dev/rtc0 /dev/vda; date -u +%Y; zcat /proc/config.gz';
  const disk = [
    '-device',
    'virtio-blk-device,drive=d',
    '-drive',
    'if=none,id=d,file.driver=null-co,format=raw',
  ];
  const said = boot(t, kernel, ask, disk);
  t.regex(said, /^\/dev\/rtc0\n\/dev\/vda\n/m);
  t.regex(said, new RegExp(`^${new Date().getUTCFullYear()}$`, 'm'));
  t.regex(said, /^CONFIG_LOCALVERSION="-vmhatch"$/m);
  t.regex(said, /^CONFIG_ARM64_SVE=y$/m);
});
