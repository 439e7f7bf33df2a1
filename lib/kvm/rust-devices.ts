/** The devices that are served in Rust, without JavaScript: declared here, modelled in crates/devices. */
import { types } from 'node:util';
import type { DeviceState } from '../devices/device.ts';
import {
  ADDRESS_LIMIT,
  bytes,
  bytesOrString,
  func,
  integer,
  object,
  options as checkOptions,
  property,
  string,
} from '../internal/check.ts';
import { invalidArgType, outOfRange } from '../internal/errors.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import { addListener, removeListener, type Listener } from '../internal/isolate.ts';
import { native, type NativeDeviceModel } from '../internal/native.ts';
import { STOP_DEVICES } from '../internal/stop-devices.ts';
import { nativeEventFd, type EventFd } from './event-fd.ts';

const models = new WeakMap<object, NativeDeviceModel>();

/** @internal The Rust model of a device, or undefined for one written in JavaScript. */
export function nativeModel(device: object): NativeDeviceModel | undefined {
  return models.get(device);
}

/** @internal Lets go of a device's interrupt and its descriptor, which otherwise lives as long as the device. */
export function disconnect(device: Serial | Pl031): void {
  modelOf(device).disconnect();
}

/**
 * Takes bytes that a guest printed. When it returns `false`, no more come until the device's `resume()` is called: the
 * device holds 64 KiB, and a guest on the background lane that prints more waits. On the other lanes, whose thread cannot
 * wait, the device holds the last 256 KiB.
 */
export type OutputListener = (bytes: Uint8Array) => unknown;

/** The Rust model behind `this` of a method. */
function modelOf(device: RustDevice): NativeDeviceModel {
  // The receiver may be anything that the method was called on, and a WeakMap knows nothing that is no object.
  const model = models.get(device);
  if (model === undefined) throw invalidArgType('this', 'an instance of RustDevice', device);
  return model;
}

/** Offsets are checked as those of a range: nothing lies beyond 2^52. */
function offsetOf(value: unknown): number {
  return integer('offset', value, 0, ADDRESS_LIMIT - 1);
}

function sizeOf(value: unknown): number {
  return integer('size', value, 1, 4);
}

/** Gives a device a write of JavaScript's; whether it has output that should be taken at once. */
function writeModel(device: RustDevice, offset: number, value: number, size: number): boolean {
  const model = modelOf(device);
  const at = offsetOf(offset);
  const many = sizeOf(size);
  return model.write(at, integer('value', value, 0, 2 ** (8 * many) - 1), many);
}

/**
 * What all Rust devices have.
 *
 * Attached to a bus, a Rust device is served without JavaScript. It can be driven from JavaScript as well, by `read`
 * and `write`, which makes it a `Device` like one written in JavaScript: wrap it to watch it, or to make it fail.
 *
 * @example A serial port, each access of which is printed:
 * ```ts
 * const serial = new Serial({ onOutput: (bytes) => process.stdout.write(bytes) });
 * vm.io.attach(
 *   { base: 0x3f8, length: 8 },
 *   {
 *     read: (offset, size) => {
 *       const value = serial.read(offset, size);
 *       console.error(`register ${offset} reads as ${value}`);
 *       return value;
 *     },
 *     write: (offset, value, size) => {
 *       console.error(`${value} to register ${offset}`);
 *       serial.write(offset, value, size);
 *     },
 *   },
 * );
 * ```
 */
export abstract class RustDevice {
  /** @internal */
  constructor(key: symbol, model: NativeDeviceModel) {
    checkKey(key);
    models.set(this, model);
  }

  /**
   * Makes the device answer a read, as if the guest had made it: the guest then no longer finds what was read.
   *
   * @param offset - The register: 0 is the first port or address of the device.
   * @param size - 1 to 4 bytes. What the device does not know reads as all ones.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  read(offset: number, size: number): number {
    return modelOf(this).read(offsetOf(offset), sizeOf(size));
  }

  /**
   * Makes the device take a write, as if the guest had made it. What the device does not know is dropped.
   *
   * @param offset - The register: 0 is the first port or address of the device.
   * @param value - An unsigned number of `size` bytes.
   * @param size - 1 to 4 bytes.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  write(offset: number, value: number, size: number): void {
    writeModel(this, offset, value, size);
  }

  /** The device's state, for snapshots. */
  save(): DeviceState {
    return modelOf(this).save();
  }

  /**
   * Takes over a state that a device of the same kind saved.
   *
   * @throws `ERR_KVM_STATE` for a state of another kind or version, or one that no device can have saved.
   */
  restore(state: DeviceState): void {
    const given = object('state', state);
    modelOf(this).restore({
      kind: string('state.kind', property('state', given, 'kind')),
      version: integer('state.version', property('state', given, 'version'), 0, 0xffff_ffff),
      data: bytes('state.data', property('state', given, 'data')),
    });
  }
}

/** A Rust device with output. */
abstract class OutputDevice extends RustDevice {
  #listener: Listener | undefined;
  #paused = false;
  #drainSoon: NodeJS.Immediate | undefined;

  /** @internal */
  constructor(key: symbol, model: NativeDeviceModel, onOutput: OutputListener | undefined) {
    super(key, model);
    if (onOutput !== undefined) this.#listen(onOutput);
  }

  #listen(onOutput: OutputListener): void {
    const model = modelOf(this);
    this.#listener = {
      drain: () => {
        if (this.#paused) return;
        const output = model.takeOutput();
        if (output !== null && onOutput(output) === false) this.#paused = true;
      },
    };
    addListener(this.#listener);
  }

  /**
   * Lets a listener take the output from now on; it replaces the one before. What waits comes before this method returns.
   *
   * @throws `ERR_INVALID_ARG_TYPE`
   */
  listen(onOutput: OutputListener): void {
    func('onOutput', onOutput);
    if (this.#listener !== undefined) removeListener(this.#listener);
    this.#paused = false;
    this.#listen(onOutput);
    modelOf(this).startListening();
    // A guest that printed before has told nobody, and may not print again.
    this.resume();
  }

  /** Goes on giving output to a listener that returned `false`. What waits comes before this method returns. */
  resume(): void {
    this.#paused = false;
    this.#listener?.drain();
  }

  /**
   * Makes the device take a write, as if the guest had made it. What it prints reaches `onOutput` as the guest's
   * output does: a complete line before this method returns, the rest when the event loop gets its turn.
   */
  override write(offset: number, value: number, size: number): void {
    const urgent = writeModel(this, offset, value, size);
    if (this.#listener === undefined) return;
    if (urgent) {
      this.#listener.drain();
    } else if (this.#drainSoon === undefined) {
      this.#drainSoon = setImmediate(() => {
        this.#drainSoon = undefined;
        this.#listener?.drain();
      });
    }
  }

  /**
   * Takes the output that waits. With an `onOutput` listener there is none; without one the last 64 KiB are kept.
   */
  takeOutput(): Uint8Array {
    return modelOf(this).takeOutput() ?? new Uint8Array(0);
  }

  /** Stops listening: what comes from now on waits for {@link takeOutput}, the last 64 KiB of it. */
  close(): void {
    const listening = this.#listener;
    if (listening === undefined) return;
    this.#listener = undefined;
    removeListener(listening);
    modelOf(this).stopListening();
    this.#paused = false;
    listening.drain();
  }

  /** Stops listening at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function listener(value: OutputListener | undefined): OutputListener | undefined {
  return value === undefined ? undefined : func('options.onOutput', value);
}

/**
 * A serial port, 16550A: eight ports or addresses, COM1 is at port 0x3f8 with interrupt 4.
 *
 * @example
 * ```ts
 * const serial = new Serial({ onOutput: (bytes) => process.stdout.write(bytes) });
 * vm.io.attach({ base: 0x3f8, length: 8 }, serial);
 * serial.input('hello\n');
 * ```
 */
export class Serial extends OutputDevice {
  /**
   * @param options - `onOutput` takes what the guest sends; lines come at once, the rest within some milliseconds.
   *   A guest that sends faster than the listener takes has to wait. `interrupt` is signalled for each interrupt:
   *   register it with `vm.registerIrqfd`.
   */
  constructor(options?: { onOutput?: OutputListener; interrupt?: EventFd }) {
    const { onOutput, interrupt } = checkOptions('options', options, ['onOutput', 'interrupt']);
    const take = listener(onOutput);
    const event = interrupt === undefined ? undefined : nativeEventFd('options.interrupt', interrupt);
    super(KEY, native().NativeDeviceModel.serial(take !== undefined, event), take);
  }

  /**
   * Gives the guest bytes to receive. Strings are sent as UTF-8.
   *
   * @returns How many bytes the port took; it holds 64 KiB that the guest has not read.
   */
  input(data: ArrayBufferView | ArrayBufferLike | string): number {
    return modelOf(this).input(bytesOrString('data', data));
  }

  /** How many bytes {@link input} would take now. */
  get inputCapacity(): number {
    return modelOf(this).inputCapacity();
  }
}

/** A debug console as firmware and kernels use it: one port, 0x402 for SeaBIOS, 0xe9 for Bochs and others. */
export class DebugConsole extends OutputDevice {
  /**
   * @param options - `onOutput` takes what the guest prints; `readback` is what the port reads as, 0xe9 by
   *   default, by which firmware knows that somebody listens.
   */
  constructor(options?: { onOutput?: OutputListener; readback?: number }) {
    const { onOutput, readback = 0xe9 } = checkOptions('options', options, ['onOutput', 'readback']);
    const take = listener(onOutput);
    const value = integer('options.readback', readback, 0, 0xff);
    super(KEY, native().NativeDeviceModel.debugConsole(take !== undefined, value), take);
  }
}

/** What a guest asked of its machine through a device. */
export interface DeviceRequest {
  /** The device that it asked through. */
  readonly device: (typeof STOP_DEVICES)[number];
  /** The exit code of `isa-debug-exit`; 0 for the others. */
  readonly code: number;
}

/**
 * A Rust device that can end the run. Attached to a bus, it does. Driven from JavaScript it only notes what was asked,
 * and whoever drives it ends the run.
 *
 * @example
 * ```ts
 * const debugExit = new DebugExit();
 * debugExit.write(0, 0x10, 1);
 * debugExit.takeRequest(); // { device: 'isa-debug-exit', code: 0x21 }
 * debugExit.takeRequest(); // undefined
 * ```
 */
abstract class StopDevice extends RustDevice {
  /** The last thing that was asked of the machine and that ended no run, once; `undefined` when there is none. */
  takeRequest(): DeviceRequest | undefined {
    const request = modelOf(this).takeRequest();
    return request === null ? undefined : { device: STOP_DEVICES[request.device]!, code: request.code };
  }
}

/** isa-debug-exit: a write of `v` ends the run with exit code `(v << 1) | 1`. QEMU has it at port 0xf4 or 0x501. */
export class DebugExit extends StopDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.debugExit());
  }
}

/** A keyboard controller that knows one thing: how to reset the CPU. Ports 0x60 and 0x64; attach five from 0x60. */
export class I8042 extends StopDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.i8042());
  }
}

/**
 * The registers by which an ACPI guest powers off or resets: three ports, 0x600 in a `Machine`. A write of 0x34 to the
 * first (sleep control, S5) is a power-off, one of 0x42 to the third a reset.
 */
export class AcpiPower extends StopDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.acpiPower());
  }
}

/** pvpanic: one port, 0x505, by which a guest's kernel tells its panic, and so ends the run. */
export class PvPanic extends StopDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.pvpanic());
  }
}

/**
 * A boot timer as Firecracker has it: when the guest's first program writes a byte of 123, the time is taken. One port
 * or address; 0x3f0 and 0xd0000000 in a `Machine`.
 *
 * @example
 * ```ts
 * const timer = new BootTimer();
 * vm.io.attach({ base: 0x3f0, length: 1 }, timer);
 * timer.restart(); // just before the guest runs
 * timer.bootTimeMs; // undefined until the guest has written
 * ```
 */
export class BootTimer extends RustDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.bootTimer());
  }

  /** Begins to count, and forgets an earlier boot. */
  restart(): void {
    modelOf(this).restartBootTimer();
  }

  /** The time from {@link restart} to the guest's first write in milliseconds; `undefined` before that. */
  get bootTimeMs(): number | undefined {
    const nanoseconds = modelOf(this).bootTime();
    return nanoseconds === null ? undefined : nanoseconds / 1e6;
  }
}

/** The CMOS clock, MC146818: ports 0x70 and 0x71. Also holds the memory size, where firmware looks for it. */
export class Cmos extends RustDevice {
  /**
   * @param options - `memorySize` in bytes: what firmware is told, 0 by default. `time` stops the clock there; by
   *   default it shows the host's, in UTC.
   */
  constructor(options?: { memorySize?: number; time?: Date }) {
    const { memorySize = 0, time } = checkOptions('options', options, ['memorySize', 'time']);
    const size = integer('options.memorySize', memorySize, 0, 2 ** 52);
    super(KEY, native().NativeDeviceModel.cmos(size, time === undefined ? undefined : seconds(time)));
  }
}

/**
 * The PL031 clock of aarch64's machines, for a page of addresses (Arm DDI 0224). Its alarm is an interrupt.
 *
 * @example
 * ```ts
 * const clock = new Pl031({ time: new Date('2026-01-01T00:00:00Z') });
 * clock.read(0, 4); // 1767225600
 * ```
 */
export class Pl031 extends RustDevice {
  /**
   * @param options - `time` stops the clock there; by default it shows the host's. `interrupt` is signalled by the alarm.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`; `ERR_KVM_CLOSED` for an event that is closed
   */
  constructor(options?: { time?: Date; interrupt?: EventFd }) {
    const { time, interrupt } = checkOptions('options', options, ['time', 'interrupt']);
    const event = interrupt === undefined ? undefined : nativeEventFd('options.interrupt', interrupt);
    const fixed = time === undefined ? undefined : seconds(time);
    super(KEY, native().NativeDeviceModel.pl031(fixed, event));
  }
}

function seconds(time: unknown): number {
  if (!types.isDate(time)) throw invalidArgType('options.time', 'an instance of Date', time);
  // A subclass may have a getTime() of its own.
  const milliseconds = Date.prototype.getTime.call(time);
  const value = Math.floor(milliseconds / 1000);
  if (!(value >= 0)) throw outOfRange('options.time', 'a date since 1970', milliseconds);
  return value;
}
