/** A Worker that owns a machine with a device at port 0x500, and runs the vCPU that it is sent on the sync lane. */
import { parentPort, workerData } from 'node:worker_threads';

import { Vcpu, type VcpuToken } from '../../../index.ts';
import { machine } from './machine.ts';
import { readAndTell } from './peer-guest.ts';

const { answers } = workerData as { answers: boolean };
const { vm, vcpu } = machine(readAndTell);
// Kept, because a Promise that nobody can settle any more is collected, and its access then answered for it.
const owed: ((value: number) => void)[] = [];
vm.io.attach(
  { base: 0x500, length: 1 },
  { read: () => (answers ? 0x2a : new Promise<number>((resolve) => void owed.push(resolve))) },
);
parentPort?.on('message', (token: VcpuToken) => void Vcpu.adopt(token).run({ ioOut: () => undefined }));
parentPort?.postMessage(vcpu.transfer(), []);
// The machine and its vCPU as well: nothing else here has them once this module has run.
process.on('exit', () => [owed, vm, vcpu]);
