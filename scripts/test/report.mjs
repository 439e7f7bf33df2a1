// What a phase found: how many checks passed, and by name those that failed or were skipped.
import { bold, duration, green, red, say, yellow } from '../shared/terminal.mjs';

export class Report {
  passed = 0;
  /** @type {string[]} */
  failures = [];
  /** @type {string[]} */
  skips = [];

  /** @param {number} [count] */
  pass(count = 1) {
    this.passed += count;
  }

  /** @param {string} what */
  fail(what) {
    this.failures.push(what);
  }

  /** @param {string} what with the reason: nothing is skipped silently */
  skip(what) {
    this.skips.push(what);
  }

  /**
   * Counts one check and says how it went. The program's own output has been shown already.
   * @param {string} name
   * @param {{ ok: boolean, ending: string }} result
   */
  check(name, result) {
    if (result.ok) {
      this.pass();
      say(`${green('✔')} ${name}`);
    } else {
      this.fail(`${name}: ${result.ending}`);
      say(`${red('✘')} ${name}: ${result.ending}`);
    }
  }

  /**
   * Counts one check that lists what it found wrong, and prints the list.
   * @param {string} name
   * @param {readonly string[]} violations
   */
  checkList(name, violations) {
    for (const violation of violations) say(`  ${violation}`);
    const count = violations.length;
    const finding = violations.length === 1 ? 'violation' : 'violations';
    this.check(name, { ok: count === 0, ending: `${count} ${finding}` });
  }
}

/**
 * The table at the end, the names of what failed and what was skipped, and the one line that programs read.
 * @param {readonly { name: string, report: Report, milliseconds: number }[]} phases
 * @returns {{ passed: number, failed: number, skipped: number }}
 */
export function summarize(phases) {
  const width = Math.max(...phases.map(({ name }) => name.length), 5);
  /** @type {(columns: readonly string[]) => string} */
  const row = ([name = '', time = '', ...counts]) =>
    `  ${name.padEnd(width)}  ${time.padStart(12)}${counts.map((text) => text.padStart(9)).join('')}`;
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  say();
  say(bold(row(['phase', 'time', 'passed', 'failed', 'skipped'])));
  for (const { name, report, milliseconds } of phases) {
    const counts = [report.passed, report.failures.length, report.skips.length];
    const text = row([name, duration(milliseconds), ...counts.map(String)]);
    say(report.failures.length > 0 ? red(text) : text);
    passed += report.passed;
    failed += report.failures.length;
    skipped += report.skips.length;
  }
  say(row(['', duration(phases.reduce((sum, { milliseconds }) => sum + milliseconds, 0))]));
  /** @type {(title: string, paint: (text: string) => string, of: (report: Report) => string[]) => void} */
  const list = (title, paint, of) => {
    const entries = phases.flatMap(({ name, report }) => of(report).map((what) => `${name}: ${what}`));
    if (entries.length === 0) return;
    say();
    say(paint(bold(title)));
    for (const entry of entries) say(`  ${entry}`);
  };
  list('Skipped', yellow, (report) => report.skips);
  list('Failed', red, (report) => report.failures);
  say();
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  return { passed, failed, skipped };
}
