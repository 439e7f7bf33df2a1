// Jobs that run side by side.

/**
 * Runs jobs: each begins as soon as it fits beside those that run, the first of them that does. Alone any job fits.
 * @template Job
 * @param {readonly Job[]} jobs
 * @param {(job: Job, beside: readonly Job[]) => boolean} fits
 * @param {(job: Job) => Promise<void>} run
 */
export async function sideBySide(jobs, fits, run) {
  const waiting = [...jobs];
  /** @type {Map<Job, Promise<void>>} */
  const running = new Map();
  while (waiting.length > 0 || running.size > 0) {
    const beside = [...running.keys()];
    const job = waiting.find((one) => beside.length === 0 || fits(one, beside));
    if (job === undefined) {
      await Promise.race(running.values());
    } else {
      waiting.splice(waiting.indexOf(job), 1);
      running.set(
        job,
        run(job).finally(() => running.delete(job)),
      );
    }
  }
}
