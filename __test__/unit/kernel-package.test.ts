// The npm package of the guest kernel: what its folder promises, and what is in it once it is filled. The kernel here
// is a stand-in of a few bytes: how it is packed does not depend on what is in it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { packKernel } from '../../scripts/kernel/pack.mjs';
import { pinnedSource } from '../../scripts/kernel/source.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const source = join(root, 'npm', 'kernel-x64');
const main = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

interface Manifest {
  name: string;
  version: string;
  license: string;
  exports: Record<string, string | Record<string, string>>;
  files: string[];
}
const manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as Manifest &
  Record<string, unknown>;

/** A kernel that `node scripts/kernel.mjs` could have made. */
function standIn(base: string) {
  const files = { bzImage: 'compressed', vmlinux: 'plain', config: '# CONFIG_MODULES is not set\n' };
  mkdirSync(base);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(base, name), text);
  const provenance = {
    release: '6.12.1-vmhatch',
    arch: 'x86_64',
    source: { ...pinnedSource(), version: '6.12.1-1' },
    patches: [{ name: 'a.patch', sha256: '00' }],
    fragments: ['common.config', 'x86_64.config'],
    compiler: 'gcc 1',
    linker: 'ld 2',
  };
  writeFileSync(join(base, 'provenance.json'), JSON.stringify(provenance));
  const [bzImage, vmlinux, config, note] = ['bzImage', 'vmlinux', 'config', 'provenance.json'].map((name) =>
    join(base, name),
  ) as [string, string, string, string];
  const { release } = provenance;
  return {
    folder: base,
    arch: 'x86_64',
    image: bzImage,
    vmlinux,
    config,
    provenance: note,
    release,
    sourceVersion: '6.12.1-1',
  };
}

/** The package, filled, in a place where Node finds it by its name. */
function packed(t: ExecutionContext): { path: string; base: string } {
  const base = mkdtempSync(join(tmpdir(), 'vmhatch-kernel-package-'));
  t.teardown(() => rmSync(base, { recursive: true, force: true }));
  const path = join(base, 'node_modules', manifest.name);
  packKernel(standIn(join(base, 'kernel')), path);
  return { path, base };
}

test('the folder says what the package is, and holds no kernel', (t) => {
  t.is(manifest.name, 'vmhatch-kernel-x64');
  t.is(manifest.version, main.version);
  t.is(manifest.license, 'GPL-2.0-only');
  for (const absent of ['os', 'cpu', 'scripts', 'dependencies']) t.is(manifest[absent], undefined, absent);
  t.deepEqual(readdirSync(source).toSorted(), [
    'LICENSE',
    'README.md',
    'index.d.ts',
    'index.js',
    'package.json',
  ]);
});

test("the licence is the kernel's, with its exception", (t) => {
  const text = readFileSync(join(source, 'LICENSE'), 'utf8');
  t.regex(text, /SPDX-License-Identifier: GPL-2\.0 WITH Linux-syscall-note/);
  t.regex(text, /does \*not\* cover user programs/);
  t.regex(text, /GNU GENERAL PUBLIC LICENSE\s+Version 2, June 1991/);
  t.regex(text, /END OF TERMS AND CONDITIONS/);
});

test('every file is found by its name, as Machine looks for it', (t) => {
  const { path, base } = packed(t);
  const { resolve } = createRequire(join(base, 'program.js'));
  for (const name of ['bzImage', 'vmlinux', 'config', 'provenance.json', 'package.json']) {
    t.is(resolve(`${manifest.name}/${name}`), join(path, name));
  }
  t.is(readFileSync(resolve(`${manifest.name}/vmlinux`), 'utf8'), 'plain');
  t.throws(() => resolve(`${manifest.name}/SOURCE.md`), { code: 'ERR_PACKAGE_PATH_NOT_EXPORTED' });
});

test('the module has a URL for each of them', async (t) => {
  const { path } = packed(t);
  const module = (await import(join(path, 'index.js'))) as Record<string, URL>;
  t.deepEqual(Object.keys(module).toSorted(), ['bzImage', 'config', 'provenance', 'vmlinux']);
  for (const url of Object.values(module)) t.notThrows(() => readFileSync(url));
  const declared = readFileSync(join(path, 'index.d.ts'), 'utf8');
  for (const name of Object.keys(module)) t.regex(declared, new RegExp(`export const ${name}: URL;`));
});

test('npm packs the kernel, its licence, and all that it was built from', (t) => {
  const { path } = packed(t);
  const text = execFileSync('npm', ['pack', '--dry-run', '--json', '--offline'], {
    cwd: path,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [{ files }] = JSON.parse(text) as [{ files: { path: string }[] }];
  const patches = readdirSync(join(root, 'kernel', 'patches')).map((name) => `source/patches/${name}`);
  const own =
    'LICENSE README.md SOURCE.md bzImage config index.d.ts index.js package.json provenance.json vmlinux';
  const inputs = ['build.sh', 'common.config', 'source.json', 'x86_64.config'].map(
    (name) => `source/${name}`,
  );
  t.deepEqual(
    files.map((file) => file.path).toSorted(),
    [...own.split(' '), ...inputs, ...patches].toSorted(),
  );
});

test('SOURCE.md names the version that was built, and the commands', (t) => {
  const { path } = packed(t);
  const text = readFileSync(join(path, 'SOURCE.md'), 'utf8');
  for (const part of ['6.12.1-vmhatch', '6.12.1-1', pinnedSource().sha256, 'gcc 1', 'ld 2', 'a.patch']) {
    t.true(text.includes(part), part);
  }
  t.regex(text, /apt-get download linux-source-6\.12=6\.12\.1-1/);
  t.notRegex(text, /undefined/);
});

test('a folder that holds something is not filled', (t) => {
  const { path, base } = packed(t);
  t.throws(() => packKernel(standIn(join(base, 'again')), path), { message: /is not empty/ });
});

test('the kernel of another architecture has no package', (t) => {
  const { base } = packed(t);
  const kernel = { ...standIn(join(base, 'again')), arch: 'aarch64' };
  t.throws(() => packKernel(kernel, join(base, 'other')), {
    message: 'the kernel for aarch64 has no npm package',
  });
});
