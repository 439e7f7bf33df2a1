// How far a long build is: one line that changes on a terminal, a line now and then in a log.
import { duration } from '../shared/terminal.mjs';

const terminalMs = 500;
const logMs = 20_000;

/**
 * Says on standard error how many of about how many steps are done. Whoever starts it stops it.
 * @param {string} what
 * @param {number} total about
 */
export function startProgress(what, total) {
  const terminal = process.stderr.isTTY;
  const start = Date.now();
  let done = 0;
  const show = () => {
    const text = `${what}: ${done} of about ${Math.max(total, done)} objects, ${duration(Date.now() - start)}`;
    process.stderr.write(terminal ? `\r\x1b[2K${text}` : `${text}\n`);
  };
  const timer = setInterval(show, terminal ? terminalMs : logMs);
  timer.unref();
  return {
    step() {
      done++;
    },
    stop() {
      clearInterval(timer);
      if (terminal) process.stderr.write('\r\x1b[2K');
      return { objects: done, milliseconds: Date.now() - start };
    },
  };
}
