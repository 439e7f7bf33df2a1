// SeaBIOS, a real firmware for the examples, the tests and the bench: from where the machine has it, or from
// Debian's package, unpacked into the cache. Nothing is installed and nothing needs root.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findPackage } from './shared/debian.mjs';

const names = ['bios-256k.bin', 'bios.bin'];
const folders = ['/usr/share/seabios', '/usr/share/qemu', '/usr/share/qemu-kvm'];
const command = 'apt-get download seabios && dpkg-deb -x seabios_*.deb seabios';

/**
 * @param {readonly string[]} places
 * @returns {string | undefined}
 */
function firmwareIn(places) {
  return places.flatMap((folder) => names.map((name) => join(folder, name))).find((path) => existsSync(path));
}

/**
 * The path of a SeaBIOS image, or why there is none and how to get one.
 * @param {{ download?: boolean }} [options] download: bring it into the cache if it is missing (true)
 * @returns {Promise<{ path: string, missing?: undefined } | { path?: undefined, missing: string }>}
 */
export async function findFirmware({ download = true } = {}) {
  const chosen = process.env['VMHATCH_FIRMWARE'];
  if (chosen && existsSync(chosen)) return { path: chosen };
  const present = firmwareIn(folders);
  if (present !== undefined) return { path: present };
  // The firmware is the same for every machine: the package is `Architecture: all`.
  const found = await findPackage('seabios', { download });
  const path = 'root' in found ? firmwareIn([join(found.root, 'usr', 'share', 'seabios')]) : undefined;
  if (path !== undefined) return { path };
  const how = `SeaBIOS is not on this machine. Install it (Debian: apt-get install seabios), or unpack it anywhere (${command}) and set VMHATCH_FIRMWARE to its bios-256k.bin.`;
  return { missing: 'missing' in found && download ? `${how} Tried: ${found.missing}` : how };
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
