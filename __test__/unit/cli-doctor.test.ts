import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';

import { advise } from '../../lib/cli/doctor/advice.ts';
import type { Findings } from '../../lib/cli/doctor/advice.ts';
import { readCapabilities } from '../../lib/cli/doctor/capabilities.ts';
import { drawDoctor } from '../../lib/cli/doctor/draw.ts';
import type { Facts, KvmFacts, KvmFailure } from '../../lib/cli/doctor/facts.ts';
import { readHost } from '../../lib/cli/doctor/host.ts';
import type { HostProbe } from '../../lib/cli/doctor/host.ts';

type Tree = Record<string, string>;

const flags = (...more: string[]): string => `fpu vme lm ${more.join(' ')}`;
const cpuinfo = (vendor: string, flagLine: string): string =>
  [0, 1]
    .map(
      (n) =>
        `processor\t: ${n}\nvendor_id\t: ${vendor}\nmodel name\t: A Processor\nflags\t\t: ${flagLine}\naddress sizes\t: 46 bits physical, 48 bits virtual\n`,
    )
    .join('\n');

const intel = {
  'proc/cpuinfo': cpuinfo('GenuineIntel', flags('vmx')),
  'proc/sys/kernel/osrelease': '6.1.0-test\n',
};
const groups = { 'etc/group': 'root:x:0:\nkvm:x:GID:other,ann\n' };
const device = { 'dev/kvm': '' };

/** Plants a machine; files are owned by whoever runs the test, so the group table names that group. */
function plant(t: ExecutionContext, tree: Tree, probe: HostProbe = {}): Facts['host'] {
  const root = mkdtempSync(join(tmpdir(), 'vmhatch-doctor-'));
  t.teardown(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text.replaceAll('GID', String(process.getgid?.() ?? 0)), { mode: 0o660 });
  }
  return readHost({ root, platform: 'linux', arch: 'x64', uid: 1000, groups: [], userName: 'ann', ...probe });
}

const refuse = (code: string) => () => {
  throw Object.assign(new Error(code), { code });
};

const versions = { vmhatch: '0.0.0', node: '20', v8: '11', napi: '9', libc: 'glibc 2.36' };

function kvmFacts(change: Partial<KvmFacts> = {}): KvmFacts {
  return {
    apiVersion: 12,
    capabilities: readCapabilities(() => 1),
    limits: { recommendedVcpus: 8, vcpus: 1024, vcpuId: 4096, memorySlots: 32764, physicalBits: 46 },
    trial: { ok: true, ms: 1.5 },
    ...change,
  };
}

function findings(host: Facts['host'], kvm?: KvmFacts, failure?: KvmFailure): Findings & { screen: string } {
  const facts = { host, versions, kvm, failure };
  const found = advise(facts);
  return { ...found, screen: drawDoctor(facts, found, (_, text) => text, 100) };
}

const steps = ({ remedies }: Findings): string =>
  remedies.flatMap((remedy) => [remedy.title, ...remedy.steps]).join('\n');

const open = { open: () => {} };

test('Intel, on the metal, all there: ready', (t) => {
  const host = plant(
    t,
    {
      ...intel,
      ...device,
      'sys/module/kvm_intel/parameters/nested': 'Y\n',
      'proc/meminfo': 'MemTotal: 8388608 kB\nMemAvailable: 1048576 kB\n',
    },
    open,
  );
  t.like(host, {
    virtual: false,
    kernel: '6.1.0-test',
    cpu: { model: 'A Processor', vendor: 'intel', count: 2, extension: 'vmx', physicalBits: 46 },
    module: { core: true, vendor: 'intel', nested: true },
    memory: { total: 8 * 2 ** 30, available: 2 ** 30 },
  });
  const found = findings(host, kvmFacts());
  t.is(found.verdict, 'ready');
  t.true(found.can.includes('Linux guests'));
  t.deepEqual(found.cannot, []);
  t.regex(found.screen, /Linux guests +run\n/);
  t.regex(found.screen, /READY: guests run in hardware/);
  t.regex(found.screen, /kvm_intel, nested guests on/);
  t.regex(found.screen, /1024 vCPUs \(8 advised\), 32764 memory slots, 46 bits/);
});

test('AMD, nested in another hypervisor, guests of guests off', (t) => {
  const host = plant(
    t,
    {
      ...device,
      'proc/cpuinfo': cpuinfo('AuthenticAMD', flags('svm', 'hypervisor')),
      'sys/module/kvm_amd/parameters/nested': '0\n',
      'sys/class/dmi/id/sys_vendor': 'QEMU\n',
    },
    open,
  );
  const found = findings(host, kvmFacts());
  t.is(found.verdict, 'ready');
  t.regex(found.headline, /nested in another hypervisor/);
  t.regex(found.cannot.join(), /nested option is off/);
  t.regex(found.screen, /virtual machine \(QEMU\)/);
});

test('KVM-PVM: guests run, Linux and compute do not', (t) => {
  const host = plant(
    t,
    {
      ...device,
      'proc/cpuinfo': cpuinfo('AuthenticAMD', flags('hypervisor')),
      'sys/module/kvm_pvm/parameters/force': 'Y\n',
    },
    open,
  );
  const found = findings(host, kvmFacts());
  t.is(found.verdict, 'limited');
  t.regex(found.headline, /instruction emulator/);
  t.regex(found.cannot.join(), /stock Linux/);
  t.regex(found.cannot.join(), /compute/);
  t.false(found.can.includes('Linux guests'));
  t.regex(found.screen, /Linux guests +do not run: KVM-PVM/);
  t.regex(steps(found), /emulated-host/);
});

test('kvm_pvm is what runs guests, whatever else the kernel has built in', (t) => {
  const modules = { 'sys/module/kvm_intel/parameters/nested': 'Y\n', 'sys/module/kvm_pvm/refcnt': '1\n' };
  t.is(plant(t, { ...intel, ...device, ...modules }, open).module.vendor, 'pvm');
});

for (const [what, tree, probe, expected] of [
  ['no module, Intel', intel, {}, [/modprobe kvm_intel/, /modules-load\.d/]],
  ['no module, AMD', { 'proc/cpuinfo': cpuinfo('AuthenticAMD', flags('svm')) }, {}, [/modprobe kvm_amd/]],
  ['virtualisation off in the firmware', { 'proc/cpuinfo': cpuinfo('GenuineIntel', flags()) }, {}, [/VT-x/]],
  [
    'a virtual machine on Intel without nested',
    { 'proc/cpuinfo': cpuinfo('GenuineIntel', flags('hypervisor')) },
    {},
    [/options kvm_intel nested=1/, /host-passthrough/],
  ],
  [
    'a virtual machine on AMD without nested',
    { 'proc/cpuinfo': cpuinfo('AuthenticAMD', flags('hypervisor')) },
    {},
    [/options kvm_amd nested=1/],
  ],
  [
    'a virtual machine on who knows what',
    { 'proc/cpuinfo': cpuinfo('', flags('hypervisor')) },
    {},
    [/kvm_intel nested=1/, /kvm_amd nested=1/],
  ],
  ['no /proc at all', {}, {}, [/modprobe kvm_intel +# on AMD: kvm_amd/]],
  [
    'module loaded, node missing',
    { ...intel, 'sys/module/kvm_intel/parameters/nested': 'N' },
    {},
    [/mknod.* c 10 232/],
  ],
  ['a container without the device', { ...intel, '.dockerenv': '' }, {}, [/--device \/dev\/kvm/]],
  [
    'a container whose cgroup forbids it',
    { ...intel, ...device, 'run/.containerenv': '' },
    { open: refuse('EPERM') },
    [/--device \/dev\/kvm/],
  ],
  ['a policy that forbids it', { ...intel, ...device }, { open: refuse('EPERM') }, [/DeviceAllow/]],
  [
    'not in the group',
    { ...intel, ...device, ...groups },
    { open: refuse('EACCES'), userName: 'bob' },
    [/usermod -aG kvm "\$USER"/],
  ],
  [
    'in the group since this session began',
    { ...intel, ...device, ...groups },
    { open: refuse('EACCES') },
    [/log in again/],
  ],
  [
    'the device belongs to root',
    { ...intel, ...device, 'etc/group': 'root:x:GID:\n' },
    { open: refuse('EACCES') },
    [/65-kvm\.rules/, /KERNEL=="kvm", GROUP="kvm", MODE="0660"/, /udevadm/, /usermod -aG kvm/],
  ],
  [
    'a node with nothing behind it',
    { ...intel, ...device },
    { open: refuse('ENXIO') },
    [/modprobe kvm_intel/],
  ],
  ['a file in its place', { ...intel, ...device }, {}, [/modprobe kvm_intel/]],
  ['macOS', {}, { platform: 'darwin' }, [/Linux virtual machine/]],
  ['Windows', {}, { platform: 'win32' }, [/WSL 2/, /nestedVirtualization=true/]],
  ['FreeBSD', {}, { platform: 'freebsd' }, [/Run it on Linux/]],
  ['aarch64', {}, { arch: 'arm64' }, [/x86-64 host/]],
] as const) {
  test(`unavailable: ${what}`, (t) => {
    const found = findings(plant(t, tree, probe));
    t.is(found.verdict, 'unavailable');
    for (const pattern of expected) t.regex(steps(found), pattern);
    t.regex(found.screen, /UNAVAILABLE: /);
  });
}

for (const [what, kvm, failure, expected] of [
  [
    'the addon is missing',
    undefined,
    { code: 'ERR_KVM_PLATFORM', message: 'no native addon' },
    /--include=optional/,
  ],
  ['another API version', kvmFacts({ apiVersion: 11 }), undefined, /stable KVM API/],
  [
    'another hypervisor has the processor',
    kvmFacts({ trial: { ok: false, message: 'busy', errno: 'EBUSY' } }),
    undefined,
    /VirtualBox/,
  ],
  [
    'the trial guest ends otherwise',
    kvmFacts({ trial: { ok: false, message: 'it ended by shutdown' } }),
    undefined,
    /dmesg/,
  ],
] as const) {
  test(`unavailable though the device opens: ${what}`, (t) => {
    const found = findings(plant(t, { ...intel, ...device }, open), kvm, failure);
    t.is(found.verdict, 'unavailable');
    t.regex(steps(found), expected);
  });
}

test('an old KVM that lacks what vmhatch needs is limited', (t) => {
  const host = plant(t, { ...intel, ...device, 'sys/module/kvm_intel/parameters/nested': 'N' }, open);
  const found = findings(host, kvmFacts({ capabilities: readCapabilities(() => 0) }));
  t.is(found.verdict, 'limited');
  t.regex(found.cannot.join(), /lacks UserMemory, SyncRegs/);
});

test('a screen of 80 columns keeps its lists in them', (t) => {
  const host = plant(t, { ...intel, ...device, 'sys/module/kvm_pvm/x': '' }, open);
  const facts = { host, versions, kvm: kvmFacts(), failure: undefined };
  const screen = drawDoctor(facts, advise(facts), (_, text) => text, 80);
  for (const line of screen.split('\n')) t.true(line.length <= 80, line);
});

test('elsewhere than on Linux the screen speaks of what there is', (t) => {
  const { screen } = findings(plant(t, {}, { platform: 'darwin', arch: 'arm64' }));
  t.regex(screen, /system +macOS, arm64/);
  t.notRegex(screen, /undefined|unknown|\/dev\/kvm|processor/);
});
