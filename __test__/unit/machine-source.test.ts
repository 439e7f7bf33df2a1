/** Images: from files, from bytes, and from servers of every kind. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { pathToFileURL } from 'node:url';

import test, { type ExecutionContext } from 'ava';

import { imageSource, openImage, type ImageSource } from '../../lib/machine/source.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

const LIMIT = 1000;

function open(source: ImageSource, signal?: AbortSignal): ReturnType<typeof openImage> {
  return openImage('kernel', imageSource('config.kernel', source), { limit: LIMIT, signal });
}

async function bytesOf(source: ImageSource): Promise<number[]> {
  const { path, bytes, length } = await open(source);
  const all = bytes ?? readFileSync(path!);
  if (length !== all.length) throw new Error(`${length} bytes were told, there are ${all.length}`);
  return [...all];
}

async function refused(t: ExecutionContext, source: ImageSource, message: RegExp): Promise<Error> {
  return t.throwsAsync(open(source), { code: 'ERR_KVM_BOOT', message });
}

/** Listens on a port of this host's; gives its address. */
async function listening(t: ExecutionContext, server: Server): Promise<string> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => void server.close());
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A web server with one answer. */
async function serving(t: ExecutionContext, answer: RequestListener): Promise<URL> {
  const server = createServer(answer);
  t.teardown(() => server.closeAllConnections());
  return new URL(`http://${await listening(t, server)}/images/kernel`);
}

test('bytes of every kind, as they are', async (t) => {
  const bytes = Uint8Array.of(1, 2, 3, 4);
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).set([5, 6]);
  t.deepEqual(await bytesOf(bytes), [1, 2, 3, 4]);
  t.deepEqual(await bytesOf(bytes.buffer), [1, 2, 3, 4]);
  t.deepEqual(await bytesOf(bytes.subarray(1, 3)), [2, 3]);
  t.deepEqual(await bytesOf(new DataView(bytes.buffer, 2)), [3, 4]);
  t.deepEqual(await bytesOf(new Uint16Array(bytes.buffer, 2)), [3, 4]);
  t.deepEqual(await bytesOf(Buffer.from('hi')), [104, 105]);
  t.deepEqual(await bytesOf(shared), [5, 6]);
  t.deepEqual(await bytesOf(new Uint8Array(0)), []);
});

test('bytes that are gone', (t) => {
  const bytes = new Uint8Array(4);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  t.throws(() => imageSource('config.kernel', bytes), {
    code: 'ERR_INVALID_ARG_VALUE',
    message: /'config\.kernel' is detached/,
  });
});

test('a file, by its path and by its URL', async (t) => {
  const path = `${temporaryFolder(t)}/a kernel`;
  writeFileSync(path, 'kernel');
  t.like(await open(path), { path, label: path });
  t.like(await open(pathToFileURL(path)), { path });
  t.deepEqual(await bytesOf(path), [...Buffer.from('kernel')]);
});

test('what is no file', async (t) => {
  const folder = temporaryFolder(t);
  const pipe = `${folder}/pipe`;
  execFileSync('mkfifo', [pipe]);
  mkdirSync(`${folder}/folder`);
  await refused(t, `${folder}/none`, /^kernel: \S*none cannot be read \(ENOENT\)$/);
  await refused(t, `${folder}/folder`, /^kernel: \S*folder is no file$/);
  // Nobody writes into it: opening it would wait for ever.
  await refused(t, pipe, /^kernel: \S*pipe is no file$/);
  await refused(t, '/dev/zero', /^kernel: \/dev\/zero is no file$/);
  await refused(t, `${folder}/folder/`.repeat(200), /ENAMETOOLONG|ENOENT/);
});

test('a file that is larger than the machine’s memory', async (t) => {
  const path = `${temporaryFolder(t)}/kernel`;
  writeFileSync(path, new Uint8Array(LIMIT));
  t.like(await open(path), { path });
  writeFileSync(path, new Uint8Array(LIMIT + 1));
  await refused(t, path, /^kernel: \S* has 1001 bytes, the machine's memory 1000$/);
});

test('a data: URL', async (t) => {
  t.deepEqual(await bytesOf(new URL('data:,kernel')), [...Buffer.from('kernel')]);
  t.deepEqual(await bytesOf(new URL('data:application/octet-stream;base64,AQID')), [1, 2, 3]);
  t.deepEqual(await bytesOf(new URL('data:,')), []);
  await refused(t, new URL('data:nonsense'), /^kernel: data:nonsense cannot be fetched/);
  await refused(t, new URL(`data:,${'x'.repeat(LIMIT + 1)}`), /^kernel: data:,x{71}\.\.\. has 1001 bytes/);
});

test('a web server', async (t) => {
  const url = await serving(t, (request, response) => {
    t.is(request.url, '/images/kernel');
    response.end('kernel');
  });
  t.like(await open(url), { label: url.href });
  t.deepEqual(await bytesOf(url), [...Buffer.from('kernel')]);
});

test('a web server that sends its image in pieces, elsewhere', async (t) => {
  const there = await serving(t, (_request, response) => {
    response.write('ker');
    setTimeout(() => response.end('nel'), 5);
  });
  const here = await serving(t, (_request, response) =>
    response.writeHead(302, { location: there.href }).end(),
  );
  t.deepEqual(await bytesOf(here), [...Buffer.from('kernel')]);
});

test('a web server that has none', async (t) => {
  for (const status of [404, 500, 403]) {
    const url = await serving(t, (_request, response) => response.writeHead(status).end('sorry'));
    await refused(t, url, new RegExp(`^kernel: \\S+ cannot be fetched: status ${status}$`));
  }
});

test('no web server at all', async (t) => {
  const server = createTcpServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  await refused(t, new URL(`http://127.0.0.1:${port}/`), /^kernel: \S+ cannot be fetched \(ECONNREFUSED\)$/);
});

test('a server that speaks something else, or breaks off', async (t) => {
  const nonsense = createTcpServer((socket) => socket.end('220 mail.example ESMTP\r\n'));
  await refused(t, new URL(`http://${await listening(t, nonsense)}/`), /^kernel: \S+ cannot be fetched/);
  const short = await serving(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 100 });
    response.write('x');
    setTimeout(() => response.destroy(), 5);
  });
  await refused(t, short, /^kernel: \S+ cannot be fetched/);
});

test('a body without end is left when it is larger than the machine’s memory', async (t) => {
  let closed: Promise<unknown> | undefined;
  const url = await serving(t, (_request, response) => {
    const send = (): void => {
      while (!response.destroyed && response.write('x'.repeat(100)));
    };
    closed = new Promise((resolve) => void response.once('close', resolve));
    response.on('drain', send);
    send();
  });
  await refused(t, url, /^kernel: \S+ has \d+ bytes, the machine's memory 1000$/);
  // The connection goes, too.
  await closed;
});

test('a signal ends the wait for a server, before and in the middle of its answer', async (t) => {
  const reason = new Error('enough');
  for (const beginning of ['', 'x']) {
    const controller = new AbortController();
    const url = await serving(t, (_request, response) => {
      if (beginning !== '') response.write(beginning);
      setTimeout(() => controller.abort(reason), 20);
    });
    t.is(await t.throwsAsync(open(url, controller.signal)), reason);
  }
  const gone = AbortSignal.abort(reason);
  t.is(await t.throwsAsync(open(new URL('http://127.0.0.1:1/'), gone)), reason);
});

test('a URL that is changed later is the one that was given', (t) => {
  const url = new URL('http://127.0.0.1/kernel');
  const source = imageSource('config.kernel', url);
  url.pathname = '/other';
  t.is('url' in source ? source.url.pathname : '', '/kernel');
});
