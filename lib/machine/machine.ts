import { EventEmitter, setMaxListeners } from 'node:events';
import { boolean } from '../internal/check.ts';
import { KvmError } from '../internal/errors.ts';
import { KEY, checkKey } from '../internal/illegal.ts';
import { holdLoop, releaseLoop } from '../internal/isolate.ts';
import type { RunResult } from '../kvm/handlers.ts';
import { Kvm } from '../kvm/kvm.ts';
import type { Vcpu } from '../kvm/vcpu.ts';
import type { Vm } from '../kvm/vm.ts';
import { makeBoard, type Board, type Placed } from './board.ts';
import type { Chipset } from './chipset.ts';
import { DEFAULT_CMDLINE, machinePlan } from './config.ts';
import type { BootProtocol, MachineConfig, MachinePlan } from './config.ts';
import { MachineConsole } from './console.ts';
import { panicMessage, type MachineEnd, type MachineExit } from './exit.ts';
import { InterruptLine } from './interrupt-line.ts';
import { platform } from './platform.ts';
import { endOf } from './run-end.ts';

/** What a machine is doing. */
export type MachineState = 'created' | 'running' | 'paused' | 'exited';

/** The events of a {@link Machine}. */
export interface MachineEvents {
  /** It runs: after `start()`, `resume()` or a reset. */
  running: [];
  /** It is paused. */
  paused: [];
  /** The guest or `reset()` reset it, and it starts again. */
  reset: [];
  /** It has ended. */
  exited: [exit: MachineExit];
}

/**
 * A microVM: memory, vCPUs, a kernel, a console. It boots Linux, or a program of its own, inside this process.
 *
 * vCPUs run on threads of their own; the event loop stays free. A machine that runs keeps the process alive, unless
 * `unref()` was called.
 *
 * @example
 * ```ts
 * await using machine = await Machine.create({ memory: '512MiB', kernel: 'bzImage', initrd: 'initrd' });
 * process.stdin.pipe(machine.console).pipe(process.stdout);
 * await machine.start();
 * const { reason } = await machine.exited;
 * reason; // 'poweroff'
 * ```
 */
export class Machine extends EventEmitter<MachineEvents> implements AsyncDisposable {
  /** What a kernel is told unless the configuration has a `cmdline`. */
  static readonly defaultCmdline: string = DEFAULT_CMDLINE;

  /** The first serial port, COM1: Linux's ttyS0. */
  readonly console: MachineConsole;
  /** The second serial port, COM2: Linux's ttyS1; with the option `console2`. */
  readonly console2: MachineConsole | undefined;
  /** What the guest prints on the debug console; with the option `debugConsole`. */
  readonly debugConsole: MachineConsole | undefined;
  /** Why it ended; settles when it has. It is never rejected. */
  readonly exited: Promise<MachineExit>;
  readonly #plan: MachinePlan;
  readonly #kvm: Kvm;
  readonly #chipset: Chipset;
  #board: Board;
  #state: MachineState = 'created';
  /** Ends the runs of the present life. */
  #ending = endOfRuns();
  /** Ends a reset under way when the machine ends. */
  readonly #stopping = new AbortController();
  #runs: Promise<void>[] = [];
  /** Whether the present life has not begun yet. */
  #fresh = true;
  #resolveExited!: (exit: MachineExit) => void;
  #exiting: Promise<void> | undefined;
  #holding = false;
  #referenced = true;
  #closed = false;
  readonly #lines = new Map<number, InterruptLine>();
  #removeAbortListener: (() => void) | undefined;

  /** @internal */
  constructor(key: symbol, parts: { plan: MachinePlan; kvm: Kvm; chipset: Chipset; board: Board }) {
    checkKey(key);
    super();
    const { plan, kvm, chipset, board } = parts;
    this.#plan = plan;
    this.#kvm = kvm;
    this.#chipset = chipset;
    this.#board = board;
    this.console = MachineConsole.make(chipset.com1);
    this.console2 = chipset.com2 && MachineConsole.make(chipset.com2);
    this.debugConsole = chipset.debugConsole && MachineConsole.make(chipset.debugConsole);
    this.exited = new Promise((resolve) => (this.#resolveExited = resolve));
    this.#watch(plan.signal);
  }

  /**
   * Makes a machine: everything is checked, read and put into memory, nothing runs yet.
   *
   * @throws `ERR_KVM_BOOT` when it cannot be booted; the message begins with the field: `kernel: …`
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` naming `config.…`
   * @throws `ERR_KVM_UNAVAILABLE`, `ERR_KVM_PERMISSION`, `ERR_KVM_MEMORY`, `ERR_KVM_RANGE_CLAIMED`, `ERR_KVM_TOO_MANY_VCPUS`, `ERR_KVM_IOCTL`
   * @throws The signal's reason.
   */
  static async create(config: MachineConfig = {}): Promise<Machine> {
    const plan = machinePlan(config);
    plan.signal?.throwIfAborted();
    const kvm = new Kvm();
    let chipset: Chipset | undefined;
    try {
      chipset = platform.makeChipset(plan);
      const board = await makeBoard(kvm, plan, chipset);
      return new Machine(KEY, { plan, kvm, chipset, board });
    } catch (error) {
      chipset?.close();
      kvm.close();
      throw error;
    }
  }

  // ---- what it is

  /** What it is doing. */
  get state(): MachineState {
    return this.#state;
  }

  /** The number of vCPUs. */
  get cpus(): number {
    return this.#plan.cpus;
  }

  /** RAM in bytes. */
  get memorySize(): number {
    return this.#plan.memory;
  }

  /** How the kernel was entered. */
  get protocol(): BootProtocol {
    return this.#board.protocol;
  }

  /** What was put into guest memory before the start, by address. */
  get placed(): readonly Placed[] {
    return this.#board.placed;
  }

  /** The virtual machine below. A reset makes a new one. */
  get vm(): Vm {
    return this.#board.vm;
  }

  /**
   * Milliseconds from `start()` (or the last reset) until the guest said that it is up: by a byte of 123 written to port
   * 0x3f0 or address 0xd0000000. `undefined` before that.
   */
  get bootTime(): number | undefined {
    return this.#chipset.bootTimer.bootTimeMs;
  }

  /**
   * An interrupt line of the machine, for a device of yours; the same after a reset.
   *
   * @param line - 5 to 23: the IOAPIC's pin. On aarch64 16 to 255: the GIC's SPI.
   * @throws `ERR_OUT_OF_RANGE`, `ERR_INVALID_ARG_TYPE`
   */
  interrupt(line: number): InterruptLine {
    let found = this.#lines.get(line);
    if (found === undefined) {
      found = InterruptLine.make(line, () => this.#board.vm);
      this.#lines.set(line, found);
    }
    return found;
  }

  // ---- what it does

  /** Starts the guest. @throws `ERR_KVM_MACHINE_STATE` unless it was just created. */
  async start(): Promise<void> {
    this.#require('start', ['created']);
    this.#run();
  }

  /**
   * Stops all vCPUs where they are; the accesses that they wait for are finished first. One that ends meanwhile is
   * `'exited'` afterwards, not `'paused'`.
   *
   * @throws `ERR_KVM_MACHINE_STATE` unless it runs.
   */
  async pause(): Promise<void> {
    this.#require('pause', ['running']);
    this.#state = 'paused';
    for (const vcpu of this.#board.vcpus) vcpu.kickHandle.kick();
    await this.#settled();
    this.#hold();
    if (this.#exiting !== undefined) await this.#exiting;
    if (this.#state === 'paused') this.#tell('paused');
  }

  /** Lets the vCPUs go on. @throws `ERR_KVM_MACHINE_STATE` unless it is paused. */
  async resume(): Promise<void> {
    this.#require('resume', ['paused']);
    await this.#settled();
    if (this.#state === 'paused') this.#run();
  }

  /**
   * Switches the machine off, whatever the guest does. Afterwards {@link exited} is settled, and memory can still be
   * read, until the machine is disposed of. Twice is quiet.
   */
  async stop(): Promise<void> {
    await this.#exit({ reason: 'killed' });
  }

  /**
   * Resets the machine: memory is empty, the kernel is loaded again, the guest starts.
   *
   * @throws `ERR_KVM_MACHINE_STATE` when it has ended, or ends meanwhile; what {@link create} throws when images are gone
   * meanwhile, after which the machine has ended.
   */
  async reset(): Promise<void> {
    this.#require('reset', ['created', 'running', 'paused']);
    this.#state = 'running';
    this.#hold();
    try {
      await this.#restart();
    } catch (error) {
      await this.#exiting;
      throw error;
    }
  }

  /** Lets the process end though the machine runs. */
  unref(): this {
    return this.#setReferenced(false);
  }

  /** Undoes {@link unref}. */
  ref(): this {
    return this.#setReferenced(true);
  }

  /** Whether a running machine keeps the process alive. */
  hasRef(): boolean {
    return this.#referenced;
  }

  /** Stops the machine and gives everything back to the host. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#closed) return;
    this.#closed = true;
    this.#board.vm.close();
    this.#chipset.close();
    this.#kvm.close();
  }

  // ---- how

  #require(action: string, states: readonly MachineState[]): void {
    if (this.#exiting === undefined && states.includes(this.#state)) return;
    throw this.#refusal(action);
  }

  #refusal(action: string): KvmError {
    const state = this.#exiting === undefined ? this.#state : 'exited';
    return new KvmError('ERR_KVM_MACHINE_STATE', `${action}() of a machine that is ${state}`);
  }

  /** A listener that throws does so on the event loop, as from any other event: the machine goes on. */
  #tell<Name extends keyof MachineEvents>(event: Name, ...values: MachineEvents[Name]): void {
    try {
      (this as EventEmitter).emit(event, ...values);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  #setReferenced(referenced: boolean): this {
    this.#referenced = boolean('referenced', referenced);
    this.#hold();
    return this;
  }

  /** Keeps the process alive while the machine runs. */
  #hold(): void {
    const hold = this.#referenced && this.#state === 'running';
    if (hold === this.#holding) return;
    this.#holding = hold;
    if (hold) holdLoop();
    else releaseLoop();
  }

  #watch(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const abort = (): void => void this.stop();
    // Between the last look at it and this one.
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    this.#removeAbortListener = () => signal.removeEventListener('abort', abort);
  }

  #run(): void {
    if (this.#fresh) this.#chipset.bootTimer.restart();
    this.#fresh = false;
    this.#state = 'running';
    this.#hold();
    this.#runs = this.#board.vcpus.map((vcpu) => this.#drive(vcpu));
    this.#tell('running');
  }

  /** Runs one vCPU until the machine pauses or this life of it ends. */
  async #drive(vcpu: Vcpu): Promise<void> {
    const { signal } = this.#ending;
    while (this.#state === 'running' && !signal.aborted) {
      let result: RunResult;
      try {
        result = await vcpu.runInBackground({}, { signal, keepAlive: false });
      } catch (error) {
        if (!signal.aborted) this.#end({ reason: 'error', error: error as Error });
        return;
      }
      if (result.reason === 'kicked') continue;
      if (!signal.aborted) this.#end(endOf(vcpu, result));
      return;
    }
  }

  /** Called by a vCPU whose run is over: not waited for, since it waits for that vCPU's run. */
  #end(end: MachineEnd): void {
    if (end.reason === 'reset' && this.#plan.onReset === 'restart') {
      this.#restart().catch(() => undefined);
    } else {
      void this.#exit(end);
    }
  }

  /** Waits until no vCPU runs and no reset is under way. */
  async #settled(): Promise<void> {
    await Promise.all(this.#runs);
    await this.#restarting?.catch(() => undefined);
  }

  /** Ends all runs of this life. */
  async #halt(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#runs);
    this.#runs = [];
  }

  #restarting: Promise<void> | undefined;

  /** One at a time: a guest may reset while `reset()` does. */
  #restart(): Promise<void> {
    this.#restarting ??= this.#startAgain().finally(() => (this.#restarting = undefined));
    return this.#restarting;
  }

  async #startAgain(): Promise<void> {
    await this.#halt();
    this.#board.vm.close();
    this.#chipset.reset();
    for (const stream of this.#consoles()) stream.beginLife();
    try {
      const plan = { ...this.#plan, signal: this.#stopping.signal };
      this.#board = await makeBoard(this.#kvm, plan, this.#chipset);
      plan.signal.throwIfAborted();
    } catch (error) {
      if (this.#exiting !== undefined) throw this.#refusal('reset');
      // Not waited for: it waits for this.
      void this.#exit({ reason: 'error', error: error as Error });
      throw error;
    }
    this.#ending = endOfRuns();
    this.#fresh = true;
    this.#tell('reset');
    // Paused meanwhile, or by a listener: then it waits at its first instruction.
    if (this.#exiting === undefined && this.#state === 'running') this.#run();
  }

  #consoles(): MachineConsole[] {
    return [this.console, this.console2, this.debugConsole].filter((stream) => stream !== undefined);
  }

  #exit(end: MachineEnd): Promise<void> {
    this.#exiting ??= this.#finish(end);
    return this.#exiting;
  }

  async #finish(end: MachineEnd): Promise<void> {
    this.#stopping.abort();
    await this.#halt();
    await this.#settled();
    this.#state = 'exited';
    this.#hold();
    this.#removeAbortListener?.();
    for (const stream of this.#consoles()) stream.finish();
    const { tail, lifeTail } = this.console;
    const exit: MachineExit = { ...whatItWas(end, lifeTail), consoleTail: tail };
    this.#resolveExited(exit);
    this.#tell('exited', exit);
  }
}

/** Each vCPU's run listens: more than ten listeners are no leak here, of which Node would warn. */
function endOfRuns(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

/** A kernel without pvpanic prints its panic and resets, or shuts its CPU down. */
function whatItWas(end: MachineEnd, consoleTail: string): MachineEnd {
  const message = panicMessage(consoleTail);
  if (end.reason === 'panic') return { reason: 'panic', message };
  const mayBePanic = end.reason === 'reset' || end.reason === 'tripleFault';
  return mayBePanic && message !== undefined ? { reason: 'panic', message } : end;
}
