/** A Worker that runs a vCPU on the sync lane, in one of the ways that are hard to end. */
import { workerData } from 'node:worker_threads';

import { Vcpu, type VcpuToken } from '../../../index.ts';

export interface WorkerOrders {
  kind: 'spin' | 'handler' | 'js-device' | 'rust-device';
  token: VcpuToken;
  /** How many exits the Worker's JavaScript has seen; 1 when it starts. */
  counter: Int32Array<SharedArrayBuffer>;
}

const { kind, token, counter } = workerData as WorkerOrders;
const vcpu = Vcpu.adopt(token);
const count = (): void => void counter[0]!++;

Atomics.store(counter, 0, 1);
switch (kind) {
  case 'spin':
  case 'rust-device':
    vcpu.run();
    break;
  case 'handler':
    vcpu.run({ ioOut: count });
    break;
  case 'js-device':
    vcpu.vm.io.attach({ base: 0x500, length: 1 }, { write: count });
    vcpu.run();
    break;
}
