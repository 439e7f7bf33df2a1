/** Gives a vCPU to a Worker (worker-vcpu.ts), and hears what it says. */
import { Worker } from 'node:worker_threads';

import type { ExecutionContext } from 'ava';

import { sourceName } from './sources.ts';
import type { Order, Report } from './worker-vcpu.ts';

/** A Worker at work. */
export interface Hand {
  /** The Worker has the vCPU. */
  adopted: Promise<void>;
  report: Promise<Report>;
}

/** Starts a Worker, which ends with the test. */
export function hand(t: ExecutionContext, order: Order): Hand {
  const worker = new Worker(new URL(sourceName('worker-vcpu.ts'), import.meta.url), { workerData: order });
  t.teardown(() => worker.terminate());
  let adopted!: () => void;
  const isAdopted = new Promise<void>((resolve) => (adopted = resolve));
  const report = new Promise<Report>((resolve, reject) => {
    worker.on('message', (message: 'adopted' | Report) => {
      if (message === 'adopted') adopted();
      else resolve(message);
    });
    worker.on('error', reject);
  });
  return { adopted: isAdopted, report };
}
