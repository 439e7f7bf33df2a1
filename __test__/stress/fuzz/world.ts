/** One of everything, to throw arguments at: a small machine with a guest that makes every kind of access. */
import {
  AcpiPower,
  BootTimer,
  Cap,
  Cmos,
  DEVICE_TYPE,
  CpuidTable,
  DebugConsole,
  DebugExit,
  EventFd,
  I8042,
  InterruptLine,
  Kvm,
  KickHandle,
  KvmError,
  Pl031,
  PvPanic,
  Serial,
  type Attachment,
  type GuestMemfd,
  type KvmDevice,
  type MemoryRegion,
  type Vcpu,
  type VcpuToken,
  type Vm,
} from 'vmhatch';
import { END, ENTRY, OUTPUT, enter, load, onArm } from '../../helpers/common-guests.ts';
import { PAGE, wholePages } from '../../helpers/page.ts';

/** Where the guest's code is. */
export const CODE = ENTRY;
/** The mapped memory's length; the guest's accesses above it are exits. */
export const RAM = wholePages(0x8000);

/** The guest's accesses to addresses that are no memory. */
export const ACCESSES = onArm ? { base: OUTPUT, length: 8 } : { base: 0x9000, length: 1 };

/** On x86_64: loops over a port write, a port read, a memory write, a memory read, and a halt. */
const GUEST = [
  [0xba, 0x00, 0x05], // mov dx, 0x500
  [0xee], // out dx, al
  [0xec], // in al, dx
  [0xa2, 0x00, 0x90], // mov [0x9000], al
  [0xa0, 0x00, 0x90], // mov al, [0x9000]
  [0xf4], // hlt
  [0xeb, 0xf2], // jmp to the start
];

function loadGuest(vm: Vm): void {
  if (onArm) load(vm, 'mmio-echo');
  else vm.memory.write(CODE, Uint8Array.from(GUEST.flat()));
}

/** Puts a vCPU at the guest's start, in real mode or as a processor of aarch64 is after a reset. */
export function enterGuest(vcpu: Vcpu): void {
  enter(vcpu, 'spin', { value: 2 });
  if (!onArm) vcpu.setRegs({ rbx: 2, rsp: 0x7000 });
}

function makeInterruptControllers(vm: Vm, timer: boolean): void {
  try {
    vm.createIrqChip();
    if (timer) vm.createPit2();
  } catch (error) {
    // Not every host has them.
    if ((error as { code?: unknown }).code !== 'ERR_KVM_IOCTL') throw error;
  }
}

/** What is closed is the same for all worlds. */
const closed = (() => {
  const kvm = new Kvm();
  const closedKvm = new Kvm();
  const vm = closedKvm.createVm();
  const region = vm.memory.map({ guestAddress: 0, size: PAGE });
  const vcpu = vm.createVcpu();
  const eventFd = new EventFd();
  for (const one of [vm, closedKvm, eventFd]) one.close();
  return { kvm, kvmVm: kvm.createVm(), closedKvm, vm, region, vcpu, eventFd };
})();

/** Dirty rings, where the host has them. */
function enableRings(vm: Vm): void {
  if (vm.checkExtension(Cap.DirtyLogRingAcqRel)) vm.enableDirtyRing({ entries: Math.max(1024, PAGE / 16) });
}

/** Live objects by class. */
export class World {
  readonly kvm = new Kvm();
  readonly vm: Vm = this.kvm.createVm();
  readonly #irqChip: boolean;
  #emptyVm: Vm | undefined;
  #transferred: VcpuToken | undefined;
  #kvmDevice: KvmDevice | undefined;
  #guestMemfd: GuestMemfd | undefined;
  readonly region: MemoryRegion;
  readonly spareRegion: MemoryRegion;
  readonly vcpu: Vcpu;
  readonly spareVcpu: Vcpu;
  readonly attachment: Attachment;
  readonly eventFd = new EventFd();
  readonly serial = new Serial();
  readonly debugConsole = new DebugConsole();
  readonly debugExit = new DebugExit();
  readonly i8042 = new I8042();
  readonly acpiPower = new AcpiPower();
  readonly pvpanic = new PvPanic();
  readonly bootTimer = new BootTimer();
  readonly cmos = new Cmos({ time: new Date(0) });
  readonly pl031 = new Pl031({ time: new Date(0) });
  readonly line = InterruptLine.make(onArm ? 40 : 5, () => this.vm);
  readonly cpuid = new CpuidTable([{ function: 0, index: 0, flags: 0, eax: 7, ebx: 0, ecx: 0, edx: 0 }]);
  /** What calls gave and has to be closed. */
  readonly #made = new Set<{ close(): void }>();

  /** @param irqChip - whether the machine has interrupt controllers, where the host can */
  constructor(irqChip = false) {
    this.#irqChip = irqChip;
    if (irqChip) makeInterruptControllers(this.vm, true);
    this.region = this.vm.memory.map({ guestAddress: 0, size: RAM, logDirtyPages: true });
    this.spareRegion = this.vm.memory.map({
      guestAddress: 0x10_0000,
      size: wholePages(0x2000),
      backing: 'memfd',
    });
    loadGuest(this.vm);
    this.vcpu = this.vm.createVcpu();
    enterGuest(this.vcpu);
    this.spareVcpu = this.vm.createVcpu();
    this.attachment = this.vm.io.attach({ base: 0x600, length: 8 }, { read: () => 0 });
    this.vm.io.attach({ base: 0x3f8, length: 8 }, this.serial);
  }

  /** A machine that has no vCPU yet: some calls come before the first one. Made when wanted, since it costs. */
  get emptyVm(): Vm {
    if (this.#emptyVm === undefined) {
      this.#emptyVm = closed.kvm.createVm();
      if (this.#irqChip) {
        makeInterruptControllers(this.#emptyVm, false);
        enableRings(this.#emptyVm);
      } else if (!this.eventFd.closed) this.#emptyVm.registerIoevent(this.eventFd, { port: 0x700 });
    }
    return this.#emptyVm;
  }

  /** The right to adopt the spare vCPU: it is transferred when this is first asked for, if it can be. */
  get transferred(): VcpuToken {
    if (this.#transferred === undefined) {
      const { token } = this.spareVcpu.kickHandle;
      try {
        this.#transferred = this.spareVcpu.transfer();
      } catch {
        // It was closed or given away by a call: then nobody can adopt it with this.
        this.#transferred = { ...token, offer: 0xffff_ffff };
      }
    }
    return this.#transferred;
  }

  /** The number of an object's descriptor; of one that is closed, a number that is nobody's. */
  descriptor(of: 'kvm' | 'vm' | 'vcpu'): number {
    try {
      return this[of].fd;
    } catch {
      return 999_999;
    }
  }

  /** A device that KVM makes, where the host has one. */
  get kvmDevice(): KvmDevice | undefined {
    if (this.#kvmDevice === undefined && closed.kvmVm.hasDeviceType(DEVICE_TYPE.VFIO)) {
      // A machine has one of them only.
      const vm = closed.kvm.createVm();
      this.#made.add(vm);
      this.#kvmDevice = vm.createDevice(DEVICE_TYPE.VFIO);
    }
    return this.#kvmDevice;
  }

  /** Private memory, where the host has it. */
  get guestMemfd(): GuestMemfd | undefined {
    try {
      this.#guestMemfd ??= this.vm.createGuestMemfd({ size: 0x8000 });
    } catch {
      // The host has none, or the machine is closed.
    }
    return this.#guestMemfd;
  }

  /** Statistics of what is open, where the host has them. */
  #binaryStats(): object[] {
    try {
      return [this.vm.binaryStats(), this.vcpu.binaryStats()];
    } catch {
      return [];
    }
  }

  /** An EventFd that is closed. */
  get closedEventFd(): EventFd {
    return closed.eventFd;
  }

  /** The instances of a class: first those that work, then those that are closed. */
  instances(owner: string): readonly object[] {
    switch (owner) {
      case 'Kvm':
        return [this.kvm, this.kvm, closed.closedKvm];
      case 'Vm':
        return [this.vm, this.vm, this.emptyVm, closed.vm];
      case 'Vcpu':
        return [this.vcpu, this.vcpu, this.spareVcpu, closed.vcpu];
      case 'GuestMemory':
        return [this.vm.memory, this.vm.memory, closed.vm.memory];
      case 'MemoryRegion':
        return [this.region, this.spareRegion, closed.region];
      case 'Bus':
        return [this.vm.io, this.vm.mmio, closed.vm.io];
      case 'Attachment':
        return [this.attachment];
      case 'EventFd':
        return [this.eventFd, this.eventFd, closed.eventFd];
      case 'BinaryStats':
        return this.#binaryStats();
      case 'KvmDevice':
        return [this.kvmDevice].filter((one) => one !== undefined);
      case 'GuestMemfd':
        return [this.guestMemfd].filter((one) => one !== undefined);
      case 'KickHandle':
        return [this.vcpu.kickHandle, KickHandle.from(closed.vcpu.kickHandle.token)];
      case 'RustDevice':
        return [this.serial, this.debugConsole, this.debugExit, this.i8042, this.cmos];
      case 'Serial':
        return [this.serial];
      case 'DebugConsole':
        return [this.debugConsole];
      case 'DebugExit':
        return [this.debugExit];
      case 'I8042':
        return [this.i8042];
      case 'AcpiPower':
        return [this.acpiPower];
      case 'PvPanic':
        return [this.pvpanic];
      case 'BootTimer':
        return [this.bootTimer];
      case 'InterruptLine':
        return [this.line];
      case 'Cmos':
        return [this.cmos];
      case 'Pl031':
        return [this.pl031];
      case 'CpuidTable':
        return [this.cpuid];
      case 'KvmError':
        return [new KvmError('ERR_KVM_CLOSED', 'made here')];
      default:
        throw new Error(`no instance of ${owner} here: add one to __test__/stress/fuzz/world.ts`);
    }
  }

  /** Remembers what a call gave. */
  keep(value: unknown): void {
    if (
      typeof value === 'object' &&
      value !== null &&
      'close' in value &&
      typeof value.close === 'function'
    ) {
      this.#made.add(value as { close(): void });
    }
  }

  /** What still has to work after anything that was thrown, unless it was closed. */
  check(): void {
    const { vm, eventFd, spareRegion } = this;
    if (!vm.closed && !spareRegion.closed) {
      vm.memory.writeUint32(0x10_1000, 0xcafe_f00d);
      if (vm.memory.readUint32(0x10_1000) !== 0xcafe_f00d)
        throw new Error('guest memory lost what was written');
    }
    if (!eventFd.closed) {
      // What it holds is also the kernel's to change: an irqfd takes it.
      eventFd.read();
      eventFd.write(3);
      eventFd.read();
    }
    this.cmos.restore(this.cmos.save());
  }

  close(): void {
    for (const made of [...this.#made, this.serial, this.debugConsole]) made.close();
    for (const vcpu of this.vm.vcpus) vcpu.close();
    this.vm.close();
    this.#emptyVm?.close();
    this.kvm.close();
    this.eventFd.close();
  }
}

/** A fresh machine says four: whatever was thrown at others, the process still runs guests. */
export function canary(): void {
  const kvm = new Kvm();
  try {
    const vm = kvm.createVm();
    vm.memory.map({ guestAddress: 0, size: wholePages(2 * CODE) });
    load(vm, 'mmio-burst');
    const vcpu = vm.createVcpu();
    enter(vcpu, 'mmio-burst', { value: 4, step: 1 });
    const said: number[] = [];
    const end = vcpu.run({ mmioWrite: (exit) => void said.push(exit.value) }, { timeoutMs: 10_000 });
    if (String(said) !== '4,5' || end.reason !== 'exit' || end.exit.kind !== END) {
      throw new Error(`the canary guest said ${said.join(' ')} and ended with ${end.reason}`);
    }
    vm.close();
  } finally {
    kvm.close();
  }
}
