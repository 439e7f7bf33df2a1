/** A Worker that kicks vCPUs as fast as it can until it is told to stop. */
import { workerData } from 'node:worker_threads';

import { KickHandle, type KickToken } from '../../../index.ts';

const { tokens, stop } = workerData as { tokens: KickToken[]; stop: Int32Array };
const handles = tokens.map((token) => KickHandle.from(token));
while (Atomics.load(stop, 0) === 0) for (const handle of handles) handle.kick();
