// The addons as a table: what a person looks at before they are published.
import { judgeFile } from './gate.mjs';

/**
 * @param {readonly (readonly string[])[]} rows
 * @returns {string} aligned columns
 */
export function table(rows) {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/**
 * @param {readonly import('./build.mjs').Addon[]} addons
 * @returns {{ text: string, violations: string[] }}
 */
export function addonTable(addons) {
  const judged = addons.map(({ target, path }) => ({ target, verdict: judgeFile(target, path) }));
  const rows = judged.map(({ target, verdict }) => [
    target.platform,
    `${(verdict.bytes / 1e6).toFixed(2)} MB`,
    verdict.highest === '' ? '-' : verdict.highest,
    verdict.needed.join(' '),
  ]);
  const violations = judged.flatMap(({ target, verdict }) =>
    verdict.violations.map((violation) => `${target.platform} ${violation}`),
  );
  return { text: table([['addon', 'size', 'highest symbol', 'needs'], ...rows]), violations };
}
