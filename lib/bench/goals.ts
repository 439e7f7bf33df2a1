/** The goals that rows are held against: what each is, and how much it may cost. */

export interface Goal {
  /** One line for tables. */
  readonly what: string;
  /** The most that the row's value may be; null: reported only. */
  readonly bar: number | null;
  readonly stretch: number | null;
}

/** The control against itself outside of these: the machine was too noisy, and the run is void. */
export const controlRange = { low: 0.98, high: 1.02 } as const;

/** P1's second limit: what a JavaScript handler adds may cost as much as this many empty native calls. */
export const addedNoops = 10;

export const goals = {
  P0: { what: 'control: the native loop against itself', bar: null, stretch: null },
  P1: { what: 'exit handled by a JavaScript device, or given by step()', bar: 1.05, stretch: 1.02 },
  P2: { what: 'exit handled by a Rust device', bar: 1.02, stretch: 1.01 },
  P3: { what: 'exit handled by a typed handler', bar: 1.1, stretch: 1.05 },
  P4: { what: 'registers read or written in a handler, over the handler without', bar: 1.05, stretch: 1.02 },
  P4b: { what: 'reply and register write in one handler, over the reply alone', bar: null, stretch: null },
  P5: { what: 'posted write, over a user-space exit', bar: 0.25, stretch: 0.18 },
  P6: { what: 'exit handled on the background lane', bar: 3, stretch: 1.8 },
  P6b: { what: 'event-loop delay p99 beside a VM that exits flat out', bar: 2, stretch: 1.2 },
  P7: { what: 'create a VM, run to its first exit, dispose of it (p25, one CPU)', bar: 1.1, stretch: 1.05 },
  P10: { what: 'boot Linux to its first program, beside QEMU microvm', bar: 0.7, stretch: null },
  P11: { what: 'guest memory through a view, over a plain Uint8Array', bar: 1.1, stretch: 1 },
  P12: { what: 'memory of an idle VM beyond guest RAM, of 100', bar: 1, stretch: 0.3 },
  kick: { what: 'latency from another thread, guest in a tight loop, median', bar: 0.1, stretch: 0.03 },
  state: { what: 'a getter or setter, over its ioctl and an empty native call', bar: 1.15, stretch: 1.05 },
  gc: { what: 'major collections while 100 VMs of 128 MiB come and go', bar: null, stretch: null },
  lanes: { what: 'the other lanes side by side', bar: null, stretch: null },
} as const satisfies Record<string, Goal>;

export type GoalId = keyof typeof goals;

export const goalIds = Object.keys(goals) as readonly GoalId[];

export function isGoalId(id: string): id is GoalId {
  return Object.hasOwn(goals, id);
}
