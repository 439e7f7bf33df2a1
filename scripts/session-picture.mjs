// The README's picture: a real session of the command line, recorded once and drawn as an SVG. The drawing depends on
// the recording only, so it can be made anywhere and checked.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inRoot } from './shared/paths.mjs';

const usage = `Usage: node scripts/session-picture.mjs [--record | --check]

Draws docs/pictures/session.svg from docs/pictures/session.json.

  --record  runs the commands anew first (needs /dev/kvm) and keeps what they print
  --check   writes nothing; fails if the picture is not what the recording makes`;

const recordingPath = inRoot('docs', 'pictures', 'session.json');
const picturePath = inRoot('docs', 'pictures', 'session.svg');
const guests = inRoot('crates', 'test-guests', 'guests');

/** What is run, as a person would type it after installing the package. */
const commands = [
  'vmhatch run --trace --registers add-numbers.bin',
  'vmhatch run --trace --mode protected --memory 64KiB mmio-sizes.bin',
  'vmhatch run --mode long long-mode-hello.bin',
];

/** @typedef {{ command: string, output: string }} Recorded */
/** @typedef {{ text: string, classes: readonly string[] }} Run characters of one style */

/**
 * Runs one command from source; both streams go to one file, so that their order is the terminal's.
 * @param {string} command
 * @returns {Recorded}
 */
function record(command) {
  const work = mkdtempSync(join(tmpdir(), 'vmhatch-session-'));
  const file = join(work, 'output');
  const target = openSync(file, 'w');
  try {
    const args = ['--import', '@oxc-node/core/register', inRoot('lib', 'cli', 'main.ts')];
    const { status } = spawnSync(process.execPath, [...args, ...command.split(' ').slice(1)], {
      cwd: guests,
      env: { ...process.env, FORCE_COLOR: '1' },
      stdio: ['ignore', target, target],
    });
    const output = readFileSync(file, 'utf8');
    if (status !== 0) throw new Error(`${command}: exit status ${status}\n${output}`);
    return { command, output };
  } finally {
    closeSync(target);
    rmSync(work, { recursive: true });
  }
}

/** SGR codes to the classes of the style sheet; those that end a style name what they end. */
/** @type {Readonly<Record<number, string>>} */
const begins = {
  1: 'bold',
  2: 'dim',
  31: 'red',
  32: 'green',
  33: 'yellow',
  34: 'blue',
  35: 'magenta',
  36: 'cyan',
};
/** @type {Readonly<Record<number, readonly string[]>>} */
const ends = { 22: ['bold', 'dim'], 39: ['red', 'green', 'yellow', 'blue', 'magenta', 'cyan'] };

/**
 * Lines of styled runs, from text with SGR escapes. Other escapes have no place in a recording.
 * @param {string} text
 * @returns {Run[][]}
 */
export function parseAnsi(text) {
  /** @type {Run[][]} */
  const lines = [[]];
  /** @type {Set<string>} */
  const style = new Set();
  // eslint-disable-next-line no-control-regex
  for (const [token, codes] of text.matchAll(/\u001b\[([\d;]*)m|\n|[^\u001b\n]+/g)) {
    if (token === '\n') {
      lines.push([]);
    } else if (codes === undefined) {
      lines.at(-1)?.push({ text: token, classes: [...style] });
    } else {
      for (const code of codes.split(';').map(Number)) {
        if (code === 0) style.clear();
        else if (begins[code] !== undefined) style.add(begins[code]);
        else for (const name of ends[code] ?? []) style.delete(name);
      }
    }
  }
  return lines;
}

/** @param {string} text */
function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const fontSize = 13;
const cellWidth = 7.8;
const lineHeight = 19;
const padding = 20;
const titleBar = 34;

/**
 * The session as an SVG document.
 * @param {readonly Recorded[]} session
 */
export function drawSession(session) {
  /** @type {Run[][]} */
  const lines = session.flatMap(({ command, output }, index) => [
    ...(index === 0 ? [] : [[]]),
    [
      { text: '$ ', classes: ['green', 'bold'] },
      { text: command, classes: ['bold'] },
    ],
    ...parseAnsi(output.replace(/\n+$/, '')),
  ]);
  const columns = Math.max(...lines.map((line) => line.reduce((sum, { text }) => sum + text.length, 0)));
  const width = Math.ceil(columns * cellWidth) + 2 * padding;
  const height = titleBar + lines.length * lineHeight + padding;
  /** @type {string[]} */
  const drawn = [];
  for (const [row, line] of lines.entries()) {
    const y = titleBar + row * lineHeight + fontSize;
    let column = 0;
    for (const { text, classes } of line) {
      const length = (text.length * cellWidth).toFixed(1);
      const x = (padding + column * cellWidth).toFixed(1);
      const style = classes.length === 0 ? '' : ` class="${classes.join(' ')}"`;
      column += text.length;
      if (text.trim() === '') continue;
      drawn.push(`  <text x="${x}" y="${y}" textLength="${length}"${style}>${escape(text)}</text>`);
    }
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title" xml:space="preserve">
  <title id="title">A terminal session: ${escape(session.map(({ command }) => command).join('; '))}</title>
  <style>
    .window { fill: #f6f8fa; stroke: #d0d7de }
    .button { fill: #d0d7de }
    text { font: ${fontSize}px ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #1f2328; white-space: pre }
    .bold { font-weight: bold }
    .dim { fill: #656d76 }
    .red { fill: #cf222e } .green { fill: #1a7f37 } .yellow { fill: #9a6700 }
    .blue { fill: #0969da } .magenta { fill: #8250df } .cyan { fill: #1b7c83 }
    @media (prefers-color-scheme: dark) {
      .window { fill: #0d1117; stroke: #30363d }
      .button { fill: #30363d }
      text { fill: #e6edf3 }
      .dim { fill: #8b949e }
      .red { fill: #f85149 } .green { fill: #3fb950 } .yellow { fill: #d29922 }
      .blue { fill: #58a6ff } .magenta { fill: #bc8cff } .cyan { fill: #39c5cf }
    }
  </style>
  <rect class="window" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
  <circle class="button" cx="20" cy="17" r="5"/><circle class="button" cx="38" cy="17" r="5"/><circle class="button" cx="56" cy="17" r="5"/>
${drawn.join('\n')}
</svg>
`;
}

/** The recording that is checked in. @returns {Recorded[]} */
export function readRecording() {
  return JSON.parse(readFileSync(recordingPath, 'utf8'));
}

/** @param {readonly string[]} args */
function main(args) {
  const [option, ...more] = args;
  if (more.length > 0 || (option !== undefined && option !== '--record' && option !== '--check')) {
    console.log(usage);
    process.exitCode = option === '--help' ? 0 : 2;
    return;
  }
  if (option === '--record') {
    const text = JSON.stringify(commands.map(record), undefined, 2);
    writeFileSync(recordingPath, `${text}\n`);
  }
  const picture = drawSession(readRecording());
  if (option !== '--check') {
    writeFileSync(picturePath, picture);
  } else if (readFileSync(picturePath, 'utf8') !== picture) {
    console.error('docs/pictures/session.svg is stale: run node scripts/session-picture.mjs');
    process.exitCode = 1;
  }
}

if (process.argv[1] === import.meta.filename) main(process.argv.slice(2));
