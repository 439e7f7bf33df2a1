/** The ways to handle an exit that are compared, in the order in which tables show them. */
import type { Mode } from './rounds.ts';

/** A mode that holds a virtual machine. */
export interface LaneMode extends Mode {
  close(): void | Promise<void>;
}

export const lanes = [
  { lane: 'c', title: 'C program' },
  { lane: 'rust', title: 'Rust program (kvm-ioctls)' },
  { lane: 'native', title: 'native loop in the addon' },
  { lane: 'rust-device', title: 'Rust device' },
  { lane: 'js-device', title: 'JavaScript device' },
  { lane: 'handlers', title: 'typed handlers' },
  { lane: 'step', title: 'step(), a fresh object each' },
  { lane: 'sliced', title: 'sliced' },
  { lane: 'background', title: 'background' },
  { lane: 'worker', title: 'Worker' },
] as const;

export type Lane = (typeof lanes)[number]['lane'];

const titles: ReadonlyMap<string, string> = new Map(lanes.map(({ lane, title }) => [lane, title]));

/** Whether the table of lanes has it. */
export function isLane(lane: string): lane is Lane {
  return titles.has(lane);
}

/** A lane's name for readers; what is no lane of the table is called by its own name. */
export function laneTitle(lane: string): string {
  const [base = '', circumstance] = lane.split(' after ');
  const title = titles.get(base) ?? base;
  return circumstance === undefined ? title : `${title} after ${circumstance}`;
}
