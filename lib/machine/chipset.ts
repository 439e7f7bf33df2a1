import type { DeviceState } from '../devices/device.ts';
import type { Bus } from '../kvm/bus.ts';
import { EventFd } from '../kvm/event-fd.ts';
import { BootTimer, DebugConsole, Serial, disconnect } from '../kvm/rust-devices.ts';
import type { RustDevice } from '../kvm/rust-devices.ts';
import type { Vm } from '../kvm/vm.ts';
import type { MachinePlan } from './config.ts';

/**
 * The transmit register is the first one. Bytes that the guest sends are posted: KVM collects them without an exit each. A
 * driver reads a status register after at most a FIFO of them, which is an exit, and before it is handled the collected
 * bytes are.
 */
const TRANSMIT = { offset: 0, length: 1 } as const;

/** Where the interrupts of the serial ports arrive. */
export interface SerialInterrupts {
  readonly com1: number;
  readonly com2: number;
}

/** The devices that a machine has beside the caller's. They live as long as the machine. */
export abstract class Chipset {
  readonly com1: Serial;
  readonly com2: Serial | undefined;
  readonly debugConsole: DebugConsole | undefined;
  readonly bootTimer: BootTimer = new BootTimer();
  readonly #interrupts: { readonly line: number; readonly event: EventFd }[] = [];
  /** Devices with registers, and the state that they have after power-on. */
  readonly #initial = new Map<RustDevice, DeviceState>();

  constructor(plan: MachinePlan, lines: SerialInterrupts) {
    this.com1 = this.#serial(lines.com1);
    this.com2 = plan.console2 ? this.#serial(lines.com2) : undefined;
    this.debugConsole = plan.debugConsole === undefined ? undefined : new DebugConsole();
    this.remember([this.com1, this.com2, this.debugConsole, this.bootTimer]);
  }

  #serial(line: number): Serial {
    return new Serial({ interrupt: this.line(line) });
  }

  /** An interrupt line for a device: what it signals arrives there. */
  protected line(line: number): EventFd {
    const event = new EventFd();
    this.#interrupts.push({ line, event });
    return event;
  }

  /** Notes the state of new devices as that after power-on. */
  protected remember(devices: readonly (RustDevice | undefined)[]): void {
    for (const device of devices) if (device !== undefined) this.#initial.set(device, device.save());
  }

  /** Puts all devices into the state after power-on. */
  reset(): void {
    for (const [device, state] of this.#initial) device.restore(state);
  }

  /** Attaches all devices. The interrupt controllers are there. */
  attach(vm: Vm): void {
    for (const { line, event } of this.#interrupts) vm.registerIrqfd(event, line);
    this.attachDevices(vm);
  }

  protected abstract attachDevices(vm: Vm): void;

  /** Attaches the serial ports that there are to a bus, which KVM posts writes to or does not. */
  protected attachSerial(bus: Bus, posts: boolean, bases: readonly [com1: number, com2: number]): void {
    const posted = posts ? TRANSMIT : false;
    for (const [index, port] of [this.com1, this.com2].entries()) {
      if (port !== undefined) bus.attach({ base: bases[index]!, length: 8 }, port, { posted });
    }
  }

  /** Gives the descriptors back. */
  close(): void {
    for (const port of [this.com1, this.com2]) if (port !== undefined) disconnect(port);
    for (const { event } of this.#interrupts) event.close();
  }
}
