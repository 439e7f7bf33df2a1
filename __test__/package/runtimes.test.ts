// The published packages on every runtime that loads Node-API addons: the README's first program and errors of all
// kinds. Each runtime finds both x86_64 packages and takes the one for its C library.
import { accessSync, constants, existsSync } from 'node:fs';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';

import { withFaults } from '../helpers/fault-shim.ts';
import { copyProgram, errorProgram, errorProgramSays, muslSystem } from './programs.ts';
import { hasAddon, packPrebuilt, unpack, type Prebuilt } from './prebuilt.ts';
import { asCommonJs, firstProgram, folder, runWith, write } from './stage.ts';
import { findMuslNode, findTools } from './tools/find.mjs';

interface Context {
  prebuilt: Prebuilt;
  consumer: string;
}
const test = anyTest as TestFn<Context>;

type Runtime = Exclude<Awaited<ReturnType<typeof findMuslNode>>, { missing: string }>;

const tools = await findTools({ download: false });
const muslNode = await findMuslNode('x64', { download: false });
const ofThisMachine = process.platform === 'linux' && process.arch === 'x64';

function kvmIsOpen(): boolean {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

let shared: Context;
test.before(async () => {
  const prebuilt = await packPrebuilt();
  const consumer = folder('runtimes');
  await unpack(consumer, [prebuilt.main, ...prebuilt.platforms]);
  const { version } = prebuilt.main;
  write(
    consumer,
    'package.json',
    JSON.stringify({ private: true, type: 'module', dependencies: { vmhatch: version } }),
  );
  write(consumer, 'first.mjs', firstProgram());
  write(consumer, 'first.cjs', asCommonJs(firstProgram()));
  write(consumer, 'errors.mjs', errorProgram);
  write(consumer, 'copies.mjs', copyProgram);
  write(consumer, 'musl-system.cjs', muslSystem);
  shared = { prebuilt, consumer };
});
test.beforeEach((t) => {
  t.context = shared;
});

/** Runs a file of the consumer to its end, and holds what it prints against what it shall print. */
async function says(
  t: ExecutionContext<Context>,
  { program, args }: Pick<Runtime, 'program' | 'args'>,
  file: string,
  expected: RegExp,
): Promise<void> {
  const { consumer } = t.context;
  const env = { NO_COLOR: '1', DENO_DIR: `${consumer}/deno`, DENO_NO_UPDATE_CHECK: '1' };
  const ended = await runWith(env, consumer, program, ...args, file);
  t.is(ended.status, 0, `${file}: status ${ended.status}\n${ended.stdout}\n${ended.stderr}`);
  t.is(ended.stderr, '', file);
  t.regex(ended.stdout, expected, file);
}

function ready(t: ExecutionContext<Context>, platform: string): boolean {
  const why = !ofThisMachine
    ? `the runtimes are for linux-x64, this is ${process.platform}-${process.arch}`
    : kvmIsOpen()
      ? undefined
      : 'it needs /dev/kvm';
  if (why === undefined) return hasAddon(t, t.context.prebuilt, platform);
  t.log(`skipped: ${why}`);
  t.pass();
  return false;
}

async function runsAll(
  t: ExecutionContext<Context>,
  runtime: Pick<Runtime, 'program' | 'args'>,
): Promise<void> {
  await says(t, runtime, 'first.mjs', /^4\nhlt\n$/);
  await says(t, runtime, 'first.cjs', /^4\nhlt\n$/);
  await says(t, runtime, 'errors.mjs', new RegExp(`^${errorProgramSays}$`));
}

const names = ['Node 20', 'Node 22', 'Node 24', 'Node 26', 'Bun', 'Deno'];
for (const name of names) {
  test(`${name} runs the first program and the errors`, async (t) => {
    if (!ready(t, 'linux-x64-gnu')) return;
    if ('missing' in tools) {
      t.log(`skipped: ${tools.missing}`);
      t.pass();
      return;
    }
    const runtime = tools.runtimes.find((each) => each.name === name);
    t.true(runtime !== undefined && existsSync(runtime.program), `${name} is missing in ${tools.folder}`);
    if (runtime !== undefined) await runsAll(t, runtime);
  });
}

test('Node for musl, by the loader of musl, runs the first program and the errors', async (t) => {
  if (!ready(t, 'linux-x64-musl')) return;
  if ('missing' in muslNode) {
    t.log(`skipped: ${muslNode.missing}`);
    t.pass();
    return;
  }
  const args = [...muslNode.args, '--require', './musl-system.cjs'];
  await runsAll(t, { program: muslNode.program, args });
});

test('a runtime that refuses foreign buffers, as Electron does: errors name what to use, and copies work', async (t) => {
  if (!ready(t, 'linux-x64-gnu')) return;
  const env = await withFaults(t, { VMHATCH_NO_EXTERNAL_BUFFERS: '1' });
  if (env === undefined) return;
  const ended = await runWith(env, t.context.consumer, process.execPath, 'copies.mjs');
  t.is(ended.status, 0, ended.stderr);
  t.regex(
    ended.stdout,
    /^(?:ERR_KVM_EXTERNAL_BUFFERS .*use read\(\) and write\(\).*child process.*\n){2}1 2 3\n$/,
  );
});
