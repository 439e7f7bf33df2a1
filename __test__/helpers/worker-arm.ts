/** A Worker that runs a vCPU of aarch64 to its power-off, or kicks one that another thread runs. */
import { parentPort, workerData } from 'node:worker_threads';

import { KickHandle, Vcpu, type KickToken, type VcpuToken } from '../../index.ts';

/** What the Worker is told: which vCPU to run, or which to kick when the flag is set. */
export type Order = { vcpu: VcpuToken } | { kick: KickToken; flag: Int32Array };

/** What it says at the end. */
export interface Report {
  end?: unknown;
  /** The low halves of what the guest wrote. */
  values?: number[];
  x9?: bigint;
  error?: string;
}

function work(order: Order): Report {
  if ('vcpu' in order) {
    const vcpu = Vcpu.adopt(order.vcpu);
    const values: number[] = [];
    const end = vcpu.run({ mmioWrite: (exit) => void values.push(exit.value) }, { timeoutMs: 10_000 });
    return { end, values, x9: vcpu.armRegs.x9 };
  }
  const handle = KickHandle.from(order.kick);
  // The first kick of a thread loads the addon: not while the parent blocks.
  KickHandle.from({ vcpu: [0xffff_ffff, 0xffff_ffff] }).kick();
  parentPort!.postMessage({}, []);
  Atomics.wait(order.flag, 0, 0);
  handle.kick();
  return {};
}

try {
  parentPort!.postMessage(work(workerData as Order), []);
} catch (error) {
  parentPort!.postMessage({ error: (error as { code: string }).code }, []);
}
