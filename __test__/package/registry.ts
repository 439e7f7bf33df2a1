// A registry of our own: verdaccio on a port of this machine, with an empty store and nobody behind it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { folder, runWith, write, type Ended } from './stage.ts';

/** Starts on a free port, says it on the first line, and ends when its standard input does. */
const server = `
const { runServer } = require(process.argv[2]);
runServer(process.argv[3]).then((app) => {
  const listening = app.listen(0, '127.0.0.1', () => console.log('port ' + listening.address().port));
});
process.stdin.on('end', () => process.exit()).resume();
`;

const settings = (base: string) => `
storage: ${base}/store
auth:
  htpasswd:
    file: ${base}/htpasswd
    max_users: -1
uplinks: {}
packages:
  '**':
    access: $all
    publish: $all
    unpublish: $all
web:
  enable: false
log: { type: file, path: ${base}/registry.log, level: http }
`;

export interface Registry {
  readonly url: string;
  /** The environment in which package managers know this registry and nothing else of the world. */
  readonly env: Readonly<Record<string, string>>;
  /** The requests that it had: `GET /vmhatch` and the like. */
  readonly publish: (tarball: string) => Promise<Ended>;
  stop(): Promise<void>;
}

/** npm of this Node. */
export function npm(env: Readonly<Record<string, string>>, cwd: string, ...args: string[]): Promise<Ended> {
  return runWith(env, cwd, 'npm', ...args);
}

/**
 * @param modules node_modules with verdaccio
 * @param node a Node that verdaccio runs on
 */
export async function startRegistry(modules: string, node: string): Promise<Registry> {
  const base = folder('registry');
  const config = write(base, 'config.yaml', settings(base));
  const program = write(base, 'server.cjs', server);
  const child = spawn(node, [program, join(modules, 'verdaccio'), config], {
    cwd: base,
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const closed = once(child, 'close');
  let url: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^port (\d+)$/.exec(line)?.[1];
    if (port === undefined) continue;
    url = `http://127.0.0.1:${port}/`;
    break;
  }
  if (url === undefined) throw new Error('verdaccio did not start');
  child.stdout.resume();
  // Everything but the registry is out of reach, and nothing of this user's settings counts.
  const nowhere = 'http://127.0.0.1:9/';
  const userconfig = write(base, 'npmrc', `${url.slice('http:'.length)}:_authToken=none\n`);
  const env = {
    HOME: base,
    XDG_CACHE_HOME: join(base, 'caches'),
    npm_config_userconfig: userconfig,
    npm_config_registry: url,
    npm_config_cache: join(base, 'npm-cache'),
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    npm_config_fetch_retries: '0',
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    http_proxy: nowhere,
    https_proxy: nowhere,
    NO_PROXY: '127.0.0.1',
    no_proxy: '127.0.0.1',
  };
  return {
    url,
    env,
    publish: (tarball) => npm(env, base, 'publish', tarball, '--ignore-scripts'),
    async stop() {
      child.stdin.end();
      await closed;
    },
  };
}
