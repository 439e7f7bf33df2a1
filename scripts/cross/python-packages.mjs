// Programs that come as Python packages, unpacked into the cache. Their hashes are in a requirements file, and pip
// refuses whatever has another; nothing of a package is run to install it.
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { hashOf } from '../shared/hash.mjs';
import { withLock } from '../shared/lock.mjs';
import { cacheDirectory } from '../shared/paths.mjs';
import { run } from '../shared/process.mjs';
import { inWorkFolder } from '../shared/work-folder.mjs';

const store = join(cacheDirectory, 'python');

/**
 * The packages of a requirements file.
 * @param {string} requirements its path
 * @param {object} [options]
 * @param {string} [options.platform] another platform than this machine's, by PyPI's name
 * @param {boolean} [options.download] bring them into the cache if they are not there (true)
 * @returns {Promise<{ folder: string } | { missing: string }>}
 */
export async function findPythonPackages(requirements, { platform, download = true } = {}) {
  const folder = join(store, hashOf([], [readFileSync(requirements, 'utf8'), platform ?? '']));
  if (existsSync(folder)) return { folder };
  if (!download) return { missing: `${folder} is not there` };
  return withLock(join(store, 'lock'), () =>
    inWorkFolder(store, async (work) => {
      if (existsSync(folder)) return { folder };
      const target = join(work, 'packages');
      const strict = ['--no-deps', '--require-hashes', '--only-binary', ':all:', '--no-compile'];
      const where = platform === undefined ? [] : ['--platform', platform];
      const args = ['-m', 'pip', 'install', '--quiet', '--root-user-action', 'ignore', ...strict, ...where];
      const env = { PYTHONDONTWRITEBYTECODE: '1' };
      process.stderr.write(
        `pip install -r ${requirements}${platform === undefined ? '' : ` for ${platform}`}\n`,
      );
      const result = await run('python3', [...args, '--target', target, '-r', requirements], {
        quiet: true,
        env,
      });
      if (!result.ok) {
        const reason = result.output.trim().split('\n').slice(-3).join(' ') || result.ending;
        return { missing: `python3 -m pip install -r ${requirements}: ${reason}` };
      }
      renameSync(target, folder);
      return { folder };
    }),
  );
}
