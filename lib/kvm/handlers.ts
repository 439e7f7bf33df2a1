import type { AnswerMap, ExitKind, Exit, HandlerExit } from './exits.ts';
import type { Vcpu } from './vcpu.ts';

/** What a handler may return: an answer where the exit wants one. */
export type HandlerResult<Kind extends ExitKind> = Kind extends keyof AnswerMap
  ? AnswerMap[Kind] | undefined | void
  : void;

/**
 * Functions for exits, by kind. An exit that no device claims and no handler takes ends the run.
 *
 * The exit is one reused object, valid while the handler runs. A handler for a read returns the answer or calls
 * `exit.reply()`; if it does neither, the guest reads all ones.
 *
 * @example
 * ```ts
 * const handlers: Handlers = {
 *   ioOut: (exit) => console.log(exit.port, exit.value),
 *   ioIn: (exit) => (exit.port === 0x60 ? 0x1c : undefined),
 * };
 * ```
 */
export type Handlers = {
  [Kind in ExitKind]?: (exit: HandlerExit<Kind>, vcpu: Vcpu) => HandlerResult<Kind>;
};

/** Handlers of the background lane, which may also return a Promise: only that vCPU waits for it. */
export type AsyncHandlers = {
  [Kind in ExitKind]?: (
    exit: HandlerExit<Kind>,
    vcpu: Vcpu,
  ) => HandlerResult<Kind> | Promise<HandlerResult<Kind>>;
};

/** The exhaustive form: a kind that is left out is a compile error. */
export type AllHandlers = Required<Handlers>;

/** A run that ended without an exit to look at. */
export type Interruption =
  | {
      /** The time given as `timeoutMs` was over. */
      readonly reason: 'timeout';
    }
  | {
      /** Someone called `kickHandle.kick()`. */
      readonly reason: 'kicked';
    }
  | {
      /** A device ended the run. */
      readonly reason: 'device';
      /**
       * Which device ended the run: `i8042` and `acpi-reset` for a reset, `acpi-sleep` for a power-off, `pvpanic` for a
       * panic of the guest's kernel.
       */
      readonly device: 'isa-debug-exit' | 'i8042' | 'acpi-sleep' | 'acpi-reset' | 'pvpanic';
      /** The exit code of `isa-debug-exit`; 0 for the others. */
      readonly code: number;
    };

/** Why a run ended. */
export type RunResult =
  | {
      /** An exit that no device claims and no handler takes. */
      readonly reason: 'exit';
      /** That exit, a copy. */
      readonly exit: Exit;
    }
  | {
      /** A handler called `exit.stop()`. */
      readonly reason: 'stopped';
      /** The exit that it was called for, a copy. */
      readonly exit: Exit;
    }
  | Interruption;
