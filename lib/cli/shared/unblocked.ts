/** The part of a stream's handle that is meant: libuv's uv_stream_set_blocking(). */
interface Handle {
  setBlocking?: (blocking: boolean) => unknown;
}

/**
 * Lets a pipe or a terminal take what is written when it can. Otherwise Node waits inside the system call for a reader
 * that is slow: meanwhile no signal, no key and no timer is heard. Node has no public name for that switch; where it is
 * missing, all works but for that. Node itself restores the descriptor's mode when it exits.
 */
export function writeUnblocked(...streams: readonly object[]): void {
  // oxlint-disable-next-line no-underscore-dangle -- the name is Node’s
  for (const stream of streams) (stream as { _handle?: Handle | null })._handle?.setBlocking?.(false);
}
