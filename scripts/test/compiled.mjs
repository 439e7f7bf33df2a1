// The tests as plain JavaScript: what an emulated processor would spend minutes on, this machine does in a second.
// A folder in .cache looks like the checkout, but for the sources, which are compiled there.
import { mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, stampDirectory } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';

/** What tsc makes, or what would lead in circles; the rest is linked. */
const own = new Set(['.cache', '.git', '__test__', 'ava.config.mjs', 'lib', 'tsconfig.json']);

const config = `// As ava.config.mjs, for tests that were compiled. Hosts side by side share this folder, so ava remembers nothing in it.
export default {
  files: ['__test__/**/*.test.js'],
  cache: false,
  workerThreads: false,
  concurrency: 2,
  timeout: '3m',
};
`;

/**
 * Compiles sources and tests. What is wrong with their types is another phase's to say: here they are only translated.
 * @param {string} [name] of the folder: phases that may run at the same time have one each
 * @returns {Promise<{ folder: string } | { failure: string }>}
 */
export async function compileTests(name = 'compiled') {
  const folder = join(stampDirectory, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const entry of readdirSync(root)) {
    if (!own.has(entry)) symlinkSync(join(root, entry), join(folder, entry));
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

/**
 * Makes test files that run the tests of others, so that these need no process each: to start Node takes an emulated
 * processor seconds. Titles must differ between them all, or ava says so.
 * @param {string} folder of compiled tests
 * @param {readonly string[]} files in it
 * @param {number} count how many are made
 * @param {string} [name] of theirs
 * @returns {string[]} them
 */
export function bundleTests(folder, files, count, name = 'bundle') {
  return Array.from({ length: count }, (_, index) => {
    const bundle = join('__test__', `${name}-${index + 1}.test.js`);
    const part = files.filter((__, at) => at % count === index);
    writeFileSync(join(folder, bundle), part.map((file) => `import '../${file}';\n`).join(''));
    return bundle;
  });
}
