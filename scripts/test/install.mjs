// The tools: what the machine must bring, and what package-lock.json names; and the firmware that tests run.
import { findFirmware } from '../firmware.mjs';
import { ensureInstalled } from '../shared/install.mjs';
import { say } from '../shared/terminal.mjs';
import { checkTools } from '../shared/tools.mjs';

/** @type {import('./phases.mjs').Phase} */
export const install = {
  name: 'install',
  about: 'node, cargo and a C compiler are there; npm ci; SeaBIOS',
  async run(report) {
    const { found, missing } = await checkTools();
    say(found.join(', '));
    report.checkList('tools', missing);
    if (missing.length > 0) return;
    report.check('npm ci', await ensureInstalled());
    const firmware = await findFirmware();
    if (firmware.path === undefined) {
      report.skip(firmware.missing);
    } else {
      say(`SeaBIOS: ${firmware.path}`);
      process.env['VMHATCH_FIRMWARE'] = firmware.path;
    }
  },
};
