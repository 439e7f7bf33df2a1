/**
 * `npm run bench`: `vmhatch bench` with the C and Rust programs of bench/peers beside it, where there are compilers for
 * them. The same options. With `boot` in front: booting Linux beside QEMU; with `state`: only what state costs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import type { PeerProgram } from '../lib/bench/modes/peer.ts';
import { command, benchMain } from '../lib/cli/bench.ts';
import { exitCodeOfError } from '../lib/cli/exit-codes.ts';

const root = join(import.meta.dirname, '..');
const cache = join(root, '.cache', 'bench');

/** Builds one peer; a compiler that is not there, or does not like it, costs its lane and nothing else. */
function build(
  lane: PeerProgram['lane'],
  path: string,
  program: string,
  args: readonly string[],
): PeerProgram[] {
  try {
    execFileSync(program, args, { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
    return [{ lane, path }];
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: Buffer };
    const why = code === 'ENOENT' ? `there is no ${program}` : String(stderr ?? error).trim();
    process.stderr.write(`bench: without the ${lane} peer: ${why}\n`);
    return [];
  }
}

function buildPeers(): PeerProgram[] {
  mkdirSync(cache, { recursive: true });
  const raw = join(cache, 'raw-loop');
  const source = join('bench', 'peers', 'raw-loop.c');
  const target = process.env['CARGO_TARGET_DIR'] ?? join(root, 'target');
  const cargoArgs = 'build --quiet --release --package vmhatch-vmm --example raw-loop'.split(' ');
  return [
    ...build('c', raw, process.env['CC'] ?? 'cc', ['-O2', '-Wall', '-Wextra', '-o', raw, source]),
    ...build('rust', join(target, 'release', 'examples', 'raw-loop'), 'cargo', cargoArgs),
  ];
}

/** The command line with `boot` in front has a bench of its own. */
async function main(args: readonly string[]): Promise<number> {
  if (args[0] === 'state') return benchMain(['--rows', 'state', ...args.slice(1)]);
  if (args[0] !== 'boot') return benchMain(args, args.includes('--compare') ? [] : buildPeers());
  const { bootBench } = await import('./boot/run.ts');
  return bootBench(args.slice(1));
}

const args = process.argv.slice(2);
if (args.includes('--help')) {
  const help = command.help().replaceAll('vmhatch bench', 'npm run bench --');
  process.stdout.write(
    `${help}\nnpm run bench -- boot [--rounds N] [--json FILE] measures P10 beside QEMU's microvm.\nnpm run bench -- state [options] measures the row state alone.\n`,
  );
} else {
  try {
    process.exitCode = await main(args);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`);
    process.exitCode = exitCodeOfError(error);
  }
}
