/** Compiles the library that makes a host look worse than it is (fault-shim.c), to be preloaded into a child. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import type { ExecutionContext } from 'ava';

/** What the host shall do wrong: see fault-shim.c. */
export interface Faults {
  /** `KVM_RUN=11*2+1`: after one call that goes through, two fail with errno 11. */
  VMHATCH_FAULTS?: string;
  /** `74=0`: KVM_CHECK_EXTENSION says 0 for capability 74. */
  VMHATCH_CAPS?: string;
  /** `3000*2`: the page of guest memory at 0x3000 cannot be reached until two runs failed. */
  VMHATCH_HOLE?: string;
  /** The errno with which /dev/kvm cannot be opened. */
  VMHATCH_OPEN?: string;
  /** What KVM_GET_API_VERSION says. */
  VMHATCH_API?: string;
  /** Node-API without external buffers, as in Electron. */
  VMHATCH_NO_EXTERNAL_BUFFERS?: '1';
  /** SIGUSR2 makes a bus error that has nothing to do with guest memory. */
  VMHATCH_BUS_ERROR?: '1';
}

let library: Promise<string | undefined> | undefined;

async function compile(): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'vmhatch-shim-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const output = join(folder, 'fault-shim.so');
  const source = join(import.meta.dirname, 'fault-shim.c');
  const compiler = process.env['CC'] ?? 'cc';
  const args = [
    '-shared',
    '-fPIC',
    '-O1',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    output,
    source,
    '-ldl',
    '-lpthread',
  ];
  try {
    await promisify(execFile)(compiler, args);
    return output;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The environment of a child with these faults; undefined, said aloud, where there is no C compiler. */
export async function withFaults(
  t: ExecutionContext,
  faults: Faults,
): Promise<Record<string, string> | undefined> {
  library ??= compile();
  const preload = await library;
  if (preload === undefined) {
    t.log('skipped: the faults need a C compiler (cc)');
    t.pass();
    return undefined;
  }
  return { ...faults, LD_PRELOAD: preload };
}
