import type { Command } from './command.ts';
import { renderHelp } from './help.ts';
import { parseOptions } from './options.ts';
import { makePlan } from './run/plan.ts';

const options = {
  format: {
    type: 'string',
    value: 'FORMAT',
    help: 'flat or elf; default: elf if the file begins as one, else flat',
  },
  load: { type: 'string', value: 'ADDR', help: 'where a flat binary goes; default 0x1000' },
  entry: {
    type: 'string',
    value: 'ADDR',
    help: 'where to start; default: the load address, or what the ELF says',
  },
  mode: {
    type: 'string',
    value: 'MODE',
    help: 'real, protected or long; default: real for a flat binary,\nprotected for a 32-bit ELF, long for a 64-bit one',
  },
  firmware: {
    type: 'boolean',
    help: 'the image is a PC’s firmware: it ends at 4 GiB, the reset vector starts it',
  },
  memory: { type: 'string', value: 'SIZE', help: 'the guest’s memory: 16MiB, 1GiB, 0x100000; default 16MiB' },
  irqchip: {
    type: 'boolean',
    negatable: true,
    help: 'interrupt controllers and timer in the kernel; hlt then waits for an interrupt\ninstead of ending the run; default: only with --firmware',
  },
  serial: {
    type: 'boolean',
    negatable: true,
    help: 'COM1 (0x3f8) to standard output, standard input to it; default on',
  },
  'debug-exit': { type: 'string', value: 'PORT', help: 'the port of isa-debug-exit, or none; default 0xf4' },
  trace: { type: 'boolean', help: 'print each exit, one a line, on standard error' },
  registers: { type: 'boolean', help: 'the same with rip, rax, rbx, rcx and rdx' },
  json: {
    type: 'boolean',
    help: 'standard output is JSON lines: { type: "output" | "exit" (with --trace) | "end", … }',
  },
  'max-exits': {
    type: 'string',
    value: 'N',
    help: 'stop after N exits: every access of the guest to a port or a device counts, answered or not\n(as with --trace, they all pass through JavaScript then, which takes longer)',
  },
  timeout: { type: 'string', value: 'SECONDS', help: 'stop after that time; default: none' },
} as const;

export const command: Command = {
  help: () =>
    renderHelp({
      usage: 'run [options] IMAGE',
      about:
        'Runs a flat binary, a static ELF or a firmware image as a guest with one vCPU, until it halts, resets,\nexits by isa-debug-exit, fails, or is stopped.',
      options,
      notes: [
        [
          'Keys',
          '  Ctrl-C     stops the guest\n  ctrl-a x   quits; ctrl-a c types a Ctrl-C at the guest, ctrl-a a a ctrl-a',
        ],
        [
          'What the guest finds',
          [
            '  Memory from 0 (beyond 3 GiB it goes on at 4 GiB); COM1 at 0x3f8; a debug console at 0x402 and 0xe9, printed',
            '  like COM1; i8042 (reset) at 0x60; isa-debug-exit; with --firmware also CMOS at 0x70 and a PCI host bridge.',
            '  Other ports and addresses read as all ones. Long mode maps everything below 4 GiB (or the end of memory)',
            '  one to one; its page tables and the GDT lie in the last pages of memory, the stack below them.',
          ].join('\n'),
        ],
        [
          'Exit status of a guest',
          '  A write of v to the isa-debug-exit port ends the run with status (v << 1 | 1) & 0xff, as in QEMU.',
        ],
      ],
      examples: [
        ['vmhatch run hello.bin', 'a real-mode program at 0x1000'],
        ['vmhatch run --trace --registers hello.bin', 'each exit as it happens'],
        ['vmhatch run --mode long --load 0x100000 kernel.bin', '64-bit code at 1 MiB'],
        ['vmhatch run --timeout 10 kernel.elf', 'an ELF, at most ten seconds'],
        ['vmhatch run --firmware --timeout 2 /usr/share/seabios/bios.bin', 'a BIOS’s log'],
        ['vmhatch run --json --trace hello.bin | jq -c \'select(.type == "exit")\'', 'the exits as data'],
      ],
    }),

  main: async (args) => {
    const { values, positionals } = parseOptions(options, args);
    const plan = makePlan(values, positionals);
    // Only now: a wrong command line needs no KVM, nor the addon.
    const { runPlan } = await import('./run/session.ts');
    return runPlan(plan);
  },
};
