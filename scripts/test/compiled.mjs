// The tests as plain JavaScript: what an emulated processor would spend minutes on, this machine does in a second.
// .cache/compiled looks like the checkout, but for the sources, which are compiled there.
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, stampDirectory } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';

const folder = join(stampDirectory, 'compiled');

/** What tsc makes, or what would lead in circles; the rest is linked. */
const own = new Set(['.cache', '.git', '__test__', 'ava.config.mjs', 'lib', 'tsconfig.json']);

const config = `// As ava.config.mjs, for tests that were compiled.
export default { files: ['__test__/**/*.test.js'], workerThreads: false, concurrency: 2, timeout: '3m' };
`;

/**
 * Compiles sources and tests. What is wrong with their types is another phase's to say: here they are only translated.
 * @returns {Promise<{ folder: string } | { failure: string }>}
 */
export async function compileTests() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(root)) {
    if (!own.has(name)) symlinkSync(join(root, name), join(folder, name));
  }
  writeFileSync(join(folder, 'ava.config.mjs'), config);
  const project = join(folder, 'tsconfig.json');
  const settings = {
    extends: '../../tsconfig.json',
    compilerOptions: {
      noEmit: false,
      noCheck: true,
      allowJs: false,
      checkJs: false,
      rootDir: '../..',
      outDir: '.',
    },
    include: ['../../index.ts', '../../lib/**/*.ts', '../../__test__/**/*.ts'],
    exclude: ['../../__test__/package'],
  };
  writeFileSync(project, JSON.stringify(settings));
  const compiled = await run('tsc', ['--project', project], { quiet: true });
  return compiled.ok ? { folder } : { failure: `tsc: ${compiled.output.trim() || compiled.ending}` };
}
