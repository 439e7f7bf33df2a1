// The two halves of a build: the addon (Rust to a .node file and its loader) and dist/ (TypeScript to JavaScript).
import { readdirSync, rmSync } from 'node:fs';
import { ask, run } from './process.mjs';
import { hashOf, isFresh, markFresh } from './hash.mjs';
import { inRoot, root } from './paths.mjs';
import { say } from './terminal.mjs';

const nativeInputs = [
  'Cargo.toml',
  'Cargo.lock',
  'crates',
  'package.json',
  'package-lock.json',
  'scripts/shared/build.mjs',
];
const typescriptInputs = ['index.ts', 'lib', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];

/** What decides the addon's bytes beside its sources. */
async function nativeSettings() {
  const rustc = (await ask('rustc', '--version', '--verbose')) ?? '';
  return [rustc, process.env['RUSTFLAGS'] ?? '', process.env['CARGO_BUILD_TARGET'] ?? ''];
}

/** The addon files that lie in the root, one a platform. */
export function builtAddons() {
  return readdirSync(root).filter((name) => name.startsWith('vmhatch.') && name.endsWith('.node'));
}

/**
 * Builds the addon for this machine, with its loader and types, into the root.
 * @returns {Promise<import('./process.mjs').RunResult>}
 */
export async function buildNative() {
  const hash = hashOf(nativeInputs, await nativeSettings());
  const results = [inRoot('native.cjs'), inRoot('native.d.cts')];
  if (builtAddons().length > 0 && isFresh('native', hash, results)) {
    say('the addon is up to date');
    return { ok: true, ending: 'up to date', output: '' };
  }
  const outputs = ['--output-dir', '.', '--js', 'native.cjs', '--dts', 'native.d.cts'];
  const inputs = ['--manifest-path', 'crates/node/Cargo.toml', '--package-json-path', 'package.json'];
  const result = await run('napi', ['build', '--platform', '--release', ...inputs, ...outputs]);
  if (result.ok) markFresh('native', hash);
  return result;
}

/**
 * Compiles the sources into dist/. What is no longer a source does not stay there.
 * @returns {Promise<import('./process.mjs').RunResult>}
 */
export async function buildTypeScript() {
  const hash = hashOf(typescriptInputs);
  if (isFresh('typescript', hash, [inRoot('dist', 'index.js'), inRoot('dist', 'lib', 'cli', 'main.js')])) {
    say('dist/ is up to date');
    return { ok: true, ending: 'up to date', output: '' };
  }
  rmSync(inRoot('dist'), { recursive: true, force: true });
  const result = await run('tsc', ['--project', 'tsconfig.build.json']);
  if (result.ok) {
    say('dist/ is built');
    markFresh('typescript', hash);
  }
  return result;
}
