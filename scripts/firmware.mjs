// SeaBIOS, a real firmware for the examples, the tests and the bench: from where the machine has it, or from
// Debian's package, unpacked into the cache. Nothing is installed and nothing needs root.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './shared/paths.mjs';
import { run } from './shared/process.mjs';

const names = ['bios-256k.bin', 'bios.bin'];
const cached = join(cacheDirectory, 'seabios');
const folders = ['/usr/share/seabios', '/usr/share/qemu', '/usr/share/qemu-kvm', cached];
const command = 'apt-get download seabios && dpkg-deb -x seabios_*.deb seabios';

/** @returns {string | undefined} */
function present() {
  const chosen = process.env['VMHATCH_FIRMWARE'];
  const places = folders.flatMap((folder) => names.map((name) => join(folder, name)));
  return [...(chosen ? [chosen] : []), ...places].find((path) => existsSync(path));
}

/**
 * Debian's package into the cache. The machine's own package lists are used where they know the package; a machine
 * that never ran `apt-get update` gets lists of its own in the cache.
 * @returns {Promise<string | undefined>} what went wrong
 */
async function fetchPackage() {
  mkdirSync(cacheDirectory, { recursive: true });
  const work = mkdtempSync(join(cacheDirectory, 'seabios-'));
  /** @type {(...args: string[]) => Promise<import('./shared/process.mjs').RunResult>} */
  const aptGet = (...args) =>
    run('apt-get', ['-qq', '-o', 'APT::Sandbox::User=root', ...args], { cwd: work, quiet: true });
  try {
    let result = await aptGet('download', 'seabios');
    if (!result.ok) {
      for (const name of ['lists', 'cache']) mkdirSync(join(work, name, 'partial'), { recursive: true });
      const own = [
        '-o',
        `Dir::State::lists=${join(work, 'lists')}`,
        '-o',
        `Dir::Cache=${join(work, 'cache')}`,
      ];
      const updated = await aptGet(...own, 'update');
      if (updated.ok) result = await aptGet(...own, 'download', 'seabios');
    }
    const archive = readdirSync(work).find((name) => name.endsWith('.deb'));
    if (!result.ok || archive === undefined)
      return `apt-get download seabios: ${result.output.trim() || result.ending}`;
    const unpacked = await run('dpkg-deb', ['-x', archive, 'root'], { cwd: work, quiet: true });
    if (!unpacked.ok) return `dpkg-deb -x ${archive}: ${unpacked.output.trim() || unpacked.ending}`;
    // Another process may have been here meanwhile; its copy is as good.
    rmSync(cached, { recursive: true, force: true });
    renameSync(join(work, 'root', 'usr', 'share', 'seabios'), cached);
    return undefined;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * The path of a SeaBIOS image, or why there is none and how to get one.
 * @param {{ download?: boolean }} [options] download: bring it into the cache if it is missing (true)
 * @returns {Promise<{ path: string, missing?: undefined } | { path?: undefined, missing: string }>}
 */
export async function findFirmware({ download = true } = {}) {
  let path = present();
  if (path !== undefined) return { path };
  const failure = download ? await fetchPackage() : undefined;
  path = present();
  if (path !== undefined) return { path };
  const how = `SeaBIOS is not on this machine. Install it (Debian: apt-get install seabios), or unpack it anywhere (${command}) and set VMHATCH_FIRMWARE to its bios-256k.bin.`;
  return { missing: failure === undefined ? how : `${how} Tried: ${failure}` };
}

if (process.argv[1] === import.meta.filename) {
  const found = await findFirmware({ download: !process.argv.includes('--no-download') });
  if (found.path === undefined) {
    console.error(found.missing);
    process.exitCode = 1;
  } else {
    console.log(found.path);
  }
}
