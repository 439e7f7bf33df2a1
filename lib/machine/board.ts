/** One life of a machine, from power-on to its end: the virtual machine, its vCPUs and who answers its accesses. */
import { KvmError, makeNativeError } from '../internal/errors.ts';
import { nativeVm } from '../internal/native-vm.ts';
import type { NativeBootPlan, NativeBootResult, NativeEntry } from '../internal/native.ts';
import type { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { Vm } from '../kvm/vm.ts';
import type { Chipset } from './chipset.ts';
import type { BootProtocol, MachinePlan } from './config.ts';
import { platform } from './platform.ts';
import { openImage, type CheckedSource, type Image } from './source.ts';

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
    for (const range of platform.ramRanges(plan.memory)) vm.memory.map({ ...range, hugePages: true });
    const vcpus = platform.makeProcessors(kvm, vm, plan, images.kernel);
    attachDevices(vm, plan, chipset);
    const { entry, protocol, placed } = await boot(vm, plan, images);
    platform.enter(vcpus[0]!, entry);
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

async function boot(
  vm: Vm,
  plan: MachinePlan,
  images: Images,
): Promise<{ entry: NativeEntry; protocol: BootProtocol; placed: readonly Placed[] }> {
  const result: NativeBootResult = await nativeVm(vm).boot(bootPlan(vm, plan, images));
  const { code, message, entry, protocol, placed } = result;
  if (entry === undefined) throw makeNativeError(code as KvmError['code'], message ?? '');
  plan.signal?.throwIfAborted();
  return { entry, placed, protocol: protocol as BootProtocol };
}

function bootPlan(vm: Vm, plan: MachinePlan, { kernel, initrd, modules }: Images): NativeBootPlan {
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
    ...platform.bootPlan(plan, vm),
  };
}

function nativeImage({ path, bytes }: Image): { path?: string; bytes?: Uint8Array } {
  if (path !== undefined) return { path };
  // The native side takes no memory that another thread may be writing.
  return { bytes: bytes!.buffer instanceof SharedArrayBuffer ? Uint8Array.from(bytes!) : bytes! };
}
