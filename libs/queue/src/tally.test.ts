import { MigrationReport } from '@cmt/contracts';
import { describe, expect, it } from 'vitest';
import { talliesOf } from './tally.ts';

const request = {
  ...{ v: 1, id: 'm-1', container: 'web', source: 'alpha', target: 'beta', options: {}, requestedAt: 1 },
};
const reportOf = (more: object): MigrationReport =>
  MigrationReport.parse({
    ...{ v: 1, id: 'm-1', container: 'web', from: 'alpha', to: 'beta', state: 'done', step: null },
    ...{ decision: null, epoch: 1, rounds: 0, roundsNote: null, blackoutMs: null, blackout: null },
    ...{ totalMs: 4200, steps: [], findings: [], hooks: [], failure: null, message: null, remedy: null },
    ...{ request, ...more },
  });
const failure = (host: string) => ({ code: 'RESTORE_FAILED', details: { host, reason: 'x' } });

describe('what a migration adds to the counters', () => {
  it('is nothing before its end', () => {
    expect(talliesOf(reportOf({ state: 'running' }))).toEqual([]);
  });

  it('is its end for both hosts, its duration, steps and bytes', () => {
    const steps = [10, 11, 70_000_000].map((ms) => ({
      name: 'inspect',
      host: 'alpha',
      try: 1,
      ok: true,
      ms,
    }));
    expect(talliesOf(reportOf({ steps, bytesSent: 77, blackoutMs: 718.4 }))).toEqual([
      { once: '', add: { 'end|done': 1, 'host|alpha|out|done': 1, 'host|beta|in|done': 1 } },
      {
        once: 'run',
        add: {
          ...{ 'duration|done|le|5000': 1, 'duration|done|sum': 4200 },
          ...{ 'step|inspect|le|10': 1, 'step|inspect|le|50': 1, 'step|inspect|le|more': 1 },
          ...{ 'step|inspect|sum': 70_000_021, 'bytes|alpha|beta': 77 },
        },
      },
      { once: 'blackout', add: { 'blackout|le|750': 1, 'blackout|sum': 718 } },
    ]);
  });

  it('names a failure and its host, where that is one of the two', () => {
    const added = (host: string) =>
      Object.keys(talliesOf(reportOf({ state: 'rolled-back', failure: failure(host) }))[0]?.add ?? {});
    expect(added('beta')).toContain('failure|RESTORE_FAILED|beta');
    expect(added('elsewhere')).toContain('failure|RESTORE_FAILED|');
  });
});
