/** Sources run as they are, or compiled where translating them takes too long: what other processes and Workers load. */

const ending = import.meta.url.endsWith('.js') ? 'js' : 'ts';

/** Options of Node's own that a process needs to load them. */
export const LOADER: readonly string[] = ending === 'ts' ? ['--import', '@oxc-node/core/register'] : [];

/** The name of a file that is named as its source. */
export const sourceName = (name: string): string => name.replace(/\.ts$/, `.${ending}`);
