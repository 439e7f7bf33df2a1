/** The devices that are served in Rust, without JavaScript: declared here, modelled in crates/devices. */
import type { DeviceState } from '../devices/device.ts';
import {
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
import { nativeEventFd, type EventFd } from './event-fd.ts';

const models = new WeakMap<object, NativeDeviceModel>();

/** @internal The Rust model of a device, or undefined for one written in JavaScript. */
export function nativeModel(device: object): NativeDeviceModel | undefined {
  return models.get(device);
}

/** Takes bytes that a guest printed. */
export type OutputListener = (bytes: Uint8Array) => void;

/** What all Rust devices have. */
export abstract class RustDevice {
  /** @internal */
  protected readonly model: NativeDeviceModel;

  /** @internal */
  constructor(key: symbol, model: NativeDeviceModel) {
    checkKey(key);
    this.model = model;
    // Not enumerable: the model is nobody else's business.
    Object.defineProperty(this, 'model', { enumerable: false });
    models.set(this, model);
  }

  /** The device's state, for snapshots. */
  save(): DeviceState {
    return this.model.save();
  }

  /**
   * Takes over a state that a device of the same kind saved.
   *
   * @throws `ERR_KVM_STATE` for a state of another kind or version, or one that no device can have saved.
   */
  restore(state: DeviceState): void {
    const given = object('state', state);
    this.model.restore({
      kind: string('state.kind', property('state', given, 'kind')),
      version: integer('state.version', property('state', given, 'version'), 0, 0xffff_ffff),
      data: bytes('state.data', property('state', given, 'data')),
    });
  }
}

/** A Rust device with output. */
abstract class OutputDevice extends RustDevice {
  readonly #listener: Listener | undefined;

  /** @internal */
  constructor(key: symbol, model: NativeDeviceModel, onOutput: OutputListener | undefined) {
    super(key, model);
    if (onOutput === undefined) return;
    this.#listener = {
      drain: () => {
        const output = model.takeOutput();
        if (output !== null) onOutput(output);
      },
    };
    addListener(this.#listener);
  }

  /**
   * Takes the output that waits. With an `onOutput` listener there is none; without one the last 64 KiB are kept.
   */
  takeOutput(): Uint8Array {
    return this.model.takeOutput() ?? new Uint8Array(0);
  }

  /** Stops listening: what comes from now on waits for {@link takeOutput}. */
  close(): void {
    if (this.#listener === undefined) return;
    this.#listener.drain();
    removeListener(this.#listener);
  }

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
    return this.model.input(bytesOrString('data', data));
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

/** isa-debug-exit: a write of `v` ends the run with exit code `(v << 1) | 1`. QEMU has it at port 0xf4 or 0x501. */
export class DebugExit extends RustDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.debugExit());
  }
}

/** A keyboard controller that knows one thing: how to reset the CPU. Ports 0x60 and 0x64; attach five from 0x60. */
export class I8042 extends RustDevice {
  constructor() {
    super(KEY, native().NativeDeviceModel.i8042());
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

function seconds(time: unknown): number {
  if (!(time instanceof Date)) throw invalidArgType('options.time', 'an instance of Date', time);
  const value = Math.floor(time.getTime() / 1000);
  if (!(value >= 0)) throw outOfRange('options.time', 'a date since 1970', time.getTime());
  return value;
}
