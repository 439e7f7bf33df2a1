/** Guests of aarch64 (crates/test-guests/guests/aarch64) and machines for them: closed when the test ends. */
import { readFileSync } from 'node:fs';

import type { ExecutionContext } from 'ava';

import { ArmVcpuFeature, type ArmRegisterName, type Vcpu, type Vm } from '../../index.ts';
import { RAM_SIZE, makeVm, type Machine } from './machine.ts';

interface Row {
  name: string;
  loadAddress: number;
  entry: number;
  file: string;
}

/** A guest program. */
export interface ArmGuest {
  loadAddress: number;
  entry: number;
  bytes: Uint8Array;
}

/** Registers to begin with, by name. */
export type ArmRegs = Partial<Record<ArmRegisterName, number | bigint>>;

/** Where guests write what they have to say. */
export const OUTPUT = 0x10000;

/** Where guests with the vectors of vectors.inc report an exception: its entry, ESR_EL1 and FAR_EL1. */
export const REPORT = 0x10100;

const folder = new URL('../../crates/test-guests/guests/aarch64/', import.meta.url);
let rows: Row[] | undefined;

/** The guest of a name; a name that no guest has is a mistake of the test. */
export function findArmGuest(name: string): ArmGuest {
  rows ??= JSON.parse(readFileSync(new URL('guests.json', folder), 'utf8')) as Row[];
  const row = rows.find((one) => one.name === name);
  if (row === undefined) throw new Error(`there is no guest ${name} for aarch64`);
  const { loadAddress, entry, file } = row;
  return { loadAddress, entry, bytes: new Uint8Array(readFileSync(new URL(file, folder))) };
}

/** Instructions at 0x1000, for tests that need other ones than the guests have. */
export function armGuest(...code: number[]): ArmGuest {
  return { loadAddress: 0x1000, entry: 0x1000, bytes: new Uint8Array(Uint32Array.from(code).buffer) };
}

/**
 * Writes a program into guest memory, 8 bytes at a time. QEMU before 8.2 overlooks that code changes when it is written
 * with vector instructions, as the host's memcpy() does where it has SVE: a guest would run what an earlier one left
 * in the same page.
 */
export function writeCode(vm: Vm, address: number, bytes: Uint8Array): void {
  const padded = new Uint8Array(Math.ceil(bytes.length / 8) * 8);
  padded.set(bytes);
  for (const [at, word] of new BigUint64Array(padded.buffer).entries()) {
    vm.memory.writeBigUint64(address + at * 8, word);
  }
}

/** Makes a vCPU a processor, and sets registers. */
export function initArm(vcpu: Vcpu, features: readonly number[] = [], regs: ArmRegs = {}): void {
  const { target } = vcpu.vm.getPreferredTarget();
  vcpu.vcpuInit({ target, features: [ArmVcpuFeature.psci02, ...features] });
  setArmRegs(vcpu, regs);
}

/** Sets registers by name. */
export function setArmRegs(vcpu: Vcpu, regs: ArmRegs): void {
  Object.assign(vcpu.armRegs, regs);
}

/** What a test wants of its machine. */
export interface ArmBootOptions {
  regs?: ArmRegs;
  /** Beside PSCI: numbers of `ArmVcpuFeature`. */
  features?: readonly number[];
  /** Bytes of memory from address 0. */
  ramSize?: number;
  /** Called before the vCPU is made. */
  prepare?: (vm: Vm) => void;
  /** Called when the vCPU is a processor, and its registers are set. */
  initialized?: (vcpu: Vcpu) => void;
}

/** Makes a machine with a guest that is ready to run. */
export function bootArm(
  t: ExecutionContext,
  what: string | ArmGuest,
  { regs = {}, features = [], ramSize = RAM_SIZE, prepare, initialized }: ArmBootOptions = {},
): Machine {
  const vm = makeVm(t);
  const guest = typeof what === 'string' ? findArmGuest(what) : what;
  vm.memory.map({ guestAddress: 0, size: ramSize });
  writeCode(vm, guest.loadAddress, guest.bytes);
  prepare?.(vm);
  const vcpu = vm.createVcpu();
  initArm(vcpu, features, { pc: guest.entry, ...regs });
  initialized?.(vcpu);
  return { vm, vcpu };
}

/** Little-endian bytes of a number that KVM takes as an attribute's value. */
export function u64Bytes(value: number | bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

/** Likewise of 32 bits. */
export function u32Bytes(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

/** What a guest said about an exception: writes by address. */
export interface ExceptionReport {
  /** The entry of the table: 4 is a synchronous exception, 7 a system error. */
  entry: number;
  /** The class of the exception, `ESR_EL1.EC`. */
  class: number;
  /** The rest of the syndrome, `ESR_EL1.ISS`. */
  iss: number;
  /** `FAR_EL1`. */
  address: bigint;
}

/** Runs a guest to its power-off and gives all that it wrote, by address; the last value where it wrote twice. */
export function writesOf(vcpu: Vcpu): Map<number, bigint> {
  const writes = new Map<number, bigint>();
  const end = vcpu.run(
    { mmioWrite: (exit) => void writes.set(exit.address, exit.value64) },
    { timeoutMs: 20_000 },
  );
  if (end.reason !== 'exit' || end.exit.kind !== 'systemEvent') {
    throw new Error(
      `expected a power-off, the run ended with ${end.reason} after ${JSON.stringify([...writes].map(String))}`,
    );
  }
  return writes;
}

/** The exception that a guest reported, if it did. */
export function exceptionIn(writes: ReadonlyMap<number, bigint>): ExceptionReport | undefined {
  const entry = writes.get(REPORT);
  if (entry === undefined) return undefined;
  // Linux 6.1 extends the sign of a syndrome that it makes itself.
  const syndrome = Number(BigInt.asUintN(32, writes.get(REPORT + 8)!));
  return {
    entry: Number(entry),
    class: Math.floor(syndrome / 2 ** 26) & 0x3f,
    iss: syndrome & 0x1ff_ffff,
    address: writes.get(REPORT + 16)!,
  };
}
