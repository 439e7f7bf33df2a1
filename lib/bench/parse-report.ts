/** A report read back from its file: enough is checked that a comparison cannot stumble. */
import type { Host, Report, Row } from './report.ts';

const hostTexts = [
  'cpu',
  'kernel',
  'kvmModule',
  'node',
  'vmhatch',
  'date',
] as const satisfies readonly (keyof Host)[];
const rowTexts = ['id', 'lane', 'exit', 'unit'] as const satisfies readonly (keyof Row)[];

/** @returns the report, or what is wrong with the text */
export function parseReport(text: string): Report | string {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch (error) {
    return (error as Error).message;
  }
  if (!isRecord(report)) return 'not an object';
  const { host, rows } = report;
  if (!isRecord(host)) return 'host is missing';
  for (const field of hostTexts) if (typeof host[field] !== 'string') return `host.${field} is no text`;
  if (!Array.isArray(rows)) return 'rows are missing';
  for (const [index, row] of rows.entries()) {
    const wrong = isRecord(row) ? wrongInRow(row) : 'is no object';
    if (wrong !== undefined) return `rows[${index}] ${wrong}`;
  }
  return { valid: true, complete: true, noopNs: 0, skipped: [], ...report } as unknown as Report;
}

function wrongInRow(row: Record<string, unknown>): string | undefined {
  for (const field of rowTexts) if (typeof row[field] !== 'string') return `.${field} is no text`;
  if (typeof row['value'] !== 'number') return '.value is no number';
  const ratio = row['roundRatio'];
  if (
    ratio !== null &&
    !(isRecord(ratio) && ['value', 'low', 'high'].every((field) => typeof ratio[field] === 'number'))
  ) {
    return '.roundRatio is no interval';
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
