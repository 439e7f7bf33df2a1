/** A Worker that kicks a vCPU as soon as the flag is set, without a word with its parent. */
import { parentPort, workerData } from 'node:worker_threads';

import { KickHandle, type KickToken } from '../../index.ts';

const { token, flag } = workerData as { token: KickToken; flag: Int32Array };
const handle = KickHandle.from(token);
// The first kick of a thread loads the addon: not while the parent blocks.
KickHandle.from({ vcpu: [0xffff_ffff, 0xffff_ffff] }).kick();
parentPort!.postMessage('ready', []);
Atomics.wait(flag, 0, 0);
handle.kick();
