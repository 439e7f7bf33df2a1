// Formatting: prettier and rustfmt agree with every file.
import { run } from '../shared/process.mjs';

/** @type {import('./phases.mjs').Phase} */
export const format = {
  name: 'format',
  about: 'prettier --check, cargo fmt --check (npm run format mends both)',
  needs: ['install'],
  async run(report) {
    report.check('prettier', await run('prettier', ['--check', '--log-level', 'warn', '.']));
    report.check('rustfmt', await run('cargo', ['fmt', '--all', '--check']));
  },
};
