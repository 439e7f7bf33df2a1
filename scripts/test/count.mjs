// Counting what the test runners print. Each reader is fed line by line while the line is also shown.
// A runner that fails without naming a failed test, or that ran nothing, is a failure too.
import { stripVTControlCharacters } from 'node:util';

/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {import('../shared/process.mjs').RunResult} RunResult */

/**
 * @typedef {object} Counter
 * @property {(line: string) => void} line
 * @property {() => number} failed how many tests have failed so far
 * @property {(report: Report, result: RunResult) => void} finish
 */

/**
 * @param {Report} report
 * @param {RunResult} result
 * @param {string} runner
 * @param {{ passed: number, failures: readonly string[], skips: readonly string[] }} seen
 */
function settle(report, result, runner, seen) {
  report.pass(seen.passed);
  for (const failure of seen.failures) report.fail(failure);
  for (const skip of seen.skips) report.skip(skip);
  if (!result.ok && seen.failures.length === 0) report.fail(`${runner} ended with ${result.ending}`);
  if (result.ok && seen.passed + seen.failures.length + seen.skips.length === 0) {
    report.fail(`${runner} ran no tests`);
  }
}

/**
 * Reads ava's default reporter. (Its TAP reporter stops with an error of its own when a test times out.)
 * A test that finds out only while it runs that the host lacks something says `t.log('skipped: why')` and passes.
 * @returns {Counter}
 */
export function avaCounter() {
  let passed = 0;
  let last = '';
  /** @type {string[]} */
  const failures = [];
  /** @type {string[]} */
  const skips = [];
  /** @type {readonly [RegExp, (text: string) => void][]} */
  const readers = [
    [/^\s*✘ (?:\[[\w ]+\]:? )?(.*)/, (text) => failures.push(text)],
    [/^\s*◌ (.*)/, (text) => failures.push(`${text} did not end`)],
    [/^\s*(Unhandled rejection in .*|Uncaught exception in .*)/, (text) => failures.push(text)],
    [/^\s*✔ \[expected fail\] (.*)/, (text) => failures.push(`${text} is expected to fail`)],
    [/^\s*- \[(?:skip|todo)\] (.*)/, (text) => skips.push(text)],
    [
      /^\s*✔ (.*)/,
      (text) => {
        last = text.replace(/ \([\d.]+m?s\)$/, '');
        passed++;
      },
    ],
    [
      /^\s*ℹ skipped: (.*)/,
      (text) => {
        if (last === '') return;
        skips.push(`${last}: ${text}`);
        last = '';
        passed--;
      },
    ],
  ];
  return {
    line(text) {
      const plain = stripVTControlCharacters(text);
      for (const [pattern, act] of readers) {
        const match = pattern.exec(plain);
        if (match) {
          act((match[1] ?? '').trim());
          return;
        }
      }
    },
    failed: () => failures.length,
    finish: (report, result) => settle(report, result, 'ava', { passed, failures, skips }),
  };
}

/**
 * Reads `cargo nextest run` and `cargo test`. A Rust test that finds out while it runs that the host lacks something
 * prints `skipped: why` and passes; for that line both runners are asked to show what passing tests print, and the
 * rest of that is not passed on.
 * @param {string} runner its name, for the report
 * @param {{ mayBeEmpty?: boolean }} [options] mayBeEmpty: no tests at all is no failure
 * @returns {Counter & { show: (line: string) => string | undefined }}
 */
export function cargoCounter(runner, { mayBeEmpty = false } = {}) {
  let passed = 0;
  let current = '';
  let summary = false;
  let noise = false;
  /** @type {Set<string>} */
  const failures = new Set();
  /** @type {Map<string, string>} */
  const skips = new Map();
  const nextestStatus = /^(PASS|LEAK|FAIL|TIMEOUT|ABORT|SIG\w+)\s+\[[^\]]*\]\s+(?:\([^)]*\)\s+)?(.+)/;
  const testStatus = /^test (.+?) \.\.\. (ok|FAILED|ignored)/;

  /** @param {string} plain */
  const readNextest = (plain) => {
    if (plain.startsWith('Summary [')) summary = true;
    const [, status, name = ''] = nextestStatus.exec(plain) ?? [];
    if (status === undefined) return;
    current = name;
    noise = status === 'PASS' || status === 'LEAK';
    if (!noise) failures.add(name);
    else if (!summary) passed++;
  };
  /** @param {string} plain */
  const readTest = (plain) => {
    const [, name = '', status] = testStatus.exec(plain) ?? [];
    if (status === 'ok') passed++;
    else if (status === 'ignored') skips.set(name, 'ignored');
    else if (status === 'FAILED') failures.add(name);
    current = /^---- (.+) stdout ----$/.exec(plain)?.[1] ?? (name || current);
  };

  /** @type {(text: string) => void} */
  const line = (text) => {
    const plain = stripVTControlCharacters(text).trim();
    if (runner === 'cargo nextest') readNextest(plain);
    else readTest(plain);
    if (/^─{4,}$/.test(plain)) noise = false;
    const why = /^skipped: (.+)/.exec(plain)?.[1];
    if (why === undefined || skips.has(current)) return;
    skips.set(current, why);
    passed--;
  };
  return {
    line,
    failed: () => failures.size,
    show(text) {
      const plain = stripVTControlCharacters(text).trim();
      return !noise || nextestStatus.test(plain) || plain.startsWith('skipped: ') ? text : undefined;
    },
    finish(report, result) {
      if (mayBeEmpty && result.ok && passed + failures.size + skips.size === 0) return;
      const named = [...skips].map(([name, why]) => `${name}: ${why}`);
      settle(report, result, runner, { passed, failures: [...failures], skips: named });
    },
  };
}
