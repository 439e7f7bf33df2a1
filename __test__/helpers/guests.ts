/** The guest programs of crates/test-guests, and the CPU modes that they are written for. */
import { readFileSync } from 'node:fs';

import type { Patch, Regs, Sregs, Vcpu, Vm } from '../../index.ts';

/** How the CPU must be set up before a guest is entered. */
export type Mode = 'real16' | 'protected32' | 'long64';

/** One guest program. */
export interface Guest {
  mode: Mode;
  loadAddress: number;
  entry: number;
  bytes: Uint8Array;
}

interface Row {
  name: string;
  mode: Mode;
  loadAddress: number;
  entry: number;
  file: string;
}

const folder = new URL('../../crates/test-guests/guests/', import.meta.url);
const rows = JSON.parse(readFileSync(new URL('guests.json', folder), 'utf8')) as Row[];

/** The guest of a name; a name that no guest has is a mistake of the test. */
export function findGuest(name: string): Guest {
  const row = rows.find((one) => one.name === name);
  if (row === undefined) throw new Error(`there is no guest ${name}`);
  const { mode, loadAddress, entry, file } = row;
  return { mode, loadAddress, entry, bytes: new Uint8Array(readFileSync(new URL(file, folder))) };
}

/**
 * Instructions for 16-bit real mode at 0x1000, for tests that need other ones than the guests have: bytes, or a list of
 * bytes an instruction.
 */
export function realModeGuest(...code: (number | readonly number[])[]): Guest {
  return { mode: 'real16', loadAddress: 0x1000, entry: 0x1000, bytes: Uint8Array.from(code.flat()) };
}

/** Page tables and descriptors lie where no guest has anything: 0x4000 to 0x7fff. */
const GDT = 0x4000;
const PML4 = 0x5000;
const PDPT = 0x6000;
const DIRECTORY = 0x7000;

const PRESENT_WRITABLE = 3n;
const USER = 4n;
const LARGE_PAGE = 0x80n;

const CR0_PROTECTED = 0x11n;
const CR0_PAGING = 0x8000_0000n;
const CR4_PAE = 0x20n;
const EFER_LONG_MODE = 0x500n;

const CODE = { base: 0n, limit: 0xffff_ffff, selector: 0x8, type: 0xb, present: 1, dpl: 0, s: 1, g: 1 };
const DATA = { ...CODE, selector: 0x10, type: 0x3, db: 1, l: 0 };
const ALL_DATA = { ds: DATA, es: DATA, fs: DATA, gs: DATA, ss: DATA };

function protectedMode(vm: Vm): Patch<Sregs> {
  vm.memory.writeBigUint64(GDT, 0n);
  vm.memory.writeBigUint64(GDT + 8, 0x00cf_9b00_0000_ffffn);
  vm.memory.writeBigUint64(GDT + 16, 0x00cf_9300_0000_ffffn);
  return {
    cs: { ...CODE, db: 1, l: 0 },
    ...ALL_DATA,
    gdt: { base: BigInt(GDT), limit: 23 },
    cr0: CR0_PROTECTED,
  };
}

function longMode(vm: Vm): Patch<Sregs> {
  const rest = protectedMode(vm);
  vm.memory.writeBigUint64(GDT + 8, 0x00af_9b00_0000_ffffn);
  vm.memory.writeBigUint64(PML4, BigInt(PDPT) | PRESENT_WRITABLE);
  vm.memory.writeBigUint64(PDPT, BigInt(DIRECTORY) | PRESENT_WRITABLE);
  vm.memory.writeBigUint64(DIRECTORY, PRESENT_WRITABLE | LARGE_PAGE);
  return {
    ...rest,
    cs: { ...CODE, db: 0, l: 1 },
    cr0: CR0_PROTECTED | CR0_PAGING,
    cr3: BigInt(PML4),
    cr4: CR4_PAE,
    efer: EFER_LONG_MODE,
  };
}

/** Brings a vCPU to a guest's entry. */
export function enter(vcpu: Vcpu, guest: Guest, regs: Patch<Regs> = {}): void {
  if (guest.mode === 'real16') vcpu.setSregs({ cs: { base: 0n, selector: 0 } });
  else if (guest.mode === 'protected32') vcpu.setSregs(protectedMode(vcpu.vm));
  else vcpu.setSregs(longMode(vcpu.vm));
  vcpu.setRegs({ rip: guest.entry, rflags: 2, ...regs });
}

/** The selectors of Linux's 64-bit programs: KVM-PVM runs no others. */
const USER_CODE = 0x33;
const USER_DATA = 0x2b;

/**
 * Brings a vCPU to the entry of a 64-bit guest of the lowest privilege. KVM-PVM lets the processor run it, where it
 * emulates guests of the highest, so that page tables and faults are what they are on other hosts. There are no
 * handlers of exceptions: each is a shutdown.
 */
export function enterUser(vcpu: Vcpu, guest: Guest, regs: Patch<Regs> = {}): void {
  enter(vcpu, guest, regs);
  for (const table of [PML4, PDPT, DIRECTORY]) {
    vcpu.vm.memory.writeBigUint64(table, vcpu.vm.memory.readBigUint64(table) | USER);
  }
  vcpu.setSregs({
    cs: { dpl: 3, selector: USER_CODE },
    ss: { dpl: 3, selector: USER_DATA },
    idt: { base: 0n, limit: 0 },
  });
}
