/** A Worker that adopts a vCPU and does what its message says. */
import { parentPort, workerData } from 'node:worker_threads';

import { Vcpu, type VcpuToken } from '../../index.ts';

/** What the Worker is told. */
export interface Order {
  token: VcpuToken;
  /** How to run: until an exit that is no write, or until it is kicked. */
  job: 'run' | 'memory' | 'close';
  timeoutMs?: number;
}

/** What it says at the end; errors by their code. */
export interface Report {
  end?: unknown;
  values?: number[];
  bytes?: Uint8Array;
  error?: string;
}

function work({ token, job, timeoutMs }: Order): Report {
  const vcpu = Vcpu.adopt(token);
  parentPort!.postMessage('adopted', []);
  if (job === 'memory') {
    const { memory } = vcpu.vm;
    memory.writeUint8(0x2001, memory.readUint8(0x2000) + 1);
    return { bytes: memory.view(0x2000, 2).slice() };
  }
  if (job === 'close') {
    vcpu.vm.close();
    return {};
  }
  const values: number[] = [];
  const note = (exit: { value: number }): void => void values.push(exit.value);
  const end = vcpu.run({ ioOut: note, mmioWrite: note }, timeoutMs === undefined ? {} : { timeoutMs });
  return { end, values };
}

try {
  parentPort!.postMessage(work(workerData as Order), []);
} catch (error) {
  parentPort!.postMessage({ error: (error as { code: string }).code }, []);
}
