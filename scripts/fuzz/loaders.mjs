// Fuzzes the loaders of crates/boot with cargo-fuzz, starting from good images.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, inRoot } from '../shared/paths.mjs';
import { ask, run } from '../shared/process.mjs';
import { bold, say } from '../shared/terminal.mjs';

/** What the fuzzer writes outlives the checkout: the inputs that it found worth keeping, and the built fuzzer. */
const directory = join(cacheDirectory, 'fuzz');
const crate = inRoot('crates', 'boot');
const targets = readdirSync(join(crate, 'fuzz', 'fuzz_targets')).map((name) => name.replace(/\.rs$/, ''));

/** A limit for one input, in seconds, and for all memory, in MiB: a decoder may take 128 MiB to look back on. */
const limits = ['-timeout=20', '-rss_limit_mb=2048', '-max_len=8192'];

/**
 * Runs each target for that long. True if none found anything.
 * @param {number} seconds
 * @returns {Promise<boolean>}
 */
export async function fuzzLoaders(seconds) {
  if ((await ask('cargo', 'fuzz', '--version')) === undefined) {
    say('cargo-fuzz is not installed. Try: cargo install cargo-fuzz --locked');
    return false;
  }
  /** @type {boolean[]} */
  const good = [];
  for (const target of targets) {
    const corpus = join(directory, target);
    mkdirSync(corpus, { recursive: true });
    plantSeeds(target, corpus);
    say(`${bold(target)}: ${seconds} s, inputs in ${corpus}`);
    const options = ['--target-dir', join(directory, 'build'), target, corpus];
    const result = await run(
      'cargo',
      ['fuzz', 'run', ...options, '--', `-max_total_time=${seconds}`, ...limits],
      // The sanitizer's flags are for nightly compilers; this lets any compiler take them.
      { cwd: crate, env: { RUSTC_BOOTSTRAP: '1' } },
    );
    say(`${target}: ${result.ok ? 'nothing found' : result.ending}`);
    good.push(result.ok);
  }
  return good.every(Boolean);
}

/** What comes before an image in the input of a target: how it is loaded. The target `headers` has images of its own. */
const before = /** @type {Readonly<Record<string, Buffer>>} */ ({
  payload: Buffer.alloc(0),
  raw: Buffer.alloc(1),
});

/**
 * The kernels of the tests, packed and not.
 * @param {string} target
 * @param {string} corpus
 */
function plantSeeds(target, corpus) {
  const start = before[target];
  if (!start) return;
  const fixtures = join(crate, 'tests', 'boot', 'fixtures');
  for (const name of readdirSync(fixtures).filter((file) => file.endsWith('.bin'))) {
    writeFileSync(join(corpus, name), Buffer.concat([start, readFileSync(join(fixtures, name))]));
  }
}
