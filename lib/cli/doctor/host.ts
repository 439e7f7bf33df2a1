/**
 * What the operating system says about this host, without asking KVM. Everything is read below a given root, so that
 * a test can plant another machine's /proc, /sys and /dev; nothing here throws on what is not there.
 */
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What happened when /dev/kvm was opened: 'ok', or the errno's name. */
export type DeviceAccess =
  'ok' | 'ENOENT' | 'EACCES' | 'EPERM' | 'ENODEV' | 'ENXIO' | 'EBUSY' | (string & {});

export interface DeviceFacts {
  readonly path: string;
  readonly access: DeviceAccess;
  /** Permission bits as in `ls -l`, and who owns it; absent when it does not exist. */
  readonly mode?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** The owning group's name, where /etc/group has one. */
  readonly group?: string;
}

/** The vendor module under KVM: what really runs the guests. */
export type KvmModule = 'intel' | 'amd' | 'pvm';

export interface HostFacts {
  readonly platform: string;
  readonly arch: string;
  readonly kernel: string | undefined;
  readonly distribution: string | undefined;
  readonly wsl: boolean;
  readonly container: string | undefined;
  readonly cpu: {
    readonly model: string | undefined;
    readonly vendor: 'intel' | 'amd' | 'other';
    readonly count: number;
    /** The processor's virtualisation as this kernel sees it. */
    readonly extension: 'vmx' | 'svm' | undefined;
    readonly physicalBits: number | undefined;
  };
  /** This host is itself a virtual machine: its KVM, if any, is nested. */
  readonly virtual: boolean;
  /** Who made the (virtual) hardware, from DMI: names the cloud or the hypervisor. */
  readonly hardware: string | undefined;
  readonly memory: { readonly total: number | undefined; readonly available: number | undefined };
  readonly module: {
    readonly core: boolean;
    readonly vendor: KvmModule | undefined;
    /** The vendor module's `nested` parameter: may guests of this host have KVM of their own? */
    readonly nested: boolean | undefined;
  };
  readonly device: DeviceFacts;
  readonly user: {
    readonly uid: number | undefined;
    readonly name: string | undefined;
    /** This process may use the device's group now. */
    readonly inDeviceGroup: boolean;
    /** /etc/group lists the user there: with `inDeviceGroup` false, a new login is all that is missing. */
    readonly listedInDeviceGroup: boolean;
    /** There is a group named kvm. */
    readonly kvmGroup: boolean;
  };
}

export interface HostProbe {
  /** Default '/'. */
  readonly root?: string;
  readonly platform?: string;
  readonly arch?: string;
  readonly uid?: number;
  readonly groups?: readonly number[];
  readonly userName?: string;
  /** Opens the device for reading and writing, and closes it again; throws as open(2) fails. */
  readonly open?: (path: string) => void;
  readonly devicePath?: string;
}

/** Reads the facts. */
export function readHost(probe: HostProbe = {}): HostFacts {
  const root = probe.root ?? '/';
  const text = (path: string): string | undefined => readText(join(root, path));
  const uid = probe.uid ?? process.getuid?.();
  const groups = probe.groups ?? process.getgroups?.() ?? [];
  const userName = probe.userName ?? process.env['USER'];
  const groupTable = parseGroups(text('etc/group') ?? '');
  const device = readDevice(probe, root, groupTable);
  const deviceGroup = groupTable.find(({ gid }) => gid === device.gid);
  const kernel = text('proc/sys/kernel/osrelease')?.trim();
  const cpu = readCpu(text('proc/cpuinfo') ?? '');
  return {
    platform: probe.platform ?? process.platform,
    arch: probe.arch ?? process.arch,
    kernel,
    distribution: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text('etc/os-release') ?? '')?.[1],
    wsl: /microsoft/i.test(kernel ?? ''),
    container: readContainer(root),
    cpu: cpu.facts,
    virtual: cpu.hypervisor,
    hardware:
      [text('sys/class/dmi/id/sys_vendor'), text('sys/class/dmi/id/product_name')]
        .map((line) => line?.trim())
        .filter(Boolean)
        .join(' ') || undefined,
    memory: readMemory(text('proc/meminfo') ?? ''),
    module: readModules(root),
    device,
    user: {
      uid,
      name: userName,
      inDeviceGroup: device.gid !== undefined && groups.includes(device.gid),
      listedInDeviceGroup: userName !== undefined && deviceGroup?.members.includes(userName) === true,
      kvmGroup: groupTable.some(({ name }) => name === 'kvm'),
    },
  };
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

function parseGroups(table: string): Group[] {
  return table
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 4)
    .map(([name, , gid, members]) => ({ name: name!, gid: Number(gid), members: members!.split(',') }));
}

function readCpu(cpuinfo: string): { facts: HostFacts['cpu']; hypervisor: boolean } {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*:[ \\t]*(.*)$`, 'm').exec(cpuinfo)?.[1]?.trim();
  const flags = new Set((field('flags') ?? '').split(/\s+/));
  const vendor = field('vendor_id');
  const bits = /^(\d+) bits physical/.exec(field('address sizes') ?? '')?.[1];
  return {
    facts: {
      model: field('model name'),
      vendor:
        vendor === 'GenuineIntel'
          ? 'intel'
          : vendor === 'AuthenticAMD' || vendor === 'HygonGenuine'
            ? 'amd'
            : 'other',
      count: cpuinfo.match(/^processor\s*:/gm)?.length ?? 0,
      extension: flags.has('vmx') ? 'vmx' : flags.has('svm') ? 'svm' : undefined,
      physicalBits: bits === undefined ? undefined : Number(bits),
    },
    hypervisor: flags.has('hypervisor'),
  };
}

function readMemory(meminfo: string): HostFacts['memory'] {
  const bytes = (name: string): number | undefined => {
    const kib = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(meminfo)?.[1];
    return kib === undefined ? undefined : Number(kib) * 1024;
  };
  return { total: bytes('MemTotal'), available: bytes('MemAvailable') };
}

function readModules(root: string): HostFacts['module'] {
  const module = (name: string): string => join(root, 'sys/module', name);
  // A module that is built in is there whether it found its processor or not; kvm_pvm is loaded to be used.
  const vendor = (['pvm', 'intel', 'amd'] as const).find((name) => existsSync(module(`kvm_${name}`)));
  const nested = vendor && readText(join(module(`kvm_${vendor}`), 'parameters/nested'))?.trim();
  return {
    // Built into the kernel, KVM may have no directory of its own.
    core: vendor !== undefined || existsSync(module('kvm')),
    vendor,
    nested: nested === undefined ? undefined : /^[Y1]/i.test(nested),
  };
}

/** Which kind of container this is, by the marks that each leaves. */
function readContainer(root: string): string | undefined {
  const named = readText(join(root, 'run/systemd/container'))?.trim();
  if (named) return named;
  if (existsSync(join(root, '.dockerenv'))) return 'docker';
  if (existsSync(join(root, 'run/.containerenv'))) return 'podman';
  if (existsSync(join(root, 'var/run/secrets/kubernetes.io'))) return 'kubernetes';
  const cgroup = readText(join(root, 'proc/1/cgroup')) ?? '';
  return /docker|containerd|kubepods|lxc|libpod/.exec(cgroup)?.[0];
}

function openForBoth(path: string): void {
  closeSync(openSync(path, 'r+'));
}

function readDevice(probe: HostProbe, root: string, groups: readonly Group[]): DeviceFacts {
  const shown = probe.devicePath ?? '/dev/kvm';
  const path = join(root, shown);
  let access: DeviceAccess = 'ok';
  try {
    (probe.open ?? openForBoth)(path);
  } catch (error) {
    access = (error as NodeJS.ErrnoException).code ?? 'EIO';
  }
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { path: shown, access };
  if (access === 'ok' && probe.open === undefined && !stat.isCharacterDevice()) access = 'ENODEV';
  const group = groups.find(({ gid }) => gid === stat.gid)?.name;
  return {
    path: shown,
    access,
    mode: (stat.mode & 0o777).toString(8).padStart(4, '0'),
    uid: stat.uid,
    gid: stat.gid,
    ...(group === undefined ? {} : { group }),
  };
}
