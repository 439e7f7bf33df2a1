/**
 * Linux in a `Machine`, for tests. Kernels and the initrd are found or made before, by `npm test -- linux`, which tells
 * by variables where they are and runs the tests where KVM runs Linux.
 */
import type { ExecutionContext } from 'ava';
import { Machine, type BootProtocol, type MachineConfig, type MachineExit } from '../../index.ts';
import { ConsoleReader } from './console-reader.ts';

/** Which Linux: the one of kernel/, or Debian's for clouds. */
export type KernelName = 'own' | 'cloud';

/** How long a machine that was told to end, or a guest that ends itself, may take. */
const PATIENCE_MS = 60_000;

/** The files that a boot needs, by the variables that name them. */
const FILES = {
  ownBzImage: 'VMHATCH_TEST_BZIMAGE',
  ownVmlinux: 'VMHATCH_TEST_VMLINUX',
  cloudBzImage: 'VMHATCH_TEST_CLOUD_KERNEL',
  initrd: 'VMHATCH_TEST_INITRD',
} as const;

function file(name: keyof typeof FILES): string | undefined {
  return process.env[FILES[name]] || undefined;
}

/** Whether everything is to be tried, or only a choice: `npm run test:all`. */
export const ALL = process.env['VMHATCH_TEST_ALL'] === '1';

/** What a test wants. The rest of a machine's configuration goes in `config`. */
export interface LinuxOptions {
  /** Default `'own'`. */
  kernel?: KernelName;
  /** Which file of the own kernel; Debian has the bzImage only. Default: the one that the protocol needs. */
  image?: 'bzImage' | 'vmlinux';
  /** Default `'pvh'`. */
  protocol?: BootProtocol;
  /** Default 1. */
  cpus?: number;
  /** Default 256 MiB. */
  memory?: string;
  /** Words behind the usual ones. */
  cmdline?: string;
  /** Whether the kernel prints what it does; each byte of that is an exit. Default false. */
  verbose?: boolean;
  /** Whether to wait for the shell's prompt, and to make the shell quiet. Default true. */
  shell?: boolean;
  /** Called before the start: devices that want to know their machine. */
  prepare?: (machine: Machine) => void;
  config?: Omit<MachineConfig, 'kernel' | 'initrd' | 'protocol' | 'cpus' | 'memory' | 'cmdline'>;
}

/** A Linux that runs. */
export interface Linux {
  machine: Machine;
  /** Its first serial port. */
  console: ConsoleReader;
  /** Milliseconds that the machine took to be made, and from its start to the shell's prompt. */
  createMs: number;
  promptMs: number;
}

/** Defines a test that needs Linux, by what it boots. It is skipped, and says so, where that cannot be. */
export function onLinux(
  test: { serial: (title: string, run: (t: ExecutionContext) => Promise<void>) => void },
  title: string,
  needs: KernelName,
  run: (t: ExecutionContext) => Promise<void>,
): void {
  test.serial(title, async (t) => {
    const missing = whatIsMissing(needs);
    if (missing === undefined) {
      // Some times what a test needs; and less than the silence after which a host is given up (scripts/test/hosts.mjs): a
      // test that waits in vain is a failure with a name.
      t.timeout(150_000);
      await run(t);
      return;
    }
    t.log(`skipped: ${missing}`);
    t.pass();
  });
}

function whatIsMissing(kernel: KernelName): string | undefined {
  const needed =
    kernel === 'own'
      ? (['initrd', 'ownBzImage', 'ownVmlinux'] as const)
      : (['initrd', 'cloudBzImage'] as const);
  const unset = needed.filter((name) => file(name) === undefined).map((name) => FILES[name]);
  return unset.length === 0 ? undefined : `no ${unset.join(', no ')}. Type: npm test -- linux`;
}

/** Makes a machine with Linux and starts it; it is disposed of when the test ends, however it ends. */
export async function bootLinux(t: ExecutionContext, options: LinuxOptions = {}): Promise<Linux> {
  const {
    kernel = 'own',
    protocol = 'pvh',
    cpus = 1,
    memory = '256MiB',
    verbose = false,
    shell = true,
    config = {},
  } = options;
  const { image = protocol === 'linux64' ? 'bzImage' : 'vmlinux' } = options;
  const own = image === 'bzImage' ? file('ownBzImage') : file('ownVmlinux');
  const path = kernel === 'own' ? own : file('cloudBzImage');
  const begin = performance.now();
  const machine = await Machine.create({
    ...config,
    kernel: path!,
    initrd: file('initrd')!,
    protocol,
    cpus,
    memory,
    cmdline: [Machine.defaultCmdline, verbose ? '' : 'quiet', options.cmdline ?? ''].join(' '),
  });
  const createMs = performance.now() - begin;
  t.teardown(() => machine[Symbol.asyncDispose]());
  options.prepare?.(machine);
  const console = new ConsoleReader(machine);
  const start = performance.now();
  await machine.start();
  if (!shell) return { machine, console, createMs, promptMs: 0 };
  await toPrompt(console);
  const promptMs = performance.now() - start;
  await console.makeQuiet();
  return { machine, console, createMs, promptMs };
}

/** Waits for the shell's prompt: busybox asks the terminal behind it where its cursor is. */
export async function toPrompt(console: ConsoleReader): Promise<void> {
  await console.expect(/\n\/ # /);
}

/** How a machine ended; one that does not fails the test. */
export async function exitOf({ machine, console }: Linux): Promise<MachineExit> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`the machine did not end, it is ${machine.state}:\n${console.tail}`)),
      PATIENCE_MS,
    );
  });
  try {
    return await Promise.race([machine.exited, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What no kernel may say of a machine that is what its tables and registers promise. */
const COMPLAINTS = [
  /ACPI (?:BIOS )?(?:Error|Warning)[^\r\n]*/,
  /ACPI: Unable to load[^\r\n]*/,
  /MP-BIOS bug[^\r\n]*/,
  /tsc: Unable to calibrate[^\r\n]*/,
  /tsc: Marking TSC unstable[^\r\n]*/,
  /WARNING: CPU[^\r\n]*/,
  /BUG:[^\r\n]*/,
  /Oops[^\r\n]*/,
  /\[Firmware (?:Bug|Warn)\][^\r\n]*/,
  /mtrr: [^\r\n]*broken[^\r\n]*/i,
  /smpboot: [^\r\n]*(?:not responding|failed)[^\r\n]*/,
  /Call Trace:/,
  /unchecked MSR access error[^\r\n]*/,
  /spurious interrupt[^\r\n]*/i,
  /irq \d+: nobody cared[^\r\n]*/,
] as const;

/** What a kernel says of the processors that QEMU emulates, and rightly: their counter does not say that it is constant. */
const EMULATED = [/tsc: Marking TSC unstable due to TSCs unsynchronized/] as const;

/** What a kernel printed that it must not have. */
export function complaints(text: string): string[] {
  const emulated = process.env['VMHATCH_EMULATED_HOST'] === '1' ? EMULATED : [];
  const judged = emulated.reduce((rest, pattern) => rest.replace(pattern, ''), text);
  return COMPLAINTS.map((pattern) => pattern.exec(judged)?.[0]).filter((found) => found !== undefined);
}
