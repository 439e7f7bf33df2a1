/** Linux in a Machine of aarch64, as helpers/linux.ts has it for x86_64. */
import { existsSync } from 'node:fs';
import type { ExecutionContext } from 'ava';

import { Machine, type MachineConfig } from '../../index.ts';
import { ConsoleReader } from './console-reader.ts';
import { toPrompt, type Linux } from './linux.ts';

/** Which Linux: the one of kernel/, or Debian's for clouds. */
export type ArmKernel = 'own' | 'cloud';

const FILES = {
  own: 'VMHATCH_TEST_ARM64_IMAGE',
  cloud: 'VMHATCH_TEST_ARM64_CLOUD_KERNEL',
  initrd: 'VMHATCH_TEST_ARM64_INITRD',
} as const;

function file(which: keyof typeof FILES): string | undefined {
  const path = process.env[FILES[which]];
  return path !== undefined && existsSync(path) ? path : undefined;
}

/** Defines a test that boots Linux; it is skipped, and says so, where that cannot be. */
export function onArmLinux(
  test: { serial: (title: string, run: (t: ExecutionContext) => Promise<void>) => void },
  title: string,
  kernel: ArmKernel,
  run: (t: ExecutionContext) => Promise<void>,
): void {
  test.serial(title, async (t) => {
    const missing = (['initrd', kernel] as const).filter((which) => file(which) === undefined);
    if (missing.length > 0) {
      t.log(`skipped: no ${missing.map((which) => FILES[which]).join(', no ')}. Type: npm test -- aarch64`);
      t.pass();
      return;
    }
    t.timeout(150_000);
    await run(t);
  });
}

/** Makes a machine with Linux and starts it; it is disposed of when the test ends. */
export async function bootArmLinux(
  t: ExecutionContext,
  kernel: ArmKernel,
  config: Omit<MachineConfig, 'kernel' | 'initrd'> = {},
  prepare: (machine: Machine) => void = () => undefined,
): Promise<Linux> {
  const begin = performance.now();
  const machine = await Machine.create({
    cmdline: `${Machine.defaultCmdline} quiet`,
    ...config,
    kernel: file(kernel)!,
    initrd: file('initrd')!,
  });
  const createMs = performance.now() - begin;
  t.teardown(() => machine[Symbol.asyncDispose]());
  prepare(machine);
  const console = new ConsoleReader(machine);
  const start = performance.now();
  await machine.start();
  await toPrompt(console);
  const promptMs = performance.now() - start;
  await console.makeQuiet();
  return { machine, console, createMs, promptMs };
}
