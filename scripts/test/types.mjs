// Types: sources, tests, examples, benches and scripts compile; the type tests hold, those with @ts-expect-error too.
import { run } from '../shared/process.mjs';
import { inRoot } from '../shared/paths.mjs';
import { filesUnder } from '../shared/hash.mjs';
import { say } from '../shared/terminal.mjs';

/** @type {import('./phases.mjs').Phase} */
export const types = {
  name: 'types',
  about: 'tsc --noEmit over everything, the type tests in __test__/types included',
  needs: ['install'],
  async run(report) {
    report.check('tsc', await run('tsc', ['--project', 'tsconfig.json', '--noEmit']));
    const tests = filesUnder(['__test__/types']).filter((path) => path.endsWith('.test-d.ts'));
    const names = tests.map((path) => path.slice(inRoot().length));
    say(names.length > 0 ? `type tests: ${names.join(', ')}` : 'no type tests were found');
    report.checkList(
      'type tests exist',
      names.length > 0 ? [] : ['__test__/types/*.test-d.ts: there are none'],
    );
  },
};
