/** A histogram of a row and of its peer as SVG, drawn with the report's own colours. */
import type { Row } from './report.ts';
import type { Bin } from './stats.ts';
import { formatNs } from './table.ts';

const width = 340;
const height = 132;
const plot = { left: 8, right: width - 8, top: 22, bottom: height - 22 } as const;

/** What is worth showing: up to the bin that 95 % of the samples have reached. The table has p99. */
function shownRange(histograms: readonly (readonly Bin[])[]): { from: number; to: number } {
  let from = Infinity;
  let to = 0;
  for (const bins of histograms) {
    const enough = total(bins) * 0.95;
    let seen = 0;
    for (const { fromNs, toNs, count } of bins) {
      if (seen >= enough) break;
      seen += count;
      from = Math.min(from, fromNs);
      to = Math.max(to, toNs);
    }
  }
  return { from, to };
}

function total(bins: readonly Bin[]): number {
  return bins.reduce((sum, { count }) => sum + count, 0);
}

/** The row's SVG, or '' if it has no times. */
export function histogramSvg(row: Row): string {
  const histograms = [row.peerHistogram, row.histogram].filter((bins) => bins.length > 0);
  if (histograms.length === 0) return '';
  const { from, to } = shownRange(histograms);
  const span = Math.log(to) - Math.log(from);
  const x = (ns: number): number =>
    plot.left + ((Math.log(ns) - Math.log(from)) / span) * (plot.right - plot.left);
  // Both are drawn to one scale of shares, so that their areas compare.
  const highest = Math.max(
    ...histograms.map((bins) => Math.max(...bins.map(({ count }) => count)) / total(bins)),
  );
  const shape = (bins: readonly Bin[], kind: string): string => {
    const share = highest * total(bins);
    const bars = bins
      .filter(({ toNs, count }) => count > 0 && toNs <= to * 1.0001)
      .map(({ fromNs, toNs, count }) => {
        const left = x(fromNs);
        const tall = ((plot.bottom - plot.top) * count) / share;
        return `M${fixed(left)} ${plot.bottom}v${fixed(-tall)}h${fixed(x(toNs) - left)}v${fixed(tall)}z`;
      });
    return `<path class="${kind}" d="${bars.join('')}"/>`;
  };
  const line = (ns: number | null, kind: string): string =>
    ns === null || ns < from || ns > to
      ? ''
      : `<line class="${kind}-line" x1="${fixed(x(ns))}" x2="${fixed(x(ns))}" y1="${plot.top - 6}" y2="${plot.bottom}"/>`;
  const words = `p50 ${formatNs(row.p50Ns)}${row.peerP50Ns === null ? '' : `, ${row.peer} ${formatNs(row.peerP50Ns)}`}`;
  return [
    `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(words)}">`,
    `<line class="axis" x1="${plot.left}" x2="${plot.right}" y1="${plot.bottom}" y2="${plot.bottom}"/>`,
    ...ticks(from, to).map(
      (ns) =>
        `<line class="axis" x1="${fixed(x(ns))}" x2="${fixed(x(ns))}" y1="${plot.bottom}" y2="${plot.bottom + 4}"/>` +
        `<text x="${fixed(x(ns))}" y="${height - 4}" text-anchor="middle">${formatNs(ns)}</text>`,
    ),
    row.peerHistogram.length === 0 ? '' : shape(row.peerHistogram, 'peer'),
    shape(row.histogram, 'own'),
    line(row.peerP50Ns, 'peer'),
    line(row.p50Ns, 'own'),
    '</svg>',
  ].join('');
}

/** Three or so round numbers, not too near to the edges for their labels. */
function ticks(from: number, to: number): number[] {
  const margin = (to / from) ** 0.08;
  const low = from * margin;
  const high = to / margin;
  for (const parts of [1, 2, 4, 5, 10, 20, 50, 100, 200]) {
    const step = 10 ** Math.ceil(Math.log10(high)) / parts;
    const found: number[] = [];
    for (let ns = Math.ceil(low / step) * step; ns <= high; ns += step) found.push(ns);
    // Linear steps over a wide logarithmic range crowd at its end: then powers of ten do.
    if (found.length >= 2 && to / from < 8) return thinned(found);
  }
  const decades: number[] = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power++) decades.push(10 ** power);
  return decades.length > 0 ? decades : [Math.sqrt(low * high)];
}

/** At most four labels fit beside each other. */
function thinned(values: readonly number[]): number[] {
  const every = Math.ceil(values.length / 4);
  return values.filter((_value, index) => index % every === 0);
}

function fixed(value: number): string {
  return value.toFixed(1);
}

export function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
