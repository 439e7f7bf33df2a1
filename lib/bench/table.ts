/** The report for a terminal: one line a row, a bar for how much of its goal each used up, then the lanes' table. */
import { exitKinds } from './exit-kinds.ts';
import { controlRange, goals, isGoalId } from './goals.ts';
import { lanes, laneTitle } from './lanes.ts';
import type { Report, Row } from './report.ts';

/** Wraps text in a colour, or leaves it alone. */
export type Paint = (format: 'bold' | 'dim' | 'red' | 'green' | 'yellow', text: string) => string;

/** The report as text, ending in a newline. */
export function renderTable(report: Report, paint: Paint): string {
  const rows = report.rows.filter(({ id }) => id !== 'lanes');
  const sections = [hostLines(report, paint)];
  if (rows.length > 0) sections.push(rowLines(rows, paint));
  const table = laneLines(report.rows, paint);
  if (table !== '') sections.push(table);
  sections.push(verdict(report, paint));
  return `${sections.join('\n')}\n`;
}

function hostLines({ host, noopNs }: Report, paint: Paint): string {
  const nested = host.nested ? ', nested' : '';
  return [
    paint('bold', `vmhatch ${host.vmhatch} bench`),
    paint(
      'dim',
      `${host.cpu} (${host.cpus} CPUs), Linux ${host.kernel}, KVM ${host.kvmModule}${nested}, Node ${host.node}`,
    ),
    paint('dim', noopNs > 0 ? `${host.date}; an empty native call costs ${noopNs.toFixed(1)} ns` : host.date),
    '',
  ].join('\n');
}

function rowLines(rows: readonly Row[], paint: Paint): string {
  const lines: string[] = [];
  const lanesWidth = Math.max(...rows.map((row) => label(row).length));
  const head = [
    '',
    ''.padEnd(lanesWidth),
    'p50'.padStart(9),
    'added'.padStart(9),
    'value'.padStart(9),
    'goal'.padStart(9),
  ];
  lines.push(paint('dim', `${head.join('  ')}  of the goal`));
  let previous = '';
  for (const row of rows) {
    if (row.id !== previous) {
      const what = isGoalId(row.id) ? goals[row.id].what : '';
      lines.push(`${paint('bold', row.id)} ${what}`);
      previous = row.id;
    }
    const cells = [
      label(row).padEnd(lanesWidth),
      formatNs(row.p50Ns).padStart(9),
      formatAdded(row.addedNs).padStart(9),
      formatValue(row.value, row.unit).padStart(9),
      (row.id === 'P0'
        ? `±${((controlRange.high - 1) * 100).toFixed(0)} %`
        : row.bar === null
          ? ''
          : `≤ ${row.bar}`
      ).padStart(9),
    ];
    lines.push(`  ${cells.join('  ')}  ${allowanceBar(row, paint)}${mark(row, paint)}`);
    if (row.note !== '') lines.push(paint('dim', `    ${row.note}`));
  }
  return `${lines.join('\n')}\n`;
}

function label({ lane, exit }: Row): string {
  return `${laneTitle(lane)}, ${exit}`;
}

const cells = 16;
const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/**
 * How much of its allowance a row uses: of what lies above 1 for ratios with a bar above 1, else of the bar itself; if
 * what is added has a limit as well, the scarcer of both.
 */
export function allowanceUsed({ value, bar, unit, id, addedNs, addedBarNs }: Row): number | null {
  if (id === 'P0') return Math.abs(value - 1) / (controlRange.high - 1);
  if (bar === null) return null;
  const used = unit === '×' && bar > 1 ? (value - 1) / (bar - 1) : value / bar;
  return Math.max(used, addedBarNs === null || addedNs === null ? 0 : addedNs / addedBarNs, 0);
}

function allowanceBar(row: Row, paint: Paint): string {
  const used = allowanceUsed(row);
  if (used === null) return '';
  const filled = Math.min(Math.round(used * cells * 8), cells * 8);
  const text = `${'█'.repeat(filled >> 3)}${eighths[filled & 7]!}`.padEnd(cells, '·');
  return paint(row.holds === false ? 'red' : used > 0.8 ? 'yellow' : 'green', text);
}

function mark({ holds, bar: limit, addedBarNs, addedNs, value, stretch, note }: Row, paint: Paint): string {
  if (note.startsWith('void')) return ` ${paint('yellow', 'void')}`;
  if (holds === null) return '';
  if (holds) return ` ${paint('green', stretch !== null && value <= stretch ? '✓✓' : '✓')}`;
  if (limit !== null && value <= limit && addedBarNs !== null && addedNs !== null) {
    return ` ${paint('red', `✗ added ${formatNs(addedNs)}, goal ${formatNs(addedBarNs)}`)}`;
  }
  return ` ${paint('red', '✗')}`;
}

/** A cell of the lanes' table, and what it is over. */
export function laneCell(rows: readonly Row[], lane: string, exit: string): Row | undefined {
  return rows.find((row) => row.lane === lane && row.exit === exit);
}

function laneLines(rows: readonly Row[], paint: Paint): string {
  const shown = lanes.filter(({ lane }) =>
    exitKinds.some((exit) => laneCell(rows, lane, exit) !== undefined),
  );
  if (!rows.some(({ id }) => id === 'lanes') || shown.length === 0) return '';
  const width = Math.max(...shown.map(({ title }) => title.length));
  const lines = [
    `${paint('bold', 'Lanes side by side')} ${paint('dim', 'p50 of an exit (ioeventfd, coalesced: of a write)')}`,
    paint('dim', `  ${''.padEnd(width)}${exitKinds.map((exit) => exit.padStart(11)).join('')}`),
  ];
  for (const { lane, title } of shown) {
    const row = exitKinds.map((exit) => {
      const cell = laneCell(rows, lane, exit);
      return (cell === undefined ? '–' : formatNs(cell.p50Ns)).padStart(11);
    });
    lines.push(`  ${title.padEnd(width)}${row.join('')}`);
  }
  return `${lines.join('\n')}\n`;
}

function verdict(report: Report, paint: Paint): string {
  const judged = report.rows.filter(({ holds, id }) => holds !== null && id !== 'P0');
  const held = judged.filter(({ holds }) => holds === true).length;
  const lines = report.skipped.map((line) => paint('dim', `left out: ${line}`));
  if (!report.valid)
    lines.push(
      paint(
        'yellow',
        'This run is void: a control against itself was outside 0.98 to 1.02. Try again on a quieter machine.',
      ),
    );
  if (!report.complete) lines.push(paint('yellow', 'Interrupted: this is what there was until then.'));
  if (judged.length > 0) lines.push(`${held} of ${judged.length} goals hold.`);
  return lines.join('\n');
}

/** `8.32 µs`, with the unit that suits the size. */
export function formatNs(ns: number | null): string {
  if (ns === null) return '';
  const size = Math.abs(ns);
  if (size >= 1e6) return `${(ns / 1e6).toFixed(2)} ms`;
  if (size >= 1e3) return `${(ns / 1e3).toFixed(2)} µs`;
  return `${ns.toFixed(size < 10 ? 1 : 0)} ns`;
}

function formatAdded(ns: number | null): string {
  return ns === null ? '' : ns < 0 ? `−${formatNs(-ns)}` : `+${formatNs(ns)}`;
}

/** `1.012`, `0.21 MiB`. */
export function formatValue(value: number, unit: Row['unit']): string {
  if (unit === '×') return value.toFixed(3);
  if (unit === 'collections') return `${value} GCs`;
  return `${value < 0.1 ? value.toFixed(3) : value.toFixed(2)} ${unit}`;
}
