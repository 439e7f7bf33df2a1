import { EventFd } from '../../kvm/event-fd.ts';
import type { Handlers, RunResult } from '../../kvm/handlers.ts';
import { Kvm } from '../../kvm/kvm.ts';
import type { Serial } from '../../kvm/rust-devices.ts';
import type { Vcpu } from '../../kvm/vcpu.ts';
import type { Vm } from '../../kvm/vm.ts';
import { stoppedEnding } from '../shared/ending.ts';
import type { EscapeKeys } from '../shared/escape.ts';
import { KeyboardInput } from '../shared/input.ts';
import { StopSwitch } from '../shared/stop-switch.ts';
import { makeBoard } from './board/board.ts';
import type { Board } from './board/board.ts';
import { emptyBus, tracedHandlers } from './board/handlers.ts';
import { ending, requestEnding } from './ending.ts';
import { makeVcpu, makeVm } from './machine.ts';
import type { RunPlan } from './plan.ts';
import { JsonReporter, TextReporter } from './reporter.ts';
import type { Reporter } from './reporter.ts';
import { Trace } from './trace.ts';

/** COM1's interrupt on a PC. */
const serialIrq = 4;

/** A bare guest seldom knows what a Ctrl-C is. */
const keys: EscapeKeys = { ctrlC: 'interrupt', commands: { x: 'quit' } };

/**
 * Runs a guest to its end, or to the person's.
 *
 * @returns the exit status
 * @throws KvmError when the host cannot do it
 */
export async function runPlan(plan: RunPlan): Promise<number> {
  const reporter = plan.json
    ? new JsonReporter(process.stdout)
    : new TextReporter(process.stdout, process.stderr);
  const kvm = new Kvm();
  try {
    const vm = makeVm(kvm, plan);
    const stop = new StopSwitch();
    try {
      return await runGuest(plan, { vm, vcpu: makeVcpu(kvm, vm, plan), stop, reporter });
    } finally {
      stop.close();
    }
  } finally {
    kvm.close();
  }
}

interface Session {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  readonly stop: StopSwitch;
  readonly reporter: Reporter;
}

async function runGuest(plan: RunPlan, { vm, vcpu, stop, reporter }: Session): Promise<number> {
  const board = wireBoard(plan, vm, reporter);
  const trace = new Trace(plan, reporter, stop);
  const handlers = trace.wanted ? tracedBoard(board, trace, stop) : attachedBoard(board, vm);
  const keyboard = board.serial && listen(board.serial, stop, reporter);
  try {
    const start = performance.now();
    const result = await runUntilStopped(vcpu, handlers, plan, stop);
    const ms = performance.now() - start;
    // The terminal is itself again before anything is said about the end.
    keyboard?.stop();
    if (result.reason === 'exit') trace.take(result.exit, undefined, vcpu);
    board.close();
    const end = stop.ending ?? ending(result);
    reporter.end(end, { exits: vcpu.stats.exits, ms }, vcpu);
    return end.exitCode;
  } finally {
    keyboard?.stop();
    board.close();
  }
}

function wireBoard(plan: RunPlan, vm: Vm, reporter: Reporter): Board {
  let interrupt: EventFd | undefined;
  if (plan.serial && plan.irqchip) {
    interrupt = new EventFd();
    vm.registerIrqfd(interrupt, serialIrq);
  }
  return makeBoard(plan, { print: (name, bytes) => reporter.output(name, bytes), interrupt });
}

/** Devices that answer by themselves: no exit for one that is written in Rust reaches JavaScript. */
function attachedBoard({ ports }: Board, vm: Vm): Handlers {
  for (const { base, length, device } of ports) vm.io.attach({ base, length }, device);
  return emptyBus;
}

/** Devices that JavaScript drives, exit by exit. */
function tracedBoard({ ports, takeRequest }: Board, trace: Trace, stop: StopSwitch): Handlers {
  return tracedHandlers({
    ports,
    observe: (exit, answer, vcpu) => {
      // Before the count: what the guest asks for is the reason that counts.
      const request = takeRequest();
      if (request !== undefined) stop.stop(requestEnding(request));
      trace.take(exit, answer, vcpu);
    },
    ended: () => stop.ending !== undefined,
  });
}

/** Runs the vCPU, to be stopped by the switch. Sliced: signals, the keyboard and the clock get their turn. */
async function runUntilStopped(
  vcpu: Vcpu,
  handlers: Handlers,
  { timeoutMs }: RunPlan,
  stop: StopSwitch,
): Promise<RunResult> {
  try {
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    return await vcpu.runSliced(handlers, { signal: stop.signal, ...limit });
  } catch (error) {
    if (stop.ending !== undefined && error instanceof Error && error.name === 'AbortError')
      return { reason: 'kicked' };
    throw error;
  }
}

/** Connects standard input to COM1. */
function listen(serial: Serial, stop: StopSwitch, reporter: Reporter): KeyboardInput {
  return new KeyboardInput(process.stdin, keys, {
    take: (bytes) => serial.input(bytes),
    action: (action) => {
      if (action === 'help')
        reporter.hint('Ctrl-C stops, ctrl-a x quits, ctrl-a c types a Ctrl-C at the guest');
      else stop.stop(stoppedEnding(action === 'quit' ? 'quit' : 'SIGINT'));
    },
  });
}
