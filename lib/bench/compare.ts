/** Two reports side by side: what changed by more than the noise of both. */
import { laneTitle } from './lanes.ts';
import type { Report, Row } from './report.ts';
import { formatValue, type Paint } from './table.ts';

export type Verdict = 'same' | 'better' | 'worse' | 'only before' | 'only after';

export interface Difference {
  readonly id: string;
  readonly lane: string;
  readonly exit: string;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
  /** After over before, of what is held against the bar; null if one of them is missing. */
  readonly change: number | null;
  readonly verdict: Verdict;
}

/** A difference that the intervals call real is still nothing to speak of below this, beyond what the controls differ. */
const leastChange = 0.005;

/** What has no rounds has no interval: it must have changed by as much as this, and by this part of its bar. */
const leastChangeOfValues = 0.1;
const leastPartOfBar = 0.05;

/**
 * Compares rows of the same goal, lane and exit. Ratios, not times, so that two hosts or two loads of one host can be
 * compared as far as that makes sense; a ratio has changed if the intervals of its rounds do not even touch, and by more
 * than the control differed from itself in either run.
 */
export function compareReports(before: Report, after: Report): Difference[] {
  const key = ({ id, lane, exit }: Row): string => JSON.stringify([id, lane, exit]);
  const afterRows = new Map(after.rows.map((row) => [key(row), row]));
  const beforeKeys = new Set(before.rows.map(key));
  const noise = controlNoise([...before.rows, ...after.rows]);
  return [
    ...before.rows.map((row) => difference(row, afterRows.get(key(row)), noise)),
    ...after.rows.filter((row) => !beforeKeys.has(key(row))).map((row) => difference(undefined, row, noise)),
  ];
}

/** By kind of exit, how far a control was from itself at most. */
function controlNoise(rows: readonly Row[]): ReadonlyMap<string, number> {
  const noise = new Map<string, number>();
  for (const { id, exit, value } of rows) {
    if (id === 'P0') noise.set(exit, Math.max(noise.get(exit) ?? 0, Math.abs(value - 1)));
  }
  return noise;
}

function difference(
  before: Row | undefined,
  after: Row | undefined,
  noise: ReadonlyMap<string, number>,
): Difference {
  const { id, lane, exit } = (before ?? after)!;
  if (before === undefined) return { id, lane, exit, before, after, change: null, verdict: 'only after' };
  if (after === undefined) return { id, lane, exit, before, after, change: null, verdict: 'only before' };
  // Nothing to nothing (no collections, say) is no change; something out of nothing is an endless one.
  const change = before.value === after.value ? 1 : after.value / before.value;
  // The control is the measure of the noise, not a thing to get better or worse.
  const verdict = id === 'P0' ? 'same' : judge(before, after, change, noise.get(exit) ?? 0);
  return { id, lane, exit, before, after, change, verdict };
}

function judge(before: Row, after: Row, change: number, noise: number): Verdict {
  const worse = change > 1;
  if (before.roundRatio !== null && after.roundRatio !== null) {
    const apart = worse
      ? after.roundRatio.low > before.roundRatio.high
      : after.roundRatio.high < before.roundRatio.low;
    if (!apart || Math.abs(change - 1) < leastChange + noise) return 'same';
  } else if (
    Math.abs(change - 1) < leastChangeOfValues ||
    Math.abs(after.value - before.value) < leastPartOfBar * (after.bar ?? 0)
  ) {
    return 'same';
  }
  return worse ? 'worse' : 'better';
}

/** The comparison as text, ending in a newline. */
export function renderComparison(before: Report, after: Report, paint: Paint): string {
  const differences = compareReports(before, after);
  const lines = [paint('dim', `before: ${describe(before)}`), paint('dim', `after:  ${describe(after)}`)];
  const hosts = (['cpu', 'kernel', 'kvmModule', 'node'] as const).filter(
    (field) => before.host[field] !== after.host[field],
  );
  if (hosts.length > 0)
    lines.push(paint('yellow', `The hosts differ (${hosts.join(', ')}): ratios may be compared, with care.`));
  for (const [name, report] of [
    ['before', before],
    ['after', after],
  ] as const) {
    if (!report.valid) lines.push(paint('yellow', `The run ${name} is void: its control was off.`));
  }
  lines.push('');
  const width = Math.max(...differences.map((one) => label(one).length), 0);
  lines.push(
    paint(
      'dim',
      `${''.padEnd(6)}${''.padEnd(width)}${'before'.padStart(12)}${'after'.padStart(12)}${'change'.padStart(10)}`,
    ),
  );
  for (const one of differences) {
    const change = one.change === null ? '' : Number.isFinite(one.change) ? percent(one.change) : 'from 0';
    const cells = [one.before, one.after].map((row) =>
      (row === undefined ? '–' : formatValue(row.value, row.unit)).padStart(12),
    );
    const colour = one.verdict === 'worse' ? 'red' : one.verdict === 'better' ? 'green' : 'dim';
    lines.push(
      `${one.id.padEnd(6)}${label(one).padEnd(width)}${cells.join('')}${change.padStart(10)}  ${paint(colour, one.verdict)}`,
    );
  }
  const count = (verdict: Verdict): number => differences.filter((one) => one.verdict === verdict).length;
  lines.push('', `${count('worse')} worse, ${count('better')} better, ${count('same')} within the noise.`);
  return `${lines.join('\n')}\n`;
}

function percent(change: number): string {
  const points = (change - 1) * 100;
  return `${points < 0 ? '−' : '+'}${Math.abs(points).toFixed(1)} %`;
}

function label({ lane, exit }: Difference): string {
  return `${laneTitle(lane)}, ${exit}`;
}

function describe({ host }: Report): string {
  return `vmhatch ${host.vmhatch}, ${host.cpu}, Linux ${host.kernel}, KVM ${host.kvmModule}, Node ${host.node}, ${host.date}`;
}
