// The documents: the API reference builds without a warning, and no link leads nowhere.
import { checkLinks } from '../house/links.mjs';
import { root } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';

/** @type {import('./phases.mjs').Phase} */
export const docs = {
  name: 'docs',
  about: 'typedoc without warnings, links between the documents',
  needs: ['install', 'build'],
  async run(report) {
    report.check('typedoc', await run('typedoc', []));
    report.checkList('links', checkLinks(root));
  },
};
