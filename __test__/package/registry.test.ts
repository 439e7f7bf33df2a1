// The packages published to a registry of our own and installed from it by npm, pnpm and yarn, as by somebody who has
// Node and nothing else: no compiler, no other host in reach.
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';

import { elsewhere, openProgram } from './programs.ts';
import { hasAddon, packPrebuilt, type Prebuilt } from './prebuilt.ts';
import { npm, startRegistry, type Registry } from './registry.ts';
import { asCommonJs, firstProgram, folder, platformFolder, runWith, write, type Ended } from './stage.ts';
import { findTools } from './tools/find.mjs';

interface Context {
  prebuilt: Prebuilt;
  registry: Registry;
  /** node_modules of the tools. */
  modules: string;
}
const test = anyTest as TestFn<Context | { missing: string }>;

const tools = await findTools({ download: false });
const own = platformFolder();

function kvmIsOpen(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

let shared: Context | { missing: string };
test.before(async () => {
  if ('missing' in tools) {
    shared = tools;
    return;
  }
  const modules = join(tools.folder, 'node_modules');
  const newer = tools.runtimes.find(({ name }) => name === 'Node 22');
  if (newer === undefined || !existsSync(newer.program)) {
    shared = { missing: `verdaccio needs a Node that is not there for ${process.platform}-${process.arch}` };
    return;
  }
  const prebuilt = await packPrebuilt();
  const registry = await startRegistry(modules, newer.program);
  // The main package comes last, as in a release: whoever installs it finds the others.
  for (const { name, tarball } of [...prebuilt.platforms, prebuilt.main]) {
    const ended = await registry.publish(tarball);
    if (ended.status !== 0) throw new Error(`npm publish ${name}: ${ended.stderr}`);
  }
  shared = { prebuilt, registry, modules };
});
test.beforeEach((t) => {
  t.context = shared;
});
test.after.always(async () => {
  if (shared !== undefined && 'registry' in shared) await shared.registry.stop();
});

/** The context of a test that can be run; otherwise it is skipped, and says why. */
function ready(t: ExecutionContext<Context | { missing: string }>): Context | undefined {
  const { context } = t;
  if ('missing' in context) {
    t.log(`skipped: ${context.missing}`);
    t.pass();
    return undefined;
  }
  // The main package names all of them, and most package managers ask for all before they choose.
  const [lacking] = context.prebuilt.missing.keys();
  if (lacking === undefined) return context;
  hasAddon(t, context.prebuilt, lacking);
  return undefined;
}

/** An empty project. */
function project(name: string, manifest: object = {}): string {
  const path = folder(name);
  write(path, 'package.json', `${JSON.stringify({ name: 'consumer', private: true, ...manifest })}\n`);
  return path;
}

/** A PATH with Node and a shell: no compiler, no make, no python. */
function barePath(): string {
  const path = folder('bin');
  mkdirSync(join(path, 'bin'));
  symlinkSync(process.execPath, join(path, 'bin', 'node'));
  symlinkSync('/bin/sh', join(path, 'bin', 'sh'));
  return join(path, 'bin');
}

/** What npm, pnpm or yarn put into node_modules of ours. */
function installed(consumer: string): string[] {
  return readdirSync(join(consumer, 'node_modules'))
    .filter((name) => name.startsWith('vmhatch'))
    .toSorted();
}

function succeeded(t: ExecutionContext, what: string, ended: Ended): boolean {
  return t.is(ended.status, 0, `${what}: status ${ended.status}\n${ended.stdout}\n${ended.stderr}`);
}

/** The first program runs in the project; without KVM, all is loaded and the error says that there is none. */
function runs(t: ExecutionContext, ended: Ended): void {
  if (kvmIsOpen()) {
    succeeded(t, 'the first program', ended);
    t.is(ended.stdout, '4\nhlt\n');
  } else t.regex(ended.stderr, /ERR_KVM_(?:UNAVAILABLE|PERMISSION)/);
}

async function programRuns(t: ExecutionContext, { env }: Registry, consumer: string): Promise<void> {
  write(consumer, 'first.mjs', firstProgram());
  runs(t, await runWith(env, consumer, process.execPath, 'first.mjs'));
  write(consumer, 'first.cjs', asCommonJs(firstProgram()));
  runs(t, await runWith(env, consumer, process.execPath, 'first.cjs'));
}

test('npm installs the package of this platform alone, without a compiler and without a script', async (t) => {
  const context = ready(t);
  if (context === undefined) return;
  const { registry } = context;
  const consumer = project('npm');
  const cli = join(dirname(dirname(process.execPath)), 'lib', 'node_modules', 'npm', 'bin', 'npm-cli.js');
  const bare = { ...registry.env, PATH: barePath() };
  const ended = existsSync(cli)
    ? await runWith(bare, consumer, process.execPath, cli, 'install', 'vmhatch')
    : await npm(registry.env, consumer, 'install', 'vmhatch');
  if (!succeeded(t, 'npm install', ended)) return;
  t.deepEqual(installed(consumer), ['vmhatch', `vmhatch-${own}`]);
  for (const name of installed(consumer)) {
    const manifest = JSON.parse(
      readFileSync(join(consumer, 'node_modules', name, 'package.json'), 'utf8'),
    ) as Record<string, unknown>;
    t.is(manifest['scripts'], undefined, `${name} has scripts`);
    t.is(manifest['dependencies'], undefined, `${name} depends on something`);
    t.is(manifest['version'], context.prebuilt.main.version);
  }
  await programRuns(t, registry, consumer);
});

test('npm ci installs the same from the lockfile', async (t) => {
  const context = ready(t);
  if (context === undefined) return;
  const { registry } = context;
  const consumer = project('npm-ci');
  if (!succeeded(t, 'npm install', await npm(registry.env, consumer, 'install', 'vmhatch'))) return;
  if (!succeeded(t, 'npm ci', await npm(registry.env, consumer, 'ci'))) return;
  t.deepEqual(installed(consumer), ['vmhatch', `vmhatch-${own}`]);
});

test('npm without optional dependencies: opening KVM names the package that is missing', async (t) => {
  const context = ready(t);
  if (context === undefined) return;
  const { env } = context.registry;
  const consumer = project('omitted');
  if (!succeeded(t, 'npm install', await npm(env, consumer, 'install', '--omit=optional', 'vmhatch'))) return;
  t.deepEqual(installed(consumer), ['vmhatch']);
  write(consumer, 'open.mjs', openProgram);
  const ended = await runWith(env, consumer, process.execPath, 'open.mjs');
  t.regex(ended.stdout, new RegExp(`^ERR_KVM_PLATFORM .*vmhatch-${own}.*optional dependencies`));
});

const elsewheres = [
  { flags: ['--os=linux', '--cpu=x64', '--libc=glibc'], gets: 'linux-x64-gnu' },
  { flags: ['--os=linux', '--cpu=x64', '--libc=musl'], gets: 'linux-x64-musl' },
  { flags: ['--os=linux', '--cpu=arm64', '--libc=glibc'], gets: 'linux-arm64-gnu' },
  { flags: ['--os=linux', '--cpu=arm64', '--libc=musl'], gets: 'linux-arm64-musl' },
  { flags: ['--os=linux', '--cpu=riscv64', '--libc=glibc'], gets: undefined },
  { flags: ['--os=darwin', '--cpu=arm64'], gets: undefined, platform: 'darwin', arch: 'arm64' },
  { flags: ['--os=win32', '--cpu=x64'], gets: undefined, platform: 'win32', arch: 'x64' },
];
for (const { flags, gets, platform, arch } of elsewheres) {
  test(`npm install ${flags.join(' ')} brings ${gets ?? 'no addon'}`, async (t) => {
    const context = ready(t);
    if (context === undefined) return;
    const { env } = context.registry;
    const consumer = project('elsewhere');
    if (!succeeded(t, 'npm install', await npm(env, consumer, 'install', ...flags, 'vmhatch'))) return;
    t.deepEqual(installed(consumer), gets === undefined ? ['vmhatch'] : ['vmhatch', `vmhatch-${gets}`]);
    if (platform === undefined || arch === undefined) return;
    write(consumer, 'elsewhere.cjs', elsewhere(platform, arch));
    write(consumer, 'open.mjs', openProgram);
    const ended = await runWith(env, consumer, process.execPath, '--require', './elsewhere.cjs', 'open.mjs');
    if (!succeeded(t, 'the program', ended)) return;
    t.regex(ended.stdout, new RegExp(`^ERR_KVM_PLATFORM .*${platform}-${arch}.*KVM is part of Linux`));
  });
}

test('pnpm installs the package of this platform', async (t) => {
  const context = ready(t);
  if (context === undefined) return;
  const { registry, modules } = context;
  const consumer = project('pnpm');
  const cli = join(modules, 'pnpm', 'bin', 'pnpm.cjs');
  const ended = await runWith(registry.env, consumer, process.execPath, cli, 'add', 'vmhatch');
  if (!succeeded(t, 'pnpm add', ended)) return;
  const stored = readdirSync(join(consumer, 'node_modules', '.pnpm')).filter((name) =>
    name.startsWith('vmhatch-'),
  );
  t.deepEqual(stored, [`vmhatch-${own}@${context.prebuilt.main.version}`]);
  await programRuns(t, registry, consumer);
});

test('yarn 1 installs the package of this platform', async (t) => {
  const context = ready(t);
  if (context === undefined) return;
  const { registry, modules } = context;
  const consumer = project('yarn-1');
  const cli = join(modules, 'yarn', 'bin', 'yarn.js');
  const args = ['add', '--non-interactive', '--registry', registry.url, 'vmhatch'];
  const ended = await runWith(registry.env, consumer, process.execPath, cli, ...args);
  if (!succeeded(t, 'yarn add', ended)) return;
  // It looks at os and cpu alone, and so may bring the package for the other C library, too.
  const others = new Set([`vmhatch-linux-${process.arch}-gnu`, `vmhatch-linux-${process.arch}-musl`]);
  t.true(installed(consumer).includes(`vmhatch-${own}`));
  t.deepEqual(
    installed(consumer).filter((name) => name !== 'vmhatch' && !others.has(name)),
    [],
  );
  await programRuns(t, registry, consumer);
});

for (const linker of ['node-modules', 'pnp']) {
  test(`yarn 4 with nodeLinker ${linker} installs the package of this platform`, async (t) => {
    const context = ready(t);
    if (context === undefined) return;
    const { registry, modules } = context;
    const cli = join(modules, '@yarnpkg', 'cli-dist', 'bin', 'yarn.js');
    const consumer = project('yarn-4');
    const settings = [
      `npmRegistryServer: ${registry.url}`,
      'unsafeHttpWhitelist: [127.0.0.1]',
      `nodeLinker: ${linker}`,
      'enableTelemetry: false',
      'enableImmutableInstalls: false',
      'enableGlobalCache: false',
      'npmMinimalAgeGate: 0',
    ];
    write(consumer, '.yarnrc.yml', `${settings.join('\n')}\n`);
    write(consumer, 'yarn.lock', '');
    // Yarn takes a proxy for the registry, too.
    const direct = Object.fromEntries(
      Object.entries(registry.env).filter(([name]) => !/_proxy$/i.test(name)),
    );
    const yarn = (...args: string[]) => runWith(direct, consumer, process.execPath, cli, ...args);
    if (!succeeded(t, 'yarn add', await yarn('add', 'vmhatch'))) return;
    if (linker === 'node-modules') {
      t.deepEqual(installed(consumer), ['vmhatch', `vmhatch-${own}`]);
      await programRuns(t, registry, consumer);
      return;
    }
    write(consumer, 'first.cjs', asCommonJs(firstProgram()));
    runs(t, await yarn('node', 'first.cjs'));
    write(consumer, 'first.mjs', firstProgram());
    runs(t, await yarn('node', 'first.mjs'));
  });
}
