/** The report as one HTML file that needs nothing else: no script, no font, no request. Light and dark by the reader's choice. */
import { escapeXml, histogramSvg } from './chart.ts';
import { exitKinds } from './exit-kinds.ts';
import { controlRange, goalIds, goals } from './goals.ts';
import { lanes, laneTitle } from './lanes.ts';
import type { Report, Row } from './report.ts';
import { style } from './html-style.ts';
import { allowanceUsed, formatNs, formatValue, laneCell } from './table.ts';

export function renderHtml(report: Report): string {
  const { host } = report;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>vmhatch ${escapeXml(host.vmhatch)} bench, ${escapeXml(host.cpu)}</title>
<style>
${style}</style>
</head>
<body>
<main>
<header>
<h1>What a guest’s exit costs</h1>
${hostList(report)}
${verdict(report)}
</header>
${goalTable(report.rows)}
${laneTable(report.rows)}
${histograms(report.rows)}
${method(report)}
</main>
</body>
</html>
`;
}

function hostList({ host, noopNs }: Report): string {
  const facts: [string, string][] = [
    ['vmhatch', host.vmhatch],
    ['CPU', `${host.cpu}, ${host.cpus} CPUs`],
    ['Kernel', `Linux ${host.kernel}`],
    ['KVM', `${host.kvmModule}${host.nested ? ', this host is a virtual machine itself' : ''}`],
    ['Node', host.node],
    ['Date', host.date.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')],
    ['Empty native call', `${noopNs.toFixed(1)} ns`],
  ];
  return `<dl class="host">${facts.map(([name, value]) => `<div><dt>${name}</dt><dd>${escapeXml(value)}</dd></div>`).join('')}</dl>`;
}

function verdict(report: Report): string {
  const judged = report.rows.filter(({ holds, id }) => holds !== null && id !== 'P0');
  const held = judged.filter(({ holds }) => holds === true).length;
  const lines: string[] = [];
  if (judged.length > 0) {
    const kind = held === judged.length ? 'good' : 'bad';
    lines.push(`<p class="verdict ${kind}">${held} of ${judged.length} goals hold.</p>`);
  }
  if (!report.valid) {
    lines.push(
      '<p class="verdict warn">This run is void: a control against itself was outside 0.98 to 1.02.</p>',
    );
  }
  if (!report.complete)
    lines.push('<p class="verdict warn">Interrupted: this is what there was until then.</p>');
  if (report.skipped.length > 0) {
    lines.push(`<p class="note">Left out: ${report.skipped.map(escapeXml).join('; ')}</p>`);
  }
  return lines.join('\n');
}

function goalTable(rows: readonly Row[]): string {
  const groups = goalIds
    .filter((id) => id !== 'lanes')
    .map((id) => ({ id, rows: rows.filter((row) => row.id === id) }))
    .filter((group) => group.rows.length > 0);
  if (groups.length === 0) return '';
  const bodies = groups.map(
    ({ id, rows: own }) =>
      `<tbody><tr class="goal"><th scope="rowgroup" colspan="8"><b>${id}</b> ${goals[id].what}</th></tr>${own.map(goalRow).join('')}</tbody>`,
  );
  return `<section>
<h2>Goals</h2>
<div class="wide"><table>
<thead><tr><th>lane</th><th>exit</th><th class="n">p50</th><th class="n">p99</th><th class="n">added</th><th class="n">value</th><th class="n">goal</th><th>of the goal used</th></tr></thead>
${bodies.join('\n')}
</table></div>
</section>`;
}

function goalRow(row: Row): string {
  const goal =
    row.id === 'P0'
      ? `±${((controlRange.high - 1) * 100).toFixed(0)} %`
      : row.bar === null
        ? ''
        : `≤ ${row.bar}`;
  const added = row.addedNs === null ? '' : formatNs(row.addedNs).replace('-', '−');
  const limit = row.addedBarNs === null ? '' : ` title="goal: at most ${formatNs(row.addedBarNs)}"`;
  const over = row.addedBarNs !== null && row.addedNs !== null && row.addedNs > row.addedBarNs ? ' over' : '';
  const interval =
    row.roundRatio === null
      ? ''
      : ` title="by rounds ${row.roundRatio.value} (${row.roundRatio.low} to ${row.roundRatio.high})"`;
  const note = row.note === '' ? '' : `<tr class="note"><td colspan="8">${escapeXml(row.note)}</td></tr>`;
  return (
    `<tr><td>${escapeXml(laneTitle(row.lane))}</td><td>${escapeXml(row.exit)}</td>` +
    `<td class="n">${formatNs(row.p50Ns)}</td><td class="n">${formatNs(row.p99Ns)}</td>` +
    `<td class="n${over}"${limit}>${added}</td><td class="n"${interval}><b>${formatValue(row.value, row.unit)}</b></td>` +
    `<td class="n">${goal}</td><td>${meter(row)}</td></tr>${note}`
  );
}

function meter(row: Row): string {
  const used = allowanceUsed(row);
  if (used === null) return '';
  const share = Math.min(used, 1) * 100;
  const kind = row.holds === null ? 'warn' : row.holds ? 'good' : 'bad';
  const word = row.holds === null ? 'void' : row.holds ? 'holds' : 'fails';
  return `<span class="meter"><i class="${kind}" style="width:${share.toFixed(1)}%"></i></span> <span class="${kind}-text">${word}</span>`;
}

function laneTable(rows: readonly Row[]): string {
  if (!rows.some(({ id }) => id === 'lanes')) return '';
  const shown = lanes.filter(({ lane }) =>
    exitKinds.some((exit) => laneCell(rows, lane, exit) !== undefined),
  );
  const slowest = Math.max(
    ...rows.filter(({ per }) => per === 'exit' || per === 'write').map(({ p50Ns }) => p50Ns ?? 0),
  );
  const cell = (lane: string, exit: string): string => {
    const row = laneCell(rows, lane, exit);
    if (row?.p50Ns === undefined || row.p50Ns === null) return '<td class="n none">–</td>';
    const share = (row.p50Ns / slowest) * 100;
    return `<td class="n lane"><i style="width:${share.toFixed(1)}%"></i>${formatNs(row.p50Ns)}</td>`;
  };
  return `<section>
<h2>Lanes side by side</h2>
<p>Median time of an exit; with ioeventfd and coalesced, of a write that is none.</p>
<div class="wide"><table class="lanes">
<thead><tr><th>lane</th>${exitKinds.map((exit) => `<th class="n">${exit}</th>`).join('')}</tr></thead>
<tbody>${shown.map(({ lane, title }) => `<tr><th scope="row">${title}</th>${exitKinds.map((exit) => cell(lane, exit)).join('')}</tr>`).join('\n')}</tbody>
</table></div>
</section>`;
}

function histograms(rows: readonly Row[]): string {
  const figures = rows.flatMap((row) => {
    // A lane against itself is one shape twice.
    const svg = row.id === 'lanes' && row.lane === 'native' ? '' : histogramSvg(row);
    if (svg === '') return [];
    const peer = row.peer === '' ? '' : ` <span class="peer-text">■ ${escapeXml(laneTitle(row.peer))}</span>`;
    const id = row.id === 'lanes' ? '' : `<b>${row.id}</b> `;
    return [
      `<figure><figcaption>${id}${escapeXml(row.exit)}, per ${escapeXml(row.per)}<br><span class="own-text">■ ${escapeXml(laneTitle(row.lane))}</span>${peer}</figcaption>${svg}</figure>`,
    ];
  });
  if (figures.length === 0) return '';
  return `<section>
<h2>Distributions</h2>
<p>Logarithmic time, share of the samples; the lines are the medians. The slowest twentieth is not drawn.</p>
<div class="figures">${figures.join('\n')}</div>
</section>`;
}

function method({ noopNs }: Report): string {
  return `<section class="method">
<h2>How it was measured</h2>
<p>All peers run the same guest program. One sample is the mean exit of a block of 64: blocks of all peers alternate in
one process, in an order that changes each round, and each JavaScript block includes the call that starts it. Ratios are of medians
(P7: of the lower quartiles) to the control in the same run: a <code>KVM_RUN</code> loop without JavaScript. The control is
measured twice; if it differs from itself by more than 2 %, the run is void. P1 may also add at most ten empty native
calls, ${(10 * noopNs).toFixed(0)} ns here, to an exit.</p>
</section>`;
}
