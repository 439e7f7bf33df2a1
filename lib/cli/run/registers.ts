import type { Regs } from '../../kvm/registers.ts';
import type { Sregs } from '../../kvm/vcpu-x86.ts';
import { hex } from '../quantity.ts';

const rows = [
  ['rax', 'rbx', 'rcx', 'rdx'],
  ['rsi', 'rdi', 'rbp', 'rsp'],
  ['r8', 'r9', 'r10', 'r11'],
  ['r12', 'r13', 'r14', 'r15'],
] as const;

/** The registers as a block of lines, for the end of a run that went wrong. */
export function registersText(regs: Regs, sregs: Sregs): string {
  const cell = (name: string, value: bigint): string => `${name.padStart(6)} ${hex(value, 16)}`;
  return [
    `${cell('rip', regs.rip)}${cell('flags', regs.rflags)}`,
    ...rows.map((names) => names.map((name) => cell(name, regs[name])).join('')),
    [cell('cr0', sregs.cr0), cell('cr2', sregs.cr2), cell('cr3', sregs.cr3), cell('cr4', sregs.cr4)].join(''),
    [
      cell('cs', sregs.cs.base),
      cell('gdt', sregs.gdt.base),
      cell('idt', sregs.idt.base),
      cell('efer', sregs.efer),
    ].join(''),
  ].join('\n');
}
