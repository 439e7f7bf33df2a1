import type { OptionSpecs } from '../options.ts';

/** The options of `vmhatch boot`. */
export const bootOptions = {
  initrd: { type: 'string', value: 'PATH', help: 'the initial RAM disk: a path or a URL; default: none' },
  cmdline: {
    type: 'string',
    value: 'TEXT',
    help: 'the kernel’s command line, instead of the default (below)',
  },
  append: {
    type: 'string',
    value: 'TEXT',
    repeatable: true,
    help: 'words behind the command line; may be given again',
  },
  cpus: { type: 'string', value: 'N', help: 'vCPUs, 1 to 32; default 1' },
  memory: {
    type: 'string',
    value: 'SIZE',
    help: 'the guest’s memory: 512MiB, 4GiB, 0x10000000; default 256MiB',
  },
  protocol: {
    type: 'string',
    value: 'PROTOCOL',
    help: 'linux64, pvh, elf64, multiboot, flat or firmware; default: as the image says,\nwhich a flat image and firmware do not',
  },
  module: {
    type: 'string',
    value: 'PATH,CMDLINE',
    repeatable: true,
    help: 'a Multiboot module, from its path or URL up to the first comma, and what the kernel\nis told about it; may be given again',
  },
  load: { type: 'string', value: 'ADDR', help: 'where a flat image goes; default 0x7c00' },
  entry: { type: 'string', value: 'ADDR', help: 'where a flat image starts; default: its first byte' },
  mode: {
    type: 'string',
    value: 'MODE',
    help: 'how a flat image starts: real, protected or long; default real',
  },
  acpi: { type: 'boolean', negatable: true, help: 'ACPI tables, or else only an MP table; default on' },
  restart: { type: 'boolean', help: 'a reset by the guest starts it again instead of ending the machine' },
  console2: { type: 'string', value: 'FILE', help: 'a second serial port, ttyS1, whose output goes to FILE' },
  'debug-console': {
    type: 'string',
    value: 'PORT',
    help: 'a debug console, printed like the console: 0xe9, or SeaBIOS’s 0x402',
  },
  eot: { type: 'boolean', help: 'type a Ctrl-D at the end of input that is no terminal: a shell there ends' },
  json: {
    type: 'boolean',
    help: 'standard output is JSON lines: { type: "output" | "warning" | "end", … }',
  },
  'boot-time': {
    type: 'boolean',
    help: 'say at the end how long it took from the start until the guest wrote 123 to port 0x3f0\nor to address 0xd0000000',
  },
  quiet: { type: 'boolean', help: 'say nothing but what went wrong' },
  timeout: { type: 'string', value: 'SECONDS', help: 'stop after that time; default: none' },
} as const satisfies OptionSpecs;
