// `npm run release`: what it finds wrong with a checkout, what it lets nobody do, and a dry run of all of it.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

import { archiveBase, madisonVersions } from '../../scripts/shared/archive.mjs';
import { findAddon } from '../../scripts/cross/build.mjs';
import { targets } from '../../scripts/cross/targets.mjs';
import {
  checkChangelog,
  checkPlatforms,
  checkPublisher,
  checkVersions,
  statedVersions,
} from '../../scripts/release/checks.mjs';
import { publishedManifest } from '../../scripts/release/manifest.mjs';
import { checkContents, entryPackages, mainPackage } from '../../scripts/release/packages.mjs';
import { folder, root, run, runWith } from './stage.ts';

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Parameters<
  typeof publishedManifest
>[0];

/** The files of this checkout that state versions, in a folder where a test may change them. */
function copyOfVersions(): string {
  const copy = folder('versions');
  for (const name of ['package.json', 'package-lock.json', 'Cargo.toml', 'Cargo.lock']) {
    cpSync(join(root, name), join(copy, name));
  }
  for (const name of readdirSync(join(root, 'npm'))) {
    mkdirSync(join(copy, 'npm', name), { recursive: true });
    const path = join('npm', name, 'package.json');
    if (existsSync(join(root, path))) cpSync(join(root, path), join(copy, path));
  }
  return copy;
}

function edit(base: string, path: string, from: RegExp, to: string): void {
  const text = readFileSync(join(base, path), 'utf8');
  writeFileSync(join(base, path), text.replace(from, to));
}

test('every place states the same version', (t) => {
  const places = new Set(statedVersions(root).map(({ place }) => place));
  for (const { target } of entryPackages) t.true(places.has(`npm/${target.platform}/package.json`));
  t.true(places.has('Cargo.toml'));
  t.true(places.has('Cargo.lock: vmhatch-node'));
  t.deepEqual(checkVersions(root), []);
});

for (const [path, from, to] of [
  ['npm/linux-x64-musl/package.json', /"version": "[^"]+"/, '"version": "9.9.9"'],
  ['Cargo.toml', /^version = "[^"]+"/m, 'version = "9.9.9"'],
  ['Cargo.lock', /(name = "vmhatch-vmm"\nversion = )"[^"]+"/, '$1"9.9.9"'],
  ['package-lock.json', /"version": "[^"]+"/g, '"version": "9.9.9"'],
] as const) {
  test(`a version out of step is named: ${path}`, (t) => {
    const copy = copyOfVersions();
    t.deepEqual(checkVersions(copy), []);
    edit(copy, path, from, to);
    const [wrong = '', ...more] = checkVersions(copy);
    t.true(wrong.startsWith(path) && wrong.includes('9.9.9'), wrong);
    t.deepEqual(more, []);
  });
}

test('every platform package is restricted to its platform', (t) => {
  t.deepEqual(checkPlatforms(root), []);
  const copy = copyOfVersions();
  edit(copy, 'npm/linux-arm64-gnu/package.json', /"arm64"/, '"x64"');
  t.deepEqual(checkPlatforms(copy), ['npm/linux-arm64-gnu/package.json: cpu is ["x64"], not ["arm64"]']);
  t.deepEqual(checkPlatforms(folder('empty')).length, targets.length);
});

test('the changelog has the version, with a date', (t) => {
  t.deepEqual(checkChangelog('# Changelog\n\n## [1.2.3] - 2030-01-02\n', '1.2.3'), []);
  t.deepEqual(checkChangelog('## [1.2.3] - unreleased\n', '1.2.3'), [
    "CHANGELOG.md: '## [1.2.3] - unreleased' has no date",
  ]);
  t.deepEqual(checkChangelog('## [1.2.2] - 2030-01-02\n', '1.2.3'), [
    'CHANGELOG.md has no section ## [1.2.3]',
  ]);
});

test('the published manifest names the platform packages and has nothing of the checkout', (t) => {
  const published = publishedManifest(manifest);
  t.deepEqual(
    published['optionalDependencies'],
    Object.fromEntries(targets.map(({ platform }) => [`vmhatch-${platform}`, manifest.version])),
  );
  for (const key of ['scripts', 'devDependencies', 'dependencies', 'napi', 'os', 'cpu', 'libc']) {
    t.is(published[key], undefined, key);
  }
  t.false(published.files.some((pattern) => pattern.includes('.node')));
  for (const key of ['exports', 'imports', 'bin', 'engines', 'type', 'license'])
    t.deepEqual(published[key], manifest[key], key);
});

test('a file that is missing in a package, or must not be in it, is named', (t) => {
  const whole = [...mainPackage.required, 'dist/lib/kvm/kvm.js', 'dist/lib/kvm/kvm.d.ts'];
  t.deepEqual(checkContents(mainPackage, whole), []);
  const without = whole.filter((path) => path !== 'LICENSE-MIT');
  t.deepEqual(checkContents(mainPackage, without), ['LICENSE-MIT is missing']);
  for (const path of [
    '.env',
    'dist/index.js.map',
    'vmhatch.linux-x64-gnu.node',
    'lib/kvm/kvm.ts',
    'dist/../x.js',
  ])
    t.deepEqual(checkContents(mainPackage, [...whole, path]), [`${path} must not be in it`]);
  const [first] = entryPackages;
  t.deepEqual(checkContents(first!, [...first!.required, 'vmhatch.linux-x64-musl.node']), [
    'vmhatch.linux-x64-musl.node must not be in it',
  ]);
});

test('nobody publishes but continuous integration with a token and an identity', (t) => {
  const repository = { repository: { type: 'git', url: 'git+https://example.org/vmhatch.git' } };
  t.is(checkPublisher({}, {}).length, 4);
  const CI = 'true';
  t.is(checkPublisher({ CI }, repository).length, 2);
  t.is(checkPublisher({ CI, NODE_AUTH_TOKEN: 'token' }, repository).length, 1);
  t.is(checkPublisher({ NODE_AUTH_TOKEN: 'token', SIGSTORE_ID_TOKEN: 'identity' }, repository).length, 1);
  t.deepEqual(
    checkPublisher({ CI, NODE_AUTH_TOKEN: 'token', SIGSTORE_ID_TOKEN: 'identity' }, repository),
    [],
  );
  t.deepEqual(checkPublisher({ CI, ACTIONS_ID_TOKEN_REQUEST_URL: 'issuer' }, repository), []);
});

const release = join(root, 'scripts', 'release.mjs');
const nobody = { CI: '', NODE_AUTH_TOKEN: '', NPM_TOKEN: '', ACTIONS_ID_TOKEN_REQUEST_URL: '' };

test('without --dry-run and without a token it refuses, before it does anything', async (t) => {
  const ended = await runWith(nobody, root, process.execPath, release);
  t.is(ended.status, 1);
  t.is(ended.stdout, '');
  t.regex(ended.stderr, /Nothing is published: this is no continuous integration.*--dry-run/s);
});

test('wrong arguments are refused', async (t) => {
  const ended = await run(root, process.execPath, release, '--dry');
  t.is(ended.status, 2);
  t.regex(ended.stderr, /Usage: npm run release/);
  const cross = await run(root, process.execPath, join(root, 'scripts', 'cross.mjs'), 'linux-mips-gnu');
  t.is(cross.status, 2);
  t.regex(cross.stderr, /no platform 'linux-mips-gnu'[\s\S]*linux-arm64-musl/);
  const full = await run(root, process.execPath, release, '--dry-run', '--output', root);
  t.is(full.status, 1);
  t.regex(full.stderr, /is not empty/);
});

test('a dry run builds, checks and packs all, and publishes nothing', async (t) => {
  for (const target of targets) {
    const found = await findAddon(target);
    if (!('missing' in found)) continue;
    t.log(`skipped: ${found.missing}`);
    t.pass();
    return;
  }
  const tarballs = join(folder('dry-run'), 'out');
  const ended = await runWith(
    { ...nobody, npm_config_registry: 'http://127.0.0.1:9/' },
    root,
    process.execPath,
    release,
    '--dry-run',
    '--output',
    tarballs,
  );
  const everything = `${ended.stdout}\n${ended.stderr}`;
  t.is(ended.status, 0, everything);
  t.regex(ended.stdout, /Nothing was published/, everything);
  const published = Array.from(ended.stdout.matchAll(/^ {2}npm publish (\S+)/gm), ([, path = '']) => path);
  for (const { name } of entryPackages) {
    t.regex(ended.stdout, new RegExp(`contents of ${name}: 5 files`));
    t.true(
      published.some((path) => path.includes(`/${name}-${manifest.version}.tgz`)),
      name,
    );
  }
  t.true(published.at(-1)?.endsWith(`/vmhatch-${manifest.version}.tgz`), 'the main package comes last');
  for (const path of published) t.true(existsSync(path), path);
  t.true(ended.stdout.includes('--access public --provenance'));
});

test("apt's own lists say where Debian's archive is", (t) => {
  const lines = [
    'http://one.example/security/|bookworm-security|main',
    'http://two.example/debian/|bookworm-updates|main',
    'http://two.example/debian/|bookworm|contrib',
    'http://two.example/debian/|bookworm|main',
  ].join('\n');
  t.is(archiveBase(lines, 'bookworm'), 'http://two.example/debian/');
  t.is(archiveBase(lines, 'trixie'), undefined);
  t.is(archiveBase('', 'bookworm'), undefined);
  t.deepEqual(madisonVersions('  musl | 1.2.5-3 | http://x trixie/main\n  musl | 1.2.3-1 | http://x\n'), [
    '1.2.5-3',
    '1.2.3-1',
  ]);
});
