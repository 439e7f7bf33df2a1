import type { KvmError } from '../internal/errors.ts';

/** Why a machine is no longer running. */
export type MachineExit = MachineEnd & {
  /** The last that the guest printed on its console, up to 16 KiB. */
  readonly consoleTail: string;
};

/** The reasons of a {@link MachineExit}. */
export type MachineEnd =
  | {
      /** The guest powered off. */
      readonly reason: 'poweroff';
    }
  | {
      /** The guest asked for a reset: a reboot, or a kernel without another way to end. */
      readonly reason: 'reset';
    }
  | {
      /** The guest's kernel panicked: it said so by pvpanic, or printed it before it reset. */
      readonly reason: 'panic';
      /** What the kernel printed behind `Kernel panic - not syncing: `, if it did. */
      readonly message: string | undefined;
    }
  | {
      /** A vCPU met a fault while it delivered a fault, which shuts a CPU down. */
      readonly reason: 'tripleFault';
      /** The vCPU. */
      readonly vcpu: number;
    }
  | {
      /** The guest ended itself by an isa-debug-exit device that the caller attached. */
      readonly reason: 'exit';
      /** The exit code that the device has for what the guest wrote. */
      readonly code: number;
    }
  | {
      /** `stop()`, the signal, or the end of an `await using` block. */
      readonly reason: 'killed';
    }
  | {
      /** The host could not go on with the guest: what KVM reported, or what a JavaScript device threw. */
      readonly reason: 'error';
      /** What went wrong. */
      readonly error: Error | KvmError;
    };

const PANIC = /Kernel panic - not syncing: ([^\r\n]*)/;

/** What a Linux kernel that panicked printed about it. */
export function panicMessage(consoleTail: string): string | undefined {
  return PANIC.exec(consoleTail)?.[1];
}
