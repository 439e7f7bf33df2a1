/** The configuration of a machine as a caller writes it, and as the rest of this folder uses it. */
import { freemem, totalmem } from 'node:os';
import type { Device } from '../devices/device.ts';
import {
  address,
  boolean,
  elements,
  integer,
  object,
  oneOf,
  options as checkOptions,
  port,
  signal as checkSignal,
  string,
} from '../internal/check.ts';
import { invalidArgValue, outOfRange } from '../internal/errors.ts';
import { pageSize } from '../internal/page.ts';
import type { Range } from '../kvm/bus.ts';
import type { RustDevice } from '../kvm/rust-devices.ts';
import { defaultKernel } from './default-kernel.ts';
import { checkDevices } from './device-config.ts';
import { platform } from './platform.ts';
import { byteSize, readableSize, type ByteSize } from './size.ts';
import { imageSource, type CheckedSource, type ImageSource } from './source.ts';

/**
 * How a kernel is entered. By default the image decides: a bzImage by `'linux64'`, an ELF with the PVH note by `'pvh'`,
 * one with a Multiboot header by `'multiboot'`, another 64-bit ELF by `'elf64'`.
 *
 * - `'linux64'`: a bzImage by the 64-bit entry of the Linux boot protocol.
 * - `'pvh'`: an ELF vmlinux by its PVH entry, or the one inside a bzImage, which is unpacked first.
 * - `'elf64'`: an ELF vmlinux by the 64-bit entry, with a zero page.
 * - `'multiboot'`: Multiboot 1.
 * - `'flat'`: bytes at an address: see {@link FlatImage}.
 * - `'firmware'`: an image that ends at 4 GiB; the CPU starts at its reset vector.
 *
 * On aarch64 there are two:
 *
 * - `'image'`: a Linux `Image`, plain or packed (gzip, xz, lz4, zstd, or inside of an EFI stub); with a device tree.
 * - `'flat'`: as above, entered at EL1 with the MMU off and the device tree's address in x0.
 */
export type BootProtocol = 'linux64' | 'pvh' | 'elf64' | 'multiboot' | 'flat' | 'firmware' | 'image';

/**
 * Where a flat image goes and how it begins.
 *
 * @example
 * ```ts
 * const halt = Uint8Array.of(0xf4);
 * const flat = { address: 0x10_0000, mode: 'long' } as const;
 * await using machine = await Machine.create({ memory: '2MiB', kernel: halt, protocol: 'flat', flat });
 * ```
 */
export interface FlatImage {
  /** The guest address of its first byte: anywhere in RAM. Default 0x7c00, that of a boot sector; on aarch64 0x40000000. */
  address?: number;
  /** The guest address of its first instruction: in the image, and in real mode below 1 MiB. Default: its first byte. */
  entry?: number;
  /**
   * The mode of the CPU: 16, 32 or 64 bits, all segments flat, the first 4 GiB mapped one to one. Default `'real'`. Not for
   * aarch64, which has one.
   */
  mode?: 'real' | 'protected' | 'long';
}

/** A module: a file that a Multiboot or PVH kernel finds in memory. */
export interface BootModule {
  /** The module's bytes. */
  image: ImageSource;
  /** What the kernel is told about it, without NUL. Default: nothing. */
  cmdline?: string;
}

/** How a device is told to a guest that reads ACPI tables. */
export interface AcpiDescription {
  /** Its name in the namespace: a letter, then up to three letters or digits, in capitals. */
  name: string;
  /** What drivers look for: `'PNP0501'`, `'LNRO0005'`; three or four capitals, then four hexadecimal digits. */
  hid: string;
  /** Tells devices with the same hid apart: 0 to 2^32 - 1. Default 0. */
  uid?: number;
}

/** How a device is told to a guest that reads a device tree, on aarch64. */
export interface DeviceTreeDescription {
  /** The name of its node, without an address: a letter, then up to 30 letters, digits or `,._+-`. */
  name: string;
  /** What drivers look for, the most exact first: `'virtio,mmio'`. */
  compatible: string | readonly string[];
}

/**
 * A device of the caller's in a machine: with ports, or addresses, or both.
 *
 * @example
 * ```ts
 * const thermometer: MachineDevice = {
 *   device: { read: () => 21 },
 *   mmio: { base: 0xd000_2000, length: 0x1000 },
 *   interrupt: 5,
 *   acpi: { name: 'THRM', hid: 'VMHT0001' },
 * };
 * await using machine = await Machine.create({ kernel: 'bzImage', devices: [thermometer] });
 * machine.interrupt(5).raise();
 * ```
 */
export interface MachineDevice {
  /** The device. One in JavaScript is called on the event loop; the vCPU that uses it waits. */
  device: Device | RustDevice;
  /** Its ports: those that no device of the machine has. x86_64 only. */
  io?: Range;
  /** Its addresses: from 0xd0001000 on and below 0xfec00000; on aarch64 from 0x0a000000 on and below 0x38000000. */
  mmio?: Range;
  /**
   * Its interrupt line, 5 to 23 and its own, for `machine.interrupt()` and the tables; on aarch64 16 to 255, an SPI.
   * Edge-triggered, active high.
   */
  interrupt?: number;
  /** How ACPI tells the guest about it, on x86_64. Default: not at all. */
  acpi?: AcpiDescription;
  /** How the device tree tells the guest about it, on aarch64; it has `mmio` then. Default: not at all. */
  deviceTree?: DeviceTreeDescription;
}

/**
 * What a {@link Machine} is made of. Unknown keys are refused.
 *
 * @example
 * ```ts
 * const config: MachineConfig = {
 *   cpus: 4,
 *   memory: '1GiB',
 *   kernel: new URL('file:///boot/vmlinuz'),
 *   initrd: 'initrd',
 *   cmdline: `${Machine.defaultCmdline} quiet`,
 * };
 * await using machine = await Machine.create(config);
 * ```
 */
export interface MachineConfig {
  /** vCPUs, 1 to 32. Default 1. */
  cpus?: number;
  /**
   * RAM: bytes, a multiple of the host's pages (`vm.memory.pageSize`), or a string such as `'512MiB'`; at most what the host
   * has. Default `'256MiB'`.
   */
  memory?: ByteSize;
  /** The kernel. Default: that of the package `vmhatch-kernel-x64`, if it is installed; on aarch64 there is none. */
  kernel?: ImageSource;
  /** How the kernel is entered. Default: as its image says. */
  protocol?: BootProtocol;
  /** The initial RAM disk. Default: none. */
  initrd?: ImageSource;
  /**
   * The kernel's command line. Default: `Machine.defaultCmdline`, which has the console on the serial port and lets a
   * panic end the machine. A flat image or firmware takes none.
   */
  cmdline?: string;
  /** Modules, for Multiboot and PVH, at most 64. Default: none. */
  modules?: readonly BootModule[];
  /** Where a flat image goes, for the protocol `'flat'`. */
  flat?: FlatImage;
  /** Whether the guest finds ACPI tables, or only an MP table. Default true. x86_64 only: aarch64 has a device tree. */
  acpi?: boolean;
  /** A second serial port, `machine.console2`: COM2, ttyS1. Default false. */
  console2?: boolean;
  /** A debug console, `machine.debugConsole`, and its port: `true` is 0xe9. Default false. x86_64 only. */
  debugConsole?: boolean | number;
  /** Devices of the caller's, at most 256. Default: none. */
  devices?: readonly MachineDevice[];
  /** What happens when the guest resets: the machine ends (`'exit'`, the default) or starts again (`'restart'`). */
  onReset?: 'exit' | 'restart';
  /** Ends the creation, and later the machine. */
  signal?: AbortSignal;
}

/** A configuration, checked. */
export interface MachinePlan {
  readonly cpus: number;
  readonly memory: number;
  readonly kernel: CheckedSource;
  readonly protocol: BootProtocol | undefined;
  readonly initrd: CheckedSource | undefined;
  readonly cmdline: string;
  readonly modules: readonly { readonly image: CheckedSource; readonly cmdline: string }[];
  readonly flat: Required<FlatImage>;
  readonly acpi: boolean;
  readonly console2: boolean;
  readonly debugConsole: number | undefined;
  readonly devices: readonly MachineDevice[];
  readonly onReset: 'exit' | 'restart';
  readonly signal: AbortSignal | undefined;
}

const KEYS = [
  'cpus',
  'memory',
  'kernel',
  'protocol',
  'initrd',
  'cmdline',
  'modules',
  'flat',
  'acpi',
  'console2',
  'debugConsole',
  'devices',
  'onReset',
  'signal',
] as const;

/** What a kernel is told unless the caller says otherwise: the console, and that a panic ends the machine, by a reboot. */
export const DEFAULT_CMDLINE = 'console=ttyS0 panic=-1';

/** Multiboot modules that a kernel can be given. */
const MODULES = 64;

/** Checks a configuration; no file is read, KVM is not asked. */
export function machinePlan(config: MachineConfig): MachinePlan {
  const {
    cpus = 1,
    memory = '256MiB',
    modules = [],
    acpi = platform.hasPorts,
    console2 = false,
    debugConsole = false,
    devices = [],
    onReset = 'exit',
    ...given
  } = checkOptions('config', config, KEYS);
  const protocol =
    given.protocol === undefined ? undefined : oneOf('config.protocol', given.protocol, platform.protocols);
  const isProgram = protocol === 'flat' || protocol === 'firmware';
  const { kernel, initrd, cmdline = isProgram ? '' : DEFAULT_CMDLINE, flat, signal } = given;
  return {
    cpus: integer('config.cpus', cpus, 1, platform.maxCpus),
    memory: checkMemory(memory),
    kernel: kernel === undefined ? defaultKernel() : imageSource('config.kernel', kernel),
    protocol,
    initrd: initrd === undefined ? undefined : imageSource('config.initrd', initrd),
    cmdline: checkCmdline('config.cmdline', cmdline),
    modules: elements('config.modules', modules, MODULES).map(checkModule),
    flat: checkFlat('config.flat', flat, protocol),
    acpi: ofPc('config.acpi', boolean('config.acpi', acpi)),
    console2: boolean('config.console2', console2),
    debugConsole: ofPc('config.debugConsole', checkDebugConsole(debugConsole)),
    devices: checkDevices('config.devices', devices),
    onReset: oneOf('config.onReset', onReset, ['exit', 'restart']),
    signal: checkSignal('config.signal', signal),
  };
}

/** Refuses what the machines of this host do not have. */
function ofPc<T>(name: string, value: T): T {
  if (platform.hasPorts || value === false || value === undefined) return value;
  throw invalidArgValue(name, value, 'is for machines of x86_64, which this host does not run');
}

function checkMemory(value: unknown): number {
  const name = 'config.memory';
  const memory = byteSize(name, value);
  const page = pageSize();
  if (memory < page) throw outOfRange(name, `>= ${page} bytes`, value);
  if (memory % page !== 0) throw outOfRange(name, `a multiple of ${page} bytes`, value);
  const host = totalmem();
  if (memory > host) {
    const range = `at most what this host has: ${readableSize(host)} (${readableSize(freemem())} of it free)`;
    throw outOfRange(name, range, value);
  }
  return memory;
}

function checkCmdline(name: string, value: unknown): string {
  const cmdline = string(name, value);
  if (cmdline.includes('\0')) throw invalidArgValue(name, cmdline, 'must not contain NUL');
  return cmdline;
}

function checkModule(value: unknown, index: number): { image: CheckedSource; cmdline: string } {
  const name = `config.modules[${index}]`;
  const { image, cmdline = '' } = checkOptions(name, object(name, value) as BootModule, ['image', 'cmdline']);
  return { image: imageSource(`${name}.image`, image), cmdline: checkCmdline(`${name}.cmdline`, cmdline) };
}

function checkFlat(
  name: string,
  value: FlatImage | undefined,
  protocol: BootProtocol | undefined,
): Required<FlatImage> {
  if (value !== undefined && protocol !== 'flat') {
    throw invalidArgValue(name, value, "is for the protocol 'flat'");
  }
  const given = checkOptions(name, value, ['address', 'entry', 'mode']);
  const { address: start = platform.flatAddress, entry = start, mode = 'real' } = given;
  ofPc(`${name}.mode`, given.mode);
  return {
    address: address(`${name}.address`, start),
    entry: address(`${name}.entry`, entry),
    mode: oneOf(`${name}.mode`, mode, ['real', 'protected', 'long']),
  };
}

/** The port that Bochs has its debug console at. */
const DEBUG_CONSOLE_PORT = 0xe9;

function checkDebugConsole(value: unknown): number | undefined {
  if (typeof value === 'number') return port('config.debugConsole', value);
  return boolean('config.debugConsole', value) ? DEBUG_CONSOLE_PORT : undefined;
}
