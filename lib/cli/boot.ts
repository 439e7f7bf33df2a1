import { bootOptions } from './boot/options.ts';
import { bootPlan } from './boot/plan.ts';
import { terminalSize } from './boot/terminal-size.ts';
import type { Command } from './command.ts';
import { renderHelp } from './help.ts';
import { parseOptions } from './options.ts';

export const command: Command = {
  help: () =>
    renderHelp({
      usage: 'boot [options] [KERNEL]',
      about:
        'Boots a Linux kernel, or another one, with its console here: what it prints goes to standard output, what is\n' +
        'typed goes to it. KERNEL is a path or a URL; default: the kernel of the package vmhatch-kernel-x64.',
      options: bootOptions,
      notes: [
        [
          'Keys',
          [
            '  ctrl-a x   quits',
            '  ctrl-a r   types stty rows R columns C at the guest: a serial line does not tell it the terminal’s size',
            '  ctrl-a a   types a ctrl-a; ctrl-a h helps; all other keys are the guest’s, Ctrl-C too',
          ].join('\n'),
        ],
        [
          'Input that is no terminal',
          [
            '  is typed as the guest reads it, and its end means nothing, unless --eot types a Ctrl-D then. Ctrl-C stops',
            '  the machine there.',
          ].join('\n'),
        ],
        [
          'Command line of the kernel',
          [
            '  By default: console=ttyS0 panic=-1, on a terminal its size as vmhatch.rows=R vmhatch.columns=C, then what',
            '  --append adds. A flat image and firmware have none.',
          ].join('\n'),
        ],
      ],
      examples: [
        ['vmhatch boot --initrd initrd.cpio', 'the installed kernel, a shell'],
        ['vmhatch boot --cpus 2 --memory 1GiB --initrd initrd.cpio bzImage', 'a kernel of yours'],
        ['vmhatch boot --append "quiet init=/bin/sh" --initrd initrd.cpio', 'a word more for the kernel'],
        ["printf 'uname -a\\npoweroff\\n' | vmhatch boot --initrd initrd.cpio", 'commands from a pipe'],
        ['vmhatch boot --protocol firmware --debug-console 0x402 bios.bin', 'a PC’s firmware'],
        ['vmhatch boot --json --boot-time --timeout 60 bzImage | jq .', 'for a program'],
      ],
    }),

  main: async (args) => {
    const { values, positionals } = parseOptions(bootOptions, args);
    const plan = bootPlan(values, positionals, terminalSize(process.stdin, process.stdout));
    // Only now: a wrong command line needs no KVM, nor the addon.
    const { runBoot } = await import('./boot/session.ts');
    return runBoot(plan);
  },
};
