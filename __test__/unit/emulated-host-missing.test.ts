// Machines that have no emulated host: each is told in one sentence what is missing and what helps. They are played by
// a search path with stand-ins for the programs that a machine has, and by an empty cache.
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { architectures, machines } from '../../scripts/host/machines.mjs';

const prepare = new URL('../../scripts/host/start.mjs', import.meta.url).href;

interface Machine {
  /** Programs of the machine: what a shell does for each. Others it has none. */
  programs?: Record<string, string>;
  arch?: string;
  /** Done before: to look like another machine. */
  first?: string;
}

/** What prepareHost() says on a machine. */
async function refusal(t: ExecutionContext, { programs = {}, arch, first = '' }: Machine): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-missing-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  symlinkSync(process.execPath, join(folder, 'node'));
  const program = `${first}
    const { prepareHost } = await import(${JSON.stringify(prepare)});
    console.log(JSON.stringify(await prepareHost(${JSON.stringify(arch)})));`;
  const env = { PATH: folder, HOME: folder, XDG_CACHE_HOME: join(folder, 'cache') };
  const args = ['--input-type=module', '--eval', program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  const found = JSON.parse(stdout) as { missing?: string };
  return found.missing ?? stdout;
}

const asRoot = 'process.getuid = () => 0;';
const asSomebody = 'process.getuid = () => 1000;';

for (const arch of architectures) {
  const { qemu, package: from, debian } = machines[arch];

  test(`${arch}: who is not root is told the command that installs QEMU`, async (t) => {
    const said = await refusal(t, { arch, first: asSomebody });
    t.is(said, `${qemu}: not on this machine. Type: sudo apt-get install --no-install-recommends ${from}`);
  });

  test(`${arch}: a machine that is not Debian is told so`, async (t) => {
    const said = await refusal(t, { arch, first: asRoot });
    t.true(said.startsWith(`${qemu}: not on this machine. Type: apt-get install `), said);
    t.true(said.endsWith(`${from} Tried: this machine has no apt-get`), said);
  });

  test(`${arch}: why apt-get could not install QEMU is passed on`, async (t) => {
    const said = await refusal(t, {
      arch,
      first: asRoot,
      programs: { 'apt-get': 'echo "E: Unable to locate package $*" >&2; exit 100' },
    });
    t.regex(said, new RegExp(`${from} Tried: E: Unable to locate package .* ${from}$`));
  });

  test(`${arch}: with QEMU, but without an archive, it is the kernel that is missing`, async (t) => {
    const said = await refusal(t, {
      arch,
      programs: { [qemu]: 'exit 1', 'apt-get': 'echo "E: no network" >&2; exit 100' },
    });
    t.is(said, `apt-get download linux-image-${debian}: E: no network`);
  });
}

test('a machine of another kind is told that it has none', async (t) => {
  const first = "Object.defineProperty(process, 'arch', { value: 'arm64' });";
  t.is(
    await refusal(t, { arch: 'aarch64', first }),
    'the emulated host needs Linux on x86_64; this is linux on arm64',
  );
});
