// The emulated host from outside: what a job in it has, and gives. Each test brings a host up, so each asks for much at once.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { runOnEmulatedHost } from '../../scripts/host/run.mjs';
import { machines, onHost, root, start } from '../helpers/emulated-host.ts';

for (const arch of machines) {
  onHost(
    test,
    arch,
    'a job has its folder, its variables, KVM, two streams apart, and its status is passed on',
    async (t) => {
      const job = `pwd; printf '%s|' "$GREETING" $0; test -c /dev/kvm && echo kvm; echo wrong >&2
    uname -m; grep -c '^processor' /proc/cpuinfo; ls /tmp | wc -l; df /dev/shm | tail -1 | cut -c1-5
    ip addr show lo | grep -c LOOPBACK,UP; grep SigIgn /proc/self/status; sleep 1000 & exit 37`;
      const words = ['--arch', arch, '--cpus', '2', '--', 'sh', '-c', job, '$HOME'];
      const run = start(t, words, join(root, 'docs'));
      t.deepEqual(await run.ended, { code: 37, signal: null });
      // Its /tmp has nothing of this machine's but the checkout, should that lie there.
      const shared = root.startsWith('/tmp/') ? '1' : '0';
      const lines = [join(root, 'docs'), "a 'b'", 'c|$HOME|kvm', arch, '2', shared, 'tmpfs', '1'];
      t.is(run.stdout().toString(), `${lines.join('\n')}\nSigIgn:\t0000000000000000\n`);
      t.regex(run.stderr(), /^emulated-host: up in [\d.]+ s\nwrong\n$/);
    },
  );

  onHost(
    test,
    arch,
    'bytes of any value and number arrive as they were written, on both streams',
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'vmhatch-host-'));
      t.teardown(() => rmSync(folder, { recursive: true }));
      const bytes = Buffer.from(Array.from({ length: 3_000_001 }, (_, at) => (at * 7919 + (at >> 8)) % 256));
      writeFileSync(join(folder, 'bytes'), bytes);
      const job = 'cat bytes; base64 -w0 bytes >&2; md5sum <bytes >sum';
      const words = ['--arch', arch, '--quiet', '--share', folder, '--', 'sh', '-c', job];
      const run = start(t, words, folder);
      t.deepEqual(await run.ended, { code: 0, signal: null });
      t.true(run.stdout().equals(bytes));
      t.true(run.stderr() === bytes.toString('base64'));
      const sum = createHash('md5').update(bytes).digest('hex');
      t.is(readFileSync(join(folder, 'sum'), 'utf8'), `${sum}  -\n`);
    },
  );

  onHost(test, arch, 'a function runs a command there, with the lines as they come', async (t) => {
    const lines: string[] = [];
    const program = `console.log(process.env.COLOUR, process.arch); console.error("e");
      process.kill(process.pid);`;
    const result = await runOnEmulatedHost({
      arch,
      command: 'node',
      args: ['--eval', program],
      env: { COLOUR: 'blue' },
      quiet: true,
      onLine: (line) => lines.push(line),
    });
    const said = `blue ${arch === 'aarch64' ? 'arm64' : 'x64'}`;
    t.deepEqual(lines.toSorted(), [said, 'e']);
    t.false(result.ok);
    t.is(result.ending, 'exit status 143');
    t.is(result.status, 143);
    t.deepEqual(result.output.split('\n').toSorted(), ['', said, 'e']);
    t.true((result.upMs ?? 0) > 0);
  });
}

onHost(test, 'aarch64', "this process's Node is there by its path, as one of that processor", async (t) => {
  const result = await runOnEmulatedHost({
    arch: 'aarch64',
    command: process.execPath,
    args: [
      '-p',
      "[process.arch, process.version.split('.')[0], require('fs').readFileSync('package.json').length].join()",
    ],
    env: { PATH: '/nowhere' },
    quiet: true,
  });
  const length = readFileSync(join(root, 'package.json')).length;
  t.is(result.output, `arm64,v20,${length}\n`);
});

/** What KVM says by ioctl, which takes a program: the version of its API, and the width of guest physical addresses. */
const askKvm = `#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <sys/ioctl.h>
int main(void) {
  int kvm = open("/dev/kvm", O_RDWR);
  if (kvm < 0) return 1;
  printf("%d %d\\n", ioctl(kvm, KVM_GET_API_VERSION, 0), ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_ARM_VM_IPA_SIZE));
  return ioctl(kvm, KVM_CREATE_VM, 0) < 0;
}
`;

onHost(test, 'aarch64', 'KVM answers, and makes a virtual machine with addresses of 48 bits', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-kvm-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'ask.c'), askKvm);
  const words = ['-O', '-o', 'ask', 'ask.c'];
  const compiled = spawnSync('aarch64-linux-gnu-gcc', words, { cwd: folder, encoding: 'utf8' });
  if (compiled.error !== undefined) {
    t.log(
      `skipped: aarch64-linux-gnu-gcc is not on this machine (gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)`,
    );
    t.pass();
    return;
  }
  t.is(compiled.stderr, '');
  const command = join(folder, 'ask');
  const result = await runOnEmulatedHost({ arch: 'aarch64', command, share: [folder], quiet: true });
  t.is(result.output, '12 48\n');
  t.is(result.status, 0);
});
