/** Tests of `Machine`: machines that are disposed of when the test ends, and small programs for them. */
import type { ExecutionContext } from 'ava';

import { Machine, type MachineConfig, type MachineExit } from '../../index.ts';
import { findGuest, type Mode } from './guests.ts';

const FLAT_MODES = { real16: 'real', protected32: 'protected', long64: 'long' } as const satisfies Record<
  Mode,
  string
>;

/** RAM for machines whose guests need little; tables and page tables lie in the first MiB. */
export const SMALL = 2 ** 21;

/** Makes a machine. */
export async function makeMachine(t: ExecutionContext, config: MachineConfig): Promise<Machine> {
  const machine = await Machine.create({ memory: SMALL, ...config });
  t.teardown(() => machine[Symbol.asyncDispose]());
  return machine;
}

/** Makes a machine and starts it. */
export async function startMachine(t: ExecutionContext, config: MachineConfig): Promise<Machine> {
  const machine = await makeMachine(t, config);
  await machine.start();
  return machine;
}

/** Lets a machine run to its end. */
export async function runMachine(t: ExecutionContext, config: MachineConfig): Promise<MachineExit> {
  const machine = await startMachine(t, config);
  return machine.exited;
}

/** A configuration for a guest of crates/test-guests. */
export function guest(name: string): MachineConfig {
  const { bytes, mode, loadAddress, entry } = findGuest(name);
  return { kernel: bytes, protocol: 'flat', flat: { address: loadAddress, entry, mode: FLAT_MODES[mode] } };
}

/** A configuration for instructions in 16-bit real mode at 0x7c00: bytes, or a list of bytes an instruction. */
export function flat(...code: (number | readonly number[])[]): MachineConfig {
  return { kernel: Uint8Array.from(code.flat()), protocol: 'flat' };
}

/** The same in 32-bit protected mode at 0x7c00. */
export function flat32(...code: (number | readonly number[])[]): MachineConfig {
  return { ...flat(...code), flat: { mode: 'protected' } };
}

/** `mov dx` is the one instruction of those below that is longer in 32-bit code. */
export function in32(code: readonly number[]): number[] {
  return [0x66, ...code];
}

/** ud2, in 32-bit code: there is no vector table, so the fault has no handler, nor has the fault of that. */
export const TRIPLE_FAULT = [0x0f, 0x0b];

/** mov dx, port; mov al, value; out dx, al */
export function out(port: number, value: number): number[] {
  return [0xba, port & 0xff, port >> 8, 0xb0, value, 0xee];
}

/** mov dx, port; in al, dx */
export function inputFrom(port: number): number[] {
  return [0xba, port & 0xff, port >> 8, 0xec];
}

/** Where a machine has its serial ports. */
export const COM1 = 0x3f8;
export const COM2 = 0x2f8;

/** Writes a text to a port, byte by byte. */
export function print(text: string, port = COM1): number[] {
  // mov dx, port; then for each byte: mov al, byte; out dx, al
  return [0xba, port & 0xff, port >> 8, ...[...Buffer.from(text)].flatMap((byte) => [0xb0, byte, 0xee])];
}

/** Ways of a guest to end itself; the machine's registers are told in lib/kvm/rust-devices.ts. */
export const POWER_OFF = out(0x600, 0x34);
export const ACPI_RESET = out(0x602, 0x42);
export const KEYBOARD_RESET = out(0x64, 0xfe);
export const PANIC = out(0x505, 1);

/** cli; hlt: no interrupt wakes it any more. */
export const HALT = [0xfa, 0xf4];
/** cli; jmp to itself. */
export const SPIN = [0xfa, 0xeb, 0xfe];
/** again: sti; hlt; jmp again */
export const SLEEP = [0xfb, 0xf4, 0xeb, 0xfc];
/** mov dx, COM1; again: out dx, al; inc al; jmp again */
export const FLOOD = [0xba, 0xf8, 0x03, 0xee, 0xfe, 0xc0, 0xeb, 0xfb];

/**
 * What a promise gives, unless that takes so long that nobody would wait for it. A busy machine is slow: what is meant
 * to take a moment gets this much.
 */
export async function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const PATIENCE_MS = 20_000;

/** Everything that a stream gives until it ends, as text. */
export async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
