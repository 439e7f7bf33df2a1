// Debian's packages in the cache: with an archive of one small package, and an apt-get that knows nothing else.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { controlField, ownArchitecture } from '../../scripts/shared/debian.mjs';

const scripts = new URL('../../scripts/', import.meta.url);
const noDpkg =
  spawnSync('dpkg-deb', ['--version']).status !== 0 ? 'dpkg-deb is not on this machine' : undefined;

/**
 * What `apt-get download` and `apt-get update` do, by files: `stale` makes downloads with the machine's lists fail,
 * `offline` makes all fail. Each call is a line of `log`.
 */
const aptGet = `#!/bin/sh
here=$(dirname "$0")
for last; do :; done
lists=machine; case "$*" in *Dir::State::lists*) lists=own;; esac
case "$*" in *update*) what=update;; *) what="download $last";; esac
echo "$what $lists" >>"$here/log"
[ -e "$here/offline" ] && { echo "E: no network" >&2; exit 100; }
[ "$what" = update ] && exit 0
[ -e "$here/stale" ] && [ $lists = machine ] && { echo "E: 404 Not Found" >&2; exit 100; }
cp "$here/$last.deb" . || exit 100
`;

interface Archive {
  folder: string;
  publish: (version: string) => void;
  flag: (name: string, on: boolean) => void;
  log: () => string[];
  find: (
    options?: string,
  ) => Promise<{ root?: string; version?: string; depends?: string; missing?: string }>;
}

function archive(t: ExecutionContext): Archive {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-debian-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'apt-get'), aptGet);
  chmodSync(join(folder, 'apt-get'), 0o755);
  const program = `import { findPackage } from ${JSON.stringify(new URL('shared/debian.mjs', scripts).href)};
    console.log(JSON.stringify(await findPackage('small', JSON.parse(process.argv[1]))));`;
  const env = {
    ...process.env,
    XDG_CACHE_HOME: join(folder, 'cache'),
    PATH: [folder, process.env['PATH']].join(delimiter),
  };
  return {
    folder,
    publish(version) {
      const tree = join(folder, `tree-${version}`);
      mkdirSync(join(tree, 'DEBIAN'), { recursive: true });
      writeFileSync(join(tree, 'content'), version);
      const control = `Package: small\nVersion: ${version}\nArchitecture: all\nMaintainer: a <a@example.org>\nDepends: other,\n more\nDescription: d\n`;
      writeFileSync(join(tree, 'DEBIAN', 'control'), control);
      execFileSync('dpkg-deb', ['--build', tree, join(folder, 'small.deb')], { stdio: 'ignore' });
    },
    flag(name, on) {
      if (on) writeFileSync(join(folder, name), '');
      else rmSync(join(folder, name), { force: true });
    },
    log() {
      const file = join(folder, 'log');
      return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
    },
    async find(options = '{}') {
      const args = ['--input-type=module', '--eval', program, options];
      const { stdout } = await promisify(execFile)(process.execPath, args, { env });
      return JSON.parse(stdout) as Awaited<ReturnType<Archive['find']>>;
    },
  };
}

function onDebian(title: string, run: (t: ExecutionContext, it: Archive) => Promise<void>): void {
  test(title, async (t) => {
    if (noDpkg !== undefined) {
      t.log(`skipped: ${noDpkg}`);
      t.pass();
      return;
    }
    const it = archive(t);
    it.publish('1:2.0-1');
    await run(t, it);
  });
}

test('a field of a control file may go over several lines', (t) => {
  t.is(controlField('Package: a\nDepends: b,\n c (>= 1)\nX: y\n', 'Depends'), 'b, c (>= 1)');
  t.is(controlField('Package: a\n', 'Depends'), '');
});

onDebian('a package is downloaded once; then the archive is not asked', async (t, it) => {
  const first = await it.find();
  t.is(first.version, '1:2.0-1');
  t.is(first.depends, 'other, more');
  t.is(readFileSync(join(first.root ?? '', 'content'), 'utf8'), '1:2.0-1');
  it.flag('offline', true);
  t.deepEqual(await it.find(), first);
  t.deepEqual(it.log(), ['download small machine']);
});

onDebian('lists that are too old are replaced by lists of our own', async (t, it) => {
  it.flag('stale', true);
  t.is((await it.find()).version, '1:2.0-1');
  t.deepEqual(it.log(), ['download small machine', 'update own', 'download small own']);
});

onDebian('who asks for it gets the version of today, and the one before stays', async (t, it) => {
  const versions = ['1:2.0-1', '2', '3'];
  const roots: string[] = [];
  for (const version of versions) {
    it.publish(version);
    roots.push((await it.find('{"refresh":true}')).root ?? '');
    t.is((await it.find()).version, version);
  }
  t.deepEqual(roots.map(existsSync), [false, true, true]);
});

onDebian('two processes at once end up with one package, downloaded once', async (t, it) => {
  const found = await Promise.all([it.find(), it.find(), it.find()]);
  t.is(new Set(found.map(({ root }) => root)).size, 1);
  t.deepEqual(it.log(), ['download small machine']);
  const left = readdirSync(join(it.folder, 'cache', 'vmhatch', 'debian'));
  t.deepEqual(left.toSorted(), ['lock', `small_1:2.0-1_${ownArchitecture}`]);
});

onDebian('without a network it says what went wrong, and leaves nothing behind', async (t, it) => {
  it.flag('offline', true);
  t.regex((await it.find()).missing ?? '', /apt-get download small: E: no network/);
  t.regex((await it.find('{"download":false}')).missing ?? '', /small .* is not in /);
  const left = readdirSync(join(it.folder, 'cache', 'vmhatch', 'debian'));
  t.deepEqual(
    left.filter((name) => name.startsWith('work-') || name.startsWith('small')),
    [],
  );
});
