import { kvmRegs, kvmSregs, type KvmSregs as Sregs } from '../generated/structs.ts';
import {
  boolean,
  bytes as checkBytes,
  elements,
  func,
  integer,
  object,
  options as checkOptions,
  ownKeys,
  property,
  signal as checkSignal,
  timeoutMs as checkTimeout,
  u64,
  unknownKey,
} from '../internal/check.ts';
import { enterAdopted } from '../internal/adoption.ts';
import { BackgroundLane } from '../internal/background.ts';
import { KvmError } from '../internal/errors.ts';
import { staleExit } from '../internal/exits/base.ts';
import { stepExit } from '../internal/exits/set.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import { Deadline, runSliced, runSync } from '../internal/lanes.ts';
import { native, type NativeVcpu } from '../internal/native.ts';
import { readStats } from '../internal/read-stats.ts';
import { Runner, busy } from '../internal/runner.ts';
import { stepOnce } from '../internal/step-once.ts';
import { decode, preparePatch, type Patch } from '../internal/structs.ts';
import { cpuidEntries, cpuidNumbers, type CpuidEntry } from './cpuid.ts';
import type { StepExit } from './exits.ts';
import { EXIT_KINDS } from '../internal/exits/kinds.ts';
import type { AsyncHandlers, Handlers, RunResult } from './handlers.ts';
import { KickHandle, tokenNumbers, type VcpuToken } from './kick.ts';
import { msrBytes, readMsrs, type MsrEntry } from './msr.ts';
import { makeRegisterView, registersBusy, type RegisterView, type Regs } from './registers.ts';
import type { BackgroundOptions, RunOptions, SlicedOptions, StepInterruption } from './run-options.ts';
import type { VcpuStats } from './stats.ts';
import type { Vm } from './vm.ts';

export type { Sregs };

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
export class Vcpu implements Disposable {
  /** The APIC id. */
  readonly id: number;
  /** The machine. */
  readonly vm: Vm;
  #regs: RegisterView | undefined;
  #kickHandle: KickHandle | undefined;
  readonly #native: NativeVcpu;
  readonly #runner: Runner;
  #closed = false;
  #transferred = false;

  /** @internal */
  constructor(key: symbol, vm: Vm, nativeVcpu: NativeVcpu, hasSyncRegs: boolean) {
    checkKey(key);
    this.#native = nativeVcpu;
    this.id = nativeVcpu.id;
    this.vm = vm;
    this.#runner = new Runner(nativeVcpu, this, hasSyncRegs);
  }

  /** The live general-purpose registers. */
  get regs(): RegisterView {
    return (this.#regs ??= makeRegisterView(KEY, {
      read: (index) => this.#readRegister(index),
      write: (index, value) => this.#writeRegister(index, value),
    }));
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
   * Runs to the next exit that no device claims and gives a copy of it. An exit that wants an answer has `reply()`, good
   * until the next step. For `timeout`, `kicked` and `device` see {@link StepInterruption}.
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
    const { timeoutMs } = checkOptions('options', options, ['timeoutMs']);
    const deadline = new Deadline(checkTimeout('options.timeoutMs', timeoutMs));
    this.#prepare(undefined);
    const runner = this.#runner;
    const found = stepOnce(runner, deadline);
    if (!('exit' in found)) {
      const { reason, ...rest } = found;
      return { kind: reason, ...rest } as StepInterruption;
    }
    const { sequence } = runner;
    return stepExit(found.exit, () => {
      if (runner.sequence !== sequence) throw staleExit();
    });
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
    this.#checkUsable();
    if (this.#runner.handling || this.#runner.running) throw busy();
    this.#runner.completeNow();
  }

  #prepare(syncRegs: unknown): void {
    this.#checkUsable();
    if (this.#runner.running) throw busy();
    if (syncRegs !== undefined && boolean('options.syncRegs', syncRegs)) this.#runner.followRegisters = true;
  }

  #checkUsable(): void {
    if (this.#transferred) {
      throw new KvmError('ERR_KVM_TRANSFERRED', 'the vCPU was transferred to another isolate');
    }
    if (this.closed) throw new KvmError('ERR_KVM_CLOSED', 'the Vcpu is closed');
  }

  /** State may be looked at between runs and in handlers. */
  #checkState(): void {
    // The hot case, without a native call: in a handler of a vCPU whose pages are still there.
    if (this.#runner.handling && this.#runner.view.u8.length !== 0) return;
    this.#checkUsable();
    if (this.#runner.running && !this.#runner.handling) throw registersBusy();
  }

  // ---- registers

  #readRegister(index: number): bigint {
    this.#checkState();
    this.#runner.registers.load(this.#runner.handling);
    return this.#runner.registers.get(index);
  }

  #writeRegister(index: number, value: bigint): void {
    this.#checkState();
    const runner = this.#runner;
    if (runner.handling && !runner.hasOpenAccess) {
      runner.registers.write(index, value, true);
    } else {
      runner.change(() => runner.registers.write(index, value, runner.running));
    }
  }

  /** The general-purpose registers (`KVM_GET_REGS`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED` */
  getRegs(): Regs {
    this.#checkState();
    this.#runner.registers.load(this.#runner.handling);
    return decode(kvmRegs, this.#runner.registers.bytes);
  }

  /**
   * Sets general-purpose registers; those left out stay (`KVM_SET_REGS`). In a handler that answers an access, this takes
   * effect after the access is complete.
   *
   * @param regs - Numbers and bigints are both taken; a number must be a safe integer.
   * @example
   * ```ts
   * vcpu.setRegs({ rip: 0x1000, rflags: 2n });
   * ```
   * @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED`, `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
   */
  setRegs(regs: Patch<Regs>): void {
    this.#checkState();
    // Read and checked here, so that a mistake is reported here and changes nothing.
    const patch = preparePatch(kvmRegs, object('regs', regs) as Patch<Regs>, 'regs');
    const runner = this.#runner;
    runner.change(() => {
      runner.registers.load(runner.running);
      patch(runner.registers.bytes);
      runner.registers.store(runner.running);
    });
  }

  /** The special registers (`KVM_GET_SREGS`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_TRANSFERRED` */
  getSregs(): Sregs {
    this.#checkState();
    const target = new Uint8Array(kvmSregs.size);
    this.#native.getSregs(target);
    return decode(kvmSregs, target);
  }

  /**
   * Sets special registers; what is left out stays, also inside of segments (`KVM_SET_SREGS`).
   *
   * @example From the reset vector to real mode at address 0:
   * ```ts
   * vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
   * ```
   * @throws `ERR_KVM_IOCTL` with `EINVAL` for a state that no CPU can have; else as {@link setRegs}.
   */
  setSregs(sregs: Patch<Sregs>): void {
    this.#checkState();
    const patch = preparePatch(kvmSregs, object('sregs', sregs) as Patch<Sregs>, 'sregs');
    this.#runner.change(() => {
      const bytes = new Uint8Array(kvmSregs.size);
      this.#native.getSregs(bytes);
      patch(bytes);
      this.#native.setSregs(bytes);
    });
  }

  /** The CPUID leaves that the guest sees (`KVM_GET_CPUID2`). @throws `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`, `ERR_KVM_IOCTL` */
  getCpuid2(): CpuidEntry[] {
    this.#checkState();
    return cpuidEntries(this.#native.getCpuid2());
  }

  /** Sets the CPUID leaves (`KVM_SET_CPUID2`); do it before the first run. @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  setCpuid2(entries: readonly CpuidEntry[]): void {
    this.#checkState();
    const numbers = cpuidNumbers('entries', entries);
    this.#runner.change(() => this.#native.setCpuid2(numbers));
  }

  /** Reads MSRs (`KVM_GET_MSRS`). @throws `ERR_KVM_IOCTL` naming the first one refused; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getMsrs(indices: readonly number[]): MsrEntry[] {
    this.#checkState();
    return readMsrs(indices, (list, target) => this.#native.getMsrs(list, target));
  }

  /** Writes MSRs (`KVM_SET_MSRS`); those before a refused one are set. @throws As {@link getMsrs}. */
  setMsrs(entries: readonly MsrEntry[]): void {
    this.#checkState();
    const bytes = msrBytes('entries', entries);
    this.#runner.change(() => this.#native.setMsrs(bytes));
  }

  /**
   * The registers of the local APIC, 1 KiB as the CPU maps them (`KVM_GET_LAPIC`). Needs the interrupt controllers.
   *
   * @throws `ERR_KVM_IOCTL` with `EINVAL` without them; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  getLapic(): Uint8Array {
    this.#checkState();
    return this.#native.getLapic();
  }

  /** Sets the registers of the local APIC (`KVM_SET_LAPIC`). @throws `ERR_KVM_STATE` for a wrong size; as {@link getLapic} */
  setLapic(state: ArrayBufferView | ArrayBufferLike): void {
    this.#checkState();
    const copy = Uint8Array.from(checkBytes('state', state));
    this.#runner.change(() => this.#native.setLapic(copy));
  }

  /** How fast the guest's time stamp counter runs, in kHz (`KVM_GET_TSC_KHZ`). @throws `ERR_KVM_IOCTL` where the host's is not constant; `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getTscKhz(): number {
    this.#checkState();
    return this.#native.getTscKhz();
  }

  /** What the vCPU waits for, `KVM_MP_STATE_*` (`KVM_GET_MP_STATE`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  getMpState(): number {
    this.#checkState();
    return this.#native.getMpState();
  }

  /** Sets what the vCPU waits for (`KVM_SET_MP_STATE`). @throws As {@link getMpState}. */
  setMpState(state: number): void {
    this.#checkState();
    const value = integer('state', state, 0, 0xffff_ffff);
    this.#runner.change(() => this.#native.setMpState(value));
  }

  /**
   * Single step and hardware breakpoints: the guest stops with `debug` exits (`KVM_SET_GUEST_DEBUG`).
   *
   * @param options - `hardwareBreakpoints`: up to four linear addresses. Both off by default.
   * @example
   * ```ts
   * vcpu.setGuestDebug({ singleStep: true });
   * const exit = vcpu.step();
   * if (exit.kind === 'debug') console.log(exit.pc);
   * ```
   * @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED`
   */
  setGuestDebug(options?: {
    singleStep?: boolean;
    hardwareBreakpoints?: readonly (number | bigint)[];
  }): void {
    this.#checkState();
    const given = checkOptions('options', options, ['singleStep', 'hardwareBreakpoints']);
    const step = boolean('options.singleStep', given.singleStep ?? false);
    const list = elements('options.hardwareBreakpoints', given.hardwareBreakpoints ?? [], 4);
    const addresses = list.map((at, index) => u64(`options.hardwareBreakpoints[${index}]`, at));
    this.#runner.change(() => this.#native.setGuestDebug(step, addresses));
  }

  /** Queues a non-maskable interrupt (`KVM_NMI`). @throws `ERR_KVM_IOCTL`, `ERR_KVM_BUSY`, `ERR_KVM_CLOSED` */
  nmi(): void {
    this.#checkState();
    this.#runner.change(() => this.#native.nmi());
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
    this.#checkUsable();
    if (this.#runner.running) throw busy();
    this.#runner.settleNow();
    const offer = this.#native.offer();
    this.#transferred = true;
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
    if (this.#closed) return;
    this.#closed = true;
    if (this.#transferred) return;
    this.#native.close();
    this.#runner.onClose?.();
    this.#native.releasePages(this.#runner.view.buffer);
  }

  /** Whether it is closed, or its machine. */
  get closed(): boolean {
    return this.#closed || this.#native.closed;
  }

  /** Closes the vCPU at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }
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
