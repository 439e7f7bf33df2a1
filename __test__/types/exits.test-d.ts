// What the compiler must say about exits, handlers and results. Never run: compiled by the type check.
import type {
  AllHandlers,
  AsyncHandlers,
  Exit,
  ExitKind,
  ExitMap,
  Handlers,
  RunResult,
  StepExit,
  StepInterruption,
  Vcpu,
} from '../../index.ts';

/** Compiles only if the two types are the same. */
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
declare function same<A, B>(yes: Same<A, B>): void;

declare const vcpu: Vcpu;
declare const result: RunResult;
declare const step: StepExit | StepInterruption;

// ---- a handler's exit has the type of its kind

const handlers: Handlers = {
  ioOut: (exit, on) => {
    same<typeof exit.kind, 'ioOut'>(true);
    same<typeof exit.size, 1 | 2 | 4>(true);
    same<typeof exit.data, Uint8Array>(true);
    same<typeof on, Vcpu>(true);
    exit.stop();
    // @ts-expect-error a write wants no answer
    exit.reply(1);
    // @ts-expect-error an exit is not changed
    exit.value = 1;
  },
  ioIn: (exit) => {
    exit.reply(1);
    exit.reply(Uint8Array.of(1));
    // @ts-expect-error port answers are numbers or bytes
    exit.reply(1n);
    // @ts-expect-error there is no value to read
    void exit.value;
    return 1;
  },
  mmioRead: (exit) => {
    same<typeof exit.address, number>(true);
    exit.reply(1n);
    return 1n;
  },
  mmioWrite: (exit) => {
    same<typeof exit.value, number>(true);
    same<typeof exit.value64, bigint>(true);
  },
  debug: (exit) => {
    same<typeof exit.pc, bigint>(true);
  },
  internalError: (exit) => {
    same<typeof exit.instruction, Uint8Array | undefined>(true);
    same<typeof exit.data, readonly bigint[]>(true);
  },
  x86Rdmsr: (exit) => {
    exit.fail();
    return 1n;
  },
  x86Wrmsr: (exit) => {
    same<typeof exit.data, bigint>(true);
    exit.fail();
    // @ts-expect-error a write wants no answer
    exit.reply(1n);
  },
  hlt: (exit) => {
    same<ReturnType<typeof exit.toJSON>, ExitMap['hlt']>(true);
    // @ts-expect-error nothing can fail here
    exit.fail();
  },
};

// ---- what handlers return

export const wrongAnswer: Handlers = {
  // @ts-expect-error an answer to a port read is no string
  ioIn: () => 'a',
};
export const wrongKind: Handlers = {
  // @ts-expect-error no exit has this kind
  ioInn: () => 1,
};
export const wrongPortAnswer: Handlers = {
  // @ts-expect-error an answer to a port read is a number or bytes
  ioIn: () => 1n,
};
export const writesAnswerNothing: Handlers = {
  // @ts-expect-error a Promise is for the background lane
  ioIn: async () => 1,
};
export const asyncHandlers: AsyncHandlers = {
  ioIn: async () => 1,
  ioOut: async () => {},
  mmioRead: () => Promise.resolve(1n),
  // @ts-expect-error the Promise has the answer's type
  x86Rdmsr: async () => 'a',
};

vcpu.run(handlers);
void vcpu.runSliced(handlers);
void vcpu.runInBackground(handlers);
void vcpu.runInBackground(asyncHandlers);
// @ts-expect-error asynchronous handlers need the background lane
vcpu.run(asyncHandlers);

// ---- the exhaustive form

const nothing = (): void => {};
const answer = (): undefined => {};
const all: AllHandlers = {
  ioOut: nothing,
  ioIn: answer,
  mmioRead: answer,
  mmioWrite: nothing,
  hlt: nothing,
  shutdown: nothing,
  debug: nothing,
  armDebug: nothing,
  armNisv: nothing,
  exception: nothing,
  failEntry: nothing,
  internalError: nothing,
  systemEvent: nothing,
  hypercall: answer,
  x86Rdmsr: answer,
  x86Wrmsr: nothing,
  tprAccess: nothing,
  ioapicEoi: nothing,
  notify: nothing,
  memoryFault: nothing,
  hyperv: answer,
  xen: answer,
  irqWindowOpen: nothing,
  intr: nothing,
  nmi: nothing,
  setTpr: nothing,
  dirtyRingFull: nothing,
  apResetHold: nothing,
  x86BusLock: nothing,
  unknown: nothing,
};
same<keyof typeof all, ExitKind>(true);
declare const rest: Omit<AllHandlers, 'shutdown'>;
// @ts-expect-error a kind is missing
export const incomplete: AllHandlers = rest;

// ---- results and steps are told apart

switch (result.reason) {
  case 'exit':
  case 'stopped':
    same<typeof result.exit, Exit>(true);
    if (result.exit.kind === 'ioOut') same<typeof result.exit.port, number>(true);
    // @ts-expect-error only some exits have a port
    void result.exit.port;
    break;
  case 'device':
    same<typeof result.device, 'isa-debug-exit' | 'i8042' | 'acpi-sleep' | 'acpi-reset' | 'pvpanic'>(true);
    same<typeof result.code, number>(true);
    break;
  case 'timeout':
  case 'kicked':
    // @ts-expect-error there was no exit
    void result.exit;
    break;
  default:
    same<typeof result, never>(true);
}

switch (step.kind) {
  case 'ioIn':
    step.reply(1);
    // @ts-expect-error a copy has nothing to stop
    step.stop();
    break;
  case 'ioOut':
    // @ts-expect-error a write wants no answer
    step.reply(1);
    break;
  case 'device':
    same<typeof step.code, number>(true);
    break;
  default:
    break;
}

for (const exit of vcpu.exits()) same<typeof exit, StepExit>(true);
