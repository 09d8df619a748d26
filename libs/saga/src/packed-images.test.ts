/** Images that are packed on their way: told apart are what they took of the wire and what they are. */
import type { RoundFigures } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { call } from './calls.ts';
import { converge } from './converge.ts';
import { report } from './report.ts';
import { play, request, roundFigures } from '../test/world.ts';

describe('a migration', () => {
  it.each([
    ['zstd', { compress: 'zstd' }],
    ['none', {}],
  ])('with --compress %s tells its source so', (compress, told) => {
    const { route } = call('freeze-and-dump', play(request({ compress })).saga).input as { route: object };
    expect('compress' in route ? { compress: route.compress } : {}).toEqual(told);
  });

  it('adds up what images took and what they were', () => {
    const { saga } = play(request(), { dirtyTracking: true });
    const sent = report(saga, 0).bytesSent ?? 0;
    expect(report(saga, 0).imageBytes).toBe(sent);
    const rounds = saga.rounds.map((round) => ({ ...round, imageBytes: 3 * round.bytesSent }));
    const more = 2 * rounds.reduce((sum, { bytesSent }) => sum + bytesSent, 0);
    expect(more).toBeGreaterThan(0);
    expect(report({ ...saga, rounds }, 0)).toMatchObject({ bytesSent: sent, imageBytes: sent + more });
  });
});

it('the room that rounds take on the target is that of what they unpack to', () => {
  const pages = [250_000, 230_000, 210_000];
  const verdictOn = (rounds: readonly RoundFigures[]) =>
    converge(
      {
        ...{ rounds, memory: 250_000 * 4096, postCopy: false, sharedFiles: true, lazyRestore: false },
        ...{ sourceCosts: { dump: [], files: [] }, targetCosts: { restore: [] } },
      },
      request({ maxDowntimeMs: 1, maxRounds: 8 }).options,
    );
  const plain = pages.map((written, n) => roundFigures(written, 1000 + 3000 * n));
  const packed = plain.map((round) => ({ ...round, bytesSent: 1, imageBytes: round.bytesSent }));
  const noRoom = { next: 'switch', note: expect.stringMatching(/no room for another round/) as string };
  expect([verdictOn(plain), verdictOn(packed)]).toMatchObject([noRoom, noRoom]);
});
