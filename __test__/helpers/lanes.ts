/** The three ways to run a vCPU in its own isolate, for behaviour that they share. */
import type { Handlers, RunOptions, RunResult, Vcpu } from '../../index.ts';

/** One way to run. */
export type Lane = (vcpu: Vcpu, handlers: Handlers, options?: RunOptions) => Promise<RunResult>;

/** All of them, by name. A throw of the sync lane becomes a rejection, as it is on the others. */
export const LANES: readonly (readonly [name: string, run: Lane])[] = [
  ['run', async (vcpu, handlers, options) => vcpu.run(handlers, options)],
  ['runSliced', (vcpu, handlers, options) => vcpu.runSliced(handlers, options)],
  ['runInBackground', (vcpu, handlers, options) => vcpu.runInBackground(handlers, options)],
];
