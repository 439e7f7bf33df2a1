// The minimal initrd: what is in it, as cpio lists it. It needs Debian's busybox and a C compiler; where the archive
// cannot be reached there is nothing to look at.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { makeInitrd, type InitrdOptions } from '../../scripts/initrd.mjs';
import { findBusybox } from '../../scripts/shared/busybox.mjs';

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'vmhatch-initrd-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** An initrd, and what its files are like; undefined, with a word in the log, where none can be made. */
async function made(t: ExecutionContext, options: InitrdOptions = {}) {
  const busybox = await findBusybox();
  const initrd = await makeInitrd(options);
  if (initrd.path === undefined || busybox.path === undefined) {
    t.log(`skipped: ${initrd.missing ?? busybox.missing}`);
    t.pass();
    return undefined;
  }
  const archive = readFileSync(initrd.path);
  const cpio = (...args: string[]) =>
    execFileSync(busybox.path, ['cpio', ...args], { input: archive, stdio: 'pipe', cwd: tree });
  const tree = folder(t);
  cpio('-i', '-d', '-m');
  return {
    path: initrd.path,
    list: execFileSync(busybox.path, ['cpio', '-tv'], { input: archive, encoding: 'utf8', stdio: 'pipe' })
      .trim()
      .split('\n')
      .map((line) => line.split(/\s+/)),
    read: (path: string) => readFileSync(join(tree, path)),
  };
}

test.serial('it holds busybox, the first program, its script, and the places to mount on', async (t) => {
  const initrd = await made(t);
  if (initrd === undefined) return;
  const { list } = initrd;
  const modes = Object.fromEntries(list.map(([mode, , , , , name]) => [name, mode]));
  t.deepEqual(modes, {
    bin: 'drwxr-xr-x',
    'bin/busybox': '-rwxr-xr-x',
    'bin/sh': 'lrwxrwxrwx',
    dev: 'drwxr-xr-x',
    etc: 'drwxr-xr-x',
    'etc/rc': '-rw-r--r--',
    init: '-rwxr-xr-x',
    proc: 'drwxr-xr-x',
    sys: 'drwxr-xr-x',
    tmp: 'drwxr-xr-x',
  });
  for (const [, owner, , date, , name] of list) {
    t.is(owner, '0/0', name);
    t.is(date, '1970-01-01', name);
  }
  t.is(
    initrd.read('etc/rc').toString(),
    readFileSync(new URL('../../kernel/initrd/rc.sh', import.meta.url), 'utf8'),
  );
});

// e_machine is EM_X86_64 or EM_AARCH64 (elf(5)).
for (const [arch, machine] of [
  ['x86_64', 62],
  ['aarch64', 183],
] as const) {
  test.serial(
    `${arch}: the first program is one small static ELF file, busybox one for the same machine`,
    async (t) => {
      const initrd = await made(t, { arch });
      if (initrd === undefined) return;
      const init = initrd.read('init');
      t.is(init.toString('latin1', 0, 4), '\x7fELF');
      // e_type ET_EXEC.
      t.is(init.readUInt16LE(16), 2);
      t.is(init.readUInt16LE(18), machine);
      t.is(initrd.read('bin/busybox').readUInt16LE(18), machine);
      t.true(init.length < 4096, `${init.length} bytes: it is to be loaded as one page`);
      const headers = new Set(
        Array.from({ length: init.readUInt16LE(56) }, (_, index) =>
          init.readUInt32LE(Number(init.readBigUInt64LE(32)) + index * init.readUInt16LE(54)),
        ),
      );
      // PT_INTERP is 3, PT_DYNAMIC is 2: it needs nobody to link it.
      t.false(headers.has(2) || headers.has(3));
    },
  );
}

test('an initrd is made for architectures that have one', (t) => {
  const script = fileURLToPath(new URL('../../scripts/initrd.mjs', import.meta.url));
  const refused = spawnSync(process.execPath, [script, '--arch', 'riscv'], { encoding: 'utf8' });
  t.is(refused.status, 2);
  t.is(
    refused.stderr,
    "there is no initrd for 'riscv': x86_64, aarch64\nusage: node scripts/initrd.mjs [--arch x86_64|aarch64]\n",
  );
  t.is(spawnSync(process.execPath, [script, '--ach', 'x86_64']).status, 2);
});

test.serial('the first program does nothing unless it is the first process', async (t) => {
  const init = (await made(t))?.read('init');
  if (init === undefined) return;
  const base = folder(t);
  const path = join(base, 'init');
  writeFileSync(path, init);
  for (const each of [base, path]) chmodSync(each, 0o755);
  // Without rights, should it do more than it may: it mounts, and it switches the machine off.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const ended = spawnSync(path, { ...nobody, stdio: 'ignore', timeout: 10_000 });
  t.is(ended.status, 1);
});

test.serial('the same contents are the same file, made once', async (t) => {
  // One that nobody else uses meanwhile.
  const options = { files: { 'etc/words': Buffer.from(`${process.pid} ${Date.now()}`) } };
  const first = await made(t, options);
  if (first === undefined) return;
  const before = readFileSync(first.path);
  rmSync(first.path);
  const second = await makeInitrd(options);
  t.is(second.path, first.path);
  t.true(before.equals(readFileSync(first.path)));
  rmSync(first.path);
});

test.serial('files, modules and another script go in, and change the name', async (t) => {
  const base = folder(t);
  const program = join(base, 'program');
  const modules = ['b.ko', 'a.ko'].map((name) => join(base, name));
  writeFileSync(program, 'text');
  chmodSync(program, 0o750);
  for (const path of modules) writeFileSync(path, path);
  const files = { '/usr/bin/program': program, 'etc/words': Buffer.from('some words\n') };
  const plain = await made(t);
  const initrd = await made(t, { files, modules, script: 'echo another\n' });
  if (plain === undefined || initrd === undefined) return;
  t.not(initrd.path, plain.path);
  t.is(initrd.read('usr/bin/program').toString(), 'text');
  t.is(initrd.read('etc/words').toString(), 'some words\n');
  t.is(initrd.read('etc/rc').toString(), 'echo another\n');
  const named = initrd.list.map(([mode, , , , , name]) => `${mode} ${name}`);
  t.true(named.includes('-rwxr-x--- usr/bin/program'));
  // The order is the one they were given in.
  t.deepEqual(
    initrd.list.map((columns) => columns[5]).filter((name) => name?.startsWith('modules/')),
    ['modules/000-b.ko', 'modules/001-a.ko'],
  );
  rmSync(initrd.path);
});

for (const path of ['', '/', '../escape', 'a/../../escape', 'folder/']) {
  test.serial(`'${path}' is no path for a file in the guest`, async (t) => {
    await t.throwsAsync(makeInitrd({ files: { [path]: Buffer.of(1) } }), {
      message: /is no file's path in the guest/,
    });
  });
}
