/** Golden tables of the fleet. */
import { describe, expect, it } from 'vitest';
import type { HostRecord } from '@cmt/contracts';
import { doneReport as report } from '../../../../test/support/done-report.ts';
import { containersOf, containersText } from './containers.ts';
import { hostsText, migrationsText } from './fleet.ts';
import { paintFor } from './paint.ts';

const plain = paintFor(false);

describe('the fleet', () => {
  const record = (name: string, more: Partial<HostRecord['facts']> = {}): HostRecord => ({
    ...{ v: 1, labels: { zone: 'a' }, cmtVersion: '0.1.0', startedAt: 0, seenAt: 0 },
    facts: {
      ...{
        name,
        kernel: '6.18.0',
        arch: 'x86_64',
        criu: '4.2.1',
        runtimes: { runc: '1.3.6' },
        criuProblem: null,
      },
      ...{
        features: { dirtyTracking: false, lazyPages: true },
        cpus: 2,
        memoryTotal: 8e9,
        memoryAvailable: 4.2e9,
      },
      ...{ imagesFree: 1e9, ...more },
    },
    endpoint: {
      ...{ address: '10.77.0.11', sshPort: 22, sshUser: 'root', sshHostKeys: [], receivePort: 7070 },
      ...{ receiveSocket: '/run/cmt/receive.sock', publicKey: 'x' },
    },
    containers: [
      { id: 'redis', runtime: 'runc', status: 'running', bundle: '/srv/my redis', pid: 7 },
      { id: 'web', runtime: 'runc', status: 'paused', bundle: '/srv/web', pid: 8 },
    ],
  });
  const hosts = [
    { state: 'online' as const, ageMs: 1200, record: record('host1') },
    {
      state: 'offline' as const,
      ageMs: 125_000,
      record: record('host2', { criu: null, criuProblem: 'not there' }),
    },
  ];

  it('as hosts', () =>
    expect(hostsText(hosts, plain)).toMatchInlineSnapshot(`
      "HOST   ADDRESS     STATE                CONTAINERS  MOVES  MEMORY FREE       IMAGES FREE  CPUS  KERNEL  CRIU             RUNTIMES    CMT    LABELS
      host1  10.77.0.11  online               2           -      4.2 GB of 8.0 GB  1.0 GB       2     6.18.0  4.2.1            runc 1.3.6  0.1.0  zone=a
      host2  10.77.0.11  offline (2 min 5 s)  2           -      4.2 GB of 8.0 GB  1.0 GB       2     6.18.0  none: not there  runc 1.3.6  0.1.0  zone=a
      "
    `));

  it('as containers, each with the migration it is in', () => {
    const under = { ...report, state: 'running' as const, step: 'pre-dump' };
    expect(containersText(containersOf(hosts.slice(0, 1), [report, under]), plain)).toMatchInlineSnapshot(`
      "CONTAINER  HOST   RUNTIME  STATUS   MEMORY  MIGRATION                BUNDLE
      redis      host1  runc     running  -       m-1 (running, to host2)  /srv/my redis
      web        host1  runc     paused   -       -                        /srv/web
      "
    `);
  });

  it('as migrations', () => {
    const failed = { ...report, id: 'm-2', state: 'refused' as const, blackoutMs: null };
    const failure = { code: 'SAME_HOST' as const, details: {} };
    expect(migrationsText([report, { ...failed, failure }], 61_000, plain)).toMatchInlineSnapshot(`
      "MIGRATION  CONTAINER  FROM   TO     STATE    BLACKOUT  ASKED          FAILURE
      m-1        redis      host1  host2  done     200 ms    1 min 1 s ago
      m-2        redis      host1  host2  refused  -         1 min 1 s ago  SAME_HOST
      "
    `);
  });
});
