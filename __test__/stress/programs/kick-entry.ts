/** A Worker that kicks vCPUs as fast as it can until it is told to stop. */
import { workerData } from 'node:worker_threads';

import { KickHandle, type VcpuToken } from '../../../index.ts';

const { tokens, stop } = workerData as { tokens: VcpuToken[]; stop: Int32Array };
const handles = tokens.map((token) => KickHandle.from(token));
while (Atomics.load(stop, 0) === 0) for (const handle of handles) handle.kick();
