// What kernels are packed with, and how to undo it with the programs that every machine has.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './debian.mjs';
import { run } from './process.mjs';

/** How each compression begins and which program undoes it. */
const compressions = [
  { program: 'xz', magic: 'fd377a585a00', args: ['--decompress', '--stdout', '--single-stream'] },
  { program: 'zstd', magic: '28b52ffd', args: ['--decompress', '--stdout'] },
  { program: 'gzip', magic: '1f8b08', args: ['--decompress', '--stdout'] },
];

/**
 * @typedef {object} Packed
 * @property {string} program that unpacks it
 * @property {readonly string[]} args
 * @property {Buffer} payload
 */

/**
 * @param {Buffer} payload
 * @returns {Packed | undefined} undefined: not packed in a way that is known here
 */
export function packed(payload) {
  const found = compressions.find(
    ({ magic }) => payload.subarray(0, magic.length / 2).toString('hex') === magic,
  );
  return found && { program: found.program, args: found.args, payload };
}

/**
 * @param {Packed} what
 * @param {string} work a folder
 * @param {(bytes: Buffer) => boolean} expected
 * @returns {Promise<string | undefined>} a path in the folder; undefined: it cannot be unpacked here
 */
export async function unpack({ program, args, payload }, work, expected) {
  if (findProgram(program) === undefined) return undefined;
  const [from, to] = [join(work, 'packed'), join(work, 'plain')];
  writeFileSync(from, payload);
  const command = 'in=$1 out=$2; shift 2; exec "$@" <"$in" >"$out"';
  if (!(await run('sh', ['-c', command, 'sh', from, to, program, ...args], { quiet: true })).ok)
    return undefined;
  return expected(readFileSync(to)) ? to : undefined;
}
