/** Where an image comes from: a file, bytes, or a URL. */
import { stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { types } from 'node:util';
import { bytes } from '../internal/bytes.ts';
import { property } from '../internal/check.ts';
import { invalidArgType, invalidArgValue, KvmError } from '../internal/errors.ts';

/**
 * An image: a path, bytes, or a URL with the scheme `file:`, `data:`, `http:` or `https:`. Bytes are copied when the
 * machine is created and when it is reset.
 */
export type ImageSource = string | URL | ArrayBufferView | ArrayBufferLike;

/** What the native side reads: a file by itself, bytes as they are. */
export interface Image {
  /** What messages call it. */
  readonly label: string;
  /** Its length in bytes. */
  readonly length: number;
  readonly path?: string;
  readonly bytes?: Uint8Array;
}

/** A source as it was given, checked. */
export type CheckedSource =
  { readonly path: string } | { readonly url: URL } | { readonly bytes: Uint8Array };

/** Checks a source; nothing is read yet. */
export function imageSource(name: string, value: unknown): CheckedSource {
  if (typeof value === 'string') return { path: pathOf(name, value) };
  if (isUrl(value)) {
    // Copied: who gave it may change it.
    const url = new URL(property(name, value, 'href') as string);
    if (url.protocol === 'file:') return { path: pathOf(name, filePath(name, url)) };
    if (['http:', 'https:', 'data:'].includes(url.protocol)) return { url };
    throw invalidArgValue(name, url.href, 'must be a URL with file:, data:, http: or https:');
  }
  if (!ArrayBuffer.isView(value) && !types.isAnyArrayBuffer(value)) {
    throw invalidArgType(name, 'a path, a URL, or bytes (Uint8Array, ArrayBuffer)', value);
  }
  return { bytes: bytes(name, value) };
}

function isUrl(value: unknown): value is URL {
  try {
    return value instanceof URL;
  } catch {
    // A proxy, which is no URL either.
    return false;
  }
}

function pathOf(name: string, path: string): string {
  if (path === '' || path.includes('\0')) throw invalidArgValue(name, path, 'must be a path');
  return path;
}

/** The path of a `file:` URL, if it names one of this host. */
function filePath(name: string, url: URL): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw invalidArgValue(name, url.href, 'must be the URL of a file on this host', { cause });
  }
}

/**
 * Makes the image ready for the native side. A file is only looked at: that it is one, and not larger than `limit`.
 *
 * @throws `ERR_KVM_BOOT` naming the field
 */
export async function openImage(field: string, source: CheckedSource, bound: Bound): Promise<Image> {
  if ('bytes' in source) {
    const { length } = source.bytes;
    return { label: `${length} bytes`, length, bytes: source.bytes };
  }
  if ('path' in source) {
    const { path } = source;
    const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
      throw bootError(field, `${path} cannot be read (${cause.code ?? cause.message})`, cause);
    });
    if (!found.isFile()) throw bootError(field, `${path} is no file`);
    tooBig(field, path, found.size, bound.limit);
    return { label: path, length: found.size, path };
  }
  const { url } = source;
  const { signal } = bound;
  const response = await fetch(url, signal === undefined ? {} : { signal }).catch((cause: unknown) => {
    throw notFetched(field, url, signal, cause);
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw bootError(field, `${shortUrl(url)} cannot be fetched: status ${response.status}`);
  }
  const read = await readBounded(field, url, response, bound);
  return { label: shortUrl(url), length: read.length, bytes: read };
}

interface Bound {
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
}

async function readBounded(
  field: string,
  url: URL,
  response: Response,
  { limit, signal }: Bound,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      chunks.push(chunk as Uint8Array);
      length += (chunk as Uint8Array).length;
      tooBig(field, shortUrl(url), length, limit);
    }
  } catch (error) {
    throw error instanceof KvmError ? error : notFetched(field, url, signal, error);
  }
  return Buffer.concat(chunks, length);
}

/** What became of a request: the signal's reason, or an error with the system's reason, if it has one. */
function notFetched(field: string, url: URL, signal: AbortSignal | undefined, cause: unknown): unknown {
  if (signal?.aborted === true) return signal.reason;
  const code = ((cause as Error).cause as NodeJS.ErrnoException | undefined)?.code;
  const why = code === undefined ? '' : ` (${code})`;
  return bootError(field, `${shortUrl(url)} cannot be fetched${why}`, cause);
}

function tooBig(field: string, what: string, size: number, limit: number): void {
  if (size > limit) throw bootError(field, `${what} has ${size} bytes, the machine's memory ${limit}`);
}

function shortUrl(url: URL): string {
  return url.href.length > 80 ? `${url.href.slice(0, 77)}...` : url.href;
}

/** The error for what cannot be booted. */
export function bootError(field: string, message: string, cause?: unknown): KvmError {
  return new KvmError('ERR_KVM_BOOT', `${field}: ${message}`, cause === undefined ? {} : { cause });
}
