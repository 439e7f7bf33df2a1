import {
  boolean,
  func,
  integer,
  object,
  options as checkOptions,
  ownKeys,
  property,
  signal as checkSignal,
  timeoutMs as checkTimeout,
  unknownKey,
} from '../internal/check.ts';
import { enterAdopted } from '../internal/adoption.ts';
import { BackgroundLane } from '../internal/background.ts';
import { KEY } from '../internal/illegal.ts';
import { Deadline, runSliced, runSync } from '../internal/lanes.ts';
import { native, type NativeVcpu } from '../internal/native.ts';
import { readStats } from '../internal/read-stats.ts';
import { Runner, busy } from '../internal/runner.ts';
import { stepOnce } from '../internal/step-once.ts';
import { VcpuAccess } from '../internal/vcpu-access.ts';
import type { StepExit } from './exits.ts';
import { EXIT_KINDS } from '../internal/exits/kinds.ts';
import type { AsyncHandlers, Handlers, RunResult } from './handlers.ts';
import { KickHandle, tokenNumbers, type VcpuToken } from './kick.ts';
import type { BackgroundOptions, RunOptions, SlicedOptions, StepInterruption } from './run-options.ts';
import type { VcpuStats } from './stats.ts';
import { VcpuExtras } from './vcpu-extras.ts';
import type { Vm } from './vm.ts';

/**
 * A virtual CPU: registers, and the ways to run it.
 *
 * - `run()`: on this thread, until the run ends. The fastest lane. The event loop stands still meanwhile.
 * - `runSliced()`: on this thread, in turns with the event loop.
 * - `runInBackground()`: on a thread of its own; handlers are called on this one and may return Promises.
 * - In a Worker: `transfer()` here, `Vcpu.adopt()` there, then `run()`.
 *
 * @example
 * ```ts
 * const end = vcpu.run({ ioOut: (exit) => console.log(exit.value) }, { timeoutMs: 1000 });
 * ```
 */
export class Vcpu extends VcpuExtras implements Disposable {
  /** The APIC id. */
  readonly id: number;
  /** The machine. */
  readonly vm: Vm;
  #kickHandle: KickHandle | undefined;
  readonly #native: NativeVcpu;
  readonly #runner: Runner;
  readonly #access: VcpuAccess;

  /** @internal */
  constructor(key: symbol, vm: Vm, nativeVcpu: NativeVcpu, hasSyncRegs: boolean) {
    const access = new VcpuAccess(nativeVcpu);
    super(key, access);
    this.#access = access;
    this.#native = nativeVcpu;
    this.#runner = new Runner(nativeVcpu, this, hasSyncRegs);
    access.runner = this.#runner;
    this.id = nativeVcpu.id;
    this.vm = vm;
  }

  /** Ends runs, from any thread. */
  get kickHandle(): KickHandle {
    if (this.#kickHandle === undefined) {
      const [number, generation] = this.#native.token();
      this.#kickHandle = new KickHandle(KEY, { vcpu: [number!, generation!] });
    }
    return this.#kickHandle;
  }

  // ---- running

  /**
   * Runs on this thread until an exit that no handler takes, a handler that calls `exit.stop()`, a device that ends the
   * run, the timeout, or a kick. There is no `signal`: nothing could fire it while this thread is in the guest.
   *
   * @throws What a handler throws. The vCPU can be run again; an access that got no answer reads all ones.
   * @throws `ERR_KVM_ASYNC_HANDLER` when a handler or device returns a Promise.
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED`, `ERR_KVM_BACKING_LOST`, `ERR_KVM_IOCTL`
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  run(handlers?: Handlers, options?: RunOptions): RunResult {
    const given = checkOptions('options', options, ['timeoutMs', 'syncRegs']);
    const deadline = new Deadline(checkTimeout('options.timeoutMs', given.timeoutMs));
    const table = checkHandlers(handlers);
    this.#prepare(given.syncRegs);
    return runSync(this.#runner, table as Handlers, deadline);
  }

  /**
   * As {@link run}, in turns with the event loop: timers, I/O, signals and Ctrl-C work.
   *
   * @example
   * ```ts
   * const end = await vcpu.runSliced({ ioOut: (exit) => console.log(exit.value) }, { signal: AbortSignal.timeout(5000) });
   * ```
   * @throws As {@link run}; rejects with the signal's reason when it fires.
   */
  async runSliced(handlers?: Handlers, options?: SlicedOptions): Promise<RunResult> {
    const given = checkOptions('options', options, ['timeoutMs', 'syncRegs', 'signal', 'budgetMs']);
    const deadline = new Deadline(checkTimeout('options.timeoutMs', given.timeoutMs));
    const budgetMs = checkTimeout('options.budgetMs', given.budgetMs) ?? 10;
    const signal = checkSignal('options.signal', given.signal);
    const table = checkHandlers(handlers);
    this.#prepare(given.syncRegs);
    return runSliced(this.#runner, table as Handlers, { deadline, budgetMs, signal });
  }

  /**
   * Runs on a thread of its own. Rust devices are served there; handlers and JavaScript devices are called on this
   * isolate's event loop, and may return Promises. The process stays alive while the run is under way.
   *
   * @example
   * ```ts
   * const end = await vcpu.runInBackground({
   *   ioIn: async () => {
   *     await setTimeout(1);
   *     return 0x1c;
   *   },
   * });
   * ```
   * @throws As {@link run}; rejects with the signal's reason when it fires.
   */
  async runInBackground(handlers?: AsyncHandlers, options?: BackgroundOptions): Promise<RunResult> {
    const given = checkOptions('options', options, ['timeoutMs', 'syncRegs', 'signal', 'keepAlive']);
    const deadline = new Deadline(checkTimeout('options.timeoutMs', given.timeoutMs));
    const signal = checkSignal('options.signal', given.signal);
    const { keepAlive: keep = true } = given;
    const keepAlive = boolean('options.keepAlive', keep);
    const table = checkHandlers(handlers);
    this.#prepare(given.syncRegs);
    return BackgroundLane.start(this.#runner, table, { deadline, signal, keepAlive });
  }

  /**
   * Runs to the next exit that no device claims and gives it as a fresh object, which can be kept. An exit that wants an
   * answer has `reply()`, good until the next step. `toJSON()` gives the data as a plain object. For `timeout`, `kicked`
   * and `device` see {@link StepInterruption}.
   *
   * @param options - `timeoutMs`: as {@link run} has it.
   * @example
   * ```ts
   * const exit = vcpu.step({ timeoutMs: 1000 });
   * if (exit.kind === 'ioIn') exit.reply(0x1c);
   * ```
   * @throws As {@link run}.
   */
  step(options?: { timeoutMs?: number }): StepExit | StepInterruption {
    const deadline = options === undefined ? Deadline.never : stepDeadline(options);
    this.#prepare(undefined);
    return stepOnce(this.#runner, deadline);
  }

  /**
   * The exits one after the other, as {@link step} gives them. Ends when there is none: at the timeout, a kick, or a
   * device that ends the run.
   *
   * @example
   * ```ts
   * for (const exit of vcpu.exits({ timeoutMs: 1000 })) {
   *   if (exit.kind === 'hlt') break;
   *   console.log(exit);
   * }
   * ```
   * @throws As {@link run}.
   */
  *exits(options?: { timeoutMs?: number }): Generator<StepExit, StepInterruption> {
    for (;;) {
      const next = this.step(options);
      if (next.kind === 'timeout' || next.kind === 'kicked' || next.kind === 'device') return next;
      yield next;
    }
  }

  /**
   * Finishes the access that the last exit left open, without running the guest. Registers show the state after it:
   * whether they do at the exit itself depends on the host.
   *
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  complete(): void {
    this.#access.checkUsable();
    if (this.#runner.handling || this.#runner.running) throw busy();
    this.#runner.completeNow();
  }

  #prepare(syncRegs: unknown): void {
    this.#access.checkUsable();
    if (this.#runner.running) throw busy();
    if (syncRegs !== undefined && boolean('options.syncRegs', syncRegs)) this.#runner.followRegisters = true;
  }

  // ---- the rest

  /** Counters that are always on. Those of a closed vCPU are zero. */
  get stats(): VcpuStats {
    return readStats(this.#runner.view, this.#native);
  }

  /**
   * Gives the vCPU to another isolate: post the token to a Worker, which calls {@link Vcpu.adopt}. This object is of no
   * use from then on, but keep it: the vCPU lives as long as this or the machine does.
   *
   * @example
   * ```ts
   * const token = vcpu.transfer(); // plain data: post it to a Worker
   * const there = Vcpu.adopt(token); // in the Worker; here, to keep the example short
   * there.run();
   * ```
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED`
   */
  transfer(): VcpuToken {
    this.#access.checkUsable();
    if (this.#runner.running) throw busy();
    this.#runner.settleNow();
    const offer = this.#native.offer();
    this.#access.transferred = true;
    return { ...this.kickHandle.token, offer };
  }

  /**
   * Takes a vCPU that another isolate transferred. Its `vm` is the same machine: memory and devices can be used here too.
   *
   * @throws `ERR_KVM_TOKEN` for a token that was used before or whose vCPU is gone.
   */
  static adopt(token: VcpuToken): Vcpu {
    const [number, generation] = tokenNumbers('token', token);
    const offer = integer('token.offer', property('token', token, 'offer'), 1, 0xffff_ffff);
    return enterAdopted(native().adoptVcpu(number, generation, offer));
  }

  /** Ends its run and closes it. Twice is quiet. */
  close(): void {
    if (this.#access.closedHere) return;
    this.#access.closedHere = true;
    if (this.#access.transferred) return;
    this.#native.close();
    this.#runner.onClose?.();
    this.#native.releasePages(this.#runner.view.buffer);
  }

  /** Whether it is closed, or its machine. */
  get closed(): boolean {
    return this.#access.closed;
  }

  /** Closes the vCPU at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
}

function stepDeadline(options: { timeoutMs?: number }): Deadline {
  const { timeoutMs } = checkOptions('options', options, ['timeoutMs']);
  return new Deadline(checkTimeout('options.timeoutMs', timeoutMs));
}

/** Copies the handlers, so that a later change of the object changes nothing; refuses what is no handler. */
function checkHandlers(handlers: unknown): AsyncHandlers {
  if (handlers === undefined) return {};
  const given = object('handlers', handlers);
  const table: Record<string, unknown> = {};
  for (const kind of ownKeys('handlers', given)) {
    if (!EXIT_KINDS.includes(kind)) throw unknownKey('handlers', kind, EXIT_KINDS);
    const handler = property('handlers', given, kind);
    if (handler !== undefined)
      table[kind] = func(`handlers.${kind}`, handler as (...args: never[]) => unknown);
  }
  return table;
}
