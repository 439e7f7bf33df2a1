// The house rules: who may use whom, where unsafe code may stand, what no file may hold, and that what is
// generated is what its generator would write now.
import { existsSync } from 'node:fs';
import { checkLengths, checkTestNames, checkTexts } from '../house/files.mjs';
import { checkImports, checkIndex } from '../house/imports.mjs';
import { checkDependencies, checkUnsafe, forbiddenDependencies } from '../house/rust.mjs';
import { inRoot, root } from '../shared/paths.mjs';
import { ask, run } from '../shared/process.mjs';

/**
 * Where each kind of generated file comes from; every generator has --check.
 * @type {readonly { name: string, script: string, args?: string[], tools: string[], debian?: string }[]}
 */
const generators = [
  { name: 'lib/generated', script: 'scripts/generate.mjs', tools: [] },
  { name: 'docs/kvm-api.md', script: 'scripts/kvm-api.mjs', tools: [] },
  {
    name: 'test guests',
    script: 'scripts/assemble-guests.mjs',
    args: ['x86_64'],
    tools: ['as', 'ld', 'objcopy'],
    debian: 'binutils',
  },
  {
    name: 'test guests of aarch64',
    script: 'scripts/assemble-guests.mjs',
    args: ['aarch64'],
    tools: ['aarch64-linux-gnu-as', 'aarch64-linux-gnu-ld', 'aarch64-linux-gnu-objcopy'],
    debian: 'binutils-aarch64-linux-gnu',
  },
];

/** @type {import('./phases.mjs').Phase} */
export const house = {
  name: 'house',
  about: 'dependency directions, unsafe code, file lengths, generated files (scripts/house)',
  needs: ['install'],
  async run(report) {
    report.checkList('index.ts only exports', checkIndex(root));
    report.checkList('import directions', checkImports(root));
    report.checkList('unsafe code', checkUnsafe(root));
    for (const crate of Object.keys(forbiddenDependencies)) {
      const tree = ['tree', '--package', crate, '--edges', 'normal,build', '--prefix', 'none', '--locked'];
      const result = await run('cargo', tree, { quiet: true });
      const failure = [`${crate}: cargo tree ended with ${result.ending}: ${result.output}`];
      report.checkList(
        `dependencies of ${crate}`,
        result.ok ? checkDependencies(crate, result.output) : failure,
      );
    }
    report.checkList('file lengths', checkLengths(root));
    report.checkList('file contents', checkTexts(root));
    report.checkList('test names', checkTestNames(root));
    for (const generator of generators) await checkGenerated(report, generator);
  },
};

/**
 * @param {import('./report.mjs').Report} report
 * @param {(typeof generators)[number]} generator
 */
async function checkGenerated(report, { name, script, args = [], tools, debian }) {
  const check = `${name} as generated`;
  if (!existsSync(inRoot(script))) {
    report.checkList(check, [`${script}: is missing`]);
    return;
  }
  for (const tool of tools) {
    if ((await ask(tool, '--version')) === undefined) {
      report.skip(`${check}: '${tool}' is not on this machine (Debian: ${debian})`);
      return;
    }
  }
  report.check(check, await run(process.execPath, [inRoot(script), '--check', ...args]));
}
