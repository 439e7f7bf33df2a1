// What a user gets: the tarball that `npm pack` makes, installed in an empty folder, and used from there.
import {
  accessSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  readFileSync,
  readdirSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import {
  asCommonJs,
  firstProgram,
  folder,
  install,
  output,
  pack,
  platformFolder,
  root,
  run,
  write,
} from './stage.ts';
import type { PackedFile } from './stage.ts';

interface Context {
  files: readonly PackedFile[];
  tarball: string;
  consumer: string;
}
const test = anyTest as TestFn<Context>;

function kvmIsOpen(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

const withKvm = kvmIsOpen();
const expected = /^4\n(?:hlt\n)?$/;

let shared: Context;
test.before(async () => {
  const target = folder('tarball');
  const { tarball, files } = await pack(root, target);
  shared = { tarball, files, consumer: await install('consumer', tarball) };
});
test.beforeEach((t) => {
  t.context = shared;
});

/** Runs a file on this Node. Where there is no KVM, all is loaded and the error that says so ends the program. */
async function programRuns(t: ExecutionContext<Context>, cwd: string, file: string): Promise<void> {
  const ended = await run(cwd, process.execPath, file);
  const everything = `status ${ended.status}\n${ended.stdout}\n${ended.stderr}`;
  if (!withKvm) {
    t.regex(ended.stderr, /ERR_KVM_(?:UNAVAILABLE|PERMISSION)/, everything);
    t.log('skipped: running it needs /dev/kvm; that it loads was tested');
    return;
  }
  t.is(ended.status, 0, everything);
  t.is(ended.stderr, '');
  t.regex(ended.stdout, expected);
}

test('the tarball has what a user needs and nothing else', (t) => {
  const paths = t.context.files.map(({ path }) => path);
  for (const needed of [
    'package.json',
    'README.md',
    'LICENSE-MIT',
    'LICENSE-APACHE',
    'native.cjs',
    'dist/index.js',
    'dist/index.d.ts',
    'dist/lib/cli/main.js',
  ]) {
    t.true(paths.includes(needed), `${needed} is missing`);
  }
  // A checkout may have others, for the emulated host; what is published is looked at by release.test.ts.
  t.true(paths.includes(`vmhatch.${platformFolder()}.node`));
  const known =
    /^(?:dist\/(?:index|lib\/.+)\.(?:d\.ts|js)|package\.json|native\.(?:cjs|d\.cts)|vmhatch\.[\w-]+\.node|[A-Z-]+(?:\.md)?)$/;
  t.deepEqual(
    paths.filter((path) => !known.test(path)),
    [],
  );
});

test('the installed package depends on nothing and runs no script at installation', (t) => {
  const installed = readdirSync(join(t.context.consumer, 'node_modules')).filter(
    (name) => !name.startsWith('.'),
  );
  t.deepEqual(installed, ['vmhatch']);
  const manifest = JSON.parse(
    readFileSync(join(t.context.consumer, 'node_modules/vmhatch/package.json'), 'utf8'),
  ) as Record<string, unknown>;
  t.is(manifest['dependencies'], undefined);
  for (const tight of ['os', 'cpu', 'libc']) t.is(manifest[tight], undefined, tight);
  const scripts = manifest['scripts'] as Record<string, string>;
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare'])
    t.is(scripts[hook], undefined, hook);
});

test("the README's first program runs as an ES module", async (t) => {
  const file = write(t.context.consumer, 'esm/first.mjs', firstProgram());
  await programRuns(t, t.context.consumer, file);
});

test("the README's first program runs as CommonJS", async (t) => {
  const file = write(t.context.consumer, 'cjs/first.cjs', asCommonJs(firstProgram()));
  await programRuns(t, t.context.consumer, file);
});

test("the README's first program compiles as strict TypeScript, and runs", async (t) => {
  const { consumer } = t.context;
  const project = join(consumer, 'ts');
  write(project, 'package.json', '{ "type": "module" }\n');
  write(project, 'first.ts', firstProgram());
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
    outDir: 'out',
  };
  write(project, 'tsconfig.json', JSON.stringify({ compilerOptions, files: ['first.ts'] }));
  const compiled = await run(
    project,
    process.execPath,
    join(root, 'node_modules/.bin/tsc'),
    '--project',
    project,
  );
  t.is(compiled.status, 0, compiled.stdout);
  await programRuns(t, project, join(project, 'out', 'first.js'));
});

test('ES modules and CommonJS get the same classes', async (t) => {
  const file = write(
    t.context.consumer,
    'same/both.cjs',
    "import('vmhatch').then((esm) => console.log(esm.Kvm === require('vmhatch').Kvm, typeof require('vmhatch').Kvm));",
  );
  t.is(await output(t.context.consumer, process.execPath, file), 'true function\n');
});

test('npx vmhatch doctor --json says what this host can do', async (t) => {
  const ended = await run(t.context.consumer, 'npx', '--no-install', 'vmhatch', 'doctor', '--json');
  t.true(ended.status === 0 || !withKvm, `status ${ended.status}\n${ended.stderr}`);
  const facts = JSON.parse(ended.stdout) as unknown;
  t.is(typeof facts, 'object');
});

const openKvm = `
  import { Kvm } from 'vmhatch';
  try {
    new Kvm().close();
    console.log('opened');
  } catch (error) {
    console.log(error.code, error.message);
  }
`;

/** The package installed without an addon of its own, as it is published. */
async function withoutAddon(name: string, tarball: string, ...others: string[]): Promise<string> {
  const consumer = await install(name, tarball, ...others);
  rmSync(join(consumer, `node_modules/vmhatch/vmhatch.${platformFolder()}.node`));
  return consumer;
}

test('a platform without an addon: importing works, opening KVM names the platform and the mend', async (t) => {
  const consumer = await withoutAddon('bare', t.context.tarball);
  const file = write(consumer, 'open.mjs', openKvm);
  const text = await output(consumer, process.execPath, file);
  t.regex(text, /^ERR_KVM_PLATFORM /);
  t.true(text.includes(`${process.platform}-${process.arch}`), text);
  t.true(text.includes(process.version), text);
  t.regex(text, /npm|build/, 'says what to do');
});

test('the addon comes from the platform package where the main package has none', async (t) => {
  const platform = platformFolder();
  const source = join(root, 'npm', platform);
  t.true(existsSync(source), `npm/${platform} is missing: napi create-npm-dirs`);
  const staged = folder('platform');
  cpSync(source, staged, { recursive: true });
  copyFileSync(join(root, `vmhatch.${platform}.node`), join(staged, `vmhatch.${platform}.node`));
  const { tarball, files } = await pack(staged, folder('platform-tarball'));
  t.true(files.some(({ path }) => path === `vmhatch.${platform}.node`));
  const consumer = await withoutAddon('platform-consumer', t.context.tarball, tarball);
  const file = write(consumer, 'open.mjs', openKvm);
  const text = await output(consumer, process.execPath, file);
  t.regex(text, withKvm ? /^opened\n$/ : /^ERR_KVM_(?:UNAVAILABLE|PERMISSION) /);
});
