// What the emulated host is told to do: a file for its shell (init.sh), which sets the job up and starts it.
import { randomBytes } from 'node:crypto';
import { dirname, isAbsolute, relative } from 'node:path';

/** Folders that the emulated host has its own of: what they hold belongs to a running system. */
export const ownFolders = ['/tmp', '/run', '/dev/shm'];

/** Variables that lead to servers of the machine, which are not reached from the emulated host. */
const leftOut = new Set([
  'DBUS_SESSION_BUS_ADDRESS',
  'DISPLAY',
  'GPG_AGENT_INFO',
  'SSH_AUTH_SOCK',
  'SSH_CLIENT',
  'SSH_CONNECTION',
  'SSH_TTY',
  'WAYLAND_DISPLAY',
  'XAUTHORITY',
  'XDG_RUNTIME_DIR',
]);

/**
 * @typedef {object} Job
 * @property {string} command
 * @property {readonly string[]} args
 * @property {string} cwd
 * @property {NodeJS.ProcessEnv} env
 * @property {readonly string[]} shared folders that the emulated host sees although it has its own /tmp and /run
 * @property {{ rows: number, columns: number } | undefined} terminal
 * @property {Programs | undefined} programs where this machine's do not run there
 */

/** @typedef {import('./programs.mjs').Programs & { instead: string }} Programs instead: of which Node here theirs stands */

/**
 * A word that a shell takes as it is.
 * @param {string} text
 */
export function quoted(text) {
  if (text.includes('\0'))
    throw new TypeError(`a NUL in ${JSON.stringify(text)}: no program can be given that`);
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * @param {string} path
 * @param {string} folder
 */
function inside(path, folder) {
  const rest = relative(folder, path);
  return rest !== '' && !rest.startsWith('..') && !isAbsolute(rest);
}

/**
 * The environment of the job: this process's, but for what would lead nowhere.
 * @param {NodeJS.ProcessEnv} env
 * @returns {string[]} NAME=VALUE
 */
export function jobEnvironment(env) {
  const kept = Object.entries(env).filter(([name, value]) => {
    // A folder for temporary files that the host would not have; it has a /tmp of its own.
    if (name === 'TMPDIR') return value !== undefined && !ownFolders.some((folder) => inside(value, folder));
    return value !== undefined && !leftOut.has(name);
  });
  return [...kept.map(([name, value]) => `${name}=${value}`), 'VMHATCH_EMULATED_HOST=1'];
}

/**
 * The folders that must be laid over the emulated host's own ones, the outer ones first.
 * @param {readonly string[]} paths absolute
 */
export function keptFolders(paths) {
  const hidden = [...new Set(paths)].filter((path) => ownFolders.some((folder) => inside(path, folder)));
  return hidden.filter((path) => !hidden.some((other) => inside(path, other))).toSorted();
}

/**
 * What the emulated host writes at the end of each stream, so that nothing that is still on its way is lost. No
 * program can write it by accident.
 */
export function endMark() {
  return `\x00vmhatch ${randomBytes(16).toString('hex')}`;
}

/**
 * @param {Job} job
 * @param {string} end what endMark() gave
 * @returns {Buffer} the length as a line, then the file
 */
export function jobFile(job, end) {
  const { rows = 0, columns = 0 } = job.terminal ?? {};
  const enter = 'cd "$1" && shift && exec "$@"';
  const words = [
    job.terminal ? ['setsid', '-c'] : [],
    ['env', '-i', ...jobEnvironment(job.env)],
    ['chroot', '/host', '/bin/sh', '-c', enter, 'sh', job.cwd, job.command, ...job.args],
  ].flat();
  const keep = keptFolders(job.shared).map(
    (path) =>
      `  mkdir -p ${quoted(`/host${path}`)} && mount --bind ${quoted(`/under${path}`)} ${quoted(`/host${path}`)}`,
  );
  const { programs } = job;
  if (programs !== undefined) {
    const [from, to] = [quoted(`/under${programs.node}`), quoted(`/host${programs.instead}`)];
    const folder = quoted(`/host${dirname(programs.instead)}`);
    keep.push(`  mkdir -p ${folder} && { [ -e ${to} ] || : >${to}; } && mount --bind ${from} ${to}`);
  }
  const text = [
    `libraries=${programs === undefined ? '' : quoted(`/under${programs.libraries}`)}`,
    `tty=${job.terminal ? 'yes' : 'no'}`,
    `rows=${rows}`,
    `columns=${columns}`,
    // The shell's variables hold no NUL: it is printf that makes it.
    `end=${quoted(end.replace('\0', '\\000'))}`,
    'keep() {',
    ...keep,
    '  :',
    '}',
    'job() {',
    `  exec ${words.map(quoted).join(' ')}`,
    '}',
    '',
  ].join('\n');
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from(`${bytes.length}\n`), bytes]);
}
