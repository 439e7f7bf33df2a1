// The guest kernel's inputs: its fragments are well written, what does not take is found, and the hash of the inputs
// changes with what decides the kernel and with nothing else. Nothing is built here.
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import { findKernel, kernelHash } from '../../scripts/kernel.mjs';
import { architectures } from '../../scripts/kernel/architectures.mjs';
import { fragmentsOf, kernelFolder, problemsOf, settingsOf, unmet } from '../../scripts/kernel/fragments.mjs';
import { pinnedSource } from '../../scripts/kernel/source.mjs';

const script = fileURLToPath(new URL('../../scripts/kernel.mjs', import.meta.url));

function folder(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), 'vmhatch-kernel-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Runs the command with an empty cache. */
function command(t: ExecutionContext, ...args: string[]) {
  const env = { ...process.env, XDG_CACHE_HOME: folder(t), NODE_OPTIONS: '' };
  return spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', env });
}

/** What guests are promised on each architecture, beside what they are on all. */
const promised: Readonly<Record<string, string>> = {
  x86_64: 'ACPI X86_MPPARSE PVH KVM_GUEST DEVPORT INPUT_EVDEV',
  aarch64: `ARM_GIC_V3_ITS SERIAL_OF_PLATFORM SERIAL_AMBA_PL011_CONSOLE RTC_DRV_PL031 ARM64_SVE ARM64_PTR_AUTH
    ARM64_MTE HW_RANDOM_ARM_SMCCC_TRNG PARAVIRT_TIME_ACCOUNTING`,
};
const promisedToAll = `
  VIRTIO_MMIO VIRTIO_MMIO_CMDLINE_DEVICES VIRTIO_BLK VIRTIO_NET VIRTIO_VSOCKETS VIRTIO_CONSOLE HW_RANDOM_VIRTIO
  VIRTIO_BALLOON VIRTIO_FS EXT4_FS OVERLAY_FS SQUASHFS TMPFS BLK_DEV_INITRD CGROUPS NAMESPACES SECCOMP SMP DEVMEM
  SERIAL_8250_CONSOLE PVPANIC_MMIO VMGENID`;

test('every architecture has its promises', (t) => {
  t.deepEqual(Object.keys(promised).toSorted(), architectures.toSorted());
});

for (const arch of architectures) {
  const fragments = fragmentsOf(arch);

  test(`${arch}: the fragments are well written`, (t) => {
    t.deepEqual(problemsOf(fragments), []);
    for (const { name, text } of fragments) t.true(settingsOf(text).size > 10, name);
  });

  test(`${arch}: the fragments turn on what guests are promised`, (t) => {
    const settings = settingsOf(fragments.map(({ text }) => text).join('\n'));
    const names = `${promisedToAll} ${promised[arch]}`.match(/\w+/g);
    t.deepEqual(
      names?.filter((name) => settings.get(`CONFIG_${name}`) !== 'y'),
      [],
    );
    t.is(settings.get('CONFIG_STRICT_DEVMEM'), 'n');
    t.is(settings.get('CONFIG_NR_CPUS'), '32');
    t.is(settings.get('CONFIG_MODULES'), 'n');
  });

  test(`${arch}: the command builds nothing when told so, and says how it is built`, (t) => {
    const ended = command(t, '--print', '--arch', arch);
    t.is(ended.status, 1);
    t.is(ended.stdout, '');
    const how = arch === 'x86_64' ? '' : ` --arch ${arch}`;
    t.is(ended.stderr, `the guest kernel is not built. Type: node scripts/kernel.mjs${how}\n`);
  });
}

const planted: readonly [string, string, RegExp][] = [
  ['an option set twice', '# Why.\nCONFIG_A=y\nCONFIG_A=n\n', /a\.config:3: CONFIG_A is set at a\.config:2/],
  ['options out of order', '# Why.\nCONFIG_B=y\nCONFIG_A=y\n', /a\.config:3: CONFIG_A comes before CONFIG_B/],
  [
    'a group without a comment',
    '# Why.\nCONFIG_A=y\n\nCONFIG_B=y\n',
    /a\.config:4: CONFIG_B .*without a comment/,
  ],
  ['a module, where there are none', '# Why.\nCONFIG_A=m\n', /a\.config:2: is neither/],
  ['the spelling of a .config', '# Why.\n# CONFIG_A is not set\nCONFIG_B y\n', /a\.config:3: is neither/],
  ['a comment inside of a group', '# Why.\nCONFIG_A=y\n# CONFIG_B is not set\n', /a\.config:3: is neither/],
];
for (const [what, text, expected] of planted) {
  test(`found in a fragment: ${what}`, (t) => {
    const problems = problemsOf([{ name: 'a.config', text }]);
    t.is(problems.length, 1, problems.join('\n'));
    t.regex(problems[0] ?? '', expected);
  });
}

test('an option that two fragments set is found', (t) => {
  const twice = ['a.config', 'b.config'].map((name) => ({ name, text: '# Why.\nCONFIG_A=y\n' }));
  t.deepEqual(problemsOf(twice), ['b.config:2: CONFIG_A is set at a.config:2 already']);
});

test('settings that a final configuration does not have are named, with what came out', (t) => {
  const settings = settingsOf(
    '# Why.\nCONFIG_GOT=y\nCONFIG_LOST=y\nCONFIG_NAME="a b"\nCONFIG_NUMBER=32\nCONFIG_OFF=n\nCONFIG_ON=n\nCONFIG_UNKNOWN=n\n',
  );
  const config = [
    '# Automatically generated file; DO NOT EDIT.',
    'CONFIG_GOT=y',
    '# CONFIG_LOST is not set',
    'CONFIG_NAME="a b"',
    'CONFIG_NUMBER=64',
    '# CONFIG_OFF is not set',
    'CONFIG_ON=y',
  ].join('\n');
  const absent = 'this kernel has no such option, or not with the others';
  t.deepEqual(unmet(settings, config), [
    'CONFIG_LOST=y: came out as n',
    'CONFIG_NUMBER=32: came out as 64',
    'CONFIG_ON=n: came out as y',
    `CONFIG_UNKNOWN=n: ${absent}`,
  ]);
  t.deepEqual(unmet(settingsOf('CONFIG_MISSING=y'), config), [`CONFIG_MISSING=y: ${absent}`]);
});

test('the pinned source is a version of Debian with the sum of its tarball', (t) => {
  const source = pinnedSource();
  t.regex(source.package, /^linux-source-\d+\.\d+$/);
  t.true(source.version.startsWith(`${source.package.slice('linux-source-'.length)}.`));
  t.is(source.tarball, `${source.package}.tar.xz`);
  t.regex(source.sha256, /^[0-9a-f]{64}$/);
});

test('every patch says why it is there', (t) => {
  const names = readdirSync(join(kernelFolder, 'patches'));
  t.true(names.length > 0);
  for (const name of names) {
    const text = readFileSync(join(kernelFolder, 'patches', name), 'utf8');
    t.regex(name, /^[a-z0-9-]+\.patch$/);
    t.regex(text, /^[A-Z][^]{40,}?\n\n--- a\//, name);
  }
});

test('the hash changes with what decides the kernel, and with nothing else', (t) => {
  const hashAfter = (change: (base: string) => void) => {
    const base = join(folder(t), 'kernel');
    cpSync(kernelFolder, base, { recursive: true });
    change(base);
    return kernelHash('x86_64', base);
  };
  const present = kernelHash('x86_64');
  t.regex(present, /^[0-9a-f]{20}$/);
  t.is(
    hashAfter(() => undefined),
    present,
    'another place',
  );
  const same: Record<string, (base: string) => void> = {
    comment: (base) => appendFileSync(join(base, 'common.config'), '\n# Another word.\n'),
    initrd: (base) => appendFileSync(join(base, 'initrd', 'rc.sh'), '\n'),
  };
  for (const [what, change] of Object.entries(same)) t.is(hashAfter(change), present, what);
  const different: Record<string, (base: string) => void> = {
    setting: (base) => appendFileSync(join(base, 'common.config'), '\n# Why.\nCONFIG_ANOTHER=y\n'),
    value: (base) => {
      const path = join(base, 'x86_64.config');
      writeFileSync(path, readFileSync(path, 'utf8').replace('CONFIG_NR_CPUS=32', 'CONFIG_NR_CPUS=64'));
    },
    recipe: (base) => appendFileSync(join(base, 'build.sh'), '\n'),
    patch: (base) => writeFileSync(join(base, 'patches', 'another.patch'), ''),
    source: (base) =>
      writeFileSync(join(base, 'source.json'), JSON.stringify({ ...pinnedSource(), version: '6.12.1-1' })),
  };
  const hashes = Object.values(different).map((change) => hashAfter(change));
  t.is(new Set([present, ...hashes]).size, hashes.length + 1);
});

test('what one architecture is told does not decide the kernel of another', (t) => {
  const base = join(folder(t), 'kernel');
  cpSync(kernelFolder, base, { recursive: true });
  const before = architectures.map((arch) => kernelHash(arch, base));
  t.is(new Set(before).size, architectures.length);
  appendFileSync(join(base, 'aarch64.config'), '\n# Why.\nCONFIG_ANOTHER=y\n');
  const after = architectures.map((arch) => kernelHash(arch, base));
  t.deepEqual(
    architectures.filter((_, index) => before[index] !== after[index]),
    ['aarch64'],
  );
});

test('an architecture without fragments is refused', async (t) => {
  t.deepEqual(await findKernel({ arch: 'riscv' }), {
    missing: "there is no guest kernel for 'riscv': x86_64, aarch64",
  });
});

test('the command explains itself, and refuses what it does not know', (t) => {
  const help = command(t, '--help');
  t.is(help.status, 0);
  t.regex(help.stdout, /--pack DIR/);
  const wrong = command(t, '--prnt');
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /--prnt[^]*usage: /);
});
