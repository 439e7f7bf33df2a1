// Types a few commands at the shell of a Linux that `vmhatch boot` runs, each when the prompt is there. Its arguments
// are those of Node for that command; its exit status is the command's.
import { spawn } from 'node:child_process';
import { StringDecoder } from 'node:string_decoder';

const commands = ['uname -a', 'nproc', 'free -m', 'poweroff'];
const prompt = '/ # ';
/** busybox asks the terminal where its cursor is; nobody answers here. */
const whereIsTheCursor = '\x1b[6n';
/** Ten times what the emulated host needs on a busy machine; then `vmhatch boot` ends by itself. */
const timeoutSeconds = '300';

const [cli = '', command = '', ...rest] = process.argv.slice(2);
const child = spawn(process.execPath, [cli, command, '--timeout', timeoutSeconds, ...rest], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
// A machine that ends early takes no more; its status tells why.
child.stdin.on('error', () => undefined);
const decoder = new StringDecoder('utf8');
let line = '';
child.stdout.on('data', (/** @type {Buffer} */ bytes) => {
  const text = decoder.write(bytes);
  line = (line + text).slice(-256).replaceAll(whereIsTheCursor, '');
  process.stdout.write(text.replaceAll(whereIsTheCursor, ''));
  if (!line.endsWith(prompt)) return;
  line = '';
  const next = commands.shift();
  if (next !== undefined) child.stdin.write(`${next}\n`);
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
  process.on(signal, () => child.kill(signal));
}
child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
child.on('close', (code) => (process.exitCode = code ?? 1));
