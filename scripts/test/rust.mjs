// The Rust tests: unit and integration tests by nextest where it is installed, documentation tests by cargo.
import { ask, run } from '../shared/process.mjs';
import { inRoot } from '../shared/paths.mjs';
import { dim, say } from '../shared/terminal.mjs';
import { cargoCounter } from './count.mjs';

/** @type {import('./phases.mjs').Phase} */
export const rust = {
  name: 'rust',
  about: 'cargo nextest run (or cargo test) and the documentation tests, in release mode',
  needs: ['install'],
  async run(report) {
    const scope = ['--workspace', '--release', '--locked'];
    if ((await ask('cargo', 'nextest', '--version')) === undefined) {
      say(dim('cargo nextest is not installed: cargo test runs the tests instead'));
      const all = cargoCounter('cargo test');
      const show = ['--', '--show-output', '--test-threads', '2'];
      const args = ['test', ...scope, '--no-fail-fast', ...show];
      all.finish(report, await run('cargo', args, { onLine: all.line }));
      return;
    }
    const tests = cargoCounter('cargo nextest');
    const config = ['--config-file', inRoot('scripts', 'test', 'nextest.toml')];
    const nextest = ['nextest', 'run', ...scope, ...config, '--success-output', 'immediate'];
    tests.finish(report, await run('cargo', nextest, { onLine: tests.line, show: tests.show }));
    // The addon is a cdylib, which has no documentation tests.
    const docs = cargoCounter('cargo test --doc', { mayBeEmpty: true });
    docs.finish(
      report,
      await run('cargo', ['test', '--doc', ...scope, '--exclude', 'vmhatch-node'], { onLine: docs.line }),
    );
  },
};
