import { readFileSync, statSync } from 'node:fs';

import { choose, optional } from '../options.ts';
import { formatBytes, parseCount, parseQuantity, parseSeconds } from '../quantity.ts';
import { UsageError } from '../usage-error.ts';
import { cpuModes } from './cpu-mode.ts';
import type { CpuMode } from './cpu-mode.ts';
import { ElfError } from './elf.ts';
import { firmwareLayout } from './firmware.ts';
import type { FirmwareLayout } from './firmware.ts';
import { programLayout, ramRanges } from './layout.ts';
import type { ProgramLayout, RamRange } from './layout.ts';

/** A command line of `run` after every check that needs no KVM. */
export interface RunPlan {
  readonly path: string;
  readonly memory: number;
  readonly ram: readonly RamRange[];
  readonly program: ProgramLayout | undefined;
  readonly firmware: FirmwareLayout | undefined;
  readonly irqchip: boolean;
  readonly serial: boolean;
  /** The port of isa-debug-exit. */
  readonly debugExit: number | undefined;
  readonly trace: boolean;
  readonly registers: boolean;
  readonly json: boolean;
  readonly maxExits: number | undefined;
  readonly timeoutMs: number | undefined;
}

/** The options of `run` as parsed, strings still. */
export interface RunValues {
  readonly format?: string;
  readonly load?: string;
  readonly entry?: string;
  readonly mode?: string;
  readonly firmware?: boolean;
  readonly memory?: string;
  readonly irqchip?: boolean;
  readonly serial?: boolean;
  readonly 'debug-exit'?: string;
  readonly trace?: boolean;
  readonly registers?: boolean;
  readonly json?: boolean;
  readonly 'max-exits'?: string;
  readonly timeout?: string;
}

/** An image larger than this is a mistake (a disk image, a video), not a program. */
const largestImage = 2 ** 30;

/**
 * Checks the options, reads the image and lays it out.
 *
 * @throws UsageError
 */
export function makePlan(values: RunValues, positionals: readonly string[]): RunPlan {
  const [path, ...more] = positionals;
  if (path === undefined) throw new UsageError('run wants an image: vmhatch run IMAGE');
  if (more.length > 0) throw new UsageError(`run takes one image, and '${more[0]}' is a second`);
  const memory = parseQuantity(values.memory ?? '16MiB', '--memory');
  const common = {
    path,
    memory,
    serial: values.serial ?? true,
    debugExit: debugExitPort(values['debug-exit']),
    trace: values.trace === true || values.registers === true,
    registers: values.registers === true,
    json: values.json === true,
    maxExits: optional(values['max-exits'], '--max-exits', parseCount),
    timeoutMs: optional(values.timeout, '--timeout', parseSeconds),
  };
  if (values.firmware === true) {
    for (const name of ['format', 'load', 'entry', 'mode'] as const) {
      if (values[name] !== undefined) throw new UsageError(`--${name} and --firmware exclude each other`);
    }
    const firmware = firmwareLayout(readImage(path), memory);
    return {
      ...common,
      ram: ramRanges(memory),
      program: undefined,
      firmware,
      irqchip: values.irqchip ?? true,
    };
  }
  const options = {
    memory,
    format: choose(values.format, '--format', ['flat', 'elf'] as const),
    load: optional(values.load, '--load', parseQuantity),
    entry: optional(values.entry, '--entry', parseQuantity),
    mode: choose<CpuMode>(values.mode, '--mode', cpuModes),
  };
  const program = layOut(path, readImage(path), options);
  return { ...common, ram: program.ram, program, firmware: undefined, irqchip: values.irqchip ?? false };
}

function debugExitPort(text: string | undefined): number | undefined {
  if (text === 'none') return undefined;
  const port = parseQuantity(text ?? '0xf4', '--debug-exit');
  // The device has four ports.
  if (port > 0xfffc) throw new UsageError(`--debug-exit: ${text} is no port`);
  return port;
}

function layOut(
  path: string,
  image: Uint8Array,
  options: Parameters<typeof programLayout>[1],
): ProgramLayout {
  try {
    return programLayout(image, options);
  } catch (error) {
    if (error instanceof ElfError) throw new UsageError(`${path}: ${error.message} [${error.code}]`);
    throw error;
  }
}

function readImage(path: string): Uint8Array {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new UsageError(`cannot read '${path}': it is a directory`);
    if (stat.size > largestImage)
      throw new UsageError(`cannot read '${path}': ${formatBytes(stat.size)} are too many`);
    return readFileSync(path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`cannot read '${path}': ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
  }
}
