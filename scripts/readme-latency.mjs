// Fills the README's latency table from a bench report. The titles and the formats are those of the bench itself, so
// dist/ must be built.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { inRoot } from './shared/paths.mjs';

const usage = `Usage: node scripts/readme-latency.mjs REPORT.json

Writes the rows that have a goal into README.md, between <!-- latency:begin --> and <!-- latency:end -->.
Make the report with: npm run bench -- --json REPORT.json`;

const begin = '<!-- latency:begin -->';
const end = '<!-- latency:end -->';

/** @typedef {import('../lib/bench/report.ts').Report} Report */
/** @typedef {import('../lib/bench/report.ts').Row} Row */

/**
 * What the bench itself uses to write its rows.
 * @typedef {object} Words
 * @property {(id: string) => string} goalTitle
 * @property {(lane: string) => string} laneTitle
 * @property {(ns: number | null) => string} formatNs
 * @property {(value: number, unit: Row['unit']) => string} formatValue
 */

/**
 * @param {Row} row
 * @param {Words} words
 */
function verdict({ id, holds, note, value, bar, addedBarNs }, { formatNs }) {
  if (note.startsWith('void')) return 'void';
  if (id === 'P0') return 'control';
  if (holds === null || holds) return holds ? 'holds' : '';
  const byRatio = bar !== null && value <= bar;
  return byRatio && addedBarNs !== null ? `adds more than ${formatNs(addedBarNs)}` : 'does not hold';
}

/**
 * A Markdown table with padded columns, as prettier writes it.
 * @param {readonly (readonly string[])[]} lines the first is the heading
 */
function table(lines) {
  const widths = (lines[0] ?? []).map((_, column) =>
    Math.max(3, ...lines.map((line) => (line[column] ?? '').length)),
  );
  /** @param {readonly string[]} cells */
  const draw = (cells) =>
    `| ${cells.map((cell, column) => cell + ' '.repeat((widths[column] ?? 0) - cell.length)).join(' | ')} |`;
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  const [head = [], ...body] = lines;
  return [draw(head), rule, ...body.map(draw)].join('\n');
}

/**
 * The text between the marks.
 * @param {Report} report
 * @param {Words} words
 */
export function renderLatency(report, words) {
  if (!report.valid)
    throw new Error('this report is void: its control against itself was off. Measure again.');
  if (!report.complete) throw new Error('this report was interrupted. Measure again.');
  // The control has a row for each kind of exit: the worst of them speaks for all.
  const controls = report.rows.filter(({ id }) => id === 'P0');
  const worst = controls.toSorted((a, b) => Math.abs(b.value - 1) - Math.abs(a.value - 1)).slice(0, 1);
  const shown = [...worst, ...report.rows.filter(({ id, bar }) => bar !== null && id !== 'P0')];
  const lines = shown.map((row) => [
    row.id,
    words.goalTitle(row.id),
    `${words.laneTitle(row.lane)}, ${row.exit}`,
    words.formatValue(row.value, row.unit),
    row.addedNs === null ? '' : `${row.addedNs < 0 ? '−' : '+'}${words.formatNs(Math.abs(row.addedNs))}`,
    words.formatNs(row.p50Ns),
    words.formatNs(row.p90Ns),
    words.formatNs(row.p99Ns),
    words.formatNs(row.peerP50Ns),
    row.id === 'P0' ? '±2 %' : `≤ ${row.bar}`,
    verdict(row, words),
  ]);
  const { host } = report;
  const head = ['', 'What', 'Lane', 'Value', 'Added', 'p50', 'p90', 'p99', 'Peer p50', 'Goal', ''];
  return [
    `Measured with vmhatch ${host.vmhatch} on KVM ${host.kvmModule}${host.nested ? ' inside a virtual machine' : ''}, ` +
      `Node ${host.node}; an empty native call cost ${words.formatNs(report.noopNs)} in the same run. ` +
      'Read the ratios: the times belong to that host.',
    table([head, ...lines]),
  ].join('\n\n');
}

/**
 * A document with new text between its marks.
 * @param {string} document
 * @param {string} text
 */
export function replaceMarked(document, text) {
  const from = document.indexOf(begin);
  const to = document.indexOf(end);
  if (from < 0 || to < from) throw new Error(`there is no ${begin} … ${end}`);
  return `${document.slice(0, from + begin.length)}\n\n${text}\n\n${document.slice(to)}`;
}

/** @param {readonly string[]} args */
async function main(args) {
  const [path, ...more] = args;
  if (path === undefined || more.length > 0 || path.startsWith('-')) {
    console.log(usage);
    process.exitCode = path === '--help' ? 0 : 2;
    return;
  }
  const built = inRoot('dist', 'lib', 'bench');
  if (!existsSync(built)) throw new Error('dist/ is not built: npm run build');
  /** @param {string} name */
  const load = (name) => import(pathToFileURL(inRoot('dist', 'lib', 'bench', name)).href);
  const [{ goals }, { laneTitle }, { formatNs, formatValue }] = await Promise.all(
    ['goals.js', 'lanes.js', 'table.js'].map(load),
  );
  /** @type {Words} */
  const words = { goalTitle: (id) => goals[id]?.what ?? '', laneTitle, formatNs, formatValue };
  const text = renderLatency(JSON.parse(readFileSync(path, 'utf8')), words);
  const readme = inRoot('README.md');
  writeFileSync(readme, replaceMarked(readFileSync(readme, 'utf8'), text));
}

if (process.argv[1] === import.meta.filename) await main(process.argv.slice(2));
