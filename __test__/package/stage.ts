// Folders for the package tests: the tarball, installed as a user installs it, and programs run there.
import { execFile, type ExecFileException } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../../', import.meta.url));

export interface Ended {
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program to its end, in a folder, without what npm told this process about the checkout, and as on a
 * terminal that knows no colours.
 */
export function run(cwd: string, command: string, ...args: string[]): Promise<Ended> {
  return runWith({}, cwd, command, ...args);
}

/** The same with more in its environment. */
export function runWith(
  more: Readonly<Record<string, string>>,
  cwd: string,
  command: string,
  ...args: string[]
): Promise<Ended> {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(?:npm_|NODE_OPTIONS$|FORCE_COLOR$|INIT_CWD$)/i.test(name)) env[name] = value;
  }
  env['PATH'] = [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter);
  Object.assign(env, more);
  return new Promise((resolve) => {
    const options = { cwd, env, maxBuffer: 2 ** 26 };
    execFile(command, args, options, (error: ExecFileException | null, stdout, stderr) => {
      const status = error === null ? 0 : (error.code ?? error.signal ?? 'unknown');
      resolve({ status, stdout, stderr });
    });
  });
}

/** The standard output of a program that must succeed. */
export async function output(cwd: string, command: string, ...args: string[]): Promise<string> {
  const ended = await run(cwd, command, ...args);
  if (ended.status !== 0) {
    throw new Error(`${command} ${args.join(' ')}: status ${ended.status}\n${ended.stdout}\n${ended.stderr}`);
  }
  return ended.stdout;
}

const folders: string[] = [];
process.once('exit', () => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

/** A folder that goes when the test process does. */
export function folder(name: string): string {
  const path = mkdtempSync(join(tmpdir(), `vmhatch-${name}-`));
  folders.push(path);
  return path;
}

export interface PackedFile {
  readonly path: string;
  readonly size: number;
}

/** What `npm pack` makes of a folder: the tarball, and what is in it. */
export async function pack(
  from: string,
  to: string,
): Promise<{ tarball: string; files: readonly PackedFile[] }> {
  const text = await output(from, 'npm', 'pack', '--json', '--pack-destination', to);
  const [packed] = JSON.parse(text) as { filename: string; files: PackedFile[] }[];
  if (packed === undefined) throw new Error(`npm pack said nothing about ${from}`);
  return { tarball: join(to, packed.filename), files: packed.files };
}

/** Installs tarballs in an empty folder, without a registry: the package has no dependencies to fetch. */
export async function install(name: string, ...tarballs: string[]): Promise<string> {
  const path = folder(name);
  writeFileSync(join(path, 'package.json'), '{ "name": "consumer", "private": true }\n');
  await output(path, 'npm', 'install', '--offline', '--no-audit', '--no-fund', ...tarballs);
  return path;
}

/** Writes a file below a folder and returns its path. */
export function write(base: string, name: string, text: string): string {
  const path = join(base, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

/** The README's first program for KVM itself, word for word. */
export function firstProgram(): string {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const [, code] = /^## First program\n[^#]*?^```ts\n([\s\S]*?)^```/m.exec(readme) ?? [];
  if (code?.includes("from 'vmhatch'")) return code;
  throw new Error("README.md has no first program that imports from 'vmhatch'");
}

/** The same program as CommonJS. */
export function asCommonJs(program: string): string {
  return program.replaceAll(/^import (\{[^}]*\}) from '([^']+)';$/gm, "const $1 = require('$2');");
}

/** This machine's platform package, as `npm/` names it. */
export function platformFolder(): string {
  const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return `${process.platform}-${process.arch}-${report.header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
}
