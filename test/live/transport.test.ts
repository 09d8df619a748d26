/** The data connection between two lab hosts through their own sshd: it carries, and both ends notice when the cable is cut. */
import { join } from 'node:path';
import type { HostEndpoint, Route } from '@cmt/contracts';
import { cutLink, labExec, labUp, restoreLink, type Lab } from '@cmt/lab';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { downLeavingNothing, lookAtHosts, type Before } from '../support/expectations.ts';
import { TransferEnd } from '../support/transfer-end.ts';

const name = `ttransport${process.pid}`;
const root = join(import.meta.dirname, '../..');
let lab: Lab;
let before: Before;
let source: TransferEnd;
let target: TransferEnd;

const inHost = async (host: string, script: string): Promise<string> =>
  (await labExec(lab, host, ['sh', '-c', script])).stdout.trim();

beforeAll(async () => {
  lab = await labUp({ name, hosts: 2, share: [root] });
  before = await lookAtHosts(lab);
  const [one, two] = lab.hosts;
  source = new TransferEnd(lab, 'host1', one!.address);
  target = new TransferEnd(lab, 'host2', two!.address);
  const endpoint = await target.value<HostEndpoint>('endpoint');
  await source.value('route', { transport: 'ssh', peer: 'host2', endpoint } satisfies Route);
  await inHost(
    'host1',
    `mkdir '/run/out box' && cd '/run/out box' && head -c 64M /dev/urandom > pages-1.img && echo core > core-1.img`,
  );
}, 300_000);
async function end(): Promise<void> {
  await Promise.all([source.end(), target.end()]);
  // This test's own, and the cache of what runs TypeScript there.
  for (const { name: host } of lab.hosts) await inHost(host, 'rm -r /run/transfer* /run/out* /tmp/tsx-*');
}
afterAll(() => downLeavingNothing({ name, lab, before }, end), 60_000);

const digests = (host: string, directory: string): Promise<string> =>
  inHost(host, `cd '${directory}' && sha256sum *`);

/** The source's connection to an earlier session goes first: it would take that for the new one's until it hears that it is closed. */
async function prepare(): Promise<void> {
  await source.value('drop');
  const { publicKey } = await source.value<HostEndpoint>('endpoint');
  await target.value('prepare', publicKey);
}

describe('between two hosts', () => {
  it('images and files arrive as they were', async () => {
    await prepare();
    const complete = target.call('complete');
    expect(await source.call('images', '/run/out box')).toMatchObject({
      value: { bytesSent: 64 * 2 ** 20 + 5 },
    });
    await source.value('files', '/run/out box');
    await source.value('go');
    expect(await complete).toMatchObject({ value: { lastByteAt: expect.any(Number) as number } });
    const sent = await digests('host1', '/run/out box');
    expect(await digests('host2', '/run/transfer images/final')).toBe(sent);
    expect(await digests('host2', '/run/transfer bundle')).toBe(sent);
  }, 60_000);

  it('a cable that is cut ends the wait of both, and the same session goes on when it is back', async () => {
    await prepare();
    await source.value('connect');
    const waiting = target.call('complete');
    const armed = source.call('armed');
    await cutLink(lab, 'host1');
    expect(await armed).toMatchObject({ code: 'TRANSFER_BROKEN' });
    expect(await waiting).toMatchObject({ code: 'TRANSFER_BROKEN' });
    expect(await source.call('connect')).toMatchObject({ code: 'PEER_UNREACHABLE' });
    await restoreLink(lab, 'host1');
    const complete = target.call('complete');
    await source.value('images', '/run/out box');
    await source.value('go');
    expect(await complete).toMatchObject({ value: { lastByteAt: expect.any(Number) as number } });
  }, 60_000);
});
