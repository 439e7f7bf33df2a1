// `npm start`: from a clone to a running guest. Installs and builds what is missing, then shows what the package
// does: what this host can run, a guest's exits as they are handled, a real firmware's log, what an exit costs, and at
// last Linux, with a shell to type at.
import { existsSync } from 'node:fs';
import { findFirmware } from './firmware.mjs';
import { buildNative, buildTypeScript } from './shared/build.mjs';
import { chooseTargetDirectory } from './shared/cargo.mjs';
import { ensureInstalled } from './shared/install.mjs';
import { inRoot } from './shared/paths.mjs';
import { endChildrenOnSignals, run } from './shared/process.mjs';
import { bold, dim, green, heading, red, say, yellow } from './shared/terminal.mjs';
import { checkTools } from './shared/tools.mjs';
import { showLinux } from './start/linux.mjs';

/** The status of `vmhatch doctor` on a host without KVM (lib/cli/exit-codes.ts). */
const kvmUnavailable = 'exit status 3';
const cli = inRoot('dist', 'lib', 'cli', 'main.js');
const benchRows = 'P0,P1,P2,P3';
const benchSeconds = '10';

if (process.argv.includes('--help') || process.argv.includes('-h')) {
  say(`Usage: npm start

Installs the tools (npm ci) and builds the addon and dist/, where they are not up to date. Then shows:
  1. vmhatch doctor: what this host can run
  2. examples/hello.ts and its guest's exits, as they are handled
  3. examples/seabios.ts: a real firmware's debug log
  4. vmhatch bench: a latency table, in ${benchSeconds} seconds
  5. vmhatch boot: Linux and its shell, on this KVM or, where that runs no Linux, on an emulated one. Its kernel is built
     if the cache does not have it, which takes some minutes. Without a terminal, commands are typed by a program.

Needs Node, cargo and a C compiler. Ctrl-C ends it and everything it started.`);
  process.exit(0);
}

/**
 * @param {string} sentence
 * @returns {never}
 */
function stop(sentence) {
  process.stderr.write(`${red(sentence)}\n`);
  process.exit(1);
}

/** @type {string[]} */
const failures = [];

/**
 * Runs one part of the show; its output is the terminal's. One that fails does not keep the others from being seen.
 * @param {string} title
 * @param {readonly string[]} args of node
 */
async function show(title, args) {
  const result = await run(process.execPath, args, { inherit: true });
  if (!result.ok) failures.push(`${title}: ${result.ending}`);
  return result;
}

/** @param {string} name */
function example(name) {
  return ['--import', '@oxc-node/core/register', inRoot('examples', `${name}.ts`)];
}

endChildrenOnSignals();

heading('install and build');
const { found, missing } = await checkTools();
if (missing.length > 0) stop(missing.join('\n'));
say(found.join(', '));
await chooseTargetDirectory();
for (const step of [ensureInstalled, buildNative, buildTypeScript]) {
  const result = await step();
  if (!result.ok) stop(`Stopped: ${result.ending}. What went wrong stands above.`);
}

heading('doctor', 'vmhatch doctor: what this host can run');
const doctor = await run(process.execPath, [cli, 'doctor'], { inherit: true });
const hasKvm = doctor.ending !== kvmUnavailable && existsSync('/dev/kvm');
if (hasKvm) {
  if (!doctor.ok) failures.push(`doctor: ${doctor.ending}`);
  await showGuests();
} else {
  say();
  say(
    yellow(
      'KVM cannot be used here: what doctor says above mends that where it can be mended. Guests are left out.',
    ),
  );
}

heading('linux', 'vmhatch boot: a kernel of our own, with a shell');
const linux = await showLinux();
if (linux.missing !== undefined) say(yellow(`Left out: ${linux.missing}`));
else if (!linux.ok) failures.push(`linux: ${linux.ending}`);

say();
if (failures.length > 0)
  stop(`Not everything went well.\n${failures.map((failure) => `  ${failure}`).join('\n')}`);
say(green('That was all of it.'));
say(`Next: ${bold('npm test')}, ${bold('npx vmhatch boot --help')}, examples/, docs/.`);

/** What runs on any KVM: bare guests, a firmware, what an exit costs. */
async function showGuests() {
  heading('hello', 'examples/hello.ts: a guest of twelve bytes adds two numbers');
  await show('hello', example('hello'));
  say(dim('the same guest with vmhatch run --trace --registers: its exits as they are handled'));
  const guest = inRoot('crates/test-guests/guests/add-numbers.bin');
  await show('trace', [cli, 'run', '--trace', '--registers', guest]);

  heading(
    'firmware',
    'examples/seabios.ts: SeaBIOS runs from the reset vector, its debug log arrives through a device',
  );
  const firmware = await findFirmware();
  if (firmware.path === undefined) {
    say(yellow(`Left out: ${firmware.missing}`));
  } else {
    say(dim(firmware.path));
    process.env['VMHATCH_FIRMWARE'] = firmware.path;
    await show('firmware', example('seabios'));
  }

  heading('latency', `vmhatch bench --rows ${benchRows} --seconds ${benchSeconds}: what an exit costs`);
  await show('latency', [cli, 'bench', '--rows', benchRows, '--seconds', benchSeconds]);
}
