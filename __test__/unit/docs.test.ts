// The documents say what the sources say: lists in both are held equal here, pictures are what their scripts draw.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';

import { goals, isGoalId } from '../../lib/bench/goals.ts';
import { laneTitle } from '../../lib/bench/lanes.ts';
import { formatNs, formatValue } from '../../lib/bench/table.ts';
import { commands } from '../../lib/cli/commands.ts';
import { exitCodeMeanings } from '../../lib/cli/exit-codes.ts';
import { EXIT_KINDS } from '../../lib/internal/exits/kinds.ts';
import { unsafeFiles } from '../../scripts/house/rust.mjs';
import { renderLatency, replaceMarked } from '../../scripts/readme-latency.mjs';
import { drawSession, parseAnsi, readRecording } from '../../scripts/session-picture.mjs';
import { root } from '../../scripts/shared/paths.mjs';
import { phases } from '../../scripts/test/phases.mjs';
import { sampleReport } from './bench-sample.ts';

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** The first cells of all tables of a document, without the headings. */
function firstCells(path: string): string[] {
  const cells = Array.from(read(path).matchAll(/^\| *([^|]*?) *\|/gm), ([, cell = '']) => cell);
  return cells.filter((cell, index) => !/^-*$/.test(cell) && !/^-+$/.test(cells[index + 1] ?? ''));
}

/** What stands in backticks in the first cells. */
const codeCells = (path: string): string[] =>
  firstCells(path).flatMap((cell) => Array.from(cell.matchAll(/`([^`]+)`/g), ([, code = '']) => code));

test('docs/safety.md has an argument for each file with unsafe code, and for no other', (t) => {
  const files = firstCells('docs/safety.md').map(
    (cell) => /\]\(\.\.\/(crates\/[^)]+)\)/.exec(cell)?.[1] ?? cell,
  );
  t.deepEqual(files.toSorted(), Object.keys(unsafeFiles).toSorted());
});

test('docs/dependencies.md names exactly the direct dependencies', (t) => {
  const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
  const packages = ['dependencies', 'devDependencies', 'optionalDependencies', 'peerDependencies'];
  const names = new Set(packages.flatMap((kind) => Object.keys(manifest[kind] ?? {})));
  for (const crate of readdirSync(join(root, 'crates'))) {
    const toml = read(`crates/${crate}/Cargo.toml`);
    for (const [, section = ''] of toml.matchAll(/^\[[\w.'"()= -]*dependencies\]\n([^[]*)/gm)) {
      for (const [, name = ''] of section.matchAll(/^([\w-]+)(?=[. =])/gm))
        if (!name.startsWith('vmhatch-')) names.add(name);
    }
  }
  const tools = JSON.parse(read('__test__/package/tools/package.json')) as typeof manifest;
  for (const kind of packages) for (const name of Object.keys(tools[kind] ?? {})) names.add(name);
  for (const path of ['scripts/cross/requirements.txt', '__test__/package/tools/musl-node-x64.txt'])
    for (const [, name = ''] of read(path).matchAll(/^([\w-]+)==/gm)) names.add(name);
  t.true(names.size > 10);
  t.deepEqual(codeCells('docs/dependencies.md').toSorted(), [...names].toSorted());
});

test('docs/exits.md has every kind of exit', (t) => {
  t.deepEqual(codeCells('docs/exits.md').toSorted(), EXIT_KINDS.toSorted());
});

test('docs/testing.md has every phase', (t) => {
  t.deepEqual(
    codeCells('docs/testing.md'),
    phases.map(({ name }) => name),
  );
});

test('docs/benchmarks.md has every goal', (t) => {
  const ids = firstCells('docs/benchmarks.md').map((cell) => cell.replaceAll('`', ''));
  t.deepEqual(ids, Object.keys(goals));
});

test('docs/cli.md has every option and every exit status', async (t) => {
  const options: string[] = [];
  for (const { load } of commands) {
    const { help } = await load();
    const labels = help().matchAll(/^ {2}(--\S+(?: [A-Z][\w,]*)?) {2,}/gm);
    options.push(...Array.from(labels, ([, label = '']) => label));
  }
  const common = new Set(['--help', '--version']);
  t.deepEqual(codeCells('docs/cli.md').toSorted(), options.filter((label) => !common.has(label)).toSorted());
  const statuses = firstCells('docs/cli.md').filter((cell) => /^\d+$/.test(cell));
  t.deepEqual(
    statuses,
    exitCodeMeanings.map(([code]) => String(code)),
  );
});

test("the README's first program is examples/hello.ts", (t) => {
  const [, section = ''] = read('README.md').split('\n## First program\n');
  const [, program = ''] = /^```ts\n([\s\S]*?)^```/m.exec(section) ?? [];
  t.is(program, read('examples/hello.ts').replace(/^(?:\/\/.*\n)+/, ''));
});

test("the README's picture is what the recording makes", (t) => {
  t.is(read('docs/pictures/session.svg'), drawSession(readRecording()));
});

test('a recording becomes runs of one style', (t) => {
  t.deepEqual(parseAnsi('a\u001b[2;31mb\u001b[39mc\u001b[22m\nd\u001b[0m'), [
    [
      { text: 'a', classes: [] },
      { text: 'b', classes: ['dim', 'red'] },
      { text: 'c', classes: ['dim'] },
    ],
    [{ text: 'd', classes: [] }],
  ]);
  t.regex(drawSession([{ command: 'a < b', output: '&\n' }]), /a &lt; b[\s\S]*&amp;/);
});

test('every picture has a title and a dark side, and is shown somewhere', (t) => {
  const pictures = readdirSync(join(root, 'docs/pictures')).filter((name) => name.endsWith('.svg'));
  const documents = [
    read('README.md'),
    ...readdirSync(join(root, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => read(`docs/${name}`)),
  ].join('\n');
  t.true(pictures.length > 0);
  for (const name of pictures) {
    t.regex(
      read(`docs/pictures/${name}`),
      /<title id="title">.+<\/title>[\s\S]*prefers-color-scheme: dark/,
      name,
    );
    t.true(documents.includes(`pictures/${name})`), name);
  }
});

test("the README's latency table is made of a report's rows", (t) => {
  const goalTitle = (id: string): string => (isGoalId(id) ? goals[id].what : '');
  const words = { goalTitle, laneTitle, formatNs, formatValue };
  const text = renderLatency(sampleReport(), words);
  t.regex(text, /^Measured with vmhatch \S+ on KVM amd inside a virtual machine/);
  t.regex(
    text,
    /^\| P1 +\| exit handled by a JavaScript device, or given by step\(\) +\| .* ≤ 1.05 +\| adds more than 100 ns/m,
  );
  t.regex(renderLatency(sampleReport(1), words), /^\| P1 .* ≤ 1.05 +\| holds/m);
  t.regex(renderLatency(sampleReport(1.5), words), /does not hold/);
  t.throws(() => renderLatency({ ...sampleReport(), valid: false }, words), { message: /void/ });
  t.throws(() => renderLatency({ ...sampleReport(), complete: false }, words), { message: /interrupted/ });
  const readme = read('README.md');
  const filled = replaceMarked(readme, text);
  t.true(filled.includes(text));
  t.is(replaceMarked(filled, text), filled);
  t.throws(() => replaceMarked('', text), { message: /latency:begin/ });
});
