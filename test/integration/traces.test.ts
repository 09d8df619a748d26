/** Traces: one for each migration, over the processes of client, coordinator and workers, at a collector of the test's own. */
import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadKeyPair } from '@cmt/queue';
import { buildCmt, cmt, startCmt } from '../support/cmt.ts';
import { startTestRedis, type TestRedis } from '../support/redis.ts';

/** As much of OTLP/HTTP with JSON as is looked at (opentelemetry-proto, trace/v1). */
const Attributes = z.array(z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) }));
const Sent = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes: Attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string(),
              spanId: z.string(),
              parentSpanId: z.string().optional(),
              name: z.string(),
              attributes: Attributes,
            }),
          ),
        }),
      ),
    }),
  ),
});

interface Span {
  readonly trace: string;
  readonly id: string;
  readonly parent: string;
  readonly name: string;
  readonly service: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

const STAND_INS = fileURLToPath(new URL('../bin', import.meta.url));

/** What was sent to the collector so far. */
const spans: Span[] = [];
const bodies: string[] = [];
let server: Server;
let endpoint: string;
let redis: TestRedis;
let home: string;
const processes: ReturnType<typeof startCmt>[] = [];

const plainly = (attributes: z.infer<typeof Attributes>): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

function take(body: string): void {
  bodies.push(body);
  for (const { resource, scopeSpans } of Sent.parse(JSON.parse(body)).resourceSpans)
    for (const span of scopeSpans.flatMap((scope) => scope.spans))
      spans.push({
        ...{ trace: span.traceId, id: span.spanId, parent: span.parentSpanId ?? '', name: span.name },
        service: String(plainly(resource.attributes)['service.name']),
        facts: plainly(span.attributes),
      });
}

const serviceEnv = (name: string, traced: boolean): Record<string, string> => ({
  ...{ CMT_REDIS: redis.url, CMT_STATE_DIR: join(home, name), CMT_TRUSTED_KEYS_DIR: join(home, 'trusted') },
  ...{ CMT_LOG_LEVEL: 'error', CMT_IMAGES_DIR: join(home, name, 'images') },
  // Stand-ins for runc and criu.
  ...{ PATH: `${STAND_INS}:${process.env.PATH ?? ''}`, CMT_FAKE_DIR: join(home, name, 'fake') },
  OTEL_EXPORTER_OTLP_ENDPOINT: traced ? endpoint : '',
  OTEL_BSP_SCHEDULE_DELAY: '50',
});

beforeAll(async () => {
  await buildCmt();
  home = await mkdtemp(join(tmpdir(), 'cmt-traces-'));
  redis = await startTestRedis();
  server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      if (request.url === '/v1/traces') take(Buffer.concat(parts).toString());
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await mkdir(join(home, 'trusted'));
});

afterAll(async () => {
  for (const child of processes) child.kill('SIGKILL');
  await Promise.all(processes.map((child) => child.catch(() => undefined)));
  server.closeAllConnections();
  server.close();
  await redis.stop();
  await rm(home, { recursive: true, force: true });
});

const freePort = async (): Promise<number> => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
};

const start = (args: readonly string[], name: string, traced: boolean) =>
  processes.push(startCmt(args, { home, env: serviceEnv(name, traced) }));

describe('a migration', () => {
  it('is one trace, from the client over the coordinator to the steps on a host', async () => {
    // All trust both who ask for migrations and who drive them.
    for (const name of ['client', 'coordinator']) {
      await loadKeyPair(join(home, name));
      await copyFile(join(home, name, 'keys/cmt.pub'), join(home, 'trusted', `${name}.pub`));
    }
    start(['coordinator'], 'coordinator', true);
    for (const host of ['alpha', 'beta'])
      start(
        ['worker', '--name', host, '--address', '127.0.0.1', '--receive-port', String(await freePort())],
        host,
        true,
      );
    const client = (...args: string[]) => cmt(args, { home, env: serviceEnv('client', true) });
    await expect
      .poll(async () => (await client('hosts', '--json')).stdout, { timeout: 30_000, interval: 500 })
      .toMatch(/alpha[^]*beta/);
    const moved = await client(
      ...['migrate', 'no-such-container', '--src', 'alpha', '--dst', 'beta'],
      '--id',
      'traced',
    );
    expect(moved.code).toBe(3);

    const named = (name: string) => spans.find((span) => span.name === name);
    await expect.poll(() => named('process cmt.migrations')?.facts, { timeout: 15_000 }).toBeDefined();
    await expect.poll(() => named('inspect')?.facts, { timeout: 15_000 }).toBeDefined();
    const root = named('migrate');
    expect(root).toMatchObject({ service: 'cmt', parent: '', facts: { 'cmt.migration': 'traced' } });
    expect(named('drive the migration')).toMatchObject({ service: 'cmt-coordinator', trace: root?.trace });
    expect(named('inspect')).toMatchObject({
      ...{ service: 'cmt-worker', trace: root?.trace },
      facts: { 'cmt.host': 'alpha', 'cmt.migration': 'traced' },
    });
    // Whatever else was sent belongs to it: the loops of the queue make no traces. Spans are sent when they end, inner ones first.
    const parentless = () => {
      const known = new Set(spans.map(({ id }) => id));
      return spans.filter(({ parent }) => parent !== '' && !known.has(parent));
    };
    await expect.poll(parentless, { timeout: 15_000 }).toEqual([]);
    expect(new Set(spans.map(({ trace }) => trace))).toEqual(new Set([root?.trace]));
  }, 90_000);

  it('leaves nothing in its trace of what jobs hold and return', () => {
    const text = bodies.join('\n');
    expect(text).not.toContain('bullmq.job.result');
    expect(text).not.toContain('signature');
    expect(text).not.toContain('CONTAINER_UNKNOWN');
  });
});

describe('a collector that is away', () => {
  it('costs a migration nothing but its trace', async () => {
    const env = { ...serviceEnv('client', true), OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' };
    const moved = await cmt(['migrate', 'no-such-container', '--src', 'alpha', '--dst', 'beta'], {
      home,
      env,
    });
    expect([moved.code, moved.stderr]).toEqual([3, expect.stringContaining('CONTAINER_UNKNOWN')]);
  });
});
