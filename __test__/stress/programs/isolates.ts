/** Two isolates that need each other: devices of one, vCPUs of the other. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

import { Vcpu, type VcpuToken } from '../../../index.ts';
import { machine, main, sleep, waitFor } from './machine.ts';
import { readAndTell } from './peer-guest.ts';

const PORT = { base: 0x500, length: 1 };

interface Peer {
  worker: Worker;
  /** A vCPU of a machine that the Worker made, with a device at port 0x500 that is the Worker's. */
  token: VcpuToken;
}

async function fromPeer(answers: boolean): Promise<Peer> {
  const worker = new Worker(new URL('./peer-entry.ts', import.meta.url), { workerData: { answers } });
  worker.on('error', (error) => {
    throw error;
  });
  const [token] = (await once(worker, 'message')) as [VcpuToken];
  return { worker, token };
}

/** Reads the port, prints what it says, and goes on until the Worker that has the device is gone. */
async function readUntilGone(lane: 'runSliced' | 'runInBackground', answers: boolean): Promise<void> {
  const { worker, token } = await fromPeer(answers);
  const vcpu = Vcpu.adopt(token);
  let last = -1;
  let ended = false;
  let reads = 0;
  const run = vcpu[lane]({
    ioOut: (exit) => {
      last = exit.value;
      reads++;
      if (ended && last === 0xff) exit.stop();
    },
  });
  if (answers) await waitFor('answers of the Worker', () => reads > 20 && last === 0x2a);
  else await sleep(100);
  if (!answers && reads !== 0) throw new Error('the device answered');
  await worker.terminate();
  ended = true;
  const { reason } = await run;
  console.log(reason, last);
}

/**
 * Everybody runs, on the sync lane, the vCPU of the next one's machine, whose device is with the next one: who waits
 * for an answer must give one meanwhile.
 */
async function ring(workers: number): Promise<void> {
  const peers: Peer[] = [];
  for (let peer = 0; peer < workers; peer++) peers.push(await fromPeer(true));
  const mine = machine(readAndTell);
  let asked = 0;
  mine.vm.io.attach(PORT, { read: () => asked++ & 0xff });
  peers.forEach(({ worker }, index) => {
    const next = peers[index + 1];
    worker.postMessage(next === undefined ? mine.vcpu.transfer() : next.token, []);
  });
  let answers = 0;
  const end = Vcpu.adopt(peers[0]!.token).run({
    ioOut: (exit) => {
      if (exit.value !== 0x2a) throw new Error(`the Worker's device said ${exit.value}`);
      if (++answers >= 50 && asked >= 50) exit.stop();
    },
  });
  console.log(end.reason);
  process.exit();
}

await main({
  'a Worker ends that has the device: sliced': () => readUntilGone('runSliced', true),
  'a Worker ends that has the device: background': () => readUntilGone('runInBackground', true),
  'a Worker ends that owes an answer: sliced': () => readUntilGone('runSliced', false),
  'a Worker ends that owes an answer: background': () => readUntilGone('runInBackground', false),
  'each of two runs a vCPU that needs the other': () => ring(1),
  'three in a ring': () => ring(2),
});
