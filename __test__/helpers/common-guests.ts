/**
 * Guests that both architectures have, under one name, and machines for them. They talk by accesses to addresses that are
 * no memory, so that a test of what is common reads the same on either; what only one has is in guests.ts and arm.ts.
 */
import type { ExecutionContext } from 'ava';

import type { ExitMap, RunResult, Vcpu, Vm } from '../../index.ts';
import { findArmGuest, initArm, writeCode } from './arm.ts';
import { enter as enterX86, findGuest } from './guests.ts';
import { RAM_SIZE, exitOf, makeVm, type Machine } from './machine.ts';

export const onArm = process.arch === 'arm64';

/** The programs; what each does is in its source, crates/test-guests/guests/NAME.s and aarch64/NAME.s. */
export type CommonGuest =
  | 'dirty-one-page'
  | 'mmio-8-byte'
  | 'mmio-burst'
  | 'mmio-echo'
  | 'mmio-meet'
  | 'mmio-sizes'
  | 'mmio-storm'
  | 'mmio-widths'
  | 'spin'
  | 'write-pages'
  | 'write-read-only';

/** Where guests write what they have to say, and read: the low 64 KiB are left to memory. */
export const OUTPUT = 0x10000;

/** Where all of them are loaded and entered. */
export const ENTRY = 0x1000;

/** Registers by what the guests use them for, and one that none of them uses. */
const REGISTERS = {
  x64: { value: 'rax', step: 'rcx', own: 'rsi', other: 'rdi', spare: 'rbp', pc: 'rip' },
  arm64: { value: 'x1', step: 'x2', own: 'x3', other: 'x4', spare: 'x5', pc: 'pc' },
} as const;

export type CommonRegister = keyof (typeof REGISTERS)['x64'];
export type CommonRegs = Partial<Record<CommonRegister, number | bigint>>;

/** Reads a register. */
export function getRegister(vcpu: Vcpu, name: CommonRegister): bigint {
  return onArm ? vcpu.armRegs[REGISTERS.arm64[name]] : vcpu.regs[REGISTERS.x64[name]];
}

/** Writes registers, one by one. */
export function setRegisters(vcpu: Vcpu, regs: CommonRegs): void {
  for (const [key, value] of Object.entries(regs)) {
    const name = key as CommonRegister;
    if (onArm) vcpu.armRegs[REGISTERS.arm64[name]] = BigInt(value);
    else vcpu.regs[REGISTERS.x64[name]] = BigInt(value);
  }
}

/** Writes a program to where it belongs. */
export function load(vm: Vm, name: CommonGuest): void {
  const { loadAddress, bytes } = onArm ? findArmGuest(name) : findGuest(name);
  writeCode(vm, loadAddress, bytes);
}

/** Brings a vCPU to a program's entry, also one whose guest has ended. */
export function enter(vcpu: Vcpu, name: CommonGuest, regs: CommonRegs = {}): void {
  if (onArm) initArm(vcpu, [], { pc: findArmGuest(name).entry });
  else enterX86(vcpu, findGuest(name));
  setRegisters(vcpu, regs);
}

/** What a test wants of its machine. */
export interface CommonOptions {
  regs?: CommonRegs;
  /** Called before the vCPU is made. */
  prepare?: (vm: Vm) => void;
  /** Bytes of memory from address 0. */
  ramSize?: number;
}

/** Makes a machine with a guest that is ready to run. */
export function boot(
  t: ExecutionContext,
  name: CommonGuest,
  { regs = {}, prepare, ramSize = RAM_SIZE }: CommonOptions = {},
): Machine {
  const vm = makeVm(t);
  prepare?.(vm);
  vm.memory.map({ guestAddress: 0, size: ramSize });
  load(vm, name);
  const vcpu = vm.createVcpu();
  enter(vcpu, name, regs);
  return { vm, vcpu };
}

/** Where the vCPUs of `mmio-meet` have their words. */
const WORDS = [0x2000, 0x3000] as const;

/** Makes a machine with two vCPUs that meet, whose names are 1 and 2. */
export function bootPair(t: ExecutionContext): [Vcpu, Vcpu] {
  const [first, second] = WORDS;
  const { vm, vcpu } = boot(t, 'mmio-meet', { regs: { value: 1, own: first, other: second } });
  const beside = vm.createVcpu();
  enter(beside, 'mmio-meet', { value: 2, own: second, other: first });
  return [vcpu, beside];
}

/** How a guest ends here: it halts, or turns the machine off by PSCI. After the latter only enter() brings it back. */
export const END = onArm ? 'systemEvent' : 'hlt';

/** That a run ended because the guest did; a run that ended otherwise fails the test. */
export function ended(end: RunResult): ExitMap['hlt' | 'systemEvent'] {
  return exitOf(end, END);
}

/**
 * How often a test does something that counts, where an emulated processor takes its time: an exit is some fifty times
 * slower there.
 */
export const scaled = (count: number): number =>
  process.env['VMHATCH_EMULATED_HOST'] === '1' ? Math.max(1, Math.ceil(count / 20)) : count;
