/**
 * One vCPU's run: steps the native loop, finds who handles each exit, and gives the answers back. The three lanes
 * (lib/internal/lanes.ts) share it.
 */
import { POSTED, STATUS, STATUS_FLAG } from '../generated/control-page.ts';
import type { Device } from '../devices/device.ts';
import type { AsyncHandlers, Interruption, RunResult } from '../kvm/handlers.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import { checkRead, isThenable, readDevice, writeDevice } from './device-access.ts';
import { KvmError } from './errors.ts';
import { staleExit, type ExitObject } from './exits/base.ts';
import { ExitSet, copyExit, type AnyExit } from './exits/set.ts';
import { deviceAt, look } from './isolate.ts';
import { isolateFunctions, type NativeVcpu } from './native.ts';
import { RegisterPage } from './register-page.ts';
import { ACCESS, RunView } from './run-view.ts';
import { STOP_DEVICES } from './stop-devices.ts';

/** What a dispatch says: go on with the guest, or the run has ended. */
export const GO_ON = 0;
export const ENDED = 1;
/** Nothing happened to the guest, but time passed: leave the loop's function and come back. */
export const PAUSE = 2;

/** How a dispatch ends; on the background lane it may have to be awaited. */
export type Outcome = number | Promise<number>;

type AnyHandler = (exit: AnyExit, vcpu: Vcpu) => unknown;
type HandlerTable = Readonly<Partial<Record<string, AnyHandler>>>;

const NO_HANDLERS: HandlerTable = Object.freeze({});

/** What the native side gives for the hot path. */
interface VcpuFunctions {
  /** Makes this vCPU the one that the isolate's `step` runs. */
  readonly select: () => void;
  /** Runs this vCPU, whichever is selected; the status, with `STATUS_FLAG.LOOK` if something waits for the isolate. */
  readonly stepAlone: () => number;
  readonly complete: () => number;
  readonly pages: ArrayBuffer;
  readonly controlOffset: number;
}

/** Selects the vCPU of the innermost runner on the stack: the one that the isolate's `step` runs. */
let selectCurrent: (() => void) | undefined;

/** The run of one vCPU. */
export class Runner {
  readonly native: NativeVcpu;
  readonly view: RunView;
  readonly registers: RegisterPage;
  readonly exits: ExitSet;
  readonly complete: () => number;
  readonly stepAlone: () => number;
  /** How the run ended, once it has. */
  result: RunResult | undefined;
  /** The exit that no handler took: the reused object, open for an answer until the next step. */
  unclaimed: AnyExit | undefined;
  /** Whether the next run asks KVM for the registers at every exit. */
  followRegisters = false;
  /** Whether a lane has the vCPU. */
  running = false;
  /** Whether a handler or device is being called for this vCPU, or awaited. */
  handling = false;
  /** Ends the run on the background lane, if that is where it is: nobody may wait for a closed vCPU. */
  onClose: (() => void) | undefined;
  /** Whether a Promise is allowed as an answer: the background lane. */
  allowsPromises = false;
  /** The current exit's number: answers to earlier ones are stale. */
  sequence = 0;
  readonly #select: () => void;
  #exchange: ((request: number) => void) | undefined;
  #vcpu: Vcpu;
  #handlers = NO_HANDLERS;
  /** Whether a step has the vCPU: it takes all exits, and copies them itself. */
  #stepping = false;
  #stopRequested = false;
  /** The exit whose handler is being called, or awaited. */
  #current: AnyExit | undefined;
  /** State writes that wait until the open access is complete. */
  #afterAccess: (() => void)[] = [];

  constructor(nativeVcpu: NativeVcpu, vcpu: Vcpu, hasSyncRegs: boolean) {
    this.native = nativeVcpu;
    this.#vcpu = vcpu;
    const functions = nativeVcpu.functions() as VcpuFunctions;
    this.#select = functions.select;
    this.complete = functions.complete;
    this.stepAlone = functions.stepAlone;
    this.view = new RunView(functions.pages, functions.controlOffset);
    this.registers = new RegisterPage(this, hasSyncRegs);
    this.exits = new ExitSet(this);
  }

  /**
   * Reads or writes state without arguments that would have to be unpacked: `EXCHANGE` in bits 0 to 7, the structure's
   * number in bits 8 to 15, its size above. The structure is at `view.exchange`.
   */
  exchange(request: number): void {
    this.#exchange ??= this.native.exchangeFunction() as (request: number) => void;
    this.#exchange(request);
  }

  /** Takes the vCPU for a lane. */
  begin(handlers: AsyncHandlers, allowsPromises: boolean): void {
    if (this.running) throw busy();
    if (this.view.closed) throw closed();
    this.running = true;
    this.result = undefined;
    this.unclaimed = undefined;
    this.#stopRequested = false;
    this.#stepping = false;
    this.allowsPromises = allowsPromises;
    this.#handlers = handlers as HandlerTable;
    this.registers.beginRun();
    if (this.followRegisters) this.registers.follow();
    this.followRegisters = false;
  }

  /** Takes it for one step, which has no handlers and wants no result but {@link unclaimed}. The vCPU is open and idle. */
  beginStep(): void {
    this.running = true;
    this.result = undefined;
    this.unclaimed = undefined;
    this.#stopRequested = false;
    this.allowsPromises = false;
    this.#stepping = true;
  }

  /** Gives the vCPU back. */
  finish(): void {
    this.abandonHandler();
    this.#handlers = NO_HANDLERS;
    if (this.#afterAccess.length > 0 && !this.allowsPromises) this.#settleAfterThrow();
    this.running = false;
    if (!this.view.closed) this.registers.endRun();
  }

  /** Waits for the handler no longer: what its Promise becomes must not answer for a later exit. */
  abandonHandler(): void {
    this.handling = false;
    this.#current = undefined;
    this.sequence = (this.sequence + 1) | 0;
  }

  /** What a handler wrote before it threw takes effect as well. Its error is the one that is reported. */
  #settleAfterThrow(): void {
    if (this.native.closed) return;
    try {
      this.#settle();
    } catch {
      this.#afterAccess = [];
    }
  }

  requestStop(): void {
    this.#stopRequested = true;
  }

  /** The exit objects are reused: one that somebody kept must not answer for another exit. */
  checkCurrent(exit: ExitObject): void {
    if (this.view.u8.length === 0) throw closed();
    if (exit !== (this.running ? this.#current : this.unclaimed)) throw staleExit();
  }

  /** Ends the run without an exit. */
  interrupt(result: Interruption): number {
    this.result = result;
    return ENDED;
  }

  /** Runs until the run ends or a slice of time is over. Leaving this function is what lets a Worker end. */
  burst(): number {
    const { step, deselect } = isolateFunctions();
    // A handler may run another vCPU: when that is done, `step` means this one again.
    const selectOuter = selectCurrent;
    selectCurrent = this.#select;
    this.#select();
    try {
      for (;;) {
        const outcome = this.dispatch(step());
        if (outcome !== GO_ON) return outcome as number;
      }
    } finally {
      selectCurrent = selectOuter;
      (selectOuter ?? deselect)();
    }
  }

  /** Serves one status of the native loop. */
  dispatch(status: number): Outcome {
    this.sequence = (this.sequence + 1) | 0;
    if (status >= STATUS_FLAG.POSTED) return this.#dispatchPosted(status & 0xff);
    switch (status) {
      case STATUS.deviceWrite:
        return this.#deviceWrite();
      case STATUS.deviceRead:
        return this.#deviceRead();
      case STATUS.ioOut:
        return this.#handle('ioOut', this.exits.ioOut);
      case STATUS.ioIn:
        return this.#handle('ioIn', this.exits.ioIn);
      case STATUS.mmioRead:
        return this.#handle('mmioRead', this.exits.mmioRead);
      case STATUS.mmioWrite:
        return this.#handle('mmioWrite', this.exits.mmioWrite);
      case STATUS.exit: {
        const exit = this.exits.other();
        return this.#handle(exit.kind, exit);
      }
      case STATUS.slice:
      case STATUS.attention:
        return PAUSE;
      default:
        return this.#rare(status);
    }
  }

  /** Whether the current exit's access must be completed before the vCPU's state is changed. */
  get hasOpenAccess(): boolean {
    return this.view.access[ACCESS.openAccess] !== 0;
  }

  /** Applies a change to the vCPU's state, now or when the open access is complete. */
  change(apply: () => void): void {
    if (this.handling && this.hasOpenAccess) {
      this.#afterAccess.push(apply);
    } else {
      this.settleNow();
      apply();
    }
  }

  /** Completes the open access, for callers outside of a run. */
  settleNow(): void {
    if (this.handling || !this.hasOpenAccess || this.view.u8.length === 0) return;
    if (this.#settle() !== GO_ON) throw busy();
  }

  /** Completes the last access, open or not: a port write may be complete only now. */
  completeNow(): void {
    if (this.#settle() === ENDED) throw busy();
  }

  /** Whether state writes wait for the open access. */
  get hasPendingChanges(): boolean {
    return this.#afterAccess.length > 0;
  }

  /** The open access is complete: applies what waited. */
  applyChanges(): void {
    this.sequence = (this.sequence + 1) | 0;
    const changes = this.#afterAccess;
    this.#afterAccess = [];
    for (const apply of changes) apply();
  }

  // ---- handlers

  #handle(kind: string, exit: AnyExit): Outcome {
    if (this.#stepping) {
      this.unclaimed = exit;
      return ENDED;
    }
    const handler = this.#handlers[kind];
    if (handler === undefined) {
      this.unclaimed = exit;
      this.result = { reason: 'exit', exit: copyExit(exit) };
      return ENDED;
    }
    this.handling = true;
    this.#current = exit;
    const answer = handler(exit, this.#vcpu);
    if (answer !== undefined) {
      if (isThenable(answer)) return this.#later(answer, exit);
      if ('reply' in exit) (exit.reply as ((value: unknown) => void) | undefined)?.(answer);
    }
    return this.#handled(exit);
  }

  async #later(answer: Promise<unknown>, exit: AnyExit): Promise<number> {
    const { sequence } = this;
    const value = await answer;
    if (this.sequence !== sequence) return ENDED;
    if (value !== undefined && 'reply' in exit) {
      (exit.reply as ((value: unknown) => void) | undefined)?.(value);
    }
    return this.#handled(exit);
  }

  /** After a handler: a stop, and state writes that waited for the answer. */
  #handled(exit: AnyExit | undefined): Outcome {
    if (this.#stopRequested && exit !== undefined) this.result = { reason: 'stopped', exit: copyExit(exit) };
    this.handling = false;
    this.#current = undefined;
    if (this.#afterAccess.length > 0 && !this.allowsPromises) {
      const outcome = this.#settle();
      if (outcome === ENDED) return outcome;
    }
    return this.#stopRequested ? ENDED : GO_ON;
  }

  #settle(): number {
    for (;;) {
      const status = this.complete() & 0xff;
      switch (status) {
        case STATUS.completed:
          this.applyChanges();
          return GO_ON;
        case STATUS.pending:
          // The access has another part: its exit comes first, the changes wait for it.
          return PAUSE;
        case STATUS.attention:
          look();
          break;
        default:
          return this.#rare(status);
      }
    }
  }

  #rare(status: number): number {
    switch (status) {
      case STATUS.kicked:
        return this.interrupt({ reason: 'kicked' });
      case STATUS.deviceStop: {
        const device = STOP_DEVICES[this.view.access[ACCESS.stopDevice]!]!;
        const code = this.view.access[ACCESS.stopCode]!;
        return this.interrupt({ reason: 'device', device, code });
      }
      case STATUS.closed:
        throw closed();
      case STATUS.busy:
        throw busy();
      default:
        this.native.throwFailure();
        return ENDED;
    }
  }

  // ---- JavaScript devices

  #deviceWrite(): Outcome {
    const { view } = this;
    const device = deviceAt(view.access[ACCESS.route]!);
    if (device === undefined) return GO_ON;
    const size = view.access[ACCESS.size]!;
    const count = view.access[ACCESS.count]!;
    if (size > 4 || count > 1) return this.#writeElements(device, 0);
    this.handling = true;
    const written = device.write?.(
      view.accessOffset[ACCESS.offset]!,
      view.load(view.access[ACCESS.dataOffset]!, size),
      size,
    );
    if (written !== undefined && isThenable<void>(written))
      return this.#laterElements(device, written, 1, true);
    return this.#deviceDone();
  }

  #deviceRead(): Outcome {
    const { view } = this;
    const device = deviceAt(view.access[ACCESS.route]!);
    if (device === undefined) return GO_ON;
    const size = view.access[ACCESS.size]!;
    const count = view.access[ACCESS.count]!;
    if (size > 4 || count > 1 || device.read === undefined) return this.#readElements(device, 0);
    this.handling = true;
    const value = device.read(view.accessOffset[ACCESS.offset]!, size);
    if (isThenable(value)) return this.#laterElements(device, value, 1, false);
    view.store(view.access[ACCESS.dataOffset]!, size, checkRead(value, size));
    return this.#deviceDone();
  }

  #deviceDone(): Outcome {
    this.handling = false;
    return this.#afterAccess.length > 0 ? this.#handled(undefined) : GO_ON;
  }

  /** String and 8-byte accesses: element by element, as hardware makes them. */
  #writeElements(device: Device, from: number): Outcome {
    const { view } = this;
    const size = view.access[ACCESS.size]!;
    const at = view.access[ACCESS.dataOffset]!;
    const offset = view.accessOffset[ACCESS.offset]!;
    this.handling = true;
    for (let element = from; element < view.access[ACCESS.count]!; element++) {
      const written = writeDevice(device, offset, size, view.load64(at + element * size, size));
      if (isThenable<void>(written)) return this.#laterElements(device, written, element + 1, true);
    }
    return this.#deviceDone();
  }

  #readElements(device: Device, from: number): Outcome {
    const { view } = this;
    const size = view.access[ACCESS.size]!;
    const at = view.access[ACCESS.dataOffset]!;
    const offset = view.accessOffset[ACCESS.offset]!;
    this.handling = true;
    for (let element = from; element < view.access[ACCESS.count]!; element++) {
      const value = readDevice(device, offset, size);
      if (isThenable(value)) return this.#laterElements(device, value, element + 1, false);
      view.store64(at + element * size, size, value);
    }
    return this.#deviceDone();
  }

  /** Awaits one element of a device's access, then does the rest. */
  async #laterElements(
    device: Device,
    promise: Promise<unknown>,
    next: number,
    write: boolean,
  ): Promise<number> {
    const { sequence, view } = this;
    const value = await promise;
    if (this.sequence !== sequence) return ENDED;
    if (!write) {
      const size = view.access[ACCESS.size]!;
      const late = typeof value === 'bigint' ? value : BigInt(checkRead(value, size));
      view.store64(view.access[ACCESS.dataOffset]! + (next - 1) * size, size, late);
    }
    return write ? this.#writeElements(device, next) : this.#readElements(device, next);
  }

  /** Posted writes come before the exit that came with them, which is served even if their device throws. */
  #dispatchPosted(status: number): Outcome {
    let failure: { error: unknown } | undefined;
    try {
      this.#takePosted();
    } catch (error) {
      failure = { error };
    }
    const outcome = this.dispatch(status);
    if (failure !== undefined) throw failure.error;
    return outcome;
  }

  #takePosted(): void {
    const { view } = this;
    const count = Math.min(view.access[ACCESS.postedCount]!, POSTED.entries);
    for (let index = 0; index < count; index++) {
      const entry = view.postedEntry(index);
      const device = deviceAt(view.u32[(entry + POSTED.route) / 4]!);
      if (device === undefined) continue;
      const size = view.u32[(entry + POSTED.size) / 4]!;
      const value = view.load64(entry + POSTED.data, size);
      // Nobody waits for a posted write, so a Promise of it has nobody to hold up either.
      const written = writeDevice(device, view.data.getFloat64(entry + POSTED.offset, true), size, value);
      if (isThenable<void>(written)) void written;
    }
  }
}

/** The error for a second use of a vCPU that runs. */
export function busy(): KvmError {
  return new KvmError(
    'ERR_KVM_BUSY',
    'the vCPU is running: kick it first, or call this from one of its handlers',
  );
}

/** The error for a vCPU that was closed. */
export function closed(): KvmError {
  return new KvmError('ERR_KVM_CLOSED', 'the Vcpu is closed');
}
