// Lints, with warnings as errors.
import { run } from '../shared/process.mjs';

/** @type {import('./phases.mjs').Phase} */
export const lint = {
  name: 'lint',
  about: 'oxlint (type-aware) and clippy, warnings are errors',
  needs: ['install', 'build'],
  async run(report) {
    report.check('oxlint', await run('oxlint', ['--deny-warnings']));
    // The release profile shares build scripts and procedural macros with the build that follows.
    const scope = ['--workspace', '--all-targets', '--release', '--locked'];
    report.check('clippy', await run('cargo', ['clippy', ...scope, '--', '--deny', 'warnings']));
  },
};
