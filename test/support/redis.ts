/** A private Redis for one test: append-only, every write on disk before it is acknowledged. */
import { start } from '@cmt/host';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export interface TestRedis {
  /** `unix://…`. */
  readonly url: string;
  /** On loopback, for tests that stand in the wire. */
  readonly port: number;
  /** Working directory, free for a test's own files; gone after `stop`. */
  readonly dir: string;
  /** SIGKILL; the data stays. Resolves when the process has ended. */
  kill(): Promise<void>;
  /** Starts again on the same data after a `kill`. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT: connected, and silent. */
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its directory. */
  stop(): Promise<void>;
}

const START_MS = 10_000;

export async function startTestRedis(): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'cmt-redis-'));
  await chmod(dir, 0o700);
  const socket = join(dir, 'redis.sock');
  const port = await freePort();
  const launch = async () => {
    const child = start('redis-server', configuration(dir, socket, port), { stdio: 'ignore' });
    await answering(socket);
    // In an object: the child is a promise of its own end, and would be awaited.
    return { child };
  };
  let { child } = await launch();
  const kill = async () => {
    child.kill('SIGKILL');
    await child;
  };
  return {
    url: `unix://${socket}`,
    port,
    dir,
    kill,
    restart: async () => {
      ({ child } = await launch());
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    stop: async () => {
      await kill();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

const configuration = (dir: string, socket: string, port: number): string[] =>
  Object.entries({
    port,
    bind: '127.0.0.1',
    unixsocket: socket,
    dir,
    appendonly: 'yes',
    appendfsync: 'always',
    save: '',
    'maxmemory-policy': 'noeviction',
  }).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** Redis tells nobody when it has loaded its data, so it is asked. */
async function answering(socket: string): Promise<void> {
  const deadline = performance.now() + START_MS;
  while (!(await answersPing(socket))) {
    if (performance.now() > deadline) throw new Error(`redis-server did not answer on ${socket}`);
    await delay(10);
  }
}

function answersPing(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const client = connect(socket, () => client.write('PING\r\n'));
    client.once('data', (bytes) => {
      client.destroy();
      resolve(bytes.toString().startsWith('+PONG'));
    });
    client.once('error', () => resolve(false));
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
