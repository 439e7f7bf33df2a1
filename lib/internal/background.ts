/** The background lane: a Rust thread runs the vCPU, this isolate serves what belongs to JavaScript. */
import { STATUS } from '../generated/control-page.ts';
import type { AsyncHandlers, RunResult } from '../kvm/handlers.ts';
import type { Deadline } from './lanes.ts';
import { addServer, holdLoop, look, releaseLoop, removeServer, type BackgroundServer } from './isolate.ts';
import type { NativeBackgroundRun } from './native.ts';
import { ENDED, GO_ON, PAUSE, closed, type Outcome, type Runner } from './runner.ts';

/** One run on the background lane. */
export class BackgroundLane implements BackgroundServer {
  readonly #runner: Runner;
  readonly #run: NativeBackgroundRun;
  readonly #resume: () => void;
  readonly #resolve: (result: RunResult) => void;
  readonly #reject: (error: unknown) => void;
  readonly #cleanUp: (() => void)[] = [];
  readonly #keepAlive: boolean;
  #ended = false;
  /** Whether the timeout or signal has kicked the vCPU. */
  #kicked = false;
  /** Whether the run is over as soon as its last access is complete. */
  #ending = false;

  /** Starts the run; the Promise settles when it has ended and the thread has let go of the vCPU. */
  static start(
    runner: Runner,
    handlers: AsyncHandlers,
    options: { deadline: Deadline; signal: AbortSignal | undefined; keepAlive: boolean },
  ): Promise<RunResult> {
    return new Promise((resolve, reject) => {
      options.signal?.throwIfAborted();
      runner.begin(handlers, true);
      let run: NativeBackgroundRun;
      try {
        run = runner.native.start();
      } catch (error) {
        runner.finish();
        throw error;
      }
      new BackgroundLane(runner, run, resolve, reject, options.keepAlive).#watch(options);
    });
  }

  private constructor(
    runner: Runner,
    run: NativeBackgroundRun,
    resolve: (result: RunResult) => void,
    reject: (error: unknown) => void,
    keepAlive: boolean,
  ) {
    this.#runner = runner;
    this.#run = run;
    this.#resume = run.resumeFunction() as () => void;
    this.#resolve = resolve;
    this.#reject = reject;
    runner.onClose = () => this.#fail(closed());
    addServer(run.number, this);
    this.#keepAlive = keepAlive;
    if (keepAlive) holdLoop();
  }

  /** Kicks the vCPU when the time is over or the signal fires; what the kick then means is remembered. */
  #watch(options: { deadline: Deadline; signal: AbortSignal | undefined }): void {
    const { deadline, signal } = options;
    if (deadline.left !== Infinity) {
      const timer = setTimeout(() => this.#interrupt({ reason: 'timeout' }), Math.max(0, deadline.left));
      this.#cleanUp.push(() => clearTimeout(timer));
    }
    if (signal !== undefined) {
      const abort = (): void => this.#interrupt(undefined, signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      this.#cleanUp.push(() => signal.removeEventListener('abort', abort));
    }
  }

  #interruption: { result: RunResult | undefined; error: unknown } | undefined;

  #interrupt(result: RunResult | undefined, error?: unknown): void {
    if (this.#ended) return;
    this.#interruption ??= { result, error };
    // A handler that is being awaited holds the vCPU: it is not in the guest, and no kick reaches it.
    if (this.#runner.handling) {
      this.#end();
    } else {
      this.#kicked = true;
      this.#runner.native.kick();
    }
  }

  /** Serves the exit that the vCPU waits with. */
  serve(status: number): void {
    if (this.#ended) return;
    if (status === STATUS.completed) {
      this.#guard(() => {
        this.#runner.applyChanges();
        return this.#ending ? ENDED : GO_ON;
      });
      return;
    }
    if (this.#ending) {
      this.#finish();
      return;
    }
    this.#guard(() => this.#runner.dispatch(status));
  }

  #guard(serve: () => Outcome): void {
    try {
      const outcome = serve();
      if (typeof outcome === 'number') {
        this.#continue(outcome);
      } else {
        outcome.then(
          (late) => this.#guardedContinue(late),
          (error: unknown) => this.#fail(error),
        );
        // The time was over before this exit came, and the kick does not reach a handler that is awaited.
        if (this.#interruption !== undefined) this.#end();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Once only: the thread may be at the next exit already, and would take a second answer for that one's. */
  #guardedContinue(outcome: number): void {
    // The promise of a handler that was not waited for any longer.
    if (this.#ending) return;
    try {
      this.#continue(outcome);
    } catch (error) {
      this.#fail(error);
    }
  }

  #continue(outcome: number): void {
    // A handler may have ended the run itself, by its signal: the thread has been let go then.
    if (this.#ended) return;
    if (this.#ending) {
      this.#finish();
      return;
    }
    if (this.#runner.native.closed) {
      // Closed in another isolate, or by the handler: the thread waits for nothing any more.
      this.#fail(closed());
    } else if (outcome === ENDED) {
      this.#end();
    } else if (outcome === PAUSE) {
      look();
      this.#resume();
    } else if (this.#runner.hasPendingChanges) {
      // Registers may be written only when the access is complete: the thread completes it and comes back.
      this.#run.complete();
    } else {
      this.#resume();
    }
  }

  #fail(error: unknown): void {
    this.#interruption ??= { result: undefined, error };
    this.#end();
  }

  #end(): void {
    if (this.#ended) return;
    if (this.#runner.hasPendingChanges && !this.#runner.native.closed) {
      if (this.#ending) return;
      // What a handler wrote takes effect when its access is complete: the thread completes it and comes back.
      this.#ending = true;
      this.#runner.abandonHandler();
      this.#run.complete();
      return;
    }
    this.#finish();
  }

  #finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#runner.onClose = undefined;
    for (const action of this.#cleanUp) action();
    removeServer(this.#run.number);
    this.#run.stop();
    // The kick of a timeout or signal was for this run: it must not end the next one.
    const { result } = this.#runner;
    if (this.#kicked && result?.reason !== 'kicked') this.#runner.native.unkick();
    this.#runner.finish();
    if (this.#keepAlive) releaseLoop();
    // What the guest printed is heard before the run's Promise is. A listener's error is its own, not the run's.
    queueMicrotask(look);
    // An exit that came with the timeout is told, or nobody would ever hear of it.
    const told = result?.reason === 'kicked' ? (this.#interruption?.result ?? result) : result;
    if (told !== undefined && (this.#interruption === undefined || this.#interruption.result !== undefined)) {
      this.#resolve(told);
    } else if (this.#interruption?.result !== undefined) {
      this.#resolve(this.#interruption.result);
    } else {
      this.#reject(this.#interruption?.error ?? closed());
    }
  }
}
