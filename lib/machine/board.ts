/** One life of a machine, from power-on to its end: the virtual machine, its vCPUs and who answers its ports. */
import { Cap } from '../generated/capabilities.ts';
import { KvmError, makeNativeError } from '../internal/errors.ts';
import { nativeVm } from '../internal/native-vm.ts';
import type { NativeBootPlan, NativeBootResult, NativeEntry } from '../internal/native.ts';
import { EventFd } from '../kvm/event-fd.ts';
import type { Kvm } from '../kvm/kvm.ts';
import {
  AcpiPower,
  BootTimer,
  Cmos,
  DebugConsole,
  I8042,
  PvPanic,
  Serial,
  disconnect,
} from '../kvm/rust-devices.ts';
import type { RustDevice } from '../kvm/rust-devices.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { Vm } from '../kvm/vm.ts';
import type { DeviceState } from '../devices/device.ts';
import type { BootProtocol, MachinePlan } from './config.ts';
import { machineCpuid } from './cpuid.ts';
import { enterKernel, likeFirmware } from './cpu-state.ts';
import {
  BOOT_TIMER_ADDRESS,
  FIRMWARE_LIMIT,
  IDENTITY_MAP_ADDRESS,
  INTERRUPTS,
  PAGE,
  PORTS,
  RAM_ABOVE_HOLE,
  TSS_ADDRESS,
  ramRanges,
} from './layout.ts';
import { bootError, openImage, type CheckedSource, type Image } from './source.ts';

/** The devices that a machine has beside the caller's. They live as long as the machine. */
export class Chipset {
  readonly com1: Serial;
  readonly com2: Serial | undefined;
  readonly debugConsole: DebugConsole | undefined;
  readonly bootTimer = new BootTimer();
  readonly interrupts: { readonly line: number; readonly event: EventFd }[] = [];
  /** Devices with registers, and the state that they have after power-on. */
  readonly #initial = new Map<RustDevice, DeviceState>();
  readonly #others: { readonly base: number; readonly length: number; readonly device: RustDevice }[];

  constructor(plan: MachinePlan) {
    this.com1 = this.#serial(INTERRUPTS.com1);
    this.com2 = plan.console2 ? this.#serial(INTERRUPTS.com2) : undefined;
    this.debugConsole = plan.debugConsole === undefined ? undefined : new DebugConsole();
    this.#others = [
      { ...PORTS.i8042, device: new I8042() },
      { ...PORTS.cmos, device: new Cmos({ memorySize: plan.memory }) },
      { ...PORTS.bootTimer, device: this.bootTimer },
      { ...PORTS.pvpanic, device: new PvPanic() },
      { ...PORTS.acpiPower, device: new AcpiPower() },
    ];
    if (this.debugConsole !== undefined) {
      this.#others.push({ base: plan.debugConsole!, length: 1, device: this.debugConsole });
    }
    for (const device of [this.com1, this.com2, ...this.#others.map((other) => other.device)]) {
      if (device !== undefined) this.#initial.set(device, device.save());
    }
  }

  #serial(line: number): Serial {
    const event = new EventFd();
    this.interrupts.push({ line, event });
    return new Serial({ interrupt: event });
  }

  /** Puts all devices into the state after power-on. */
  reset(): void {
    for (const [device, state] of this.#initial) device.restore(state);
  }

  /** Attaches all devices. */
  attach(vm: Vm): void {
    for (const { line, event } of this.interrupts) vm.registerIrqfd(event, line);
    attachSerial(vm, PORTS.com1, this.com1);
    if (this.com2 !== undefined) attachSerial(vm, PORTS.com2, this.com2);
    for (const { base, length, device } of this.#others) vm.io.attach({ base, length }, device);
    vm.mmio.attach({ base: BOOT_TIMER_ADDRESS, length: 1 }, this.bootTimer);
  }

  /** Gives the descriptors back. */
  close(): void {
    for (const port of [this.com1, this.com2]) if (port !== undefined) disconnect(port);
    for (const { event } of this.interrupts) event.close();
  }
}

/** The transmit register is the first port. */
const TRANSMIT = { offset: 0, length: 1 } as const;

/**
 * Bytes that the guest sends are posted: KVM collects them without an exit each. A driver reads a status register after
 * at most a FIFO of them, which is an exit, and before it is handled the collected bytes are.
 */
function attachSerial(vm: Vm, range: { base: number; length: number }, serial: Serial): void {
  const posted = vm.checkExtension(Cap.CoalescedPio) ? TRANSMIT : false;
  vm.io.attach(range, serial, { posted });
}

/** What {@link makeBoard} makes. */
export interface Board {
  readonly vm: Vm;
  readonly vcpus: readonly Vcpu[];
  readonly protocol: BootProtocol;
  readonly placed: readonly Placed[];
}

/** A part of guest memory that was filled before the guest started. */
export interface Placed {
  /** What it is: `'kernel'`, `'initrd'`, `'zero page'`, … */
  readonly name: string;
  /** The guest-physical address of its first byte. */
  readonly address: number;
  /** Its length in bytes. */
  readonly length: number;
}

/**
 * Makes a machine that is ready for its first instruction.
 *
 * @throws What cannot be had from the host, or cannot be booted; nothing is left behind then.
 */
export async function makeBoard(kvm: Kvm, plan: MachinePlan, chipset: Chipset): Promise<Board> {
  const images = await openImages(plan);
  plan.signal?.throwIfAborted();
  const vm = kvm.createVm();
  try {
    if (kvm.checkExtension(Cap.SetIdentityMapAddr)) vm.setIdentityMapAddress(IDENTITY_MAP_ADDRESS);
    if (kvm.checkExtension(Cap.SetTssAddr)) vm.setTssAddress(TSS_ADDRESS);
    vm.createIrqChip();
    // Port 0x61, by which programs wait for the timer, is the timer's then.
    vm.createPit2({ speakerDummy: true });
    for (const range of ramRanges(plan.memory)) vm.memory.map({ ...range, hugePages: true });
    if (plan.protocol === 'firmware') mapFirmware(vm, images.kernel);
    attachDevices(vm, plan, chipset);
    const vcpus = makeVcpus(kvm, vm, plan.cpus);
    const { entry, protocol, placed } = await boot(vm, plan, images);
    enterKernel(vcpus[0]!, entry);
    return { vm, vcpus, protocol, placed };
  } catch (error) {
    vm.close();
    throw error;
  }
}

function attachDevices(vm: Vm, plan: MachinePlan, chipset: Chipset): void {
  chipset.attach(vm);
  for (const [index, { device, io, mmio }] of plan.devices.entries()) {
    const name = `config.devices[${index}]`;
    if (io !== undefined) claim(`${name}.io`, () => vm.io.attach(io, device));
    if (mmio !== undefined) claim(`${name}.mmio`, () => vm.mmio.attach(mmio, device));
  }
  vm.setEmptyBus(true);
}

/** Says whose range it is that another device has. */
function claim(name: string, attach: () => unknown): void {
  try {
    attach();
  } catch (error) {
    if (!(error instanceof KvmError) || error.code !== 'ERR_KVM_RANGE_CLAIMED') throw error;
    throw new KvmError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

function makeVcpus(kvm: Kvm, vm: Vm, cpus: number): Vcpu[] {
  const supported = kvm.getSupportedCpuid();
  const tscDeadline = kvm.checkExtension(Cap.TscDeadlineTimer);
  return Array.from({ length: cpus }, (_, cpu) => {
    const vcpu = vm.createVcpu(cpu);
    const clocks = { tscKhz: tscKhz(vcpu), tscDeadline };
    vcpu.setCpuid2(machineCpuid(supported, { cpu, cpus }, clocks));
    likeFirmware(vcpu);
    return vcpu;
  });
}

/** A host whose counter is not constant does not say. */
function tscKhz(vcpu: Vcpu): number {
  try {
    return vcpu.getTscKhz();
  } catch (error) {
    if (error instanceof KvmError && error.code === 'ERR_KVM_IOCTL') return 0;
    throw error;
  }
}

// ---- images

interface Images {
  readonly kernel: Image;
  readonly initrd: Image | undefined;
  readonly modules: readonly Image[];
}

async function openImages({ kernel, initrd, modules, memory, signal }: MachinePlan): Promise<Images> {
  const open = (field: string, source: CheckedSource): Promise<Image> =>
    openImage(field, source, { limit: memory, signal });
  return {
    kernel: await open('kernel', kernel),
    initrd: initrd && (await open('initrd', initrd)),
    modules: await Promise.all(modules.map(({ image }, index) => open(`modules[${index}]`, image))),
  };
}

function mapFirmware(vm: Vm, { length }: Image): void {
  const size = Math.ceil(length / PAGE) * PAGE;
  if (size === 0) throw bootError('kernel', 'the firmware image is empty');
  if (size > FIRMWARE_LIMIT) {
    throw bootError('kernel', `firmware of ${length} bytes: at most ${FIRMWARE_LIMIT} fit below 4 GiB`);
  }
  vm.memory.map({ guestAddress: RAM_ABOVE_HOLE - size, size, readOnly: true });
}

async function boot(
  vm: Vm,
  plan: MachinePlan,
  images: Images,
): Promise<{ entry: NativeEntry; protocol: BootProtocol; placed: readonly Placed[] }> {
  const result: NativeBootResult = await nativeVm(vm).boot(bootPlan(plan, images));
  const { code, message, entry, protocol, placed } = result;
  if (entry === undefined) throw makeNativeError(code as KvmError['code'], message ?? '');
  plan.signal?.throwIfAborted();
  return { entry, placed, protocol: protocol as BootProtocol };
}

function bootPlan(plan: MachinePlan, { kernel, initrd, modules }: Images): NativeBootPlan {
  return {
    kernel: nativeImage(kernel),
    protocol: plan.protocol,
    initrd: initrd && nativeImage(initrd),
    cmdline: plan.cmdline,
    modules: modules.map((image, index) => ({
      ...nativeImage(image),
      cmdline: plan.modules[index]!.cmdline,
    })),
    flatAddress: plan.flat.address,
    flatEntry: plan.flat.entry,
    flatMode: plan.flat.mode,
    cpus: plan.cpus,
    acpi: plan.acpi ? acpiDevices(plan) : undefined,
    powerPort: PORTS.acpiPower.base,
  };
}

function nativeImage({ path, bytes }: Image): { path?: string; bytes?: Uint8Array } {
  if (path !== undefined) return { path };
  // The native side takes no memory that another thread may be writing.
  return { bytes: bytes!.buffer instanceof SharedArrayBuffer ? Uint8Array.from(bytes!) : bytes! };
}

type AcpiDevices = NonNullable<NativeBootPlan['acpi']>;

function acpiDevices(plan: MachinePlan): AcpiDevices {
  const isa = (name: string, hid: string, uid: number, range: { base: number; length: number }) => ({
    name,
    hid,
    uid,
    mmio: [],
    io: [range.base, range.length],
  });
  const serial = 'PNP0501';
  const devices: AcpiDevices = [
    { ...isa('COM1', serial, 1, PORTS.com1), interrupt: INTERRUPTS.com1 },
    isa('PVPC', 'QEMU0001', 0, PORTS.pvpanic),
  ];
  if (plan.console2) devices.push({ ...isa('COM2', serial, 2, PORTS.com2), interrupt: INTERRUPTS.com2 });
  for (const { acpi, io, mmio, interrupt } of plan.devices) {
    if (acpi === undefined) continue;
    devices.push({
      name: acpi.name,
      hid: acpi.hid,
      uid: acpi.uid ?? 0,
      mmio: mmio === undefined ? [] : [mmio.base, mmio.length],
      io: io === undefined ? [] : [io.base, io.length],
      ...(interrupt === undefined ? {} : { interrupt }),
    });
  }
  return devices;
}
